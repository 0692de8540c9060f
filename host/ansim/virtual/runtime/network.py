"""The chip's network module: one station in the board's air. Values as in MicroPython's ports/esp32."""

import _link
from micropython import const

STA_IF = const(0)
AP_IF = const(1)

STAT_IDLE = const(1000)
STAT_CONNECTING = const(1001)
STAT_GOT_IP = const(1010)
STAT_NO_AP_FOUND = const(201)
STAT_WRONG_PASSWORD = const(202)
STAT_BEACON_TIMEOUT = const(200)
STAT_ASSOC_FAIL = const(203)
STAT_HANDSHAKE_TIMEOUT = const(204)

MODE_11B = const(1)
MODE_11G = const(2)
MODE_11N = const(4)

AUTH_OPEN = const(0)
AUTH_WEP = const(1)
AUTH_WPA_PSK = const(2)
AUTH_WPA2_PSK = const(3)
AUTH_WPA_WPA2_PSK = const(4)

_name = "mpy-esp32"
_country = "XX"


class WLAN:
    IF_STA = 0
    IF_AP = 1
    SEC_OPEN = 0
    SEC_WPA2 = 3
    PM_NONE = 0
    PM_PERFORMANCE = 1
    PM_POWERSAVE = 2

    def __init__(self, interface=0):
        if interface != WLAN.IF_STA:
            raise ValueError("invalid WLAN interface identifier")

    def _ask(self, **request):
        return _link.ask_json(_link.WIFI, request)

    def active(self, on=None):
        return self._ask(active=on if on is None else bool(on))["active"]

    def connect(self, ssid=None, key=None, *, bssid=None):
        self._ask(connect=_text(ssid), key=_text(key))

    def disconnect(self):
        self._ask(disconnect=True)

    def isconnected(self):
        return self.status() == STAT_GOT_IP

    def status(self, what=None):
        if what is None:
            _link.poll()
            return _link.inputs[_link.WIFI_STATUS] | _link.inputs[_link.WIFI_STATUS + 1] << 8
        if what != "rssi":
            raise ValueError("unknown status param")
        if not self.isconnected():
            raise OSError("Wifi Not Connected")
        return _link.inputs[_link.RSSI] - 256

    def scan(self):
        found = self._ask(scan=True)["found"]
        return [
            (ssid.encode(), bytes.fromhex(bssid), channel, rssi, auth, False)
            for ssid, bssid, channel, rssi, auth in found
        ]

    def config(self, name=None, **settings):
        if name is not None:
            return self._get(name)
        for key in settings:
            if key not in ("reconnects", "pm", "txpower", "channel", "hostname", "dhcp_hostname", "protocol"):
                raise ValueError("unknown config param")
        if "hostname" in settings or "dhcp_hostname" in settings:
            hostname(settings.get("hostname") or settings["dhcp_hostname"])
        self._ask(config=settings)
        return None

    def _get(self, name):
        if name in ("hostname", "dhcp_hostname"):
            return hostname()
        value = self._ask(get=name)["value"]
        if value is None:
            raise ValueError("unknown config param")
        return bytes.fromhex(value) if name == "mac" else value

    def ifconfig(self, addresses=None):
        if addresses is None:
            return tuple(self._ask(addresses=True)["ip"])
        if isinstance(addresses, str) and addresses != "dhcp":
            raise ValueError("invalid arguments")
        self._ask(use=None if addresses == "dhcp" else list(addresses))
        return None

    def ipconfig(self, name=None, **settings):
        if settings:
            return None
        ip, mask, gateway, _ = self.ifconfig()
        return {"addr4": (ip, mask), "gw4": gateway, "dhcp4": True, "has_dhcp4": self.isconnected()}[name]


def hostname(name=None):
    global _name
    if name is None:
        return _name
    if len(name) > 32:
        raise ValueError
    _name = name
    return None


def country(code=None):
    global _country
    if code is None:
        return _country
    _country = code
    return None


def ipconfig(name=None, **settings):
    return None


def _text(value):
    return value.decode() if isinstance(value, (bytes, bytearray)) else value
