"""Wi-Fi is changed where the device is, over its console with its key; no alarm is lost over it."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pendant import Pendant, board_file, prepared
from test_outages import arrives_once, raise_alarm

from ansim import console_key
from ansim.client import Deadline
from ansim.commands.wifi import join
from ansim.errors import DeviceError
from ansim.fleet import WifiNetwork
from ansim.home import Home
from ansim.sandbox import WIFI, Sandbox
from ansim_fw.core import lock
from unit_under_test import PATIENCE_S, UnitUnderTest

NEW = WifiNetwork("new router", "a passphrase of its own")
# As long as they may be, and of characters that JSON would double.
LONGEST = WifiNetwork('"' * 32, "\\" * 63)


@pytest.fixture
def home(device: UnitUnderTest) -> Iterator[UnitUnderTest]:
    """The device in a home with a second network; afterwards it knows its own alone."""
    device.control.network(NEW.ssid, NEW.passphrase)
    yield device
    device.control.network(WIFI.ssid, WIFI.passphrase)
    device.control.network(NEW.ssid, NEW.passphrase, access_points=())
    device.connect()
    device.until_connected()
    for ssid in set(known(device)) - {WIFI.ssid}:
        change(device, {"remove": ssid})


def known(device: UnitUnderTest) -> list[str]:
    return list(device.console.request("wifi")["wifi"])


def change(device: UnitUnderTest, members: dict[str, object]) -> dict[str, object]:
    return console_key.change(device.console, device.sandbox.home, "wifi", members)


@pytest.mark.needs("power", "press", "radio", "wifi")
def test_a_new_network_is_joined_and_tried_first_and_the_old_one_stays_behind_it(home: UnitUnderTest) -> None:
    told = join(home.console, home.sandbox.home, NEW)
    assert told == {"ssid": NEW.ssid, "joined": True, "kept": True, "fault": ""}
    home.until_connected()
    assert home.console.request("wifi") == {"wifi": [NEW.ssid, WIFI.ssid], "joined": NEW.ssid}
    arrives_once(home, raise_alarm(home))
    home.control.network(NEW.ssid, NEW.passphrase, access_points=())
    arrives_once(home, raise_alarm(home))
    home.control.power(False)
    home.control.power(True)
    home.connect()
    home.until_connected()
    assert home.console.request("wifi") == {"wifi": [NEW.ssid, WIFI.ssid], "joined": WIFI.ssid}


@pytest.mark.needs("press", "radio", "wifi")
def test_a_wrong_passphrase_changes_nothing(home: UnitUnderTest) -> None:
    with pytest.raises(DeviceError, match="wifi_refused") as refused:
        join(home.console, home.sandbox.home, WifiNetwork(NEW.ssid, "not its passphrase"))
    assert "not its passphrase" not in f"{refused.value} {refused.value.hint}"
    with pytest.raises(DeviceError, match="wifi_refused"):
        join(home.console, home.sandbox.home, WifiNetwork(WIFI.ssid, "not its passphrase"))
    home.until_connected()
    assert home.console.request("wifi") == {"wifi": [WIFI.ssid], "joined": WIFI.ssid}
    arrives_once(home, raise_alarm(home))


@pytest.mark.needs("press", "radio", "wifi")
def test_a_network_that_is_elsewhere_is_kept_for_there(home: UnitUnderTest) -> None:
    told = join(home.console, home.sandbox.home, LONGEST)
    assert told == {"ssid": LONGEST.ssid, "joined": False, "kept": True, "fault": "wifi_absent"}
    home.until_connected()
    assert known(home) == [LONGEST.ssid, WIFI.ssid]
    home.control.network(LONGEST.ssid, LONGEST.passphrase)
    home.control.network(WIFI.ssid, WIFI.passphrase, access_points=())
    alarm = raise_alarm(home)
    arrives_once(home, alarm)
    assert home.console.request("wifi")["joined"] == LONGEST.ssid
    home.control.network(LONGEST.ssid, LONGEST.passphrase, access_points=())


@pytest.mark.needs("press", "radio", "wifi")
def test_an_alarm_ends_the_attempt_and_goes_out_the_way_that_works(home: UnitUnderTest) -> None:
    # An access point without DHCP: the device waits for an address.
    home.control.network(NEW.ssid, NEW.passphrase, service="no_address")
    change(home, {"set": coded(NEW)})
    alarm = raise_alarm(home)
    told = home.announced("wifi", ssid=NEW.ssid)
    assert (told["kept"], told["fault"]) == (False, "alarm")
    arrives_once(home, alarm)
    assert known(home) == [WIFI.ssid]


@pytest.mark.needs("press", "radio", "wifi")
def test_an_alarm_that_waits_for_a_network_goes_out_over_the_new_one(home: UnitUnderTest) -> None:
    home.control.network(WIFI.ssid, WIFI.passphrase, access_points=())
    home.announced("link", state="off", fault="wifi_absent")
    alarm = raise_alarm(home)
    told = join(home.console, home.sandbox.home, NEW)
    assert told["joined"] is True
    arrives_once(home, alarm)


@pytest.mark.needs("radio", "wifi")
def test_a_network_is_forgotten_but_never_the_last_one(home: UnitUnderTest) -> None:
    join(home.console, home.sandbox.home, NEW)
    home.until_connected()
    assert change(home, {"remove": NEW.ssid})["wifi"] == [WIFI.ssid]
    with pytest.raises(DeviceError, match="the only one"):
        change(home, {"remove": WIFI.ssid})
    assert home.until_connected()["link"] == "up"


@pytest.mark.needs("power", "power_cut", "radio", "watch", "wifi")
def test_a_power_cut_in_any_write_leaves_the_old_networks_or_the_new(home: UnitUnderTest) -> None:
    old, new = [WIFI.ssid], [NEW.ssid, WIFI.ssid]
    found = []
    cut = True
    while cut:
        cut = cut_while_joining(home, operation=len(found) + 1)
        home.control.power(False)
        home.control.power(True)
        home.connect()
        home.until_connected()
        found.append(known(home))
        if found[-1] != old:
            change(home, {"remove": NEW.ssid})
    assert found[0] == old and found[-1] == new and len(found) > 3
    assert all(networks in (old, new) for networks in found)


@pytest.fixture
def pendant(sandbox: Sandbox, tmp_path: Path) -> Iterator[Pendant]:
    """A pendant on its cell, asleep, with what makes its next connection quick."""
    with prepared(sandbox, "wifi-pendant", board_file(tmp_path, "bma400"), speed=10) as made:
        made.begins_asleep()
        yield made


@pytest.mark.needs("boards", "flash", "motion", "power", "press", "radio", "sleep", "speed", "supply", "watch", "wifi")
def test_a_pendant_takes_a_new_network_into_its_sleep(pendant: Pendant) -> None:
    pendant.control.network(NEW.ssid, NEW.passphrase)
    pendant.control.press(100)
    pendant.announced("acknowledged", kind="sos")
    before = len(pendant.seen)
    assert join(pendant.console, pendant.sandbox.home, NEW)["joined"] is True
    pendant.sleeps(before)
    pendant.control.network(WIFI.ssid, WIFI.passphrase, access_points=())
    for _ in range(2):
        before = len(pendant.seen)
        pendant.control.press(100)
        pendant.announced("awake", reason="button")
        pendant.announced("acknowledged", kind="sos")
        pendant.sleeps(before)


@pytest.mark.needs("boards", "flash", "motion", "power", "press", "radio", "sleep", "speed", "supply", "watch", "wifi")
def test_a_pendant_whose_network_is_gone_gets_a_new_one_and_the_call_for_help_arrives(pendant: Pendant) -> None:
    pendant.control.network(NEW.ssid, NEW.passphrase)
    pendant.control.network(WIFI.ssid, WIFI.passphrase, access_points=())
    pendant.control.press(100)
    pendant.announced("raised", kind="sos")
    pendant.announced("link", state="off", fault="wifi_absent")
    assert join(pendant.console, pendant.sandbox.home, NEW)["joined"] is True
    pendant.announced("acknowledged", kind="sos")


@pytest.mark.needs("radio", "wifi")
def test_the_command_tells_what_came_of_it_and_no_secret(
    home: UnitUnderTest, ansim: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIM_WIFI_PASSPHRASE", NEW.passphrase)
    home.disconnect()
    port = ("-p", home.url)
    shown = ansim("--debug", "wifi", *port, "--ssid", NEW.ssid)
    assert f"joined Wi-Fi {NEW.ssid}, which it tries first" in shown
    assert json.loads(ansim("wifi", *port, "--list", "--json")) == {"wifi": [NEW.ssid, WIFI.ssid], "joined": NEW.ssid}
    shown += ansim("wifi", *port, "--remove", NEW.ssid) + ansim("config", *port, "--cancel-s", "30")
    home.connect()
    shown += json.dumps([home.console.request(cmd) for cmd in ("info", "config", "wifi")])
    shown += json.dumps(list(home.console.announcements(Deadline(0.5))))
    fleet_key = console_key.load(home.sandbox.home)
    key = console_key.device_key(fleet_key, home.info()["mac"])
    for secret in (NEW.passphrase, b64encode(NEW.passphrase.encode()).decode()[:16], fleet_key.hex(), key.hex()):
        assert secret not in shown
        assert in_files(home, secret) == []


def in_files(device: UnitUnderTest, secret: str) -> list[Path]:
    """Return which files of the fleet have a secret in them, but for its keys and the devices themselves."""
    home = device.sandbox.home
    files = (path for path in home.path.rglob("*") if path.is_file() and path.name != "flash.bin")
    others = (path for path in files if home.keys not in path.parents)
    return [path for path in others if secret.encode() in path.read_bytes()]


def cut_while_joining(device: UnitUnderTest, operation: int) -> bool:
    """Have the device join NEW, cut the power in a write to its flash, and tell whether there were so many."""
    device.control.cut_power_at(operation)
    change(device, {"set": coded(NEW)})
    deadline = Deadline(PATIENCE_S)
    while device.control.status()["state"] != "off":
        assert not deadline.expired, "neither joined nor cut"
        if any(said["event"] == "wifi" for said in device.console.announcements(Deadline(0.05))):
            return False
    return True


def coded(network: WifiNetwork) -> str:
    name, secret = network.ssid.encode(), network.passphrase.encode()
    return b64encode(bytes([len(name)]) + name + bytes([len(secret)]) + secret).decode()


def sealed(home: Home, device: UnitUnderTest, plain: bytes, nonce: str) -> bytes:
    key = console_key.device_key(console_key.load(home), device.info()["mac"])
    return lock.sealed(key, nonce.encode(), plain, hashlib.sha256)


def answer(device: UnitUnderTest, request: bytes) -> dict[str, object]:
    """Send a request as it is, and return its answer."""
    device.write(b"\x1e" + request + b"\n")
    number = json.loads(request)["id"]
    while True:
        for message in device.console._receive():
            if message.get("id") == number:
                return dict(message)


def test_what_changes_a_device_takes_its_key_and_each_answer_once(running: UnitUnderTest) -> None:
    assert running.info()["locked"] is True
    plain = b'{"id":900,"cmd":"config","set":{"cancel_s":29}}'
    before = running.console.request("config")
    assert answer(running, plain)["error"] == "locked"
    nonce = running.console.request("challenge")["nonce"]
    good = sealed(running.sandbox.home, running, plain, nonce)
    assert answer(running, good[:-3] + b'x"}')["error"] == "locked"
    assert answer(running, good)["error"] == "locked", "a challenge is answered once, rightly or wrongly"
    good = sealed(running.sandbox.home, running, plain, running.console.request("challenge")["nonce"])
    assert answer(running, good.replace(b":29}", b":28}"))["error"] == "locked"
    good = sealed(running.sandbox.home, running, plain, running.console.request("challenge")["nonce"])
    assert answer(running, good)["ok"] is True
    assert answer(running, good)["error"] == "locked", "an answer that was recorded"
    running.configure(cancel_s=30)
    assert running.console.request("config") == before
    assert running.console.request("trigger")["seq"] >= 0, "a test alarm needs no key"


def test_another_fleets_key_is_refused_and_the_technician_is_told(running: UnitUnderTest, tmp_path: Path) -> None:
    stranger = Home(tmp_path)
    (stranger.keys / console_key.FILE).write_bytes(console_key.new())
    (stranger.keys / console_key.FILE).chmod(0o600)
    with pytest.raises(DeviceError, match="another console.key"):
        console_key.change(running.console, stranger, "config", {"set": {"cancel_s": 1}})
    assert running.console.request("config")["cancel_s"] == 30
