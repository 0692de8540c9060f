"""The registry: a MAC keeps its identity, no serial number and no generation is used twice."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ansim.errors import BadInput, ServiceError
from ansim.registry import MAX_GENERATION, Identity, Registry, normal_mac

MAC = "24:6f:28:00:00:01"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ansim.db'}"


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened:
        yield opened


def enroll(registry: Registry, mac: str = MAC, site: str = "city", role: str = "pendant") -> Identity:
    return registry.enroll(mac, board="virtual", site=site, role=role)


def mac_number(number: int) -> str:
    return normal_mac(f"{0x246F28000000 + number:012x}")


def test_the_first_device_gets_the_first_serial_number(registry: Registry) -> None:
    assert enroll(registry) == Identity("AN000001", MAC, "virtual", "city", "pendant", 0)


def test_a_device_keeps_its_identity_however_its_mac_is_written(registry: Registry) -> None:
    first = enroll(registry)
    enroll(registry, mac_number(7))
    for written in ("24-6F-28-00-00-01", "246f.2800.0001", " 246F28000001 "):
        assert enroll(registry, written) == first
    assert len(registry.devices()) == 2


def test_a_device_that_moves_keeps_its_name_and_the_move_is_in_its_history(registry: Registry) -> None:
    device = enroll(registry).device
    moved = enroll(registry, site="harbour", role="hub")
    assert (moved.device, moved.site, moved.role) == (device, "harbour", "hub")
    assert registry.get(device) == moved
    assert registry.history(device)[-1].details == {"site": ["city", "harbour"], "role": ["pendant", "hub"]}


def test_stations_that_enroll_at_once_never_share_a_serial_number(url: str) -> None:
    code = (
        "import json, sys; from ansim.registry import Registry\n"
        "registry = Registry.open(sys.argv[1])\n"
        "for number in json.loads(sys.argv[2]):\n"
        "    print(registry.enroll(f'246f28{number:06x}', board='b', site='s', role='hub').device)\n"
        "    print(registry.next_generation('AN000001'))\n"
    )
    # The first ten MACs are common to all, the others are each station's own.
    macs = [list(range(10)) + list(range(100 * station, 100 * station + 10)) for station in (1, 2, 3)]
    stations = [
        subprocess.Popen([sys.executable, "-c", code, url, json.dumps(each)], stdout=subprocess.PIPE, text=True)
        for each in macs
    ]
    lines = [station.communicate(timeout=60)[0].split() for station in stations]
    names = [dict(zip(each, found[::2], strict=True)) for each, found in zip(macs, lines, strict=True)]
    assert names[0].items() & names[1].items() & names[2].items() == {
        (number, names[0][number]) for number in range(10)
    }
    assert len({name for each in names for name in each.values()}) == 40
    generations = sorted(int(number) for found in lines for number in found[1::2])
    assert generations == list(range(1, 61))


def test_generations_are_durable_and_end_with_a_clear_error(url: str) -> None:
    with Registry.open(url) as registry:
        device = enroll(registry).device
        assert [registry.next_generation(device) for _ in range(3)] == [1, 2, 3]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE devices SET generation = {MAX_GENERATION - 1}"))
    engine.dispose()
    with Registry.open(url) as registry:
        assert registry.next_generation(device) == MAX_GENERATION
        with pytest.raises(ServiceError, match="event ids are used up"):
            registry.next_generation(device)
        assert registry.get(device).generation == MAX_GENERATION


def test_history_keeps_every_flash_in_order(registry: Registry) -> None:
    device = enroll(registry).device
    registry.record(device, "flash", "passed", {"bytes": 1_161_943})
    registry.record(device, "provision", "failed", {"error": "unplugged"})
    found = [(entry.action, entry.result) for entry in registry.history(device)]
    assert found == [("enroll", "done"), ("flash", "passed"), ("provision", "failed")]
    assert registry.history(device)[1].details == {"bytes": 1_161_943}
    assert registry.history("AN000099") == []


def test_only_the_credentials_public_part_is_noted(registry: Registry, url: str) -> None:
    device = enroll(registry).device
    registry.set_credential(device, key="UABC", jti="XYZ", issued_at=datetime(2026, 1, 2, tzinfo=UTC))
    with sa.create_engine(url).connect() as connection:
        row = connection.execute(sa.text("SELECT credential_key, credential_jti FROM devices")).one()
    assert tuple(row) == ("UABC", "XYZ")


def test_an_unknown_device_is_bad_input_everywhere(registry: Registry) -> None:
    for action in (
        lambda: registry.get("AN000042"),
        lambda: registry.next_generation("AN000042"),
        lambda: registry.record("AN000042", "flash", "passed"),
        lambda: registry.set_credential("AN000042", key="U", jti="J", issued_at=datetime.now(UTC)),
    ):
        with pytest.raises(BadInput, match="no device 'AN000042'"):
            action()


@pytest.mark.parametrize("mac", ["", "24:6f:28:00:00", "24:6f:28:00:00:0g", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"])
def test_what_is_no_mac_is_refused(registry: Registry, mac: str) -> None:
    with pytest.raises(BadInput, match="MAC address"):
        enroll(registry, mac)


@pytest.mark.parametrize("site", ["", "a.b", "a b", "a/b", "x" * 25, "stadt\u00fc", "\u212aity"])
def test_a_site_that_could_not_stand_in_a_topic_is_refused(registry: Registry, site: str) -> None:
    with pytest.raises(BadInput, match="site"):
        enroll(registry, site=site)


def test_an_unknown_role_is_refused(registry: Registry) -> None:
    with pytest.raises(BadInput, match="It is one of: pendant, hub|role"):
        enroll(registry, role="toaster")


def test_the_command_lists_devices_and_shows_one(registry: Registry, url: str) -> None:
    device = enroll(registry).device
    registry.record(device, "flash", "passed", {"bytes": 7})

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        code = "from ansim.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, "registry", *arguments],
            env={**os.environ, "ANSIM_DB": url},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert json.loads(run("list", "--json").stdout)["mac"] == MAC
    assert device in run("list").stdout
    actions = [json.loads(line).get("action") for line in run("show", device, "--json").stdout.splitlines()]
    assert actions == [None, "enroll", "flash"]
    assert "passed" in run("show", device).stdout
    unknown = run("show", "AN000042")
    assert unknown.returncode == 2 and "no device 'AN000042'" in unknown.stderr


@given(st.integers(1, 2**48 - 1).filter(lambda number: not number >> 40 & 1))
def test_a_normal_mac_stays_as_it_is(number: int) -> None:
    mac = normal_mac(f"{number:012X}")
    assert normal_mac(mac) == mac
    assert int(mac.replace(":", ""), 16) == number
