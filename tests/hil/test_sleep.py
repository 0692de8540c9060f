"""A pendant on its cell: asleep but for a reason, and never deaf to its button."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pendant import Pendant, board_file, prepared

import movements
from ansim.client import Deadline
from ansim.event import Event
from ansim.sandbox import Sandbox
from ansim.virtual.control import Seen

pytestmark = pytest.mark.needs(
    "boards", "flash", "motion", "power", "press", "radio", "sensor", "sleep", "speed", "supply", "watch", "wifi"
)

SPEED = 5
HOUR_MS = 3_600_000
# Reset to the first event of the app, and what a connection takes, on a machine that has other things to do.
WAKE_MS = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("boards")


@pytest.fixture(scope="module")
def flashed_pendant(sandbox: Sandbox, folder: Path) -> Iterator[Pendant]:
    """A pendant whose sensor keeps nearly 3 s, and that has nothing to say for a day."""
    with prepared(sandbox, "sleep", board_file(folder, "bma400"), speed=SPEED) as made:
        yield made


@pytest.fixture
def pendant(flashed_pendant: Pendant) -> Pendant:
    """It was switched on, on its cell, told of itself, and sleeps deeply; its wearer stands."""
    flashed_pendant.begins_asleep()
    return flashed_pendant


def of_boot(pendant: Pendant, boot: int, kind: str) -> list[Event]:
    return [event for event in pendant.rows(kind) if event.boot == boot]


def last_heartbeat(pendant: Pendant) -> Event:
    events = [heard.event for heard in pendant.sandbox.receiver.heard()]
    return [event for event in events if event.device == pendant.name and event.type == "heartbeat"][-1]


def test_without_a_charger_it_sleeps_once_it_told_of_itself(flashed_pendant: Pendant) -> None:
    before = flashed_pendant.start_on_its_cell()
    asleep = flashed_pendant.sleeps(before)
    assert last_heartbeat(flashed_pendant).data["reset"] == "power_on"  # type: ignore[index]  # it has data
    ran = flashed_pendant.runs(before)[-1]
    assert 0 < ran["radio_ms"] < WAKE_MS
    # That nothing happens shows in time alone: what is looked for would come at once.
    time.sleep(1)
    assert [seen.event for seen in flashed_pendant.seen[asleep:]] == [], "between wakes nothing runs"


def test_a_press_out_of_deep_sleep_is_acknowledged_and_the_device_sleeps_again(pendant: Pendant) -> None:
    boot = last_heartbeat(pendant).boot
    before = len(pendant.seen)
    pendant.control.press(100)
    pendant.announced("awake", reason="button")
    raised = pendant.announced("raised", kind="sos")
    pendant.announced("journalled", seq=raised["seq"])
    pendant.announced("acknowledged", seq=raised["seq"])
    assert raised["boot"] == boot, "a wake is no start"
    pendant.sleeps(before)
    assert len(of_boot(pendant, boot, "sos")) == 1
    # Counting starts is all that is written to NVS, and a wake is none.
    assert pendant.runs(before)[-1]["nvs_writes"] == 0


def test_presses_out_of_sleep_are_numbered_on(pendant: Pendant) -> None:
    for _ in range(3):
        before = len(pendant.seen)
        pendant.control.press(60)
        pendant.announced("acknowledged", kind="sos")
        pendant.sleeps(before)
    presses = of_boot(pendant, last_heartbeat(pendant).boot, "sos")
    assert [event.seq for event in presses] == [0, 1, 2]


@pytest.mark.parametrize("moment", ["sleep", "asleep"])
def test_a_press_while_it_falls_asleep_is_not_missed(flashed_pendant: Pendant, moment: str) -> None:
    flashed_pendant.control.still(movements.UPRIGHT)
    flashed_pendant.control.later(on=moment).press(60)
    before = flashed_pendant.start_on_its_cell()
    flashed_pendant.sees("stimulus", before, do="press")
    raised = flashed_pendant.announced("raised", kind="sos")
    flashed_pendant.announced("acknowledged", seq=raised["seq"])


def test_a_press_while_it_wakes_for_something_else_counts_if_it_lasts_until_the_button_is_armed(
    pendant: Pendant,
) -> None:
    pendant.control.later(on="wake").press(3000)
    pendant.control.play(movements.movement("bump", [bump()]).samples)
    raised = pendant.announced("raised", kind="sos")
    pendant.announced("acknowledged", seq=raised["seq"])


def bump() -> "list[movements.Vector]":
    """Brush against a table: more than wakes the sensor, less than an impact."""
    return [
        *movements.still(movements.UPRIGHT, 0.5),
        (420.0, -980.0, 120.0),
        (-280.0, -980.0, 120.0),
        *movements.still(movements.UPRIGHT, 0.5),
    ]


def test_a_bump_loads_nothing_and_writes_nothing(pendant: Pendant) -> None:
    heard = len(pendant.sandbox.receiver.heard())
    before = len(pendant.seen)
    pendant.control.play(movements.movement("bump", [bump()]).samples)
    pendant.sees("interrupt", before)
    pendant.sleeps(before)
    runs = pendant.runs(before)
    assert sum(run["wake"] == 3 for run in runs) == 1, "the sensor woke it, once"
    for nothing in ("radio_ms", "nvs_reads", "nvs_writes", "programs", "erases", "names", "connections"):
        assert sum(run[nothing] for run in runs) == 0, nothing
    # main.py, pack.mpy and the one file that has all modules.
    assert sum(run["opens"] for run in runs) == 3
    assert len(pendant.sandbox.receiver.heard()) == heard


def test_it_watches_a_walk_in_light_sleep_and_raises_nothing(pendant: Pendant) -> None:
    boot = last_heartbeat(pendant).boot
    before = len(pendant.seen)
    pendant.control.play(movements.walking(20.0).samples)
    pendant.sleeps(before)
    runs = pendant.runs(before)
    assert sum(run["began"] == "light_sleep" for run in runs) > 5
    assert sum(run["radio_ms"] for run in runs) == 0
    assert not of_boot(pendant, boot, "fall")


def test_a_fall_out_of_deep_sleep_is_an_alarm(pendant: Pendant) -> None:
    boot = last_heartbeat(pendant).boot
    movement = movements.fall()
    pendant.control.play(movement.samples)
    pendant.announced("awake", reason="motion")
    pendant.announced("prealarm", kind="fall")
    fallen = pendant.announced("acknowledged", kind="fall")
    assert fallen["boot"] == boot
    pendant.receives(lambda event: event.boot == boot and event.kind == "fall", "fall")


def test_on_its_charger_it_stays_awake_and_off_it_sleeps_again(pendant: Pendant) -> None:
    pendant.control.supply(True)
    before = len(pendant.seen)
    # Nothing but a wake shows it that it is there: as a rule the hand that puts it there.
    pendant.control.play(movements.movement("hand", [bump()]).samples)
    pendant.announced("awake")
    assert pendant.until_connected()["role"] == "pendant"
    # As above: the cycle after the connection would be the one that sleeps.
    time.sleep(1)
    assert not [seen for seen in pendant.seen[before:] if seen.event == "sleep"]
    pendant.control.supply(False)
    pendant.sleeps(before)


def test_whoever_is_at_its_console_keeps_it_awake_for_a_minute(pendant: Pendant) -> None:
    pendant.control.press(100)
    pendant.announced("acknowledged", kind="sos")
    asked_ms = pendant.control.status()["chip_ms"]
    pendant.info()
    asked = len(pendant.seen)
    _, asleep = pendant.finds("sleep", asked, deep=True)
    assert asleep.chip_ms - asked_ms >= 59_000


def test_noise_on_its_console_does_not_keep_it_awake(pendant: Pendant) -> None:
    before = len(pendant.seen)
    pressed_ms = pendant.control.status()["chip_ms"]
    pendant.control.press(100)
    deadline = Deadline(30.0)
    asleep: list[Seen] = []
    while not asleep:
        assert not deadline.expired
        pendant.write(b"\x00\xff\r\x03{}\n\x1e[]\n\x1e" + bytes(range(200)))
        time.sleep(0.02)
        asleep = [seen for seen in pendant.seen[before:] if seen.event == "sleep" and seen.details["deep"]]
    assert asleep[0].chip_ms - pressed_ms < 2 * WAKE_MS


def test_a_power_cut_in_its_sleep_is_a_new_start(pendant: Pendant) -> None:
    boot = last_heartbeat(pendant).boot
    pendant.sleeps(pendant.start_on_its_cell())
    assert last_heartbeat(pendant).boot > boot


def test_its_ledger_tells_what_woke_it(pendant: Pendant) -> None:
    pendant.control.press(100)
    pendant.announced("acknowledged", kind="sos")
    told = pendant.console.request("power", repeat=True)
    assert (told["wake_button"], told["wake_timer"], told["links"]) == (1, 0, 2)
    assert told["sleeps"] is True


@pytest.fixture(scope="module")
def hourly(sandbox: Sandbox, folder: Path) -> Iterator[Pendant]:
    """A pendant whose time jumps while it sleeps, with an hour between its heartbeats."""
    with prepared(sandbox, "sleep-hourly", board_file(folder, "lis2dw12"), heartbeat_min=60, skip_sleep=True) as made:
        yield made


def test_heartbeats_come_by_the_hour_whatever_the_wakes_take(hourly: Pendant) -> None:
    before = hourly.start_on_its_cell()
    moments = []
    for _ in range(6):
        before, joined = hourly.finds("wifi", before, status=1010)
        moments.append(joined.chip_ms)
        before = hourly.sleeps(before)
    gaps_ms = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    assert all(abs(gap_ms - HOUR_MS) < WAKE_MS for gap_ms in gaps_ms), gaps_ms
    assert abs(moments[-1] - moments[0] - 5 * HOUR_MS) < WAKE_MS, "it drifts"


def test_a_part_with_a_short_history_is_watched_in_light_sleep_until_all_is_still(hourly: Pendant) -> None:
    before = hourly.start_on_its_cell()
    after, light = hourly.finds("sleep", before, deep=False)
    # The nap of a moment in which the app is left comes before.
    after, deep = hourly.finds("sleep", after, deep=True)
    assert 590_000 < deep.chip_ms - light.chip_ms < 700_000


@pytest.mark.parametrize(("broken", "kind"), [("silent", "sensor_absent"), ("stalled", "sensor_silent")])
def test_a_sensor_s_fault_is_told_with_a_heartbeat_and_so_is_its_end(hourly: Pendant, broken: str, kind: str) -> None:
    hourly.control.sensor_fault("none")
    hourly.sleeps(hourly.start_on_its_cell())
    boot = last_heartbeat(hourly).boot
    for fault, said in ((broken, "fault"), ("none", "restore")):
        hourly.control.sensor_fault(fault)
        wanted = (boot, said, kind)
        hourly.receives(lambda event, wanted=wanted: (event.boot, event.type, event.kind) == wanted, said)


def test_a_network_that_is_away_is_tried_again_soon_and_then_with_each_heartbeat(hourly: Pendant) -> None:
    hourly.control.wifi(False)
    try:
        before = hourly.start_on_its_cell()
        for _ in range(4):
            before = hourly.sees("sleep", before, deep=True)
        runs = [run for run in hourly.runs(before - 1) if run["radio_ms"]]
        assert all(run["radio_ms"] < 25_000 for run in runs)
    finally:
        hourly.control.wifi(True)
    deadline = Deadline(30.0)
    heard = len(hourly.sandbox.receiver.heard())
    while len(hourly.sandbox.receiver.heard()) == heard:
        assert not deadline.expired
        time.sleep(0.05)


@pytest.fixture(scope="module")
def watched(sandbox: Sandbox, folder: Path) -> Iterator[Pendant]:
    """As above, with the sensor that keeps nearly 3 s."""
    with prepared(sandbox, "sleep-watched", board_file(folder, "bma400"), heartbeat_min=60, skip_sleep=True) as made:
        made.configure(prealarm_s=10)
        yield made


def test_a_fall_whose_impact_comes_right_before_a_heartbeat_is_an_alarm(watched: Pendant) -> None:
    watched.control.still(movements.UPRIGHT)
    before = watched.sleeps(watched.start_on_its_cell())
    before, _ = watched.finds("wifi", watched.sleeps(before), status=1010)
    # A heartbeat's wake is an hour before the next one.
    watched.control.later(on="wake", after_ms=HOUR_MS - movements.IMPACT_MS - 800).play(movements.fall().samples)
    watched.announced("awake", reason="timer")
    watched.announced("awake", reason="timer")
    watched.announced("prealarm", kind="fall")
    watched.announced("acknowledged", kind="fall")


def test_a_press_right_after_an_impact_does_not_end_the_watch_for_a_fall(watched: Pendant) -> None:
    watched.control.still(movements.UPRIGHT)
    watched.finds("wifi", watched.sleeps(watched.start_on_its_cell()), status=1010)
    watched.control.later(after_ms=60_000).play(movements.fall().samples)
    watched.control.later(after_ms=60_000 + movements.IMPACT_MS + 800).press(100)
    watched.announced("raised", kind="sos")
    watched.announced("prealarm", kind="fall")
