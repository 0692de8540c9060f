"""What the board answers to its chip: radio, I2C bus, RTC memory, flash, NVS. One method a request."""

import errno
import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from ansim.virtual.air import Air
from ansim.virtual.chip_flash import ChipFlash
from ansim.virtual.clock import Clock
from ansim.virtual.flash import SECTOR_BYTES, FlashRangeError
from ansim.virtual.models import BusError, Part
from ansim.virtual.nvs_flash import NvsError, NvsFlash
from ansim.virtual.rtc_clock import RtcClock
from ansim.virtual.station import Addresses, Station
from ansim.virtual.wire import PAYLOAD_BYTES, Frame, NvsOp, Op

_EAI_FAIL = 202
_ESP_ERR_WIFI = 16  # EBUSY stands for the driver's "wrong state"
_NVS_NOT_INITIALISED = 0x1101

# What a request raises in which the program gave something that is no text, no number, or not there.
NONSENSE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, FlashRangeError)

Answer = tuple[int, bytes]


class Services:
    """Answers requests; all state here is the board's and outlives the chip's processes.

    Args:
        air: the radio's surroundings.
        flash: what the chip writes to.
        mac: the station's address.
        clock: the time that the chip measures.
        rtc: its real-time clock.
        later: runs a slow answer to a request aside: (request, work).
        parts: what is on the I2C bus, by address.

    Attributes:
        nvs: the NVS partition, None without one.
    """

    def __init__(
        self,
        air: Air,
        flash: ChipFlash,
        mac: bytes,
        clock: Clock,
        rtc: RtcClock,
        later: Callable[[Frame, Callable[[], Answer]], None],
        parts: Mapping[int, Part],
    ) -> None:
        self._air = air
        self._flash = flash
        self._mac = mac
        self._time = clock
        self._rtc = rtc
        self._later = later
        self.station = Station(air)
        self.parts = parts
        self.nvs: NvsFlash | None = None
        self.rtc_memory = b""
        self._answers: dict[Op, Callable[[Frame], Answer | None]] = {
            Op.RESOLVE: self._resolve,
            Op.I2C_WRITE: self._i2c_write,
            Op.I2C_READ: self._i2c_read,
            Op.WIFI: self._wifi,
            Op.NVS: self._nvs,
            Op.RTC_READ: lambda _: (0, self.rtc_memory),
            Op.RTC_WRITE: self._rtc_write,
            Op.CLOCK: self._clock,
            Op.FLASH_PROGRAM: self._flash_program,
            Op.FLASH_ERASE: self._flash_erase,
        }

    def power_on(self) -> None:
        """Lose what a power cut loses."""
        self.rtc_memory = b""

    def answer(self, frame: Frame) -> Answer | None:
        """Return status and payload for a request, or None when the answer comes later.

        Raises:
            PowerCut: while this was done the power went.
        """
        found = self._answers.get(frame.op)
        if found is None:
            return -errno.ENOSYS, b""
        try:
            return found(frame)
        except NONSENSE:
            return -errno.EINVAL, b""
        except BusError as error:
            return -error.code, b""

    def _resolve(self, frame: Frame) -> Answer | None:
        if not self.station.connected:
            return -_EAI_FAIL, b""
        host = frame.payload.decode("utf-8", "replace")

        def look_up() -> Answer:
            try:
                return self._air.route(host, frame.argument), b""
            except (OSError, UnicodeError):
                return -_EAI_FAIL, b""

        self._later(frame, look_up)
        return None

    def _i2c_write(self, frame: Frame) -> Answer:
        part = self.parts.get(frame.argument)
        if part is None:
            return -errno.ENODEV, b""
        part.write(frame.payload)
        return 0, b""

    def _i2c_read(self, frame: Frame) -> Answer:
        part, length = self.parts.get(frame.argument & 0xFF), frame.argument >> 8
        if part is None:
            return -errno.ENODEV, b""
        if not 0 <= length <= PAYLOAD_BYTES:
            return -errno.EINVAL, b""
        return 0, part.read(length)

    def _rtc_write(self, frame: Frame) -> Answer:
        self.rtc_memory = frame.payload
        return 0, b""

    def _clock(self, frame: Frame) -> Answer:
        self._rtc.set_offset_us(int.from_bytes(frame.payload, "little", signed=True))
        return 0, b""

    def _flash_program(self, frame: Frame) -> Answer:
        self._flash.program(frame.argument, frame.payload)
        return 0, b""

    def _flash_erase(self, frame: Frame) -> Answer:
        self._flash.erase(frame.argument, SECTOR_BYTES)
        return 0, b""

    # NVS: the payload is namespace, key and value, NUL between

    def _nvs(self, frame: Frame) -> Answer:
        if self.nvs is None:
            return -_NVS_NOT_INITIALISED, b""
        namespace, key, value = frame.payload.split(b"\0", 2)
        try:
            return 0, self._nvs_do(self.nvs, NvsOp(frame.argument), namespace.decode(), key.decode(), value)
        except NvsError as error:
            return -error.code, b""

    def _nvs_do(self, nvs: NvsFlash, op: NvsOp, namespace: str, key: str, value: bytes) -> bytes:
        match op:
            case NvsOp.OPEN:
                nvs.open(namespace)
            case NvsOp.GET_I32:
                return nvs.get_i32(namespace, key).to_bytes(4, "little", signed=True)
            case NvsOp.SET_I32:
                nvs.set_i32(namespace, key, int.from_bytes(value, "little", signed=True))
            case NvsOp.GET_BLOB:
                return nvs.get_blob(namespace, key)
            case NvsOp.SET_BLOB:
                nvs.set_blob(namespace, key, value)
            case NvsOp.ERASE:
                nvs.erase(namespace, key)
        return b""

    # Wi-Fi: a JSON object with one thing to do

    def _wifi(self, frame: Frame) -> Answer:
        request = json.loads(frame.payload)
        if "active" in request:
            result = self._wifi_active(request["active"])
        elif "connect" in request:
            if request["connect"] is not None and not self.station.busy:
                self.station.configure(_text(request["connect"]), _text(request.get("key")))
            if not self.station.connect(self._time.now_ms()):
                return -_ESP_ERR_WIFI, b""
            result = {}
        elif "disconnect" in request:
            self.station.disconnect(self._time.now_ms())
            result = {}
        else:
            result = self._wifi_read(request)
        return 0, json.dumps(result).encode()

    def _wifi_active(self, active: bool | None) -> dict[str, object]:
        if active is not None:
            self.station.switch(active, self._time.now_ms())
        return {"active": self.station.active}

    def _wifi_read(self, request: dict[str, object]) -> dict[str, object]:
        if "scan" in request:
            return {"found": self._scan()}
        if "addresses" in request:
            return {"ip": self.station.addresses}
        if "use" in request:
            self.station.use(_addresses(request["use"]))
            return {}
        if "config" in request:
            self._wifi_config(request["config"])
            return {}
        station = self.station
        known: dict[str, object] = {"mac": self._mac.hex(), "ssid": station.ssid, "essid": station.ssid}
        known.update(channel=station.channel, reconnects=station.reconnects)
        return {"value": known.get(str(request.get("get")))}

    def _wifi_config(self, settings: object) -> None:
        if not isinstance(settings, dict):
            raise ValueError("no settings")
        if "reconnects" in settings:
            self.station.reconnects = int(settings["reconnects"])
        if "channel" in settings:
            self.station.listen_on(int(settings["channel"]))

    def _scan(self) -> list[list[object]]:
        if not self.station.active:
            return []
        return [
            [net.ssid, net.bssid(number).hex(), net.channel, self._air.rssi_dbm, 3 if net.passphrase else 0]
            for net in self._air.networks()[:16]
            for number in net.access_points
        ]


def _addresses(value: object) -> Addresses | None:
    """Return what ifconfig() was given: four addresses, or None for DHCP."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError("not four addresses")
    station, mask, router, server = [str(ip_address(_text(each))) for each in value]
    return station, mask, router, server


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
