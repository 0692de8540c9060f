"""What the hardware says, as the device's logic takes it."""

from ansim_fw.core import link_watch


class Inputs:
    """What the hardware says at one step. The loop fills the same object again and again.

    The lists are the loop's: what is in them is new at this step.

    Attributes:
        button_down: level of the button; button_edge: it went down since the last step.
        link: link_watch.DOWN, BUSY, OPEN or UP; link_fault: why it is down, empty when there is no reason.
        battery_mv: 0 without a battery; rssi_dbm: 0 without Wi-Fi; heap_free: bytes.
        supply: charger or mains feed the device; False on a board that can't tell.
        console: somebody is at the console; radio: it is powered.
        motion_busy: the motion sensor is being looked at, or recorded.
        loop_ms: the longest that the loop was held up since the start.
        fall: the wearer fell since the last step; sensor_fault: what is wrong with the motion sensor, empty: nothing.
        stored: (event, durable) for each STORE that was tried.
        commands: checked commands, see docs/protocol.md.
    """

    def __init__(self) -> None:
        self.button_down = False
        self.button_edge = False
        self.link = link_watch.DOWN
        self.link_fault = ""
        self.battery_mv = 0
        self.rssi_dbm = 0
        self.supply = False
        self.console = False
        self.radio = False
        self.motion_busy = False
        self.heap_free = 0
        self.loop_ms = 0
        self.fall = False
        self.sensor_fault = ""
        self.stored: "list[tuple[Event, bool]]" = []
        self.commands: list[dict[str, object]] = []


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.core.event import Event
