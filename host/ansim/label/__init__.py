"""Labels for devices: what is on them, how it is laid out, and as which file they are printed."""

# What labels need of the extra "label".
PACKAGES = ("fontTools", "fpdf", "PIL", "pylopdf_fonts_ko", "segno")
