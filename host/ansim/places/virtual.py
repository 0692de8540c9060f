"""Virtual boards as places: one that is started for its test, or one that somebody has started."""

from dataclasses import dataclass

from ansim.boards import load_board
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.places.place import Place, check_life_s_time
from ansim.places.sensing import SensingClient
from ansim.sandbox import WIFI, Sandbox
from ansim.virtual import VirtualBoard, find_board

VIRTUAL = "virtual"
_HOST = "localhost"
_NAME = "a virtual board"
# Of a board that runs already.
_LACKS = {"boards": "it is one that runs already", "speed": "its time is as fast as it was started"}


class VirtualPlace(Place):
    """A virtual board.

    Attributes:
        board: it.
    """

    def __init__(self, sandbox: Sandbox, board: VirtualBoard, board_file: str = VIRTUAL) -> None:
        self.name = _NAME
        self.url = board.url
        self.board_file = board_file
        self.board = board
        self._sandbox = sandbox
        self._stimulus = SensingClient.of(board.control, load_board(board_file))

    @property
    def stimulus(self) -> SensingClient:
        return self._stimulus

    def lacks(self, _capability: str, /) -> str:
        return ""

    def close(self) -> None:
        """End the board, unless somebody else has started it."""
        self._sandbox.stop_board(self.board)


@dataclass(frozen=True)
class VirtualGround:
    """Virtual boards of a sandbox, as many as are wanted, with one board file."""

    board_file: str = VIRTUAL
    name: str = _NAME
    host: str = _HOST
    wifi: WifiNetwork = WIFI

    def lacks(self, _capability: str, /) -> str:
        return ""

    def open(self, sandbox: Sandbox, name: str, *, speed: int = 1, skip_sleep: bool = False) -> VirtualPlace:
        board = sandbox.start_board(name, board=self.board_file, speed=speed, skip_sleep=skip_sleep)
        return VirtualPlace(sandbox, board, self.board_file)


class RunningPlace(VirtualPlace):
    """A virtual board that somebody has started, and that runs on afterwards."""

    def lacks(self, capability: str, /) -> str:
        return _LACKS.get(capability, "")


@dataclass(frozen=True)
class RunningGround:
    """The virtual board that runs under this name in a home."""

    home: Home
    board_name: str
    host: str = _HOST
    wifi: WifiNetwork = WIFI

    @property
    def name(self) -> str:
        return f"the virtual board '{self.board_name}'"

    def lacks(self, capability: str, /) -> str:
        return _LACKS.get(capability, "")

    def open(self, sandbox: Sandbox, _name: str, *, speed: int = 1, skip_sleep: bool = False) -> VirtualPlace:
        check_life_s_time(self, speed, skip_sleep)
        board = find_board(self.home, self.board_name)
        board.control.network(sandbox.wifi.ssid, sandbox.wifi.passphrase)
        return RunningPlace(sandbox, board, board.board)
