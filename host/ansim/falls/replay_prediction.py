"""What the evaluation says of the recordings that are replayed."""

import os
from collections.abc import Sequence

from ansim.falls import model_file
from ansim.falls.judging import Deployed, judge
from ansim.falls.recordings import Recording

_WORN = {setting: placement for placement, setting in model_file.PLACEMENTS.items()}


def predict(planned: Sequence[Recording], placement: int) -> dict[str, bool]:
    """Return, by name, whether the evaluation's way of running the deployed model comes to an alarm.

    Args:
        placement: the setting ``fall``; 0: there is no alarm.
    """
    each_once = list({recording.name: recording for recording in planned}.values())
    if not placement:
        return {recording.name: False for recording in each_once}
    deployed = Deployed(model_file.read(model_file.shipped(_WORN[placement])))
    outcomes = judge(each_once, [deployed] * len(each_once), os.cpu_count() or 1)
    return {recording.name: bool(one.alarms) for recording, one in zip(each_once, outcomes, strict=True)}
