"""Plays recordings through the firmware's own detector, as a device would see them. Runs on MicroPython.

``player.py FIRMWARE BATCH QUIET HOLD CANDIDATES`` takes frames on stdin and answers each recording with a line of JSON.
A frame is a kind, two numbers (``HEADER``) and a body:

- MODEL, its bytes, 0: a packed model, for the recordings that follow;
- RECORDING, samples, wakes: the indices of the samples that would wake the device (``<I``), and then the samples.

BATCH: samples a call of ``Detector.feed``. QUIET: samples without a wake, and without a wish of the detector for more,
after which the device sleeps. HOLD: so many samples of rest follow at most when a recording ends while the detector
still waits. CANDIDATES: 1 to tell the features of every window that was judged, else 0.
"""

import array
import binascii
import json
import struct
import sys

# What every part's FIFO keeps of the time before a wake, in samples.
HISTORY = 32
# The rest that follows a recording is the mean of so many samples, its last second.
REST = 50
MODEL, RECORDING = 1, 2
HEADER = "<BII"


class Player:
    """Plays one recording after the other.

    Args:
        batch, quiet, hold: samples, as in the module's text.
        candidates: whether to keep the features of every window that was judged.
    """

    def __init__(self, firmware: str, batch: int, quiet: int, hold: int, candidates: int) -> None:
        sys.path.insert(0, firmware)
        from ansim_fw.core.fall import detector, model

        self._new_detector = detector.Detector
        self._load = model.load
        self._decided = detector.DECIDED if candidates else 0
        self._batch = batch
        self._quiet = quiet
        self._hold = hold
        self._samples = array.array("h", bytes(6 * batch))
        self._view = memoryview(self._samples)
        self._marks: list[list[int]] = []
        self._candidates: list[list[int]] = []

    def take_model(self, data: bytes) -> None:
        self._detector = self._new_detector(self._load(data, binascii.crc32))

    def play(self, samples: "memoryview[int]", wakes: "array.array[int]") -> dict[str, object]:
        """Return what happened: samples are x, y, z in mg; wakes are indices of samples, ascending."""
        self._marks = []
        self._candidates = []
        count = len(samples) // 3
        position = awake = times = first = 0
        self._detector.restart()
        while first < len(wakes):
            begin = max(position, wakes[first] + 1 - HISTORY)
            if begin > position:
                self._detector.restart()
            position, first = self._stay_awake(samples, begin, wakes, first)
            times += 1
            awake += position - begin
        if times and position == count:
            self._rest(samples, count)
        return {"wakes": times, "awake": awake, "marks": self._marks, "candidates": self._candidates}

    def _stay_awake(
        self, samples: "memoryview[int]", position: int, wakes: "array.array[int]", first: int
    ) -> tuple[int, int]:
        """Feed from position on until it may sleep; return the next position, and the first wake from there on."""
        last = wakes[first]
        count = len(samples) // 3
        while position < count:
            end = min(position + self._batch, count)
            self._feed(samples, position, end, end)
            position = end
            while first < len(wakes) and wakes[first] < position:
                last = wakes[first]
                first += 1
            if not self._detector.busy and position - last > self._quiet:
                break
        return position, first

    def _rest(self, samples: "memoryview[int]", count: int) -> None:
        """What follows a recording nobody knows: stillness, in the mean posture of its last second.

        Its last sample will not do: in the middle of a step it is no posture that anybody can stay in.
        """
        last = range(max(count - REST, 0), count)
        posture = array.array("h", [sum(samples[3 * at + axis] for at in last) // len(last) for axis in range(3)])
        held = 0
        while self._detector.busy and held < self._hold:
            held += 1
            self._view[:3] = posture
            self._tell(self._detector.feed(self._samples, 1), count + held)

    def _feed(self, samples: "memoryview[int]", begin: int, end: int, at: int) -> None:
        self._view[: 3 * (end - begin)] = samples[3 * begin : 3 * end]
        self._tell(self._detector.feed(self._samples, end - begin), at)

    def _tell(self, found: int, at: int) -> None:
        if found:
            self._marks.append([at, found])
        if found & self._decided:
            self._candidates.append([at] + list(self._detector.features))


def main(firmware: str, *numbers: str) -> None:
    player = Player(firmware, *map(int, numbers))
    stdin = sys.stdin.buffer
    while header := stdin.read(struct.calcsize(HEADER)):
        kind, first, second = struct.unpack(HEADER, header)
        if kind == MODEL:
            player.take_model(stdin.read(first))
            continue
        wakes = array.array("I", stdin.read(4 * second))
        samples = array.array("h", stdin.read(6 * first))
        print(json.dumps(player.play(memoryview(samples), wakes)))


if __name__ == "__main__":
    main(*sys.argv[1:])
