"""``ansim keys``: signing keys come and go, and no device in the field is cut off unless a person says so."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mqtt_device import identity, make_home
from revocation_kit import Town, old_home, taken_away, town, watched

from ansim import key_files
from ansim.account import Account, short
from ansim.cli import main
from ansim.credentials import Authority, receiver_signer
from ansim.errors import BadInput, ServiceError
from ansim.home import Home
from ansim.nats_jwt import public_part
from ansim.registry import Registry
from ansim.signing import Signing


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


Run = Callable[..., Ended]


@pytest.fixture
def home(home: Home) -> Home:
    return make_home(home.path)


@pytest.fixture
def fleet(home: Home) -> Iterator[Town]:
    with town(home) as made:
        yield made


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def keys(*arguments: str) -> Ended:
        monkeypatch.setenv("ANSIM_HOME", str(home.path))
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            main(["keys", *arguments])
        said = capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return keys


def signer_of_next(home: Home) -> str:
    return public_part(Authority.load(home).device_token(identity())).signer


def test_a_new_key_signs_once_the_broker_goes_by_it_and_what_older_ones_signed_stays_valid(
    fleet: Town, run: Run
) -> None:
    device = fleet.enrol()
    before = signer_of_next(fleet.home)
    old = fleet.provision(device)
    made = fleet.signing.rotate()
    # No broker has looked yet: what it does not know must not be on any device.
    fleet.signing.adopt()
    assert not made.taken and signer_of_next(fleet.home) == before
    assert "waits for the broker" in run("list").stdout
    fleet.warden.check()
    new = fleet.issue(device)
    assert public_part(new).signer == made.public != before
    assert fleet.lets_in(device, new) and fleet.lets_in(device, old)
    first, second = run("list", "--json").json["keys"]
    assert (first["newest"], first["devices"]) == (False, [device])
    assert (second["newest"], second["taken"], second["here"], second["devices"]) == (True, True, True, [device])


def test_no_seed_and_no_token_is_shown_logged_or_in_the_registry(fleet: Town, run: Run) -> None:
    device = fleet.enrol()
    token = fleet.provision(device)
    with watched(fleet):
        said = [run("rotate", "--json"), run("list", "--json"), run("list")]
        fleet.registry.retire(device, "dropped into water")
        said.append(run("drop", short(public_part(token).signer)))
    shown = "".join(each.stdout + each.stderr for each in said) + fleet.broker.log_file.read_text()
    kept = b"".join(path.read_bytes() for path in fleet.home.path.glob("ansim.db*"))
    seeds = [path.read_text().strip() for path in fleet.home.keys.glob("*.nk")]
    assert len(seeds) == 6 and said[-1].returncode == 0
    for secret in (token, *seeds):
        assert secret not in shown and secret.encode() not in kept


def test_rotating_twice_before_a_broker_has_looked_is_refused(fleet: Town) -> None:
    fleet.signing.rotate()
    with pytest.raises(ServiceError, match="no broker has taken the last change of keys yet"):
        fleet.signing.rotate()
    assert len(list(fleet.home.keys.glob("signing-*.nk"))) == 2


def test_the_commands_wait_for_the_broker_and_say_what_is_next(fleet: Town, run: Run) -> None:
    (first,) = run("list", "--json").json["keys"]
    device = fleet.enrol()
    old = fleet.provision(device)
    with watched(fleet), fleet.connect(device, old) as connection:
        rotated = run("rotate", "--json").json
        assert rotated == {"ok": True, "key": rotated["key"], "taken": True, "receiver_renewed": True}
        assert short(receiver_signer(fleet.home)) == rotated["key"] != first["id"]
        refused = run("drop", first["id"])
        assert refused.returncode == 2
        assert f"1 devices hold tokens that {first['id']} signed: {device}" in refused.stderr
        new = fleet.provision(device)
        dropped = run("drop", first["id"], "--json").json
        assert dropped == {"ok": True, "key": first["id"], "taken": True, "cut_off": []}
        assert connection.receive() is None
    assert not fleet.lets_in(device, old) and fleet.lets_in(device, new)
    assert [each["id"] for each in run("list", "--json").json["keys"]] == [rotated["key"]]
    assert fleet.complaints == []


def test_a_stolen_key_is_dropped_at_once_and_the_devices_to_provision_again_are_named(fleet: Town, run: Run) -> None:
    device = fleet.enrol()
    old = fleet.provision(device)
    with watched(fleet):
        run("rotate")
        said = run("drop", short(public_part(old).signer), "--stolen")
    assert said.returncode == 0 and f"provision these again: {device}" in said.stdout
    assert not fleet.lets_in(device, old)
    new = fleet.provision(device)
    assert fleet.lets_in(device, new)


def test_a_device_that_may_hold_a_keys_token_keeps_the_key(fleet: Town) -> None:
    device = fleet.enrol()
    first = public_part(fleet.issue(device)).signer
    fleet.signing.rotate()
    fleet.warden.check()
    # A newer one was issued, too, but nobody has seen the device since.
    fleet.issue(device)
    with pytest.raises(BadInput, match=f"1 devices hold tokens that {short(first)} signed"):
        fleet.signing.drop(fleet.signing.named(first), stolen=False)
    fleet.registry.retire(device, "never came back")
    fleet.signing.renew_receiver()
    fleet.signing.drop(fleet.signing.named(first), stolen=False)


def test_receivers_are_not_cut_off_by_a_key_that_nobody_renewed_theirs_for(fleet: Town) -> None:
    first = signer_of_next(fleet.home)
    fleet.signing.rotate()
    fleet.warden.check()
    fleet.signing.adopt()
    with pytest.raises(BadInput, match="receivers that run now still use") as caught:
        fleet.signing.drop(fleet.signing.named(first), stolen=False)
    assert "restart those receivers" in caught.value.hint
    assert receiver_signer(fleet.home) == signer_of_next(fleet.home) != first
    with taken_away(fleet.home, "receiver.creds"), pytest.raises(BadInput, match="has no receiver.creds"):
        fleet.signing.drop(fleet.signing.named(first), stolen=False)
    fleet.signing.drop(fleet.signing.named(first), stolen=False)


def test_the_only_key_and_an_unknown_one_are_not_dropped(run: Run, home: Home) -> None:
    (only,) = run("list", "--json").json["keys"]
    refused = run("drop", only["id"])
    assert refused.returncode == 2 and "ansim keys rotate" in refused.stderr
    assert "names no key of this fleet" in run("drop", "AXXXXXXX").stderr
    assert signer_of_next(home) == only["public"]


def test_without_the_operators_key_a_person_is_told_to_bring_it(fleet: Town) -> None:
    with taken_away(fleet.home, "broker.nk"), pytest.raises(ServiceError, match="no key that may change") as caught:
        fleet.signing.rotate()
    # operator.nk is there, and is none that may.
    assert "Put broker.nk back" in caught.value.hint
    assert len(list(fleet.home.keys.glob("signing-*.nk"))) == 1


def test_two_stations_that_change_keys_at_once_lose_none(fleet: Town) -> None:
    operator = key_files.operator(fleet.home)
    signer = key_files.account_signer(fleet.home, operator)
    assert signer is not None
    book, noted = fleet.registry.credentials, fleet.registry.credentials.account()
    made = fleet.signing.rotate()
    other = Account.with_key(key_files.account(fleet.home, operator), "A" * 56)
    with pytest.raises(BadInput, match="another station has changed the fleet's keys just now"):
        book.change_account(other.token(signer), noted)
    fleet.warden.check()
    assert made.public in fleet.broker.account.signing


def test_a_station_without_the_newest_key_signs_with_the_one_it_has(fleet: Town) -> None:
    before = signer_of_next(fleet.home)
    made = fleet.signing.rotate()
    fleet.warden.check()
    with taken_away(fleet.home, key_files.signing_file(made.public)):
        fleet.signing.adopt()
        assert signer_of_next(fleet.home) == before


def test_a_dropped_key_signs_nothing_more_while_no_broker_has_looked(fleet: Town) -> None:
    before = signer_of_next(fleet.home)
    made = fleet.signing.rotate()
    fleet.warden.check()
    device = fleet.enrol()
    with taken_away(fleet.home, key_files.signing_file(made.public)):
        fleet.provision(device)
        fleet.signing.drop(fleet.signing.named(before), stolen=True)
        # The broker is down, or has not looked yet. What this key signs now is refused once it has.
        with pytest.raises(ServiceError, match="holds no key that signs this fleet's devices") as caught:
            fleet.issue(device)
    assert key_files.signing_file(made.public) in caught.value.hint
    token = fleet.provision(device)
    fleet.warden.check()
    assert fleet.lets_in(device, token)


def test_a_station_whose_key_was_dropped_names_the_file_that_it_needs(fleet: Town) -> None:
    before = signer_of_next(fleet.home)
    made = fleet.signing.rotate()
    fleet.warden.check()
    fleet.signing.drop(fleet.signing.named(before), stolen=True)
    fleet.warden.check()
    fleet.signing.adopt()
    refused = pytest.raises(ServiceError, match="holds no key that signs this fleet's devices")
    with taken_away(fleet.home, key_files.signing_file(made.public)), refused as caught:
        Authority.load(fleet.home)
    assert key_files.signing_file(made.public) in caught.value.hint


def test_what_an_older_fleets_broker_needs_to_refuse_devices_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANSIM_HOME", str(old_home(tmp_path / "older").path))
    for told in (True, False):
        with pytest.raises(SystemExit) as ended:
            main(["init", "--yes"])
        assert ended.value.code == 0
        assert ("broker.nk and the new operator.jwt" in capsys.readouterr().out) == told


def test_an_older_fleets_first_key_takes_over_from_the_accounts_own(tmp_path: Path) -> None:
    home = old_home(tmp_path / "older")
    with Registry.open(home.database_url) as registry:
        (own,) = Signing(home, registry.credentials).keys()
        assert (own.own, own.newest, own.here, own.receiver) == (True, True, True, True)
    with town(home) as fleet:
        device = fleet.enrol()
        fleet.provision(device)
        made = fleet.signing.rotate()
        fleet.warden.check()
        own, newest = fleet.signing.keys()
        assert (own.own, own.newest, own.devices) == (True, False, (device,))
        assert (newest.public, newest.newest) == (made.public, True)
        with pytest.raises(BadInput, match="the account's own key, which can't be dropped"):
            fleet.signing.drop(own, stolen=True)
