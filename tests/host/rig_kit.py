"""A rig on the bench: its program on a virtual chip, its file, and a device that lights up while its button is down."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ansim.client import SequenceReader
from ansim.home import Home
from ansim.image import filesystem_image
from ansim.rig import load_rig
from ansim.rig.flashing import flash_rig
from ansim.rig.program import program
from ansim.sandbox import Sandbox
from ansim.virtual import VirtualBoard, stop_board
from ansim_fw.core.json_seq import frame
from chip_kit import PATIENCE_S, VFS, Bench, flash_content

# What is on which pin of the rig, and its level when it is on.
LINES = {"button": (25, 1), "power": (26, 1), "reset": (27, 0), "led": (18, 1), "buzzer": (19, 0), "vibration": (21, 1)}
BUTTON, POWER, RESET, LED, BUZZER, VIBRATION = (pin for pin, _ in LINES.values())

# The virtual board's pins; its light follows the button, and its buzzer sounds while it runs.
DEVICE = b"""
from machine import Pin
import time
button, led = Pin(33, Pin.IN, Pin.PULL_UP), Pin(25, Pin.OUT, value=0)
buzzer, vibration = Pin(26, Pin.OUT, value=1), Pin(27, Pin.OUT, value=0)
while True:
    led.value(1 - button.value())
    time.sleep_ms(1)
"""


def flash_of(files: Mapping[str, bytes]) -> bytes:
    """Return a whole flash that boots a program, path to content, on a virtual board."""
    flash, (start, size) = flash_content(), VFS
    for offset, data in filesystem_image(files, size):
        flash[start + offset : start + offset + len(data)] = data
    return bytes(flash)


def rig_toml(folder: Path, text: str = "") -> Path:
    """Write the file of a rig 'virtual:rig' and a device 'virtual:device', with other text if it is given."""
    path = folder / "rig.toml"
    levels = {0: "low", 1: "high"}
    lines = "\n".join(f'{name} = {{ gpio = {pin}, active = "{levels[on]}" }}' for name, (pin, on) in LINES.items())
    path.write_text(
        text
        or f"""
[rig]
port = "virtual:rig"
board = "virtual"

[device]
port = "virtual:device"
board = "virtual"

[lines]
{lines}"""
    )
    return path


def rig_in(sandbox: Sandbox, folder: Path, name: str) -> Path:
    """Start a rig and a device in reach of the sandbox's Wi-Fi, flash the rig, and return the path of its file.

    Args:
        name: of the rig; the device's is name-device.
    """
    rig, device = sandbox.start_board(name), sandbox.start_board(f"{name}-device")
    text = rig_toml(folder).read_text().replace('"low"', '"high"')
    path = rig_toml(folder, text.replace("virtual:rig", rig.url).replace("virtual:device", device.url))
    flash_rig(load_rig(path), sandbox.home, lambda *_: None)
    return path


def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


class Pair:
    """A rig and a device, each a virtual board that runs, 'rig' and 'device' in one home.

    Attributes:
        path: of their file.
    """

    def __init__(self, home: Home, folder: Path, start: Callable[..., VirtualBoard]) -> None:
        self.home = home
        self.path = rig_toml(folder)
        self.file = load_rig(self.path)
        self._start = start
        for name, files in (("rig", program().files), ("device", {"main.py": DEVICE})):
            (home.virtual / name).mkdir(mode=0o700)
            self._flash_file(name).write_bytes(flash_of(files))
        self.rig = start("rig")
        self.start_device()

    def start_device(self) -> None:
        self.device = self._start("device")

    def restart_rig(self, flash: bytes) -> None:
        """Let the rig be one with another flash."""
        stop_board(self.rig)
        self._flash_file("rig").write_bytes(flash)
        self.rig = self._start("rig")

    def _flash_file(self, name: str) -> Path:
        return self.home.virtual / name / "flash.bin"


class RigBench:
    """The rig's program on a virtual chip, with its console; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder, flash_of(program().files))
        self._reader = SequenceReader()
        self._last_id = 0
        self._heard = 0
        self.said: list[dict[str, Any]] = []

    def __enter__(self) -> "RigBench":
        self.bench.chip.power_on()
        self.hears(event="ready")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bench.chip.close()

    def ask(self, cmd: str, **members: object) -> dict[str, Any]:
        """Send a request and return its answer."""
        return self.send(json.dumps({"id": self._last_id + 1, "cmd": cmd, **members}))

    def send(self, text: str) -> dict[str, Any]:
        """Send a text, which has the next id, and return its answer."""
        self._last_id += 1
        self.write(frame(text))
        return self.hears(id=self._last_id)

    def write(self, data: bytes) -> None:
        self.bench.chip.write(data)

    def hears(self, **members: object) -> dict[str, Any]:
        """Wait for a message with these members, and take it."""

        def found() -> dict[str, Any] | None:
            self._listen()
            fits = (each for each in self.said if members.items() <= each.items())
            return next(fits, None)

        message: dict[str, Any] = self.bench.until(found, str(members))
        self.said.remove(message)
        return message

    def _listen(self) -> None:
        # The chip's thread adds to it meanwhile.
        new = self.bench.output[self._heard :]
        self._heard += len(new)
        self.said += self._reader.feed(new)

    def hears_within(self, seconds: float) -> list[dict[str, Any]]:
        """Return what it says first within so many seconds, if it says anything."""
        deadline = time.monotonic() + seconds
        while not self.said and time.monotonic() < deadline:
            time.sleep(0.01)
            self._listen()
        said, self.said = self.said, []
        return said

    def wire(self, lines: Mapping[str, tuple[int, int]] = LINES) -> None:
        """Tell the rig what is on its pins."""
        assert self.ask("lines", set=lines)["ok"]

    def levels(self, pin: int) -> list[object]:
        """Return what a pin was driven to so far, in order."""
        return [told["value"] for told in self.bench.told("pin") if told["pin"] == pin]
