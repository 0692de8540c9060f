"""Register-level models of the parts on a virtual board's I2C bus, one file a part.

A part's file has its name and a ``PART``, which is made with a World. Adding a part is adding a file.
"""

import pkgutil
from importlib import import_module

from ansim.errors import BadInput
from ansim.virtual.models.accelerometer import Accelerometer, Fault, World
from ansim.virtual.models.part import BusError, Part

__all__ = ["Accelerometer", "BusError", "Fault", "Part", "World", "make", "names"]


def names() -> list[str]:
    """Return the names of the parts there are."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return [name for name in found if hasattr(import_module(f"{__name__}.{name}"), "PART")]


def make(name: str, world: World) -> Accelerometer:
    """Return a part of that name, such as "lis2dw12", switched off.

    Raises:
        BadInput: there is no model of it.
    """
    if name not in names():
        raise BadInput(
            f"the virtual board has no model of the part {name!r}",
            f"There are: {', '.join(names())}. A part is one file in host/ansim/virtual/models.",
        )
    part: Accelerometer = import_module(f"{__name__}.{name}").PART(world)
    return part
