"""Falls, from the motion sensor to the device: who wakes whom, the detector's samples, the sensor's health."""

import errno
from array import array

from micropython import const

from ansim_fw.core.fall.detector import CLEARED, FALL, IMPACT, SUSPECT, Detector
from ansim_fw.core.sensor_watch import SensorWatch

RATE_HZ = const(50)

# A fall goes beyond it, for which the detector is made; the steps in which a part says its threshold are fine enough.
_RANGE_G = const(8)
_FINEST_G = const(2)
# Half of what the smallest FIFO holds; the other half is for a loop that is held up.
_READ_MS = const(320)
# So much a FIFO takes in, at the slowest that a part may run, before it is looked at.
_FILL_MS = const(1000)
# After a sleep the FIFO is full: it is looked at as soon as it was read.
_GLANCE_MS = const(50)
# What did not work is tried again so soon.
_RETRY_MS = const(100)
# It rests so long after the last impact.
_QUIET_MS = const(2000)
_MOST_QUIET_MS = const(0x3FFFFFFF)
# The longest that a detector waits, after which another impact has called it. Who moves all day may sleep all the same.
_DECIDED_MS = const(6000)
# The pin is raised again at once so often: its wire has another voltage on it.
_MOST_RAISED = const(8)
# The largest FIFO is empty after so many reads.
_MOST_READS = const(6)
# So often its identity is asked in a row: a line that disturbs one transfer in ten is noticed.
_QUESTIONS = const(16)
# What the part tells when it has raised its pin.
_CALLED = const(1)
# The fault that leaves the sensor to be read without its interrupt.
_UNWIRED = "sensor_unwired"
# So many calls that did not arrive, with none in between that did, mean a broken wire.
_MOST_MISSED = const(2)
# A detector that fails so often is none.
_MOST_ERRORS = const(3)

_OFF = const(0)
# The sensor is to be started anew.
_DOWN = const(1)
# Nobody reads it until its pin is raised: stage 0.
_RESTING = const(2)
_AWAKE = const(3)
# It has its finest range for a moment, to be looked at.
_CLOSER = const(4)


