"""What a device says to a client of Improv Wi-Fi on its serial port. Loaded when there is one."""

import sys

from micropython import const

from ansim_fw.board_data import BOARD
from ansim_fw.core import improv
from ansim_fw.hal import power
from ansim_fw.version import VERSION

# Of what is in the air the strongest, as many lines as a client shows.
_MOST_FOUND = const(16)


def answer(packet: bytes, duty: "Duty") -> bool:
    """Answer a packet; tell whether it was a command."""
    if packet[0] != improv.RPC:
        return False
    tell(improv.ERROR_STATE, improv.NONE)
    try:
        error = _obey(*improv.command(packet), duty)
    except (ValueError, OSError):
        error = improv.INVALID
    if error:
        tell(improv.ERROR_STATE, error)
    return True


def tell(kind: int, value: int) -> None:
    """Send a state."""
    _write(improv.packet(kind, bytes((value,))))


def ended(joined: bool) -> None:
    """Tell what came of an attempt to join a network."""
    if joined:
        tell(improv.CURRENT_STATE, improv.PROVISIONED)
        _write(improv.result(improv.WIFI, ()))
    else:
        tell(improv.ERROR_STATE, improv.UNABLE)
        tell(improv.CURRENT_STATE, improv.READY)


def _obey(number: int, data: bytes, duty: "Duty") -> int:
    """Carry a command out; return the error."""
    if number == improv.STATE:
        _tell_state(duty)
    elif number == improv.INFO:
        told = "Ansim", VERSION, BOARD["name"], duty.identity.device or power.mac()
        _write(improv.result(number, told))
    elif number != improv.WIFI and number != improv.SCAN:
        return improv.UNKNOWN
    elif not duty.may_leave():
        return improv.REFUSED
    else:
        from ansim_fw import networks

        if networks.is_busy(duty):
            return improv.REFUSED
        if number == improv.SCAN:
            _scan(duty.link)
        else:
            networks.Trial(duty, improv.credentials(data), True)
            tell(improv.CURRENT_STATE, improv.PROVISIONING)
    return improv.NONE


def _tell_state(duty: "Duty") -> None:
    known = bool(duty.identity.wifi)
    state = improv.PROVISIONING if duty.trial else improv.PROVISIONED if known else improv.READY
    tell(improv.CURRENT_STATE, state)
    if state == improv.PROVISIONED:
        _write(improv.result(improv.STATE, ()))


def _scan(link: "Link") -> None:
    """Tell which networks are in the air; that takes two seconds, in which a press is noticed and waits."""
    wifi = link.wifi
    if not wifi.joined():
        # A radio that is about to join does not scan (ESP-IDF, esp_wifi_scan_start), and whoever asks has a new router.
        link.off()
    wifi.wlan.active(True)
    wifi.on = True
    for ssid, _, _, rssi_dbm, security, _ in wifi.wlan.scan()[:_MOST_FOUND]:
        _write(improv.in_the_air(ssid, rssi_dbm, security))
    _write(improv.result(improv.SCAN, ()))


def _write(packet: bytes) -> None:
    sys.stdout.buffer.write(packet)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from ansim_fw.hal.link import Link
    from ansim_fw.loop import Duty
