"""What a test asked its place for, and that it uses nothing else: so a place that lacks something is not tried."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansim.places import CAPABILITIES, OF_METHOD
from ansim.sandbox import Sandbox
from ansim.virtual import VirtualBoard


class NotAsked(AssertionError):
    """A test used what it did not ask for."""


class Asked:
    """What the test that runs may use, names of CAPABILITIES; outside of a test, everything.

    Attributes:
        unasked: what it used without having asked, in threads of its own, too.
    """

    def __init__(self) -> None:
        self.unasked: list[str] = []
        self._wanted: frozenset[str] | None = None

    @contextmanager
    def only(self, wanted: frozenset[str] | None) -> Iterator[None]:
        """Allow so much; None: everything."""
        before, self._wanted = self._wanted, wanted
        try:
            yield
        finally:
            self._wanted = before

    def use(self, capability: str) -> None:
        """Say that this one is used now.

        Raises:
            NotAsked: the test did not ask for it.
        """
        if self._wanted is not None and capability not in self._wanted:
            self.unasked.append(capability)
            raise NotAsked(not_asked([capability]))


ASKED = Asked()


def not_asked(capabilities: list[str]) -> str:
    told = "; ".join(f"needs({name!r}): {CAPABILITIES[name]}" for name in dict.fromkeys(capabilities))
    return f"the test uses what it did not ask its place for: {told}"


class CheckedStimulus:
    """A place's stimulus, of which a test uses what it asked for."""

    def __init__(self, stimulus: Any) -> None:
        self._stimulus = stimulus

    def __getattr__(self, name: str) -> Any:
        if name in OF_METHOD:
            ASKED.use(OF_METHOD[name])
        return getattr(self._stimulus, name)

    def later(self, *args: Any, **options: Any) -> "CheckedStimulus":
        ASKED.use(OF_METHOD["later"])
        return CheckedStimulus(self._stimulus.later(*args, **options))


class CheckedSandbox(Sandbox):
    """A sandbox whose boards are started by tests that asked for them."""

    def start_board(self, name: str = "virtual", **how: Any) -> VirtualBoard:
        ASKED.use("boards")
        if how.get("speed", 1) != 1 or how.get("skip_sleep"):
            ASKED.use("speed")
        return super().start_board(name, **how)
