"""A manifest on its way into devices: who gets which Wi-Fi, and what is asked before anything starts."""

import io
import pickle
import sys

import pytest

from ansim import credentials
from ansim.boards import load_board
from ansim.errors import BadInput
from ansim.fleet import MAX_NETWORKS, Fleet, WifiNetwork
from ansim.home import Home
from ansim.manifest import Manifest, Order
from ansim.passphrase import WIFI_VARIABLE
from ansim.provisioning import Provisioner, Wishes, manifest_networks
from ansim.registry import Registry

HOME_SECRET, CENTER_SECRET = "correct horse battery", "staple station wagon"
CENTER = WifiNetwork("Center", CENTER_SECRET)
BOX = Manifest("box", (Order(2, "north", "hub", wifi="Center"), Order(3, "south"), Order(4, "south", wifi="home")))


@pytest.fixture
def fleet(home: Home) -> Fleet:
    made = Fleet("city", wifi=(WifiNetwork("office", "office secret"), WifiNetwork("home", HOME_SECRET)))
    home.path.mkdir(mode=0o700)
    made.save(home)
    made.save_wifi(home)
    credentials.make(home, made.host)
    return made


def provisioner(home: Home, wishes: Wishes) -> Provisioner:
    return Provisioner(home, load_board("virtual"), wishes)


def flash_content(opened: Provisioner, number: int) -> bytes:
    ((_, image),) = opened.part(f"24:6f:28:00:00:{number:02x}").segments
    return image


def test_a_device_joins_the_network_of_its_place_first_and_then_the_fleets(home: Home, fleet: Fleet) -> None:
    office, at_home = '["office","office secret"]', f'["home","{HOME_SECRET}"]'
    with provisioner(home, Wishes(manifest=BOX, networks={"Center": CENTER})) as opened:
        for number, networks in enumerate(
            (f'[["Center","{CENTER_SECRET}"],{office},{at_home}]', f"[{office},{at_home}]", f"[{at_home},{office}]"), 1
        ):
            assert networks.encode() in flash_content(opened, number)
    with Registry.open(home.database_url) as registry:
        assert [(each.site, each.role) for each in registry.devices()] == [
            ("north", "hub"),
            ("south", fleet.role),
            ("south", fleet.role),
        ]
        assert CENTER_SECRET not in repr(registry.history()) + repr(registry.progress("box"))


def test_what_is_wished_goes_to_other_processes_and_shows_no_passphrase() -> None:
    wishes = Wishes(manifest=BOX, networks={"Center": CENTER})
    assert CENTER_SECRET not in repr(wishes)
    assert pickle.loads(pickle.dumps(wishes)) == wishes


def test_a_network_without_a_passphrase_is_told_before_a_port_is_opened(home: Home, fleet: Fleet) -> None:
    del fleet
    with pytest.raises(BadInput, match="names the Wi-Fi 'Center', and nobody was asked") as caught:
        provisioner(home, Wishes(manifest=BOX))
    assert "ansim init --wifi-ssid 'Center'" in caught.value.hint


def test_a_network_more_than_a_device_takes_is_told_before_a_port_is_opened(home: Home, fleet: Fleet) -> None:
    Fleet("city", wifi=tuple(WifiNetwork(f"net {number}", "") for number in range(MAX_NETWORKS))).save_wifi(home)
    del fleet
    with pytest.raises(BadInput, match=f"{MAX_NETWORKS + 1} Wi-Fi networks"):
        provisioner(home, Wishes(manifest=BOX, networks={"Center": CENTER, "home": WifiNetwork("home", "")}))


def test_a_manifest_with_other_orders_is_told_before_a_port_is_opened(home: Home, fleet: Fleet) -> None:
    del fleet
    known = {"Center": CENTER}
    provisioner(home, Wishes(manifest=BOX, networks=known)).__exit__()
    with pytest.raises(BadInput, match="manifest box was begun with other orders"):
        provisioner(home, Wishes(manifest=Manifest("box", BOX.orders[:2]), networks=known))


def test_where_every_place_has_a_network_the_fleet_needs_none(home: Home, fleet: Fleet) -> None:
    Fleet(fleet.site).save_wifi(home)
    centers = Manifest("centers", BOX.orders[:1])
    with provisioner(home, Wishes(manifest=centers, networks={"Center": CENTER})) as opened:
        assert f'[["Center","{CENTER_SECRET}"]]'.encode() in flash_content(opened, 1)
    with pytest.raises(BadInput, match="the device would have no Wi-Fi network"):
        provisioner(home, Wishes(manifest=Manifest("mixed", BOX.orders[:2]), networks={"Center": CENTER}))


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.delenv(WIFI_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


TWO = Manifest("two", (*BOX.orders, Order(5, "east", wifi="Annex"), Order(6, "east", wifi="Center")))


def test_only_networks_that_the_fleet_does_not_know_are_asked_for_and_each_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, f"{CENTER_SECRET}\nannex secret\n")
    assert manifest_networks(TWO, fleet) == {"Center": CENTER, "Annex": WifiNetwork("Annex", "annex secret")}
    typed(monkeypatch, f"{CENTER_SECRET}\n")
    with pytest.raises(BadInput, match="there is no passphrase for Wi-Fi 'Annex'"):
        manifest_networks(TWO, fleet)
    typed(monkeypatch, "")
    assert manifest_networks(Manifest("known", BOX.orders[1:]), fleet) == {}


def test_one_passphrase_in_the_environment_is_for_one_network(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WIFI_VARIABLE, CENTER_SECRET)
    assert manifest_networks(BOX, fleet) == {"Center": CENTER}
    with pytest.raises(BadInput, match="one passphrase, and there are 2 Wi-Fi networks: Center, Annex") as caught:
        manifest_networks(TWO, fleet)
    assert CENTER_SECRET not in caught.value.message + caught.value.hint
