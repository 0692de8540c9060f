"""Places of manifests: each is one device's, a device has one, and what is done by force is found."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url, old_database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansim.errors import BadInput
from ansim.ledger_check import LedgerBroken
from ansim.manifest import Manifest, Order
from ansim.manifest_rows import ManifestFull
from ansim.nats_jwt import PublicPart
from ansim.registry import DeviceInService, DeviceRetired, Identity, Registry

NORTH = Order(2, "north", "hub", household="N-17")
BOX = Manifest("box", (NORTH, Order(3, "south", "pendant", count=2)))
OTHER = Manifest("other", (Order(2, "east", count=3),))
CREDENTIAL = PublicPart("UABC", "XYZ", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return database_url(request.param, tmp_path)


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened:
        yield opened
        opened.verify()


def assign(registry: Registry, number: int, manifest: Manifest = BOX) -> Identity:
    return registry.assign(f"24:6f:28:00:00:{number:02x}", manifest, board="virtual", role="pendant")


def finish(registry: Registry, device: str) -> None:
    registry.issue(device, CREDENTIAL)
    registry.record(device, "flash", "passed", {}, CREDENTIAL)


def places(registry: Registry) -> dict[str, tuple[str, int]]:
    return {each.device: (each.manifest, each.place) for each in registry.devices()}


def test_each_board_gets_the_next_place_and_what_is_ordered_there(registry: Registry) -> None:
    first, second = assign(registry, 1), assign(registry, 2)
    assert (first.place, first.site, first.role, first.household) == (1, "north", "hub", "N-17")
    assert (second.place, second.site, second.role, second.household) == (2, "south", "pendant", "")
    assert [(entry.device, entry.action) for entry in registry.history()] == [
        (first.device, "enroll"),
        (first.device, "assign"),
        (second.device, "enroll"),
        (second.device, "assign"),
    ]
    assert registry.history(second.device)[-1].details == {
        "manifest": ["", "box"],
        "place": [0, 2],
        "digest": BOX.digest,
    }


def test_a_board_that_comes_again_has_the_place_it_had(registry: Registry) -> None:
    first = assign(registry, 1)
    assign(registry, 2)
    assert assign(registry, 1) == first
    finish(registry, first.device)
    assert assign(registry, 1).place == 1
    assert [entry.action for entry in registry.history(first.device)].count("assign") == 1


def test_a_full_manifest_takes_no_more_boards_and_still_its_own(registry: Registry) -> None:
    for number in (1, 2, 3):
        assign(registry, number)
    with pytest.raises(ManifestFull, match="manifest box is full: devices have all of its 3 places"):
        assign(registry, 4)
    assert len(registry.devices()) == 3
    assert assign(registry, 2).place == 2


def test_a_retired_device_frees_its_place_for_the_next_board(registry: Registry) -> None:
    broken, second = assign(registry, 1).device, assign(registry, 2).device
    registry.retire(broken, "dead on arrival")
    with pytest.raises(DeviceRetired):
        assign(registry, 1)
    third = assign(registry, 3)
    assert (third.place, third.household) == (1, "N-17")
    assert registry.reinstate(broken, "it works").place == 0
    assert assign(registry, 1).place == 3
    assert places(registry) == {broken: ("box", 3), second: ("box", 2), third.device: ("box", 1)}


def test_a_retired_device_that_is_taken_back_has_its_place_if_nobody_else_has(registry: Registry) -> None:
    device = assign(registry, 1).device
    registry.retire(device, "lost")
    assert registry.reinstate(device, "found").place == 1
    assert assign(registry, 2).place == 2


def test_the_device_that_replaces_another_has_its_place_of_the_manifest(registry: Registry) -> None:
    old, new = assign(registry, 1).device, assign(registry, 2).device
    registry.replace(old, new, "worn out")
    assert places(registry) == {old: ("", 0), new: ("box", 1)}
    assert assign(registry, 3).place == 2


def test_a_device_that_was_retired_first_still_hands_its_place_on(registry: Registry) -> None:
    old, new = assign(registry, 1).device, assign(registry, 9, OTHER).device
    registry.retire(old, "lost")
    registry.replace(old, new, "lost")
    assert places(registry) == {old: ("", 0), new: ("box", 1)}


def test_a_place_that_another_device_took_is_not_handed_on(registry: Registry) -> None:
    old, new = assign(registry, 1).device, assign(registry, 9, OTHER).device
    registry.retire(old, "lost")
    taker = assign(registry, 2).device
    registry.replace(old, new, "lost")
    assert places(registry) == {old: ("", 0), new: ("other", 1), taker: ("box", 1)}


def test_an_unfinished_board_moves_to_another_manifest_and_a_finished_one_stays(registry: Registry) -> None:
    moved = assign(registry, 1)
    assert assign(registry, 1, OTHER).household == ""
    assert places(registry) == {moved.device: ("other", 1)}
    finish(registry, moved.device)
    with pytest.raises(DeviceInService, match=r"is ready for place 1 of manifest other, site east") as caught:
        assign(registry, 1)
    assert f"ansim registry retire {moved.device}" in caught.value.hint
    assert places(registry) == {moved.device: ("other", 1)}
    registry.retire(moved.device, "wrong box")
    registry.reinstate(moved.device, "wrong box")
    assert assign(registry, 1).manifest == "box"


def test_a_device_that_is_in_a_home_is_not_taken_away_by_a_manifest(registry: Registry) -> None:
    mac = "24:6f:28:00:00:01"
    device = registry.enroll(mac, board="virtual", site="city", role="hub", household="C-3").device
    finish(registry, device)
    with pytest.raises(DeviceInService, match=r"is ready for household C-3, site city"):
        assign(registry, 1)
    registry.enroll(mac, board="virtual", site="city", role="hub", household="N-17")
    assert assign(registry, 1).place == 1


def test_what_an_order_leaves_open_a_known_device_keeps_and_a_new_one_has_of_the_fleet(registry: Registry) -> None:
    registry.enroll("24:6f:28:00:00:01", board="b", site="city", role="hub")
    assert [assign(registry, number, OTHER).role for number in (1, 2)] == ["hub", "pendant"]


def test_a_manifest_goes_on_as_it_was_begun_and_not_with_other_orders(registry: Registry) -> None:
    for _ in range(2):
        registry.begin(BOX)
    registry.begin(Manifest("box", tuple(Order(order.line + 5, *order.content) for order in BOX.orders)))
    changed = Manifest("box", BOX.orders[:1])
    for refused in (lambda: registry.begin(changed), lambda: assign(registry, 1, changed)):
        with pytest.raises(BadInput, match="manifest box was begun with other orders") as caught:
            refused()
        assert "a name of their own" in caught.value.hint
    assert registry.devices() == []
    assert registry.manifests() == ["box"]


def test_how_far_a_manifest_is_can_be_asked(registry: Registry) -> None:
    registry.begin(OTHER)
    finish(registry, assign(registry, 1).device)
    assign(registry, 2)
    retired = assign(registry, 3).device
    registry.retire(retired, "dead")
    assert registry.progress("box") == [(NORTH, 1, 1), (BOX.orders[1], 1, 0)]
    assert registry.progress("other") == [(OTHER.orders[0], 0, 0)]
    with pytest.raises(BadInput, match="no manifest 'box2'"):
        registry.progress("box2")


def test_a_second_replacement_after_an_undo_takes_no_household_away(registry: Registry) -> None:
    old, new = assign(registry, 1).device, assign(registry, 2).device
    registry.replace(old, new, "worn out")
    registry.reinstate(old, "by mistake")
    assert registry.replace(old, new, "worn out after all").household == "N-17"


STEPS = st.lists(
    st.tuples(st.sampled_from(["box", "other", "finish", "retire", "undo", "replace"]), st.integers(1, 6)),
    max_size=30,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_done_in_whatever_order_no_place_is_had_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    url = database_url("sqlite", tmp_path_factory.mktemp("fleet"))
    with Registry.open(url) as registry:
        for what, number in steps:
            try:
                _do(registry, what, number)
            except BadInput:
                continue
        in_service = [each for each in registry.devices() if each.place and each.state != "retired"]
        taken = [(each.manifest, each.place) for each in in_service]
        assert len(set(taken)) == len(taken)
        registry.verify()


def _do(registry: Registry, what: str, number: int) -> None:
    device = f"AN{number:06d}"
    if what in ("box", "other"):
        assign(registry, number, BOX if what == "box" else OTHER)
    elif what == "finish":
        finish(registry, device)
    elif what == "retire":
        registry.retire(device, "broken")
    elif what == "undo":
        registry.reinstate(device, "works")
    else:
        registry.replace(device, f"AN{number % 6 + 1:06d}", "broken")


def by_force(url: str, sql: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(sql)
    engine.dispose()


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("UPDATE devices SET place = 3 WHERE number = 2", "AN000002 has place '3', but '2' by the ledger"),
        ("UPDATE devices SET manifest = '', place = 0 WHERE number = 1", "AN000001 has manifest '', but 'box' by"),
        ("UPDATE manifest_orders SET site = 'west' WHERE number = 2", "the orders of manifest box are not those"),
        ("UPDATE manifest_orders SET count = 9 WHERE number = 2", "the orders of manifest box are not those"),
        ("DELETE FROM manifest_orders", "the orders of manifest box are not those"),
        (f"UPDATE manifests SET digest = '{'a' * 64}'", "the orders of manifest box are not those"),
    ],
)
def test_a_place_that_was_changed_by_force_is_found(url: str, sql: str, told: str) -> None:
    with Registry.open(url) as registry:
        assign(registry, 1)
        assign(registry, 2)
        by_force(url, sql)
        with pytest.raises(LedgerBroken, match=told):
            registry.verify()


def test_a_manifest_that_was_rewritten_whole_is_found_by_the_ledger(url: str) -> None:
    with Registry.open(url) as registry:
        assign(registry, 1)
        larger = Manifest("box", (*BOX.orders, Order(4, "west", count=50)))
        by_force(url, "DELETE FROM manifest_orders")
        by_force(url, "DELETE FROM manifests")
        registry.begin(larger)
        with pytest.raises(LedgerBroken, match="the orders of manifest box are not those that it was begun with"):
            registry.verify()
        by_force(url, "DELETE FROM manifest_orders")
        by_force(url, "DELETE FROM manifests")
        with pytest.raises(LedgerBroken, match="AN000001 has place 1 of manifest box, which has none"):
            registry.verify()


def test_the_database_itself_gives_no_place_twice(url: str) -> None:
    with Registry.open(url) as registry:
        assign(registry, 1)
        assign(registry, 2)
        with pytest.raises(sa.exc.IntegrityError):
            by_force(url, "UPDATE devices SET place = 1 WHERE number = 2")


def test_a_ledger_that_tells_of_a_place_twice_is_told(url: str) -> None:
    with Registry.open(url) as registry:
        device = assign(registry, 1).device
        registry.enroll("24:6f:28:00:00:07", board="b", site="s", role="hub")
        registry.record("AN000002", "assign", "done", {"manifest": ["", "box"], "place": [0, 1]})
        with pytest.raises(LedgerBroken, match=f"gives place 1 of manifest box to AN000002; {device} has it"):
            registry.verify()


def test_a_registry_of_an_older_version_gets_places(url: str) -> None:
    old_database(url, "0004")
    with Registry.open(url) as registry:
        assert assign(registry, 1).place == 1
        registry.verify()
