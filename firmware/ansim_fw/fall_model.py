"""The models by which falls are told, from the device's filesystem."""

from binascii import crc32

from ansim_fw.core.fall.model import load
from ansim_fw.core.fall.trees import Model

# Where a model is, by the setting `fall`.
_FILES = ("", "/fall_waist.bin", "/fall_wrist.bin")


def read(placement: int) -> Model:
    """Return the model for who wears the device there, 1 or 2.

    Raises:
        OSError: it is missing.
        ValueError: it is damaged, of another format, or for another place.
    """
    with open(_FILES[placement], "rb") as file:
        model = load(file.read(), crc32)
    if model.placement != placement:
        raise ValueError("the fall model is for another place")
    return model
