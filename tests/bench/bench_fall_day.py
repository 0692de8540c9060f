"""Recorded activity through a whole device: the alarms that it raises beside those that the evaluation predicts.

A sample of all activities, and whatever the evaluation takes for a fall. For a whole day of it:
``ansim falls replay sisfall_50hz --only activities --hours 24 --speed 20 --results day.jsonl``
"""

from collections.abc import Sequence

from ansim.falls.recordings import Recording, data_folder
from ansim.falls.replay import Replayer
from ansim.falls.replay_plan import Choice, as_movement, plan
from ansim.falls.replay_prediction import predict
from ansim.falls.replay_report import Results
from ansim.falls.replay_run import Device, Orders, new_device, run
from ansim.falls.replay_view import View
from figure import Figure

SET = "sisfall_50hz"
HOURS = 0.5
SPEED = 20
# Recordings at each speed, half of them falls.
SPEEDS = (10, 20, 50, 100)
TRIED = 10
_WAIST = 1
_MOST_ALARMING = 20


def measure() -> list[Figure]:
    if not (data_folder() / f"{SET}.npz").exists():
        return [Figure(f"recorded activity NOT MEASURED: no {SET}.npz in {data_folder()}", 0, "")]
    activities = plan(SET, Choice(is_fall=False))
    predicted = predict(activities, _WAIST)
    with new_device(SPEED, _WAIST, lambda *_: None) as device:
        figures = _day(device, sample(activities, predicted), predicted)
    tried = [*plan(SET, Choice(is_fall=True, limit=TRIED // 2)), *activities[: TRIED // 2]]
    return figures + [_kept_up(tried, speed) for speed in SPEEDS]


def sample(activities: Sequence[Recording], predicted: dict[str, bool]) -> list[Recording]:
    """Return HOURS of recordings, every n-th so that each activity has some, and what is predicted to be an alarm."""
    hours = sum(each.duration_s for each in activities) / 3600
    spread = list(activities)[:: max(1, round(hours / HOURS))]
    names = {each.name for each in spread}
    alarming = [each for each in activities if predicted[each.name] and each.name not in names]
    return spread + alarming[:_MOST_ALARMING]


def _day(device: Device, planned: Sequence[Recording], predicted: dict[str, bool]) -> list[Figure]:
    results = Results(None)
    run(device, planned, predicted, results, View(), Orders())
    told = results.summary()
    what = f"{told['recordings']} recordings of activity, {told['hours']:.2f} h"
    return [
        Figure(
            f"{what}: with an alarm",
            told["activities_with_alarm"],
            "",
            peer=f"predicted: {told['predicted_with_alarm']}",
        ),
        Figure(f"{what}: otherwise than predicted", len(told["unlike_predicted"]), ""),
        Figure(f"{what}: alarms lost", told["alarms_lost"], "", bound=0),
        Figure(f"{what}: not kept up with at speed {SPEED}", len(told["not_kept_up"]), "", bound=0),
        Figure(f"{what}: played again for it", told["played_again"], ""),
    ]


def _kept_up(recordings: Sequence[Recording], speed: int) -> Figure:
    with new_device(speed, _WAIST, lambda *_: None) as device:
        replayer = Replayer(device.control, device.console)
        replayer.until_ready()
        kept_up = [replayer.play(as_movement(each)).kept_up for each in recordings]
    return Figure(f"recordings kept up with at speed {speed}, of {len(recordings)}", sum(kept_up), "")
