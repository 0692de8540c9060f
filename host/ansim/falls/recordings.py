"""Recordings of falls and daily activity: .npz files of one documented layout, read with care, and their sample rate.

Layout: ``acc`` int16 in mg, all recordings stacked (N x 3); recording i is ``acc[offsets[i]:offsets[i + 1]]``; one
entry a recording in ``fs name subject group age activity trial is_fall fall_start_s fall_end_s`` (the last two are NaN
where nobody knows). docs/falls.md tells it for who makes such files.
"""

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansim.errors import BadInput
from ansim.falls.bounds import PLACEMENTS
from ansim.home import project_root

# As firmware/ansim_fw/motion.py runs every part.
DEVICE_RATE_HZ = 50.0
DEVICE_RANGE_MG = 8000
RATES_HZ = (20.0, 200.0)
# 200 hours of 50 Hz are 216 MB.
MAX_ARRAY_BYTES = 1 << 28
_MAX_RECORDINGS = 1_000_000
# Names, codes and groups are shown to people, at a terminal and in pages.
MAX_TEXT = 100
# Kinds of NumPy's types: (what a person calls them, dtype.kind).
_NUMBER, _WHOLE, _TEXT, _FLAG = ("numbers", "fiu"), ("whole numbers", "iu"), ("text", "U"), ("true or false", "b")
_COLUMNS = {
    "fs": _NUMBER,
    "name": _TEXT,
    "subject": _TEXT,
    "group": _TEXT,
    "age": _WHOLE,
    "activity": _TEXT,
    "trial": _WHOLE,
    "is_fall": _FLAG,
    "fall_start_s": _NUMBER,
    "fall_end_s": _NUMBER,
}
# What zipfile and NumPy raise at bytes that are not what they should be.
_DAMAGED = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
_LAYOUT_HINT = "docs/falls.md tells the layout that a file of recordings has."

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class Recording:
    """One movement of one person.

    Args:
        name: as its set names it; subject: who moved; group: such as "young" or "elderly".
        age: in years.
        activity: the set's code, such as "F01"; trial: which repetition.
        fall_start_s, fall_end_s: from the recording's beginning; NaN where nobody knows.
        fs: samples a second.
        acc: mg, samples x (x, y, z).
    """

    name: str
    subject: str
    group: str
    age: int
    activity: str
    trial: int
    is_fall: bool
    fall_start_s: float
    fall_end_s: float
    fs: float
    acc: Samples

    @property
    def duration_s(self) -> float:
        return len(self.acc) / self.fs

    def at_rate(self, rate_hz: float) -> "Recording":
        """Return it as a part with another sample rate would have recorded it.

        A polyphase FIR (Kaiser window, zero phase) below half of the lower rate; beyond its ends the recording is
        taken to go on as its edge. The rates' ratio is taken as the nearest fraction with a denominator up to 1000.
        """
        if self.fs == rate_hz:
            return self
        from scipy.signal import resample_poly  # here, because it takes most of a second

        ratio = Fraction(rate_hz / self.fs).limit_denominator(1000)
        made = resample_poly(self.acc.astype(np.float64), ratio.numerator, ratio.denominator, axis=0, padtype="edge")
        return replace(self, fs=rate_hz, acc=to_mg(made))


def to_mg(values: NDArray[np.floating[Any]]) -> Samples:
    """Round values in mg to int16, and stop them at its ends."""
    limits = np.iinfo(np.int16)
    made: Samples = np.clip(np.rint(values), limits.min, limits.max).astype(np.int16)
    return made


def data_folder() -> Path:
    """Where sets of recordings are: ANSIM_DATA, else ``shared/data`` beside the project's folder."""
    given = os.environ.get("ANSIM_DATA")
    return Path(given).expanduser() if given else project_root().parent / "shared" / "data"


def find_set(given: Path | None, placement: str) -> Path:
    """Return where a set is: the file given, or one of that name in the data folder; the placement's own if None."""
    if given is None:
        return data_folder() / PLACEMENTS[placement].recordings
    kept = data_folder() / given
    return kept if not given.exists() and kept.exists() else given