class Motion:
    """Watches the wearer's movements; the loop polls it.

    Args:
        driver: the board's sensor; pin: the one that it raises, None if that is not wired.

    Attributes:
        detector: what tells falls, None while that is off.
        counts: how often it woke, and then how often each of STAGES fired; gaps: samples were lost while it listened.
        quiet_ms: for how long the wearer has not stirred.
        record: gets (samples, count, lost) of every read while it is not None; it does not rest then.
    """

    FALL = FALL
    # In this order, when several fire at once.
    STAGES = ((IMPACT, "impact"), (SUSPECT, "suspect"), (FALL, "fall"), (CLEARED, "cleared"))

    def __init__(self, driver: "Sensor", pin: "Pin | None") -> None:
        self.driver = driver
        self.detector: Any = None
        self.counts = [0] * (len(self.STAGES) + 1)
        self.gaps = 0
        self.record: "Callable[[array[int], int, bool], None] | None" = None
        self._pin = pin
        self._samples = array("h", bytes(6 * driver.FIFO_SAMPLES))
        self._watch = SensorWatch()
        self._state = _OFF
        self._broken = False
        self._errors = 0
        self._missed = 0
        self._raised = 0
        self._fired = 0
        self._wait_ms = 0
        self._look_ms = 0
        self._busy_ms = 0
        # For how long nobody stirred.
        self.quiet_ms = 0
        # Whether the sensor was looked at since a sleep.
        self._looked = True
        # What was lost before the next samples is not missed.
        self._fresh = True

    @property
    def works(self) -> bool:
        """Tell whether falls are told."""
        return self._state > _DOWN and not self.fault

    @property
    def fault(self) -> str:
        """What is wrong with sensor or model, a kind of docs/protocol.md; empty: nothing."""
        return "fall_model" if self._broken else self._watch.fault

    @property
    def listens(self) -> bool:
        """Tell whether a fall would be noticed, if not by the sensor's interrupt then by reading it all the time."""
        return self._state > _DOWN and not self._broken and self.fault in ("", _UNWIRED)

    @property
    def busy(self) -> bool:
        """Whether something goes on that a sleep would spoil."""
        if self._state == _OFF or self._broken:
            return False
        if (self._is_busy() and self._busy_ms < _DECIDED_MS) or not self._looked or self._watch.in_doubt:
            return True
        return self._state == _CLOSER or (self._state == _DOWN and not self.fault)

    @property
    def wired(self) -> bool:
        """Whether the sensor's pin tells when the wearer stirs."""
        return self._pin is not None and self._missed < _MOST_MISSED and self._raised < _MOST_RAISED

    def use(self, placement: int) -> None:
        """Tell falls from now on as the setting `fall` says; loads a model."""
        self._choose(placement, None)
        self._watch = SensorWatch()
        self.restart()

    def resume(self, placement: int, fault: str, quiet_ms: int, detector: "Detector | None") -> None:
        """Go on after a sleep in which the sensor went on; loads a model if there is no detector.

        Args:
            fault: as it was before; quiet_ms: for how long the wearer has not stirred.
            detector: the one that listened until now.
        """
        self._choose(placement, detector)
        self._watch = SensorWatch(fault)
        self.quiet_ms = quiet_ms
        self._looked = self._state == _OFF
        if self._state == _OFF or (fault and fault != _UNWIRED):
            return
        if fault:
            self._missed = _MOST_MISSED
        self.driver.resume(RATE_HZ, _RANGE_G)
        # What it waits for comes, even if something was lost before.
        self._fresh = not self.detector.busy
        self._wait_ms = 0
        self._look_ms = _GLANCE_MS
        self._state = _AWAKE

    def _choose(self, placement: int, detector: "Detector | None") -> None:
        """Take this detector, or the model for this placement, if there is one."""
        from ansim_fw import fall_model

        self.detector = detector if detector is not None and detector.model.placement == placement else None
        self._state = _OFF
        self._errors = 0
        # Whatever comes now.
        self._broken = bool(placement)
        if placement:
            try:
                if self.detector is None:
                    self.detector = Detector(fall_model.read(placement))
                self._broken = False
                self._state = _DOWN
            except (OSError, ValueError):
                # The fault says so.
                pass

    def restart(self) -> None:
        """Start the sensor anew, or let it sleep if nobody needs it."""
        self._look_ms = 0
        if self._state != _OFF:
            self._state = _DOWN
            return
        try:
            self.driver.stop()
        except OSError:
            # It is of no use to anybody.
            pass

    def poll(self, elapsed_ms: int) -> int:
        """Go one step on; return bits of the stages that fired. Allocates nothing while nobody moves."""
        if self._state == _OFF:
            return 0
        self._wait_ms = max(self._wait_ms - elapsed_ms, 0)
        self._look_ms = max(self._look_ms - elapsed_ms, 0)
        self.quiet_ms = min(self.quiet_ms + elapsed_ms, _MOST_QUIET_MS)
        self._busy_ms = min(self._busy_ms + elapsed_ms, _DECIDED_MS) if self.detector.busy else 0
        self._fired = 0
        try:
            self._step()
        except OSError as error:
            self._fail("sensor_absent" if error.errno == errno.ENODEV else "sensor_bus")
        return self._fired

    def stumbled(self) -> None:
        """Note that poll() raised what nobody foresaw."""
        if self.record is None:
            self._errors += 1
        # It needs memory, as nothing else here does.
        self.record = None
        self._broken = self._broken or self._errors >= _MOST_ERRORS
        self.detector.restart()

    def _step(self) -> None:
        if self._state == _RESTING and (self._is_raised() or self.record is not None):
            self._wake()
        if self._look_ms == 0:
            self._look()
        elif self._state == _AWAKE and self._wait_ms == 0:
            self._hear()

    def _is_raised(self) -> bool:
        return self._pin is not None and bool(self._pin.value())

    def _fail(self, problem: str) -> None:
        self._looked = True
        self._look_ms = self._watch.looked(problem)
        self._wait_ms = _RETRY_MS
        # One disturbed transfer does not end what is being decided.
        if self._state != _AWAKE or self._watch.fault:
            self._state = _DOWN

    # Listening

    def _wake(self) -> None:
        """Listen until it is quiet again."""
        self._state = _AWAKE
        self._wait_ms = self.quiet_ms = 0
        self.counts[0] += 1

    def _hear(self) -> None:
        self._wait_ms = _READ_MS
        self._drain()
        if self._is_raised():
            self.quiet_ms = self._missed = 0
            self.driver.woke()
            if self._is_raised():
                self._raised += 1
            return
        self._raised = 0
        if self.wired and self.quiet_ms >= _QUIET_MS and not self._is_busy():
            self._state = _RESTING
            self._fresh = True

    def _is_busy(self) -> bool:
        return self.record is not None or bool(self.detector.busy)

    def _drain(self) -> None:
        """Take all samples that have come."""
        for _ in range(_MOST_READS):
            count = self.driver.read(self._samples)
            if count:
                self._take(count)
            if count < self.driver.FIFO_SAMPLES:
                return

    def _take(self, count: int) -> None:
        overran = self.driver.overran
        lost = overran and not self._fresh
        self._watch.take(self._samples, count, lost)
        if self._state == _CLOSER:
            return
        if self.record is not None:
            self.record(self._samples, count, lost)
        if lost:
            self.gaps += 1
        # With a gap in the middle of a fall the rest of it is still better than nothing.
        if overran and not (lost and self.detector.busy):
            self.detector.restart()
        self._fresh = self._state == _RESTING
        fired = self.detector.feed(self._samples, count)
        if fired:
            self._fired |= fired
            for at in range(len(self.STAGES)):
                if fired & self.STAGES[at][0]:
                    self.counts[at + 1] += 1

    # Looking after the sensor

    def _look(self) -> None:
        if self._state == _DOWN:
            self._start()
            return
        if not self._is_itself():
            self._fail("sensor_wrong")
            return
        closer = self._state == _CLOSER
        # Who has just woken up has read nothing yet.
        self._drain()
        unheard = self._state == _RESTING and not self._is_raised() and bool(self.driver.woke() & _CALLED)
        if unheard:
            self._missed += 1
            self._wake()
        if not closer and self._is_idle() and self._watch.wants_closer_look():
            self._look_closer()
            return
        self._looked = True
        problem = self._watch.judge(closer)
        unwired = unheard or (self._pin is not None and not self.wired)
        self._look_ms = self._watch.looked(problem or (_UNWIRED if unwired else ""))
        # What is told is not relied on, even if another doubt made it news.
        if unheard and self._watch.fault:
            self._missed = _MOST_MISSED
        # With a fault, too: what can be heard is heard. One bad look does not end what is being decided.
        if closer or (problem and (self._watch.fault or not self._is_busy())):
            self._start()
        elif self._state == _RESTING and self.detector.busy:
            self._wake()

    def _is_idle(self) -> bool:
        return not self._is_busy() and (self._state == _RESTING or self._pin is None)

    def _is_itself(self) -> bool:
        same = True
        for _ in range(_QUESTIONS):
            same = same and self.driver.identify()
        return same

    def _look_closer(self) -> None:
        self._state = _DOWN
        self.driver.start(RATE_HZ, _FINEST_G)
        self._watch.forget()
        self._look_ms = _FILL_MS
        self._state = _CLOSER

    def _start(self) -> None:
        self._state = _DOWN
        self.detector.restart()
        self._fresh = True
        self._watch.forget()
        if not self._is_itself():
            self._fail("sensor_wrong")
            return
        self.driver.start(RATE_HZ, _RANGE_G)
        self._wait_ms = _READ_MS
        self._look_ms = max(self._look_ms, _FILL_MS)
        self._state = _AWAKE
        if self._pin is not None:
            self.driver.wake_on_impact(self.detector.model.wake_mg)
        if self.wired:
            self._state = _RESTING


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from machine import Pin

    from ansim_fw.drivers._sensor import Sensor
