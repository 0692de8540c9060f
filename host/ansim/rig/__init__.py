"""The rig: a second ESP32 that presses a device's button, switches its power and sees its lights (docs/rig.md)."""

from ansim.rig.client import Edge, Rig
from ansim.rig.rig_file import RigFile, load_rig

__all__ = ["Edge", "Rig", "RigFile", "load_rig"]
