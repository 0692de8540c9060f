"""What the entries of the ledger make of a device. Pure: the registry follows the same rules when it writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansim.ledger import Entry

# It has a serial number; its last flash or provisioning, or the proof after it, passed; it is out of service.
UNFINISHED, READY, RETIRED = "unfinished", "ready", "retired"
STATES = (UNFINISHED, READY, RETIRED)

# Entries that hold each changed value as [old, new].
_CHANGES = frozenset(("assign", "change", "retire", "reinstate", "replace", "replaced"))


def state_after(state: str, action: str, result: str) -> str:
    """Return the state of a device that was in state when action ended with result.

    A flash or provision that is to be proven yet ends as "written", which leaves the device unfinished.
    """
    if state == RETIRED or action not in ("flash", "provision", "credential", "proof"):
        return state
    return READY if result == "passed" else UNFINISHED


@dataclass(slots=True)
class Told:
    """A device as the ledger tells of it; the fields are columns of the registry's table."""

    mac: str
    board: str
    site: str
    role: str
    household: str = ""
    state: str = UNFINISHED
    replaced_by: str = ""
    generation: int = 0
    manifest: str = ""
    place: int = 0
    revoked_generation: int = 0
    # None: nothing was told, as of a device that was provisioned before the ledger told of it.
    credential_key: str | None = None
    credential_jti: str | None = None


class ToldFleet:
    """All devices as the ledger tells of them, entry by entry; memory grows with the devices, not with the entries."""

    def __init__(self) -> None:
        self.devices: dict[str, Told] = {}
        self._by_mac: dict[str, str] = {}
        # By manifest: its digest, as each of its places was given out.
        self.manifests: dict[str, str] = {}
        self._by_place: dict[tuple[str, int], str] = {}

    def take(self, entry: Entry) -> str:
        """Follow one entry; return what is wrong with it, empty: nothing."""
        if entry.action == "enroll":
            return self._enroll(entry.device, entry.details)
        told = self.devices.get(entry.device)
        if told is None:
            return f"is about {entry.device}, which was never enrolled"
        if entry.action in _CHANGES:
            if problem := self._change(entry.device, told, entry.details):
                return problem
        elif entry.action == "credential":
            told.generation = max(told.generation, int(entry.details.get("generation", 0)))
        if "holds" in entry.details:
            _hold(told, entry.details)
        told.state = state_after(told.state, entry.action, entry.result)
        return ""

    def _enroll(self, device: str, details: Mapping[str, Any]) -> str:
        told = Told(**{name: value for name, value in details.items() if name in Told.__slots__})
        if device in self.devices:
            return f"gives the serial number {device} a second time"
        if told.mac in self._by_mac:
            return f"gives the device with MAC {told.mac} a second identity; it was {self._by_mac[told.mac]}"
        self.devices[device] = told
        self._by_mac[told.mac] = device
        return ""

    def _change(self, device: str, told: Told, details: Mapping[str, Any]) -> str:
        if self._by_place.get((told.manifest, told.place)) == device:
            del self._by_place[told.manifest, told.place]
        _change(told, details)
        digest = details.get("digest")
        if digest and self.manifests.setdefault(told.manifest, digest) != digest:
            return f"gives a place of manifest {told.manifest}, whose orders were others before"
        # A retired device keeps its place only until another one has it.
        if told.place and told.state != RETIRED:
            other = self._by_place.setdefault((told.manifest, told.place), device)
            if other != device:
                return f"gives place {told.place} of manifest {told.manifest} to {device}; {other} has it"
        return ""


def _hold(told: Told, details: Mapping[str, Any]) -> None:
    held = details["holds"]
    told.credential_key, told.credential_jti = held["key"], held["jti"]
    if "revoked_generation" in details:
        told.revoked_generation = details["revoked_generation"][-1]


def _change(told: Told, details: Mapping[str, Any]) -> None:
    for name, value in details.items():
        if name in Told.__slots__ and isinstance(value, list):
            setattr(told, name, value[-1])
