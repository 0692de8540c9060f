"""The detector with a model, as deployed, judged on recordings."""

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ansim.falls import model_file
from ansim.falls.metrics import Outcome
from ansim.falls.recordings import DEVICE_RANGE_MG, DEVICE_RATE_HZ, Recording, Samples
from ansim.falls.runner import Job, play_all
from ansim_fw.core.fall.model import load

OnDone = Callable[[int], None]


@dataclass(frozen=True)
class Deployed:
    """A model as its file (JSON) tells it; packed as a device gets it."""

    told: dict[str, Any]

    @cached_property
    def packed(self) -> bytes:
        return model_file.pack(self.told)

    @cached_property
    def wake_mg(self) -> int:
        """Stage 0's threshold."""
        return load(self.packed, binascii.crc32).wake_mg


def judge(
    recordings: Sequence[Recording],
    models: Sequence[Deployed],
    processes: int,
    *,
    always_awake: bool = False,
    candidates: bool = False,
    on_done: OnDone = lambda _: None,
) -> list[Outcome]:
    """Play recordings, of any rate and range, through the firmware's detector, at the device's own.

    Returns what it made of each, in their order.

    Args:
        models: one a recording.
        always_awake: leave stage 0 out.
        candidates: collect the features of every window that was judged.
        on_done: called with the number of recordings that are done.

    Raises:
        AnsimError: as runner.play_all.
    """
    jobs = [
        Job(_as_sensed(each), model.packed, 0 if always_awake else model.wake_mg)
        for each, model in zip(recordings, models, strict=True)
    ]
    played = play_all(jobs, processes, candidates=candidates, on_done=on_done)
    return [Outcome(*each) for each in zip(recordings, played, strict=True)]


def _as_sensed(recording: Recording) -> Samples:
    return np.clip(recording.at_rate(DEVICE_RATE_HZ).acc, -DEVICE_RANGE_MG, DEVICE_RANGE_MG)
