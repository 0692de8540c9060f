"""fleet.toml, the Wi-Fi list, and ``ansim init`` that writes both."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ansim.errors import BadInput, ServiceError
from ansim.fleet import Fleet, WifiNetwork, parse_address
from ansim.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.keys.touch()
    return made


def write(home: Home, text: str) -> None:
    home.fleet_file.write_text(text, encoding="utf-8")


def init(home: Home, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", "from ansim.cli import main; main()", "init", *arguments],
        env={**os.environ, "ANSIM_HOME": str(home.path), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_saved_is_loaded_again(home: Home) -> None:
    fleet = Fleet(
        site="city-7",
        host="alarm.example.org",
        port=18883,
        client_port=14222,
        heartbeat_min=15,
        fall=2,
        role="hub",
        wifi=(WifiNetwork('my "home" \U0001f3e0', "geheim \\ geheim"), WifiNetwork("open", "")),
    )
    fleet.save(home)
    fleet.save_wifi(home)
    assert Fleet.load(home) == fleet


def test_a_site_is_enough(home: Home) -> None:
    write(home, 'site = "home"\n')
    assert Fleet.load(home) == Fleet(site="home", host="localhost", port=8883, client_port=4222, heartbeat_min=60)


def test_passphrases_are_kept_apart_and_from_others(home: Home) -> None:
    fleet = Fleet(site="home", wifi=(WifiNetwork("net", "geheimgeheim"),))
    fleet.save(home)
    fleet.save_wifi(home)
    assert "geheim" not in home.fleet_file.read_text()
    assert stat.S_IMODE((home.keys / "wifi.json").stat().st_mode) == 0o600
    assert "geheim" not in repr(fleet)
    (home.keys / "wifi.json").chmod(0o644)
    with pytest.raises(ServiceError, match="can be read or changed by others"):
        Fleet.load(home)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('site = "home"\nheartbeat_mins = 5', r"unknown key 'heartbeat_mins', did you mean 'heartbeat_min'\?"),
        ('site = "home"\n[broker]\nhots = "x"', r"unknown key 'broker.hots', did you mean 'host'\?"),
        ('site = "home"\n[brokers]\nhost = "x"', r"unknown key 'brokers', did you mean 'broker'\?"),
        ('site = "home"\nrole = "pendent"', r"role 'pendent' is not known, did you mean 'pendant'\?"),
        ("role = 'hub'", "site is missing"),
        ("site = 7", "site is missing, or is no text"),
        ('site = "a.b"', "site 'a.b' is not legal"),
        ('site = "home"\nheartbeat_min = 0', "heartbeat_min must be 1 to 1440"),
        ('site = "home"\nheartbeat_min = "60"', "heartbeat_min must be 1 to 1440"),
        ('site = "home"\nheartbeat_min = true', "heartbeat_min must be 1 to 1440"),
        ('site = "home"\nrole = 3', "role '3' is not known"),
        ('site = "home"\nbroker = "x"', "broker must be a table"),
        ('site = "home"\n[broker]\nport = 70000', "broker port 70000 is not legal"),
        ('site = "home"\n[broker]\nclient_port = "x"', "broker client_port x is not legal"),
        ('site = "home"\n[broker]\nhost = "a b"', "broker host 'a b' is not legal"),
        ('site = "home"\n[broker]\nhost = "-"', "broker host '-' is not legal"),
        ("site = ", "can't read"),
    ],
)
def test_a_mistake_is_named_with_the_file(home: Home, text: str, message: str) -> None:
    write(home, text)
    with pytest.raises(BadInput, match=message) as caught:
        Fleet.load(home)
    assert "fleet.toml" in caught.value.message


def test_bytes_that_are_no_text_are_named(home: Home) -> None:
    home.fleet_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="can't read"):
        Fleet.load(home)


def test_without_a_file_a_person_is_told_how_to_make_it(home: Home) -> None:
    with pytest.raises(BadInput, match="does not exist") as caught:
        Fleet.load(home)
    assert "ansim init" in caught.value.hint


@pytest.mark.parametrize("rubbish", ["{", "[1]", '[{"ssid": "x"}]', "null"])
def test_a_damaged_wifi_list_is_named(home: Home, rubbish: str) -> None:
    Fleet(site="home").save(home)
    (home.keys / "wifi.json").write_text(rubbish)
    (home.keys / "wifi.json").chmod(0o600)
    with pytest.raises(ServiceError, match=r"wifi.json is damaged"):
        Fleet.load(home)


@pytest.mark.parametrize(
    "network",
    [("", "geheimgeheim"), ("x" * 33, "geheimgeheim"), ("net", "geheim7"), ("net", "g" * 65), ("net", "geheim\n12")],
)
def test_an_illegal_network_is_refused_without_showing_its_passphrase(network: tuple[str, str]) -> None:
    with pytest.raises(BadInput) as caught:
        Fleet(site="home", wifi=(WifiNetwork(*network),))
    assert "geheim" not in caught.value.message + caught.value.hint


def test_the_network_added_last_is_tried_first_and_replaces_its_older_self() -> None:
    fleet = Fleet(site="home", wifi=(WifiNetwork("a", "11111111"), WifiNetwork("b", "22222222")))
    changed = fleet.with_network(WifiNetwork("b", "33333333"))
    assert [(each.ssid, each.passphrase) for each in changed.wifi] == [("b", "33333333"), ("a", "11111111")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", ("localhost", 8883)),
        ("alarm.example.org:443", ("alarm.example.org", 443)),
        ("192.168.1.7:0", ("192.168.1.7", 0)),
    ],
)
def test_a_broker_address_has_a_host_and_perhaps_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":1", "host:", "host:x", "host:99999", "a b:1", "host:1:2", "-x"])
def test_what_is_no_broker_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_address(text)


def test_init_makes_a_fleet_and_a_second_time_keeps_it(home: Home) -> None:
    first = init(home, "--yes", "--site", "city", "--broker", "localhost:0")
    assert first.returncode == 0, first.stderr
    keys = {file.name: file.read_bytes() for file in home.keys.iterdir()}
    second = init(home, "--json")
    assert second.returncode == 0, second.stderr
    said = json.loads(second.stdout)
    assert (said["ok"], said["site"], said["made"]) == (True, "city", [])
    assert {file.name: file.read_bytes() for file in home.keys.iterdir()} == keys
    assert Fleet.load(home) == Fleet(site="city", port=0)


def test_init_takes_the_passphrase_from_the_environment_and_shows_it_nowhere(home: Home) -> None:
    said = init(home, "--yes", "--wifi-ssid", "net", ANSIM_WIFI_PASSPHRASE="geheimgeheim")
    assert said.returncode == 0, said.stderr
    assert "geheim" not in said.stdout + said.stderr
    assert Fleet.load(home).wifi == (WifiNetwork("net", "geheimgeheim"),)


def test_init_refuses_a_passphrase_of_illegal_length_and_changes_nothing(home: Home) -> None:
    said = init(home, "--yes", "--wifi-ssid", "net", ANSIM_WIFI_PASSPHRASE="geheim7")
    assert said.returncode == 2
    assert "it has 7 characters" in said.stderr and "geheim" not in said.stdout + said.stderr
    assert list(home.keys.iterdir()) == []
    assert not home.fleet_file.exists()
