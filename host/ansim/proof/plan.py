"""What a device of a board, and of the registry, has to prove."""

from typing import Any

from ansim.boards import Board, OutputPin
from ansim.errors import BadInput
from ansim.home import Home
from ansim.proof.model import Hands, Limits, ProofPlan, Rig
from ansim.proof.rig import VirtualRig
from ansim.registry import Identity
from ansim.serial_link import find_port
from ansim.virtual import ControlClient, running_boards
from ansim_fw.core import battery

_OUTPUTS = ("led", "buzzer", "vibration")
# docs/protocol.md: where the fault battery_low ends. One that is emptier would call for its charger from the box.
_LEAST_PERCENT = battery.LOW + battery.HYSTERESIS


def plan_for(board: Board, hands: Hands, port: str, home: Home) -> ProofPlan:
    """Return how a device on board at port is to be proven; what it is expected to be is still to be filled in.

    Raises:
        BadInput: hands is "rig", and port is no virtual board of home.
    """
    limits = _limits(board)
    return ProofPlan(hands, limits, rig=VirtualRig(_control(port, home), limits.outputs) if hands == "rig" else None)


def plan_by(board: Board, rig: Rig) -> ProofPlan:
    """Return how a device on board is to be proven by a rig of wires; else as plan_for()."""
    return ProofPlan("rig", _limits(board), rig=rig)


def expected_of(identity: Identity, generation: int, build: str = "") -> dict[str, Any]:
    """Return what the console of a device has to say once it has this identity.

    Args:
        generation: of the credential that it holds; identity may be older than that.
        build: of its firmware; empty: whichever.
    """
    found: dict[str, Any] = {name: getattr(identity, name) for name in ("device", "mac", "board", "site", "role")}
    return {**found, "generation": generation, **({"build": build} if build else {})}


def _limits(board: Board) -> Limits:
    pins = {name: getattr(board.pins, name) for name in _OUTPUTS}
    return Limits(
        battery_mv=_cell_mv(board),
        sensor=board.sensor.part if board.sensor else "",
        supply=board.pins.supply is not None,
        outputs={name: _on(pin) for name, pin in pins.items() if pin is not None},
    )


def _on(pin: OutputPin) -> tuple[int, int | None]:
    return pin.gpio, None if pin.tone_hz is not None else int(pin.active == "high")


def _cell_mv(board: Board) -> tuple[int, int] | None:
    """From the least charge with which a device may leave, to a little over full, as a charger makes it read."""
    if board.battery is None:
        return None
    curve = board.battery.curve
    least_mv = next(mv for mv in range(board.battery.full_mv) if battery.percent(mv, curve) >= _LEAST_PERCENT)
    return least_mv, board.battery.full_mv * 21 // 20


def _control(port: str, home: Home) -> ControlClient:
    where = find_port(port, home)
    for board in running_boards(home):
        if board.url == where:
            return board.control
    raise BadInput(
        f"nothing presses the button of the device on {port}", "A person does: --hands person; or a rig: --rig FILE."
    )
