"""Starts the virtual chip. Its names are those of __main__, so it leaves none behind."""

import _start

_start.prepare()
del _start
import _run

_run.boot_py(globals())
import _run

_run.main_py(globals())
del _run
