"""The registry: a MAC keeps its identity, no serial number and no generation is used twice."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url
from hypothesis import given
from hypothesis import strategies as st

from ansim.database import Database
from ansim.errors import BadInput, ServiceError
from ansim.event import Event
from ansim.event_store import EventStore
from ansim.nats_jwt import PublicPart
from ansim.registry import MAX_GENERATION, PLACE, DeviceRetired, Identity, Registry, normal_mac

MAC = "24:6f:28:00:00:01"
CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return database_url(request.param, tmp_path)


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


def test_generations_are_durable_and_end_with_a_clear_error(url: str) -> None:
    with Registry.open(url) as registry:
        device = enroll(registry).device
        assert [registry.issue(device, CREDENTIAL) for _ in range(3)] == [1, 2, 3]
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE devices SET generation = {MAX_GENERATION - 1}"))
    engine.dispose()
    with Registry.open(url) as registry:
        assert registry.issue(device, CREDENTIAL) == MAX_GENERATION
        with pytest.raises(ServiceError, match="event ids are used up"):
            registry.issue(device, CREDENTIAL)
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
    with pytest.raises(BadInput, match="no credential 'UABC' was issued to AN000001"):
        registry.record(device, "flash", "passed", holds=CREDENTIAL)
    registry.issue(device, CREDENTIAL)
    registry.record(device, "flash", "passed", holds=CREDENTIAL)
    with sa.create_engine(url).connect() as connection:
        row = connection.execute(sa.text("SELECT credential_key, credential_jti FROM devices")).one()
    assert tuple(row) == ("UABC", "XYZ")


def test_an_unknown_device_is_bad_input_everywhere(registry: Registry) -> None:
    for action in (
        lambda: registry.get("AN000042"),
        lambda: registry.issue("AN000042", CREDENTIAL),
        lambda: registry.record("AN000042", "flash", "passed"),
        lambda: registry.retire("AN000042", "lost"),
        lambda: registry.reinstate("AN000042", "found"),
        lambda: registry.replace("AN000042", "AN000001", "lost"),
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


def test_a_known_device_keeps_its_place_where_nothing_else_is_asked_for(registry: Registry) -> None:
    registry.enroll(MAC, board="virtual", site="north", role="hub", household="N-17")
    kept = registry.enroll(MAC, board="virtual", site="city", role="pendant", keep=PLACE)
    assert (kept.site, kept.role, kept.household) == ("north", "hub", "N-17")
    moved = registry.enroll(MAC, board="virtual", site="south", role="pendant", keep=("role", "household"))
    assert (moved.site, moved.role, moved.household) == ("south", "hub", "N-17")


def test_a_device_is_ready_once_its_last_flash_or_provision_has_passed(registry: Registry) -> None:
    device = enroll(registry).device
    states = [registry.get(device).state]
    for step in (
        lambda: registry.issue(device, CREDENTIAL),
        lambda: registry.record(device, "flash", "failed"),
        lambda: registry.record(device, "flash", "passed"),
        lambda: registry.issue(device, CREDENTIAL),
        lambda: registry.record(device, "provision", "passed"),
    ):
        step()
        states.append(registry.get(device).state)
    assert states == ["unfinished", "unfinished", "unfinished", "ready", "unfinished", "ready"]


def test_devices_are_found_by_site_role_state_and_household(registry: Registry) -> None:
    first = registry.enroll(mac_number(1), board="b", site="north", role="hub", household="N-17").device
    second = registry.enroll(mac_number(2), board="b", site="north", role="pendant").device
    registry.record(second, "flash", "passed")
    for only, expected in (
        ({"site": "north"}, [first, second]),
        ({"site": "north", "role": "hub"}, [first]),
        ({"state": "ready"}, [second]),
        ({"household": "N-17", "state": None}, [first]),
        ({"site": "south"}, []),
    ):
        assert [each.device for each in registry.devices(**only)] == expected


def test_a_retired_device_is_not_enrolled_again_until_a_person_takes_it_back(registry: Registry) -> None:
    device = enroll(registry).device
    registry.record(device, "flash", "passed")
    assert registry.retire(device, "dropped into water").state == "retired"
    for refused in (lambda: enroll(registry), lambda: registry.issue(device, CREDENTIAL)):
        with pytest.raises(DeviceRetired, match=rf"{device} \({MAC}\) was retired on \d{{4}}-") as caught:
            refused()
        assert f"ansim registry retire {device} --undo" in caught.value.hint
    registry.record(device, "flash", "passed")
    assert registry.get(device).state == "retired"
    assert registry.reinstate(device, "found to be dry").state == "unfinished"
    assert enroll(registry).device == device
    assert registry.history(device)[-1].details == {"state": ["retired", "unfinished"], "reason": "found to be dry"}


def test_retiring_twice_is_the_same_as_once(registry: Registry) -> None:
    device = enroll(registry).device
    registry.retire(device, "lost")
    registry.retire(device, "lost again")
    assert [entry.action for entry in registry.history(device)] == ["enroll", "retire"]
    registry.reinstate(device, "found")
    registry.reinstate(device, "found again")
    assert [entry.action for entry in registry.history(device)] == ["enroll", "retire", "reinstate"]


def test_a_new_device_takes_the_place_of_an_old_one(registry: Registry) -> None:
    old = registry.enroll(mac_number(1), board="b", site="north", role="hub", household="N-17").device
    new = registry.enroll(mac_number(2), board="b", site="city", role="pendant").device
    registry.record(new, "flash", "passed")
    for _ in range(2):
        took = registry.replace(old, new, "cell worn out")
        assert (took.site, took.role, took.household, took.state) == ("north", "hub", "N-17", "unfinished")
    gone = registry.get(old)
    assert (gone.state, gone.household, gone.replaced_by) == ("retired", "", new)
    assert [entry.action for entry in registry.history()] == ["enroll", "enroll", "flash", "retire", "replace"]
    assert registry.history(new)[-1].details["replaces"] == old
    registry.verify()


def test_a_device_with_the_same_site_and_role_is_ready_in_its_new_place(registry: Registry) -> None:
    old = registry.enroll(mac_number(1), board="b", site="city", role="pendant", household="N-17").device
    new = enroll(registry, mac_number(2)).device
    registry.record(new, "flash", "passed")
    registry.retire(old, "lost")
    assert registry.replace(old, new, "lost").state == "ready"
    assert registry.get(new).household == "N-17"
    registry.verify()


def test_no_two_devices_have_the_place_of_one(registry: Registry) -> None:
    old, new, other = (enroll(registry, mac_number(number)).device for number in (1, 2, 3))
    registry.replace(old, new, "lost")
    with pytest.raises(BadInput, match=f"{old} was replaced by {new}") as caught:
        registry.replace(old, other, "lost")
    assert f"ansim registry replace {new} {other}" in caught.value.hint
    with pytest.raises(BadInput, match="can't replace itself"):
        registry.replace(new, new, "lost")
    with pytest.raises(DeviceRetired, match=f"{old}.*replaced by {new}"):
        registry.replace(other, old, "lost")
    assert registry.get(other).state == "unfinished"


@pytest.mark.parametrize("reason", ["", "x" * 201, "a\nb"])
def test_a_reason_that_is_none_is_refused(registry: Registry, reason: str) -> None:
    device = enroll(registry).device
    with pytest.raises(BadInput, match="reason"):
        registry.retire(device, reason)
    assert registry.get(device).state == "unfinished"


@pytest.mark.parametrize("household", ["=1+2", "x" * 65, "a\x1b[2J", " N-17", "-"])
def test_a_household_that_is_none_is_refused(registry: Registry, household: str) -> None:
    with pytest.raises(BadInput, match="household"):
        registry.enroll(MAC, board="b", site="s", role="hub", household=household)
    assert registry.devices() == []


def test_the_silence_of_a_retired_device_is_no_fault(url: str) -> None:
    database = Database.open(url)
    registry, store = Registry(database), EventStore(database)
    devices = [enroll(registry, mac_number(number)).device for number in (1, 2, 3)]
    store.store([heartbeat(device) for device in devices])
    store.note_silent({devices[0]: 1})
    registry.retire(devices[0], "lost")
    registry.retire(devices[1], "lost")
    store.note_silent(dict.fromkeys(devices, 1))
    assert [(fault.device, fault.kind) for fault in store.faults(open_only=True)] == [(devices[2], "silent")]
    assert [fault.closed_by for fault in store.faults() if fault.device == devices[0]] == ["registry"]
    database.close()


def heartbeat(device: str) -> Event:
    return Event(
        device=device,
        boot=1,
        seq=1,
        site="city",
        type="heartbeat",
        kind="",
        of=None,
        occurred_at=None,
        received_at=datetime(2026, 1, 2, tzinfo=UTC),
        attempt=1,
        data=None,
    )


@given(st.integers(1, 2**48 - 1).filter(lambda number: not number >> 40 & 1))
def test_a_normal_mac_stays_as_it_is(number: int) -> None:
    mac = normal_mac(f"{number:012X}")
    assert normal_mac(mac) == mac
    assert int(mac.replace(":", ""), 16) == number
