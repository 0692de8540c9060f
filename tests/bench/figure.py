"""A measured figure beside its bound."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report.

    Args:
        name: what was measured.
        value, unit: the figure.
        bound: the most it may be (the least, where at_least is set); None where there is none.
        peer: the same measured with the usual tools in the same run, as text; empty where there is no peer.
    """

    name: str
    value: float
    unit: str
    bound: float | None = None
    at_least: bool = False
    peer: str = ""

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound
