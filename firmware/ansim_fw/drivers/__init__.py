"""Accelerometers, one file a part, all with the same face: see _sensor.pyi. Only the board's own is ever loaded."""
