"""The proof in the registry: an entry of the ledger, on which the device's state depends."""

from ansim.errors import BadInput
from ansim.proof.model import Proof
from ansim.registry import Identity, Registry

# Entries after which a device is not what it was: the last one of them must have come to its end.
_WRITES = ("flash", "provision", "credential", "reinstate")
_WRITTEN = ("written", "passed")


def check_written(registry: Registry, identity: Identity) -> None:
    """Check that the last flash or provisioning of a device came to its end, so that a proof may make it ready.

    Raises:
        BadInput: it did not.
    """
    last = next((entry for entry in reversed(registry.history(identity.device)) if entry.action in _WRITES), None)
    if last is None or last.action not in ("flash", "provision") or last.result not in _WRITTEN:
        raise BadInput(
            f"the last flash or provisioning of {identity.device} did not come to its end",
            f"Do that first: ansim flash --board {identity.board}, or ansim provision",
        )


def record(registry: Registry, proof: Proof) -> None:
    """Put proof into the ledger, and close its test alarms where the receiver keeps them in the same database.

    Raises:
        BadInput: the registry has no such device.
        DatabaseUnavailable: nothing was stored.
    """
    registry.record(proof.device, "proof", proof.result, proof.as_dict())
    if proof.alarms:
        registry.end_tests(proof.device, proof.alarms)
