"""Modules that are of use for a moment."""

import sys


def drop(name: str) -> None:
    """Give the memory of a module back; whoever imports it next loads it again."""
    package, _, module = name.rpartition(".")
    if sys.modules.pop(name, None) and hasattr(sys.modules[package], module):
        delattr(sys.modules[package], module)
