"""Which Wi-Fi network to try: the last good one first, then the others in their order, round and round."""

from micropython import const

# A network that is joined but leads to no broker (captive, no DNS, no way out) is left after so many attempts.
TRIES_BEFORE_LEAVING = const(2)


class WifiChoice:
    """Chooses among networks by what became of the attempts.

    Args:
        names: of the networks, at least one, in the order in which they are tried.
        last: the name of the last good network; one that is not among them counts for nothing.

    Attributes:
        tries: how often the current network was joined in a row without reaching the broker.
    """

    def __init__(self, names: "list[str]", last: str) -> None:
        self._order = list(range(len(names)))
        self._at = 0
        self.tries = 0
        if last in names:
            self._at = names.index(last)
            self.good()

    def resume(self, network: int, tries: int) -> None:
        """Go on with a network, as an index into names, that was joined so often and led to no broker."""
        self._at = self._order.index(network)
        self.tries = tries

    @property
    def current(self) -> int:
        """Which network to try, as an index into names."""
        return self._order[self._at]

    def not_joined(self) -> None:
        """The network could not be joined."""
        self._at = (self._at + 1) % len(self._order)
        self.tries = 0

    def no_broker(self) -> bool:
        """The network is joined, but the broker was not reached; tell whether to leave it for the next one.

        With one network that is the same one, joined anew: a fresh address from its router may be all it takes.
        """
        self.tries += 1
        if self.tries < TRIES_BEFORE_LEAVING:
            return False
        self.not_joined()
        return True

    def good(self) -> None:
        """The broker was reached: from now on this network is the first to be tried."""
        self._order.insert(0, self._order.pop(self._at))
        self._at = 0
        self.tries = 0
