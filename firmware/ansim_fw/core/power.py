"""When a device that sleeps goes on line, and for how long; and for how long one whose cell breaks down does not."""

from micropython import const

from ansim_fw.core import battery, link_watch

# One that does not reach the receiver, or hears nothing from it, gives up after so long with its radio on.
ATTEMPT_MS = const(20000)
# A contact that fails when the one before was well is tried again so soon, which the receiver waits for before it takes
# the device for silent; after that, with heartbeats alone.
AGAIN_MS = const(300000)
# So often a device whose cell is nearly flat tries to say so.
LAST_GASPS = const(3)

# A start from deep sleep costs more than to wait for so long.
SHORTEST_MS = const(1500)

# What an errand came to.
GOES_ON = const(0)
DONE = const(1)
FAILED = const(2)

# Each start may end with the radio's first current: a cell that is cold or old breaks down under it and recovers. From
# the third start in a row on there is a rest before the next try, each twice as long as the one before.
_STARTS = const(3)
_FIRST_REST_MS = const(30000)
# The longest for somebody who waits for help, and where nothing is urgent or the cell is nearly flat.
_CALLING_REST_MS = const(300000)
_REST_MS = const(3600000)

NEVER_MS = const(0x3FFFFFFF)


def rest_before_radio_ms(starts: int, charge_percent: int, calls: bool) -> int:
    """Return for how long the radio stays off after a cold start, on the cell; 0: it need not.

    Args:
        starts: how many cold starts in a row, this one included, had no contact that came to its end.
        charge_percent: the cell's, now; negative when it is not known.
        calls: an alarm or a cancel of before waits.
    """
    if starts < _STARTS:
        return 0
    if 0 <= charge_percent <= battery.CRITICAL:
        return _REST_MS
    return min(_FIRST_REST_MS << min(starts - _STARTS, 10), _CALLING_REST_MS if calls else _REST_MS)


class Errand:
    """A contact for which nothing is urgent: one attempt a wake, and another one whenever a heartbeat falls due.

    Attributes:
        runs: the device is on its way to the receiver, or there and not done.
        again_ms: until a contact that failed is tried again; 0: it is not.
        was_well: the last one came to its end.
    """

    def __init__(self) -> None:
        self.runs = False
        self.again_ms = 0
        self.was_well = True
        self._attempts = 1
        self._radio_ms = 0

    def begin(self, attempts: int) -> None:
        """There is a reason, or news of one: so many attempts are made, besides a link that is up already."""
        self._attempts = max(self._attempts, attempts)
        self._radio_ms = 0
        self.again_ms = 0
        self.runs = True

    def add_news(self) -> None:
        """Something is to be told, which may wait for the next heartbeat when this wake's attempt is used up."""
        if self._attempts and not self.runs:
            self.begin(1)

    def rest(self, rest_ms: int) -> None:
        """No attempt before rest_ms are over, whatever the reason."""
        self._attempts = 0
        self.again_ms = rest_ms
        self.runs = False

    def attempt(self) -> None:
        """It connects."""
        self._attempts = max(self._attempts - 1, 0)
        self._radio_ms = 0

    def step(self, elapsed_ms: int, link: int, waits: bool) -> int:
        """Pass time; return FAILED or DONE when it ended with that, else GOES_ON.

        Args:
            link: DOWN, BUSY, OPEN or UP of link_watch.
            waits: something is to be sent, or not acknowledged yet.
        """
        if self.again_ms:
            self.again_ms = max(self.again_ms - elapsed_ms, 0)
            if self.again_ms == 0:
                self.begin(1)
        if not self.runs:
            return GOES_ON
        if link == link_watch.UP and not waits:
            return self._end(DONE)
        if link != link_watch.DOWN:
            self._radio_ms += elapsed_ms
        if self._radio_ms >= ATTEMPT_MS or (link == link_watch.DOWN and not self._attempts):
            return self._end(FAILED)
        return GOES_ON

    def idle_ms(self, link: int, waits: bool) -> int:
        """Return how long step() has nothing to tell, if all stays as it is."""
        if not self.runs:
            return self.again_ms or NEVER_MS
        if link == link_watch.DOWN:
            return NEVER_MS if self._attempts else 0
        return 0 if link == link_watch.UP and not waits else ATTEMPT_MS - self._radio_ms

    def _end(self, how: int) -> int:
        self.runs = False
        self.again_ms = AGAIN_MS if how == FAILED and self.was_well else 0
        self.was_well = how == DONE
        return how
