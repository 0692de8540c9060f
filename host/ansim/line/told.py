"""What a worker tells of its board while it is at it, and what became of the board. All of it can be pickled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# What a person is asked for: a press, and a second one if light and sound were there.
Ask = Literal["press", "confirm"]


@dataclass(frozen=True)
class Known:
    """The chip has said its MAC address, in the registry's form."""

    mac: str


@dataclass(frozen=True)
class Doing:
    """A step, as a key of the words' steps: so much of it is done, of so much.

    Args:
        part: what of it goes on now: a phase of the proof, or what is written; may be empty.
    """

    step: str
    done: int
    total: int
    part: str = ""


@dataclass(frozen=True)
class Asking:
    """Hands are needed at the board before it goes on."""

    what: Ask


Said = Known | Doing | Asking


@dataclass(frozen=True)
class Passed:
    """The board is ready.

    Args:
        device: its serial number; empty where the station has no fleet.
        untried: the phases of its proof that nobody's hands could do.
        ready: how many places of the manifest have a board that is ready now; None: there is no manifest, or the
            registry was away as this was asked.
        unlabelled: why its label was not printed; empty: it was, or none was wished.
        details: all that is known of how it went, for a program.
    """

    device: str
    mac: str
    site: str = ""
    role: str = ""
    untried: tuple[str, ...] = ()
    ready: int | None = None
    unlabelled: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """What went wrong.

    Args:
        kind: a key of the words' troubles: what a person does about it depends on nothing else.
        message, hint: as AnsimError has them, in English.
        exit_code: likewise.
        device: the board's serial number, where it is known.
        phases: those of its proof that failed.
    """

    kind: str
    message: str
    hint: str = ""
    exit_code: int = 1
    device: str = ""
    phases: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for a program."""
        told = {"kind": self.kind, "error": self.message, "hint": self.hint, "exit_code": self.exit_code}
        return {**told, "phases": list(self.phases)} if self.phases else told


# What a board that is plugged in a second time gets instead of being written again.
ALREADY = "already"
# The manifest has no place left.
SPARE = "spare"
# Whoever runs the line did not want to wait.
STOPPED = "stopped"
# It was taken out, or fell out, before it was done.
PULLED = "pulled"
