"""What a manifest orders: so many devices for each site, each at a numbered place."""

import hashlib
import itertools
import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Order:
    """Devices that are all the same.

    Args:
        line: of the file where it stands; two orders that differ in nothing else are equal.
        role, household: empty: what a device has already, else the fleet's.
        wifi: the name of a network that these devices join first; empty: the fleet's only.
        count: so many devices.
    """

    line: int = field(compare=False)
    site: str
    role: str = ""
    wifi: str = ""
    household: str = ""
    count: int = 1

    @property
    def content(self) -> tuple[str, str, str, str, int]:
        """All that is ordered."""
        return self.site, self.role, self.wifi, self.household, self.count


@dataclass(frozen=True)
class Manifest:
    """Orders under a name. Their places are numbered from 1, in the order of the file."""

    name: str
    orders: tuple[Order, ...]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of what is ordered, as 64 hexadecimal digits, however the file writes it."""
        return digest_of(self.orders)

    @cached_property
    def total(self) -> int:
        """How many devices are ordered."""
        return sum(order.count for order in self.orders)

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of the Wi-Fi networks in it, each once."""
        return tuple(dict.fromkeys(order.wifi for order in self.orders if order.wifi))

    def order_at(self, place: int) -> Order:
        """Return the order that place, 1 to total, belongs to."""
        return self.orders[self.number_at(place)]

    def number_at(self, place: int) -> int:
        """Return which of orders place, 1 to total, belongs to; 0: the first."""
        return bisect_right(self._firsts, place) - 1

    @cached_property
    def _firsts(self) -> list[int]:
        """The first place of each order."""
        return list(itertools.accumulate((order.count for order in self.orders[:-1]), initial=1))


def digest_of(orders: Iterable[Order]) -> str:
    """Return the digest of a manifest with these orders."""
    content = json.dumps([order.content for order in orders], separators=(",", ":"))
    return hashlib.sha256(content.encode("ascii")).hexdigest()