def load(path: Path) -> list[Recording]:
    """Read every recording of a file, at its own rate.

    Raises:
        BadInput: the file is missing, damaged, too large, or not of the layout; names the array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name: _read_array(archive, path, name) for name in ("acc", "offsets", *_COLUMNS)}
    except FileNotFoundError as error:
        raise BadInput(f"there are no recordings at {path}", _where_to_put(path)) from error
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise BadInput(f"{path} can't be read as a set of recordings ({type(error).__name__})", _LAYOUT_HINT) from error
    _check_samples(path, arrays["acc"], arrays["offsets"])
    _check_columns(path, arrays, len(arrays["offsets"]) - 1)
    return list(_recordings(arrays))


def save(path: Path, recordings: Sequence[Recording]) -> None:
    """Write recordings to path, which is made or replaced.

    Raises:
        OSError: it can't be written.
    """
    lengths = [len(each.acc) for each in recordings]
    columns: dict[str, Any] = {name: np.array([getattr(each, name) for each in recordings]) for name in _COLUMNS}
    samples = np.concatenate([each.acc for each in recordings])
    with path.open("wb") as file:
        np.savez_compressed(file, acc=samples, offsets=np.cumsum([0, *lengths]), **columns)


def _where_to_put(path: Path) -> str:
    return f"Set ANSIM_DATA to the folder that holds {path.name}, or give a file with --set."


def _read_array(archive: zipfile.ZipFile, path: Path, name: str) -> NDArray[Any]:
    """Read one array; its header is judged before any memory is taken for it."""
    try:
        with archive.open(f"{name}.npy") as file:
            _check_header(path, name, file)
        with archive.open(f"{name}.npy") as file:
            read: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return read
    except KeyError as error:
        raise _bad(path, name, "is missing") from error
    except _DAMAGED as error:
        raise _bad(path, name, "is damaged, or holds Python objects") from error


def _check_header(path: Path, name: str, file: Any) -> None:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise _bad(path, name, f"has the unknown format {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size > MAX_ARRAY_BYTES:
        raise _bad(path, name, f"is too large: {size} bytes, of {MAX_ARRAY_BYTES} that are taken")


def _check_samples(path: Path, samples: NDArray[Any], offsets: NDArray[Any]) -> None:
    if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] != 3:
        raise _bad(path, "acc", f"is {samples.dtype} {samples.shape}, not int16 (N, 3)")
    if offsets.dtype.kind not in _WHOLE[1] or offsets.ndim != 1 or not 2 <= len(offsets) <= _MAX_RECORDINGS:
        raise _bad(path, "offsets", f"is {offsets.dtype} {offsets.shape}, not one whole number more than recordings")
    if offsets[0] != 0 or offsets[-1] != len(samples) or (offsets[1:] <= offsets[:-1]).any():
        raise _bad(path, "offsets", f"does not rise from 0 to the {len(samples)} samples of 'acc'")


def _check_columns(path: Path, arrays: Mapping[str, NDArray[Any]], count: int) -> None:
    for name, (kind, kinds) in _COLUMNS.items():
        if arrays[name].dtype.kind not in kinds or arrays[name].shape != (count,):
            found = f"{arrays[name].dtype} {arrays[name].shape}"
            raise _bad(path, name, f"is {found}, not {kind} of ({count},), one a recording")
        if kind is _TEXT[0] and not all(len(each) <= MAX_TEXT and each.isprintable() for each in arrays[name].tolist()):
            raise _bad(path, name, f"has text that can't be shown, or longer than {MAX_TEXT} characters")
    rates = arrays["fs"]
    # A comparison with NaN is false.
    if not ((rates >= RATES_HZ[0]) & (rates <= RATES_HZ[1])).all():
        raise _bad(path, "fs", f"has rates outside {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz")


def _bad(path: Path, name: str, what: str) -> BadInput:
    return BadInput(f"{path}: array '{name}' {what}", _LAYOUT_HINT)


def _recordings(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Recording]:
    columns = {name: arrays[name].tolist() for name in _COLUMNS}
    bounds = arrays["offsets"].tolist()
    for i, (start, end) in enumerate(zip(bounds, bounds[1:], strict=False)):
        yield Recording(**{name: values[i] for name, values in columns.items()}, acc=arrays["acc"][start:end])
