"""What a start without a memory does besides; a wake from deep sleep loads none of it."""

from ansim_fw.board_data import BOARD
from ansim_fw.core.device import Device
from ansim_fw.hal import journal_file, power
from ansim_fw.version import VERSION


def core(settings: "Settings", identity: "Identity", sleeps: bool) -> "tuple[Device, list[str]]":
    """Return a device that begins anew, and the faults that it is to report, once it knows what its journal kept."""
    boot, counted = settings.next_boot()
    reset = power.reset_cause()
    facts = boot, settings.settings(), power.seed(), VERSION, reset, power.curve(BOARD), identity.complete
    told = settings.number("told", 0)
    if sleeps:
        from ansim_fw.core import ledger
        from ansim_fw.core.sleeper import Sleeper

        made: Device = Sleeper(*facts, told)
        made.ledger.woke(ledger.COLD)  # type: ignore[attr-defined]  # it is a Sleeper
        if counted and identity.complete:
            made.spare(settings.starts_unmet(boot))  # type: ignore[attr-defined]  # the same
    else:
        made = Device(*facts, identity.role == "hub" and "supply" in BOARD, told)
    found = ((not counted, "journal"), (not journal_file.room_is_kept(), "storage"), (reset == "watchdog", "watchdog"))
    return made, [fault for is_so, fault in found if is_so]


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.hal.settings import Identity, Settings
