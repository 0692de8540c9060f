"""Starts the virtual chip. Its names are those of __main__, so it leaves none behind."""

import _start

_start.run(globals())
