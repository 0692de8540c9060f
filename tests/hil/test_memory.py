"""A device with too little memory for all that it does sends its alarm first."""

from collections.abc import Iterator

import pytest
from pendant import Pendant, board_file, prepared

from ansim.client import Deadline
from ansim.errors import DeviceError
from ansim.sandbox import WIFI, Sandbox

NEEDS = ("boards", "flash", "heap", "motion", "power", "press", "radio", "sleep", "speed", "supply", "watch", "wifi")
# Sixty seconds of a watchdog and what goes before, at ten times the speed of life, with others on this machine.
_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def flashed_pendant(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pendant]:
    """A pendant of this module's own, on its charger."""
    board = board_file(tmp_path_factory.mktemp("memory-board"), "bma400")
    with prepared(sandbox, "memory-pendant", board, speed=10) as made:
        yield made


@pytest.fixture
def pendant(flashed_pendant: Pendant) -> Pendant:
    """It is on its cell, asleep, with all of its memory."""
    flashed_pendant.control.heap(0)
    flashed_pendant.begins_asleep()
    return flashed_pendant


@pytest.mark.needs(*NEEDS)
@pytest.mark.parametrize("asked", [False, True], ids=["alone", "asked at its console"])
@pytest.mark.parametrize("less_kb", [12, 24])
def test_an_alarm_goes_out_of_a_device_whose_detector_and_connection_do_not_fit_together(
    pendant: Pendant, less_kb: int, asked: bool
) -> None:
    pendant.control.heap(less_kb)
    pendant.control.network(WIFI.ssid, WIFI.passphrase, access_points=())
    pendant.control.press(100)
    boot = pendant.announced("journalled", kind="sos")["boot"]
    pendant.announced("link", state="off", fault="wifi_absent")
    if asked:
        # That keeps it awake and takes memory: what it answers matters less than the alarm.
        ask_for_a_while(pendant)
    pendant.control.network(WIFI.ssid, WIFI.passphrase)
    found = pendant.sandbox.receiver.wait_for(
        lambda event: (event.device, event.kind, event.boot) == (pendant.name, "sos", boot), _WITHIN_S
    )
    assert found is not None, "the alarm did not arrive"


def ask_for_a_while(pendant: Pendant) -> None:
    for _ in range(20):
        try:
            pendant.console.request("info", timeout_s=0.5)
        except DeviceError:
            for _ in pendant.console.announcements(Deadline(0.1)):
                pass
