"""What tests of labels share: devices, and reading printed labels back."""

import io

import pypdfium2
import zplkit
import zxingcpp
from PIL import Image
from zplkit.rendering import Limits

from ansim.device_state import READY
from ansim.registry import Identity

_POINTS_PER_INCH = 72
# More than any file of labels that a test makes.
_GRAPHIC_BYTES = 1 << 24


def identity(number: int = 123, role: str = "pendant") -> Identity:
    return Identity(
        device=f"AN{number:06d}",
        mac="24:6f:28:00:00:7b",
        board="esp32c3_pendant",
        site="seoul-01",
        role=role,
        generation=1,
        household="jongno-17-3",
        state=READY,
    )


def pages(pdf: bytes, dpi: int = 300) -> list[Image.Image]:
    """Return the pages of pdf as they come out of a printer with so many dots an inch."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [page.render(scale=dpi / _POINTS_PER_INCH).to_pil() for page in document]


def words(pdf: bytes) -> str:
    """Return the text of all pages, as a viewer's search finds it."""
    with pypdfium2.PdfDocument(pdf) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def scanned(picture: Image.Image) -> list[str]:
    """Return what a scanner reads from picture, from the upper left to the lower right."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    found.sort(key=lambda each: (each.position.top_left.y // 20, each.position.top_left.x))
    return [each.text for each in found]


def printed(zpl: bytes, dpi: int) -> list[Image.Image]:
    """Return what a printer of other people's making prints."""
    limits = Limits(graphic_bytes=_GRAPHIC_BYTES, input_bytes=_GRAPHIC_BYTES)
    document = zplkit.render(zpl, zplkit.Options(profile="specification", dpi=dpi), limits=limits)
    assert not document.warnings
    return [Image.open(io.BytesIO(label.png())).convert("L") for label in document.labels]
