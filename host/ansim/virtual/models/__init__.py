"""Register-level models of the parts on a virtual board's I2C bus, one file a part."""

from ansim.virtual.models.lis2dw12 import Lis2dw12
from ansim.virtual.models.part import Part

__all__ = ["Lis2dw12", "Part"]
