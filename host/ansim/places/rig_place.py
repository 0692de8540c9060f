"""A board whose button, power and lights are a rig's, as a place."""

from pathlib import Path

import serial

from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.places.place import Place, check_life_s_time
from ansim.places.serial import SerialGround, SerialPlace
from ansim.rig import Rig, RigFile, load_rig
from ansim.sandbox import Sandbox
from ansim.virtual import running_boards

# The lines that each capability takes; any one of them is enough.
_LINES = {
    "press": ("button",),
    "power": ("power",),
    "reset": ("reset",),
    "sense": ("led", "buzzer", "vibration"),
}


class RigGround:
    """The one device that a rig is wired to.

    Args:
        path: the rig's file.
        wifi: see SerialGround.

    Raises:
        BadInput: the file is wrong.
    """

    def __init__(self, path: Path, wifi: WifiNetwork | None = None) -> None:
        self.name = f"the device on the rig of {path.name}"
        self.file: RigFile = load_rig(path)
        self.device = SerialGround(self.file.device.port, self.file.device.board, wifi)

    @property
    def host(self) -> str:
        return self.device.host

    @property
    def wifi(self) -> WifiNetwork | None:
        return self.device.wifi

    def lacks(self, capability: str, /) -> str:
        lines = _LINES.get(capability, ())
        if any(not self.file.lacks(line) for line in lines):
            return ""
        # The device's own port may have a line for it.
        reason = self.device.lacks(capability)
        return self.file.lacks(lines[0]) if lines and reason else reason

    def open(self, sandbox: Sandbox, _name: str, *, speed: int = 1, skip_sleep: bool = False) -> "RigPlace":
        check_life_s_time(self, speed, skip_sleep)
        return RigPlace(self, sandbox)


class RigPlace(Place):
    """The device that a rig is wired to, and the rig, whose port is open."""

    def __init__(self, ground: RigGround, sandbox: Sandbox) -> None:
        self._ground = ground
        self._device: SerialPlace = ground.device.open(sandbox, "")
        self._rig = _Rig(ground, self._device, _home_of(ground.file.rig.port, sandbox))
        self.name = ground.name
        self.url = self._device.url
        self.board_file = self._device.board_file

    @property
    def stimulus(self) -> Rig:
        return self._rig

    def lacks(self, capability: str, /) -> str:
        return self._ground.lacks(capability)

    def open_port(self, home: Home) -> serial.SerialBase:
        return self._device.open_port(home)

    def close(self) -> None:
        """Close the rig's port; the device stays as it is."""
        self._rig.close()


def _home_of(port: str, sandbox: Sandbox) -> Home:
    """Return the home that rig and device are of, if they are virtual boards: they may be the sandbox's."""
    is_sandbox_s = port in {board.url for board in running_boards(sandbox.home)}
    return sandbox.home if is_sandbox_s else Home.default()


class _Rig(Rig):
    """A rig that leaves to the device's own port what it has no line for."""

    def __init__(self, ground: RigGround, device: SerialPlace, home: Home) -> None:
        super().__init__(ground.file, home)
        self._device = device

    def reset(self) -> None:
        if self.file.lacks("reset"):
            self._device.stimulus.reset()
        else:
            super().reset()
