"""Recordings in a user's files, to be played into a virtual board's motion sensor."""

import csv
from array import array
from collections.abc import Iterator
from pathlib import Path

from ansim.errors import BadInput
from ansim.virtual.motion import LONGEST_SAMPLES, SAMPLE_BYTES, Samples, read_samples

_RAW = (".bin", ".s16")
_LONGEST_LINE_BYTES = 40  # that a sample takes in a CSV file, with decimals that nobody needs


def load_motion(path: Path) -> Samples:
    """Return a recording's samples: x, y, z in mg, interleaved.

    Args:
        path: .bin or .s16 of little-endian int16 triples, or .csv of x,y,z with a line of names above it or without.

    Raises:
        BadInput: another kind of file, not readable, too long, or damaged.
    """
    if path.suffix not in (*_RAW, ".csv"):
        raise BadInput(
            f"{path} is no recording that can be played",
            "Give a .csv of x,y,z in mg, or a .bin or .s16 of little-endian int16; for .npz: ansim falls replay.",
        )
    try:
        return _read_raw(path) if path.suffix in _RAW else _read_csv(path)
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}", "Check the path.") from error
    except (ValueError, csv.Error) as error:
        raise BadInput(
            f"{path} is no recording: {error}", "Each sample is x, y, z in mg: whole numbers from -32768 to 32767."
        ) from error


def _read_raw(path: Path) -> Samples:
    with path.open("rb") as file:
        return read_samples(file.read(LONGEST_SAMPLES * SAMPLE_BYTES + 1))


def _read_csv(path: Path) -> Samples:
    if path.stat().st_size > LONGEST_SAMPLES * _LONGEST_LINE_BYTES:
        raise ValueError("it is too long")
    samples = array("h")
    with path.open(encoding="utf-8", newline="") as file:
        for x, y, z in _triples(file):
            if len(samples) >= 3 * LONGEST_SAMPLES:
                raise ValueError(f"more than {LONGEST_SAMPLES} samples, a day at 200 Hz")
            samples.extend((x, y, z))
    if not samples:
        raise ValueError("it holds no samples")
    return samples


def _triples(lines: Iterator[str]) -> Iterator[tuple[int, int, int]]:
    rows = csv.reader(lines)
    for row in filter(None, rows):
        try:
            x, y, z = (round(float(value)) for value in row)
            array("h", (x, y, z))
        except (ValueError, OverflowError) as error:
            if rows.line_num == 1:
                continue  # the names of the columns
            raise ValueError(f"line {rows.line_num} is {','.join(row)[:40]!r}") from error
        yield x, y, z
