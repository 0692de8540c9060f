"""From the press to the acknowledgement on the device, a hub on a virtual board, all on one machine."""

import statistics
import tempfile
import threading
import time
from pathlib import Path

from ansim.sandbox import Sandbox
from figure import Figure
from unit_under_test import UnitUnderTest

PRESSES = 200
_HOLD_MS = 60


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder)) as sandbox:
        device = UnitUnderTest.on(sandbox, sandbox.start_board())
        device.flash()
        device.connect()
        device.until_connected()
        # Each press is an alarm at once, with no cancel window to tell a press from a hold.
        device.configure(cancel_s=0)
        taken = sorted(press_to_acknowledged_ms(device) for _ in range(PRESSES))
        rows = len(device.rows("sos"))
        device.close()
    return [
        Figure(f"press to acknowledged, median of {PRESSES}", round(statistics.median(taken), 1), "ms", bound=150),
        Figure("press to acknowledged, 99th percentile", round(taken[PRESSES * 99 // 100 - 1], 1), "ms"),
        Figure("presses without a row, or with two", abs(PRESSES - rows), "presses", bound=0),
    ]


def press_to_acknowledged_ms(device: UnitUnderTest) -> float:
    """Time as the bench sees it: button command sent, to the acknowledgement read from the device's console."""
    finger = threading.Thread(target=device.press, args=(_HOLD_MS,))
    started = time.monotonic()
    finger.start()
    raised = device.announced("raised", kind="sos")
    device.announced("acknowledged", boot=raised["boot"], seq=raised["seq"])
    taken_ms = (time.monotonic() - started) * 1000
    finger.join()
    return taken_ms
