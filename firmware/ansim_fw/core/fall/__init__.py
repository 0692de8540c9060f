"""Falls, from the samples of a motion sensor. docs/falls.md tells how a fall is decided."""
