"""How often the movements of a day wake a device: from recordings to the table in rates.toml.

    python -m ansim.power.rates                prints the table as it is in the repository
    python -m ansim.power.rates --write        derives it anew from sisfall_200hz.npz and sisfall_50hz.npz

A movement is taken second by second. A second *stirs* when the sensor would raise its pin in it. What is kept of each
kind of movement are two chances (that a second stirs after one that did not, and after one that did) and how many of
the fall detector's windows are judged in a second of either sort. That is enough to play such movements again, and
nothing of the recordings is in it.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ansim.home import project_root
from ansim.power.parts import Part, all_parts
from ansim.toml_reader import TomlReader

if TYPE_CHECKING:
    from numpy import int16
    from numpy.typing import NDArray

    from ansim.falls.recordings import Recording

RATES_FILE = Path(__file__).with_name("rates.toml")
_MODEL = project_root() / "firmware" / "models" / "fall_waist.json"
_FINE_SET, _DEVICE_SET, _GROUP = "sisfall_200hz.npz", "sisfall_50hz.npz", "elderly"
# Codes of Sucerquia et al., Sensors 2017, 17, 198. A recording of `sit` is down and up again; of `turn` there and back.
KINDS: Mapping[str, tuple[str, ...]] = {
    "walk": ("D01",),
    "walk_fast": ("D02",),
    "stairs": ("D05",),
    "sit": ("D07", "D08", "D09", "D10"),
    "collapse": ("D11",),
    "lie": ("D12",),
    "turn": ("D14",),
    "bend": ("D15", "D16"),
    "car": ("D17",),
}


@dataclass(frozen=True)
class Rate:
    """What one kind of movement does to one part.

    Args:
        begins, stays: the chance that a second stirs, after one that did not and after one that did.
        windows_still, windows_stirring: windows judged in a second of either sort.
        seconds: a recording's mean duration.
        woken: the share of recordings that stir at all.
    """

    begins: float
    stays: float
    windows_still: float
    windows_stirring: float
    seconds: float
    woken: float
    recordings: int
    subjects: int


@dataclass(frozen=True)
class Rates:
    """The table, by part and kind of movement.

    Args:
        source: whose movements.
        wake_mg, impact_mg: the thresholds that it was made with.
    """

    source: str
    wake_mg: int
    impact_mg: int
    parts: Mapping[str, Mapping[str, Rate]]


def read_rates(path: Path = RATES_FILE) -> Rates:
    """Read a table.

    Raises:
        BadInput: it is no such table.
    """
    rates: Rates = TomlReader(path, "a table of rates", "python -m ansim.power.rates --write makes it anew.").read(
        Rates
    )
    return rates


def derive() -> Rates:
    """Make the table from the recordings; takes a minute and the extra `falls`.

    Raises:
        BadInput: the recordings are not there.
    """
    from ansim.falls import model_file
    from ansim.falls.recordings import data_folder, load

    told = model_file.read(_MODEL)
    device = {each.name: each for each in load(data_folder() / _DEVICE_SET)}
    fine = [each for each in load(data_folder() / _FINE_SET) if each.group == _GROUP and not each.is_fall]
    source = f"SisFall (Sucerquia et al., Sensors 2017, 17, 198), waist, group '{_GROUP}'"
    parts = {
        name: {
            kind: _rate(part, [each for each in fine if each.activity in codes], device, told)
            for kind, codes in KINDS.items()
        }
        for name, part in all_parts().items()
    }
    return Rates(source, told["wake_mg"], told["impact_mg"], parts)


def _rate(part: Part, fine: Sequence["Recording"], device: Mapping[str, "Recording"], told: Mapping[str, int]) -> Rate:
    seconds = [list(_seconds(each, device[each.name], part, told)) for each in fine]
    after = {before: [now for each in seconds for was, now in _pairs(each) if was == before] for before in (0, 1)}
    windows = {sort: [found for each in seconds for stirs, found in each if stirs == sort] for sort in (0, 1)}
    return Rate(
        begins=_mean(after[0]),
        stays=_mean(after[1]),
        windows_still=_mean(windows[0]),
        windows_stirring=_mean(windows[1]),
        seconds=round(_mean([each.duration_s for each in fine]), 1),
        woken=_mean([any(stirs for stirs, _ in each) for each in seconds]),
        recordings=len(fine),
        subjects=len({each.subject for each in fine}),
    )


def _pairs(seconds: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (stirred before, stirs now); before a recording nobody moved."""
    before = 0
    for stirs, _ in seconds:
        yield before, stirs
        before = stirs


def _seconds(fine: "Recording", device: "Recording", part: Part, told: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    """Yield for each second whether it stirs (0 or 1) and how many windows the detector opens in it."""
    from ansim.falls.stage0 import wakes_at

    seen = fine.at_rate(float(part.compares_hz))
    stirring = {int(at) // part.compares_hz for at in wakes_at(seen.acc, part.wake_mg(told["wake_mg"]))}
    opened = [at // 50 for at in _windows(device.acc, told["impact_mg"])]
    for second in range(len(device.acc) // 50):
        yield int(second in stirring), opened.count(second)


def _windows(acc: "NDArray[int16]", impact_mg: int) -> Iterator[int]:
    """Yield where the detector opens a window: at an impact, unless one is open (core/fall/detector.py)."""
    import numpy as np

    from ansim_fw.core.fall.features import AFTER

    strength = (acc.astype(np.int64) ** 2).sum(axis=1)
    free_from = 0
    for at in np.flatnonzero(strength >= impact_mg**2).tolist():
        if at >= free_from:
            free_from = at + AFTER
            yield at


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 4) if listed else 0.0


def as_toml(rates: Rates) -> str:
    """Return the table as its file."""
    lines = [
        "# How often movements wake a device. Derived, not written: python -m ansim.power.rates --write",
        f'source = "{rates.source}"',
        f"wake_mg = {rates.wake_mg}",
        f"impact_mg = {rates.impact_mg}",
    ]
    for part, kinds in rates.parts.items():
        for kind, rate in kinds.items():
            lines += ["", f"[parts.{part}.{kind}]", *(f"{name} = {value}" for name, value in asdict(rate).items())]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        RATES_FILE.write_text(as_toml(derive()), encoding="utf-8")
    elif arguments:
        print(__doc__, file=sys.stderr)
        return 2
    print(RATES_FILE.read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
