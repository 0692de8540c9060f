"""Model files: JSON that people review, and the bytes that a device goes by."""

import binascii
import json
import struct
from pathlib import Path
from typing import Any

from ansim.errors import BadInput
from ansim.home import project_root
from ansim_fw.core.fall import features, model, trees

# The device's setting `fall` has the same numbers; its 0 tells no falls.
PLACEMENTS = {"waist": model.WAIST, "wrist": model.WRIST}
# In the order in which they lie in the packed header.
_FIELDS = (
    *("version", "wake_mg", "impact_mg", "suspect", "certain"),
    *("still", "same", "moved_loss", "blocks"),
)
_HEADER = "<4sBBHHHhhBBBBBB"
# What is longer is not read: a model of 255 trees takes 30 KB.
_MAX_BYTES = 1 << 20


def shipped(placement: str) -> Path:
    """Where the model is that goes onto the devices."""
    return project_root() / "firmware" / "models" / f"fall_{placement}.json"


def pack(told: dict[str, Any]) -> bytes:
    """Return a model as ansim_fw.core.fall.model reads it.

    Raises:
        BadInput: something is missing, or does not fit.
    """
    try:
        placement = PLACEMENTS[told["placement"]]
        fields = [told[name] for name in _FIELDS]
        header = struct.pack(_HEADER, b"FALL", model.FORMAT, placement, *fields, len(told["trees"]), features.COUNT)
        data = header + b"".join(_pack_tree(each) for each in told["trees"])
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise BadInput(f"the fall model is not complete: {error!r}", "Make it again with: ansim falls train") from error
    packed = data + binascii.crc32(data).to_bytes(4, "little")
    _check(packed)
    return packed


def _pack_tree(tree: dict[str, list[int]]) -> bytes:
    decisions = [number for pair in zip(tree["features"], tree["thresholds"], strict=True) for number in pair]
    packed = bytes(decisions) + struct.pack("4b", *tree["leaves"])
    if len(packed) != trees.TREE_BYTES:
        raise ValueError(f"a tree of {len(packed)} bytes")
    return packed


def _check(packed: bytes) -> None:
    """Nothing leaves here that a device would refuse."""
    try:
        model.load(packed, binascii.crc32)
    except ValueError as error:
        raise BadInput(f"no device takes the fall model: {error}", "Make it again with: ansim falls train") from error


def read(path: Path) -> dict[str, Any]:
    """Return the model of a file.

    Raises:
        BadInput: there is none, or it is not one.
    """
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no fall model: {error}", "Make one with: ansim falls train") from error
    if not isinstance(told, dict):
        raise BadInput(f"{path} is no fall model", "Make one with: ansim falls train")
    try:
        pack(told)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}", error.hint) from error
    if not _tells_who_taught_it(told):
        raise BadInput(f"{path}: 'learned_from' names no subjects", "Make it again with: ansim falls train")
    return told


def _tells_who_taught_it(told: dict[str, Any]) -> bool:
    """Whether it says from whom it learned in a way that is understood; a model that was made by hand need not."""
    source = told.get("learned_from", {})
    subjects = source.get("subjects", []) if isinstance(source, dict) else None
    return isinstance(subjects, list) and all(isinstance(each, str) for each in subjects)


def write(path: Path, told: dict[str, Any]) -> None:
    """Write a model, one line a tree, so that what changes can be read."""
    rest = {name: value for name, value in told.items() if name != "trees"}
    head = json.dumps(rest, indent=2).removesuffix("\n}")
    lines = ",\n    ".join(json.dumps(each) for each in told["trees"])
    path.write_text(f'{head},\n  "trees": [\n    {lines}\n  ]\n}}\n')
