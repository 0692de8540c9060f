"""What a placement's detector must hold: the one place where these numbers are."""

from dataclasses import dataclass

# Names of figures, in figures.py.
SENSITIVITY, SPECIFICITY, ALARMS_AN_HOUR = "sensitivity", "specificity", "alarms an hour"
WOKEN, AWAKE = "other activity that wakes the device", "share of its time awake"
SLEPT_THROUGH, LEAD = "falls slept through", "lead over the random forest"


def in_group(group: str, figure: str) -> str:
    """Return the name of a figure of one group of people."""
    return f"{figure}, {group}"


@dataclass(frozen=True)
class Bound:
    """The least (at_least) or the most that a figure may be."""

    figure: str
    limit: float
    at_least: bool = True

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Placement:
    """Where a device is worn.

    Args:
        recordings: the set that its model is learned from.
        bounds: what must hold on that set in cross-validation.
    """

    name: str
    recordings: str
    bounds: tuple[Bound, ...]


PLACEMENTS = {
    each.name: each
    for each in (
        Placement(
            "waist",
            "sisfall_50hz.npz",
            (
                Bound(in_group("young", SENSITIVITY), 0.985),
                # One of the older subjects falls: SE06.
                Bound(in_group("elderly", SENSITIVITY), 0.90),
                Bound(SPECIFICITY, 0.995),
                Bound(ALARMS_AN_HOUR, 1.0, at_least=False),
                Bound(LEAD, 0.0),
                Bound(WOKEN, 0.70, at_least=False),
                Bound(AWAKE, 0.55, at_least=False),
                Bound(SLEPT_THROUGH, 0, at_least=False),
            ),
        ),
        Placement(
            "wrist",
            "weda_50hz.npz",
            (
                Bound(SENSITIVITY, 0.90),
                Bound(SPECIFICITY, 0.95),
                # It is an hour and a half of arms that move.
                Bound(WOKEN, 0.95, at_least=False),
                Bound(AWAKE, 0.60, at_least=False),
                Bound(SLEPT_THROUGH, 0, at_least=False),
            ),
        ),
    )
}
