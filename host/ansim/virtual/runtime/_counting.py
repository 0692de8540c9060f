"""Counts the files that a program opens and looks up, and the modules that it loads.

The filesystem itself is the port's own, so that reads of the flash and the heap are as on a chip.
"""

import builtins
import sys

import _link
import vfs

_open = builtins.open
_import = builtins.__import__

# How many modules have been counted, and how many files of others were opened in a program's own filesystem.
_counted = 0
_elsewhere = 0


def begin():
    """Count from now on."""
    builtins.open = open
    builtins.__import__ = _importing


def open(file, mode="r", buffering=-1, encoding=None):
    _link.counts[_link.OPENS] += 1
    return _open(file, mode)


def _importing(name, globals=None, locals=None, fromlist=None, level=0):
    global _counted, _elsewhere
    if level == 0 and name in sys.modules:
        return _import(name, globals, locals, fromlist, level)
    before = _loaded() - _counted
    found = _import(name, globals, locals, fromlist, level)
    # What this one imported was counted meanwhile.
    loaded = _loaded() - _counted - before
    elsewhere = min(loaded, _elsewhere)
    _counted += loaded
    _elsewhere -= elsewhere
    _link.counts[_link.IMPORTS] += loaded
    _link.counts[_link.OPENS] += loaded - elsewhere
    return found


def _loaded():
    """Return how many modules there are that came from a file."""
    found = 0
    for name in sys.modules:
        if hasattr(sys.modules[name], "__file__"):
            found += 1
    return found


def mount(*what, **options):
    """Mount anything, as vfs.mount(); what is loaded from a program's own filesystem opens no file in the flash's."""
    if not what:
        return vfs.mount()
    fs = what[0]
    if hasattr(fs, "open") and not isinstance(fs, (vfs.VfsLfs2, vfs.VfsFat)):
        opens = fs.open

        def open_module(path, mode):
            global _elsewhere
            if path.endswith((".mpy", ".py")):
                _elsewhere += 1
            return opens(path, mode)

        fs.open = open_module
    return vfs.mount(*what, **options)
