"""From the error that ended a board's work to what a technician does about it."""

from ansim.errors import AnsimError, BadInput, DeviceError, Interrupted, PortError, ServiceError
from ansim.flash_job import EventsWaiting, ProofFailed
from ansim.flasher import NoChip, WrongBoard
from ansim.line.told import ALREADY, SPARE, STOPPED, Trouble
from ansim.manifest_rows import ManifestFull
from ansim.registry import DeviceInService, DeviceRetired
from ansim.serial_link import PortBusy


class DoneAlready(AnsimError):
    """The board has been made ready before, as device; nothing was written to it."""

    def __init__(self, message: str, device: str = "") -> None:
        super().__init__(message)
        self.device = device


# The first that fits; a key of the words' troubles.
_KINDS: tuple[tuple[type[AnsimError], str], ...] = (
    (Interrupted, STOPPED),
    (DoneAlready, ALREADY),
    (ManifestFull, SPARE),
    (DeviceRetired, "retired"),
    (DeviceInService, "in_service"),
    (EventsWaiting, "events"),
    (WrongBoard, "wrong_board"),
    (NoChip, "silent"),
    (ProofFailed, "proof"),
    (PortBusy, "busy"),
    (PortError, "port"),
    (DeviceError, "device"),
    (ServiceError, "service"),
    (BadInput, "input"),
    (AnsimError, "defect"),
)


def trouble_of(error: AnsimError) -> Trouble:
    """Return what error means on the line."""
    kind = next(kind for each, kind in _KINDS if isinstance(error, each))
    device = ""
    phases: tuple[str, ...] = ()
    if isinstance(error, DoneAlready):
        device = error.device
    if isinstance(error, ProofFailed) and error.proof:
        device, phases = error.proof.device, tuple(phase.name for phase in error.proof.failed)
    return Trouble(kind, error.message, error.hint, error.exit_code, device, phases)
