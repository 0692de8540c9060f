"""Puts the app together after its button and its watchdog are armed: anew, or as it was before a deep sleep."""

import select

from ansim_fw.board_data import BOARD
from ansim_fw.hal.link import Link
from ansim_fw.hal.settings import Identity, Settings

# What ended a sleep, as announcements name it, by core.ledger's numbers.
_REASONS = ("cold", "timer", "button", "motion", "other")


def duty(button: "ButtonPin", guard: "Watchdog", woken: "Woken | None") -> "Duty":
    """Return the device, ready to run, with what its journal kept over the restart.

    Args:
        woken: what it knows of the time before a deep sleep; None: it starts anew.
    """
    settings = Settings()
    identity = Identity(settings)
    # Whoever was asleep is one that sleeps, even if NVS can't be read any more.
    sleeps = woken is not None or (identity.role == "pendant" and "battery" in BOARD and "wake" in BOARD)
    poller = select.poll()
    link = Link(identity, poller)
    if sleeps:
        link.use_quick(b"" if woken is None else woken.kept.quick)
    core, faults = _core(settings, identity, sleeps, woken)
    made = _assembled(core, button, settings, identity, link, guard, poller, woken)
    if sleeps:
        made.sleeper = core  # type: ignore[assignment]  # whoever sleeps is one
    for fault in faults:
        core.report(fault)
    _watch_motion(made, woken)
    return made


def _core(
    settings: Settings, identity: Identity, sleeps: bool, woken: "Woken | None"
) -> "tuple[Device, Sequence[str]]":
    if woken is None:
        from ansim_fw import anew

        return anew.core(settings, identity, sleeps)
    from ansim_fw.core.sleeper import Sleeper
    from ansim_fw.hal import power, rtc
    from ansim_fw.version import VERSION

    # Once: whatever resets the chip from here on, it begins anew.
    rtc.save(b"")
    kept = woken.kept
    core = Sleeper(kept.boot, kept.settings(), power.seed(), VERSION, kept.reset, power.curve(BOARD), True)
    core.resume(kept, woken.pressed)
    return core, ()


def _assembled(
    core: "Device",
    button: "ButtonPin",
    settings: Settings,
    identity: Identity,
    link: Link,
    guard: "Watchdog",
    poller: "select.poll",
    woken: "Woken | None",
) -> "Duty":
    from ansim_fw.hal import journal_file, pins, power
    from ansim_fw.hal.supply import SupplyPin
    from ansim_fw.loop import Duty

    journal = journal_file.open_journal(core.report)
    # A device that knows of no event that waits does not even look.
    if woken is None:
        journal_file.make_shelves()
    if woken is None or woken.kept.waiting:
        _remember(core, journal)
    outputs, gauge, supply = pins.Outputs(BOARD), power.BatteryGauge(BOARD), SupplyPin(BOARD)
    return Duty(core, button, outputs, gauge, supply, journal, settings, identity, link, guard, poller)


def _remember(core: "Device", journal: "Journal") -> None:
    """Give core the events that wait in the journal."""
    damaged = True
    try:
        waiting, damaged = journal.load()
        for event in waiting:
            core.restore(event)
        if not damaged:
            # Before the next event is stored: two power cuts in a row must not look like damage.
            journal.mend()
    except Exception:
        # Whatever is wrong with the old journal, the device must start and its button work.
        damaged = True
    if damaged:
        core.report("journal")


def _watch_motion(made: "Duty", woken: "Woken | None") -> None:
    """Have the wearer's movements watched: at once at a start, after a sleep when nothing else is to be done.

    A start with an alarm that waits makes the contact first, too: it may be one for want of memory.
    """
    if woken is not None:
        made.announce("awake", {"reason": _REASONS[woken.reason]})
        made.inputs.fall = woken.fell
        made.inputs.sensor_fault = woken.kept.sensor_fault
        made.placement = woken.kept.fall
    else:
        made.placement = made.settings.settings()["fall"]
    if "sensor" not in BOARD:
        return
    made.open_motion = lambda: _motion(made.placement, woken)
    made.reopen_motion = lambda: _motion_anew(made)
    if woken is None:
        if not made.device.outbox.urgent():
            made.begin_motion()
    elif woken.detector is not None and woken.detector.busy:
        # What it waits for is in the sensor's FIFO, which will be full soon. Else the contact first: both at once may
        # be more than there is memory for.
        made.wait_ms = 0


def _motion(placement: int, woken: "Woken | None") -> "Motion":
    from ansim_fw.hal.sensor import open_sensor
    from ansim_fw.motion import Motion

    watched = Motion(*open_sensor(BOARD["sensor"]))
    if woken is None:
        watched.use(placement)
    else:
        watched.resume(placement, woken.kept.sensor_fault, woken.kept.quiet_ms, woken.detector)
    return watched


def _motion_anew(made: "Duty") -> "Motion":
    """Have the movements watched again, with the fault that was told, and the sensor started anew."""
    from ansim_fw.hal.sensor import open_sensor
    from ansim_fw.motion import Motion

    watched = Motion(*open_sensor(BOARD["sensor"]))
    watched.resume(made.placement, made.inputs.sensor_fault, 0, None)
    watched.restart()
    return watched


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansim_fw.core.device import Device
    from ansim_fw.core.journal import Journal
    from ansim_fw.hal.button import ButtonPin
    from ansim_fw.hal.watchdog import Watchdog
    from ansim_fw.loop import Duty
    from ansim_fw.motion import Motion
    from ansim_fw.wake import Woken
