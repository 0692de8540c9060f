"""Which devices get a label: those that a flash or provisioning has passed for, and no others."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansim.device_state import READY
from ansim.errors import BadInput
from ansim.registry import Identity, Registry
from ansim.serial_number import device_read, serial_of

_RANGE = ".."
# A file of more takes long to make, and nobody looks it through.
MAX_LABELS = 2000


@dataclass(frozen=True)
class Selection:
    """The devices to label, each once, and those that were asked for as one of many and are not ready."""

    ready: list[Identity] = field(default_factory=list)
    left_out: list[Identity] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def take(self, identities: Sequence[Identity]) -> None:
        for identity in identities:
            chosen = self.ready if identity.state == READY else self.left_out
            if identity.device not in self._taken:
                self._taken.add(identity.device)
                chosen.append(identity)


def select(
    registry: Registry, names: Sequence[str], site: str | None, manifest: str | None, everything: bool
) -> Selection:
    """Return the devices with these names (or first..last), all of site, all of manifest by place, or all there are.

    Raises:
        BadInput: not exactly one of these is given; no such device or manifest; a named device is not ready; none is,
            or too many.
    """
    if [bool(names), site is not None, manifest is not None, everything].count(True) != 1:
        raise BadInput(
            "which devices get a label is not clear",
            "Give one of these: names such as AN000123, --site SITE, --manifest NAME, --all.",
        )
    selection = Selection()
    if names:
        for name in names:
            selection.take(_range(registry, name) if _RANGE in name else [_ready(registry, name)])
    elif manifest is not None:
        # It says where there is none of that name.
        registry.progress(manifest)
        selection.take(sorted(registry.devices(manifest=manifest), key=lambda each: each.place))
    else:
        selection.take(registry.devices(site=site))
    _check_count(selection)
    return selection


def _ready(registry: Registry, name: str) -> Identity:
    identity = registry.get(device_read(name))
    if identity.state != READY:
        raise BadInput(
            f"{identity.device} gets no label: it is {identity.state}",
            f"See what it lacks: ansim registry show {identity.device}",
        )
    return identity


def _range(registry: Registry, text: str) -> list[Identity]:
    first, last = (serial_of(device_read(name)) for name in text.split(_RANGE, 1))
    if first > last:
        raise BadInput(f"{text[:60]} holds no device", "Put the lower number first, as in AN000101..AN000300.")
    return [each for each in registry.devices() if first <= serial_of(each.device) <= last]


def _check_count(selection: Selection) -> None:
    if not selection.ready:
        raise BadInput("no device that is asked for is ready", "See how they stand: ansim registry list")
    if len(selection.ready) > MAX_LABELS:
        raise BadInput(
            f"{len(selection.ready)} labels are more than {MAX_LABELS} at once", "Take fewer: AN000101..AN000300."
        )
