"""Puts a device together after its button and its watchdog are armed."""

import select

from ansim_fw.board_data import BOARD
from ansim_fw.core.device import Device
from ansim_fw.core.journal import Journal
from ansim_fw.hal import journal_file, pins, power
from ansim_fw.hal.link import Link
from ansim_fw.hal.settings import Identity, Settings
from ansim_fw.hal.watchdog import Watchdog
from ansim_fw.loop import Duty
from ansim_fw.version import VERSION


def duty(button: pins.ButtonPin, guard: Watchdog) -> Duty:
    """Return the device, ready to run, with what its journal kept over the restart."""
    settings = Settings()
    identity = Identity(settings)
    boot, counted = settings.next_boot()
    reset = power.reset_cause()
    low_mv = power.low_mv(BOARD)
    core = Device(boot, settings.settings(), power.seed(), VERSION, reset, low_mv, identity.complete)
    journal = journal_file.open_journal(core.report)
    damaged = _restore(core, journal)
    if damaged or not counted:
        core.report("journal")
    if not journal_file.room_is_kept():
        core.report("storage")
    if reset == "watchdog":
        core.report("watchdog")
    poller = select.poll()
    link = Link(identity, poller)
    outputs = pins.Outputs(BOARD)
    gauge = power.BatteryGauge(BOARD)
    return Duty(core, button, outputs, gauge, journal, settings, identity, link, guard, poller)


def _restore(core: Device, journal: Journal) -> bool:
    """Give core the events that wait in the journal; tell whether the journal was damaged."""
    try:
        waiting, damaged = journal.load()
        for event in waiting:
            core.restore(event)
        if not damaged:
            # Before the next event is stored: two power cuts in a row must not look like damage.
            journal.mend()
    except Exception:
        # Whatever is wrong with the old journal, the device must start and its button work.
        return True
    return damaged
