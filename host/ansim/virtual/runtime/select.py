"""The chip's select module: waiting that lets interrupts run, and does not end because of them."""

import _link
import uselect

POLLIN = uselect.POLLIN
POLLOUT = uselect.POLLOUT
POLLERR = uselect.POLLERR
POLLHUP = uselect.POLLHUP

_FOREVER_MS = 0x1FFFFFFF


class poll:
    def __init__(self):
        self._poll = uselect.poll()
        self._poll.register(_link.bell, POLLIN)
        self._first = None

    def register(self, obj, eventmask=POLLIN | POLLOUT):
        self._poll.register(obj, eventmask)

    def unregister(self, obj):
        self._poll.unregister(obj)

    def modify(self, obj, eventmask):
        self._poll.modify(obj, eventmask)

    def poll(self, timeout=-1):
        return [(found[0], found[1]) for found in self.ipoll(timeout)]

    def ipoll(self, timeout=-1, flags=0):
        self._wait(_FOREVER_MS if timeout < 0 else timeout, flags)
        # As on the chip, waiting in vain allocates nothing: our own iterator would, to say that it has no more.
        return () if self._first is None else self

    def _wait(self, timeout, flags):
        start = _link.now_ms()
        left_ms = timeout
        _link.poll()
        while True:
            self._first = None
            for found in self._poll.ipoll(_link.poll_ms(left_ms), flags):
                if found[0] is not _link.bell:
                    self._first = found
                    break
                _link.drain_bell()
            _link.poll()
            left_ms = timeout - (_link.now_ms() - start)
            if self._first is not None or left_ms <= 0:
                return

    def __iter__(self):
        return self

    def __next__(self):
        found = self._first
        if found is not None:
            self._first = None
            return found
        found = next(self._poll)
        if found[0] is _link.bell:
            _link.drain_bell()
            return next(self._poll)
        return found


def select(rlist, wlist, xlist, timeout=-1):
    waiting = poll()
    for items, mask in ((rlist, POLLIN), (wlist, POLLOUT), (xlist, POLLERR | POLLHUP)):
        for item in items:
            waiting.register(item, mask)
    found = waiting.poll(-1 if timeout is None or timeout < 0 else int(timeout * 1000))
    readable = [item for item, events in found if events & POLLIN and item in rlist]
    writable = [item for item, events in found if events & POLLOUT and item in wlist]
    broken = [item for item, events in found if events & (POLLERR | POLLHUP) and item in xlist]
    return readable, writable, broken
