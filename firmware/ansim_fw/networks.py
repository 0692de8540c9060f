"""Changes of the Wi-Fi networks that a device knows. Loaded when somebody asks for one."""

import json
from binascii import a2b_base64

from esp32 import NVS
from micropython import const

from ansim_fw.core import improv

_MOST = const(8)
# As hal/settings.py reads it.
_LONGEST_BLOB = const(1024)
# The link joins or gives up by itself before that; a client of Improv waits for 30 s.
_TRIAL_MS = const(25000)
# As in Link.
_WIFI = const(1)
# A network that is not here, or too far away, may be where the device is to go.
_ELSEWHERE = ("wifi_absent", "wifi_timeout")


def answer(request: "dict[str, object]", duty: "Duty") -> "dict[str, object]":
    """Begin with the change that a request asks for, if it does; return what is known.

    Raises:
        ValueError: not legal, or not now.
        OSError: NVS is full or broken.
    """
    coded, name = request.get("set"), request.get("remove")
    if coded is not None:
        Trial(duty, improv.credentials(a2b_base64(str(coded))))
    elif name is not None:
        left = [each for each in duty.identity.wifi if each[0] != name]
        if not 0 < len(left) < len(duty.identity.wifi):
            raise ValueError("no such network, or the only one")
        _may_change(duty)
        _keep(left)
        duty.identity.wifi = left
        duty.link.use(left, duty.link.wifi.name())
    wifi = duty.link.wifi
    return {"wifi": [each for each, _ in duty.identity.wifi], "joined": wifi.name() if wifi.joined() else ""}


def is_busy(duty: "Duty") -> bool:
    """Tell whether a network is tried, or an alarm waits that the connection takes.

    Where that was lost, or can't be made, another network may be what the alarm waits for.
    """
    return duty.trial is not None or (duty.device.outbox.urgent() and not duty.link.fault)


def _may_change(duty: "Duty") -> None:
    if is_busy(duty):
        raise ValueError("an alarm or another change is under way")


def _keep(networks: "list[tuple[str, str]]") -> None:
    """Keep the networks in NVS: all of them or, whatever happens, those of before.

    It erases an old value after the new one is written (ESP-IDF, "NVS Internals").

    Raises:
        ValueError: they take too much room together.
        OSError: NVS is full or broken.
    """
    text = json.dumps(networks).encode()
    if len(text) > _LONGEST_BLOB:
        raise ValueError("networks take too much room")
    nvs = NVS("ansim")
    nvs.set_blob("wifi", text)
    nvs.commit()


class Trial:
    """Joins a network, in steps; it comes to be the first that the device knows, unless it refuses.

    The others stay behind it; what is kept changes in one write, after the attempt. An alarm ends the attempt if there
    was a way that worked, by which it goes out. What came of it is announced as `wifi`.

    Args:
        network: name and passphrase; of one that is known by this name, the passphrase is replaced.
        for_improv: an Improv client waits for what comes of it; it takes a network that can't be joined for refused.

    Raises:
        ValueError: not now, or there are too many.
    """

    def __init__(self, duty: "Duty", network: "tuple[str, str]", for_improv: bool = False) -> None:
        _may_change(duty)
        known = duty.identity.wifi
        self._networks = [network] + [each for each in known if each[0] != network[0]]
        if len(self._networks) > _MOST:
            raise ValueError("8 networks at the most")
        self._duty = duty
        self._for_improv = for_improv
        self._before = duty.link.wifi.name() if known else ""
        self._left_ms = _TRIAL_MS
        self._cut_off = bool(duty.link.fault)
        # First: should there be no memory at all, its end brings the networks of before back.
        duty.trial = self
        try:
            duty.link.use(self._networks, network[0])
        except MemoryError:
            # The way there and the console at once: what falls are told by gives its own.
            duty.make_room()
            duty.link.use(self._networks, network[0])

    def step(self, elapsed_ms: int) -> None:
        """Pass time; call it after the link's own step."""
        duty, link = self._duty, self._duty.link
        self._left_ms -= elapsed_ms
        fault = ""
        if link.state == _WIFI or not link.wifi.joined():
            if duty.device.outbox.urgent() and not self._cut_off:
                fault = "alarm"
            elif link.state != _WIFI:
                fault = link.fault or "wifi_timeout"
            elif self._left_ms <= 0:
                fault = "wifi_timeout"
            else:
                return
        self._end(fault)

    def _end(self, fault: str) -> None:
        duty = self._duty
        duty.trial = None
        joined = not fault
        kept = joined or (fault in _ELSEWHERE and not self._for_improv)
        name = self._networks[0][0]
        if kept:
            try:
                _keep(self._networks)
                duty.identity.wifi = self._networks
            except (OSError, ValueError, MemoryError):
                joined = kept = False
                fault = "storage"
        if not joined:
            duty.link.use(duty.identity.wifi, self._before)
        duty.announce("wifi", {"ssid": name, "joined": joined, "kept": kept, "fault": fault})
        if self._for_improv:
            from ansim_fw import improv_port

            improv_port.ended(joined)
        from ansim_fw import answers

        answers.unload()


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.loop import Duty
