"""Who is let in: retired devices and superseded credentials are not, every device in the field is; on a real broker."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from database_kit import KINDS, database_url
from mqtt_device import MqttDevice, make_home, trusting
from process_kit import next_line
from revocation_kit import Town, old_home, taken_away, town

from ansim import credentials, nats_jwt, secret_files
from ansim.account import MAX_REFUSED, Account
from ansim.broker import Broker
from ansim.credentials import Authority
from ansim.database import Database
from ansim.errors import ServiceError
from ansim.home import Home
from ansim.key_files import account_signer
from ansim.ledger import Pen
from ansim.nats_jwt import KeyPair, public_part
from ansim.registry import CredentialRefused, Registry
from ansim.warden import CHECK_S, Warden

RUN = "from ansim.cli import main; main()"
DRY = "found to be dry"


@pytest.fixture(params=KINDS)
def fleet(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """A fleet on each kind of database."""
    monkeypatch.setenv("ANSIM_DB", database_url(request.param, tmp_path))
    with town(make_home(tmp_path / "home")) as made:
        yield made
        assert made.complaints == []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def is_thrown_off(device: MqttDevice) -> bool:
    """Tell whether the broker closes a connection, within the client's ten seconds."""
    return device.receive() is None


def test_a_retired_device_is_thrown_off_and_stays_out_while_the_others_notice_nothing(fleet: Town) -> None:
    retired, other = fleet.enrol(1), fleet.enrol(2)
    tokens = {device: fleet.provision(device) for device in (retired, other)}
    with fleet.connect(retired, tokens[retired]) as leaving, fleet.connect(other, tokens[other]) as staying:
        assert staying.subscribe() and leaving.publish(b"{}")
        fleet.registry.retire(retired, "dropped into water")
        fleet.warden.check()
        assert is_thrown_off(leaving)
        assert not fleet.lets_in(retired, tokens[retired])
        # The very same connection, which never broke.
        assert staying.publish(b"{}")


def test_a_device_that_takes_anothers_place_is_let_in_and_the_other_is_not(fleet: Town) -> None:
    old, new = fleet.enrol(1), fleet.enrol(2)
    tokens = {device: fleet.provision(device) for device in (old, new)}
    fleet.registry.replace(old, new, "cell worn out")
    fleet.warden.check()
    assert not fleet.lets_in(old, tokens[old]) and fleet.lets_in(new, tokens[new])


def test_until_a_device_was_seen_with_its_new_credential_both_let_it_in(fleet: Town) -> None:
    device = fleet.enrol()
    old = fleet.provision(device)
    # Killed before it was written, or after: nobody knows what the device holds.
    unknown = [fleet.issue(device) for _ in range(2)]
    fleet.registry.record(device, "provision", "failed")
    fleet.warden.check()
    assert all(fleet.lets_in(device, token) for token in (old, *unknown))
    new = fleet.provision(device)
    fleet.warden.check()
    assert not any(fleet.lets_in(device, token) for token in (old, *unknown))
    assert fleet.lets_in(device, new)


def test_a_retirement_taken_back_lets_in_a_new_credential_only(fleet: Town) -> None:
    device = fleet.enrol()
    old = [fleet.provision(device), fleet.issue(device)]
    fleet.registry.retire(device, "dropped into water")
    fleet.registry.reinstate(device, DRY)
    fleet.warden.check()
    assert not any(fleet.lets_in(device, token) for token in old)
    new = fleet.provision(device)
    fleet.warden.check()
    assert fleet.lets_in(device, new) and not any(fleet.lets_in(device, token) for token in old)
    assert fleet.registry.verify().devices == 1


def test_what_a_slower_station_wrote_after_a_newer_credential_does_not_pass(fleet: Town) -> None:
    device = fleet.enrol()
    slow = fleet.issue(device)
    new = fleet.provision(device)
    with pytest.raises(CredentialRefused, match=f"{device} was provisioned elsewhere meanwhile"):
        fleet.found(device, slow)
    assert fleet.registry.get(device).state == "unfinished"
    assert fleet.registry.history(device)[-1].result == "failed"
    fleet.warden.check()
    assert fleet.lets_in(device, new) and not fleet.lets_in(device, slow)
    assert fleet.registry.verify().devices == 1


def test_what_was_written_before_a_newer_credential_was_issued_supersedes_only_what_is_older(fleet: Town) -> None:
    device = fleet.enrol()
    first, second = fleet.provision(device), fleet.issue(device)
    third = fleet.issue(device)
    fleet.found(device, second)
    fleet.warden.check()
    assert [fleet.lets_in(device, token) for token in (first, second, third)] == [False, True, True]


def test_a_device_retired_while_it_was_flashed_does_not_pass(fleet: Town) -> None:
    device = fleet.enrol()
    token = fleet.issue(device)
    fleet.registry.retire(device, "stolen from the bench")
    with pytest.raises(CredentialRefused, match=f"{device} was retired while it was worked on"):
        fleet.found(device, token)
    fleet.warden.check()
    assert not fleet.lets_in(device, token)


def test_a_credential_of_a_station_whose_clock_ran_ahead_is_refused_all_the_same(
    fleet: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, ahead_s = fleet.enrol(), time.time() + 20 * 365 * 86_400
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: ahead_s)
        token = fleet.provision(device)
    assert public_part(token).issued_at.timestamp() == int(ahead_s)
    fleet.registry.retire(device, "dropped into water")
    fleet.warden.check()
    assert not fleet.lets_in(device, token)


def test_what_was_retired_while_the_broker_was_down_is_refused_from_its_start(home: Home) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        assert fleet.lets_in(device, token)
    with Registry.open(home.database_url) as registry:
        registry.retire(device, "dropped into water")
    with town(home) as fleet:
        assert not fleet.lets_in(device, token)


@pytest.mark.parametrize("registry", ["away", "empty"])
def test_a_broker_without_its_registry_refuses_whom_it_refused_and_nobody_else(
    home: Home, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town(home) as fleet:
        devices = [fleet.enrol(1), fleet.enrol(2)]
        tokens = [fleet.provision(each) for each in devices]
        fleet.registry.retire(devices[0], "dropped into water")
        fleet.warden.check()
    # Nothing listens on port 1.
    away = "postgresql+psycopg://ansim@127.0.0.1:1/ansim"
    monkeypatch.setenv("ANSIM_DB", away if registry == "away" else f"sqlite:///{tmp_path / 'other.db'}")
    complaints: list[Exception] = []
    with Broker(home) as broker, Warden(home, broker, complaints.append) as warden:
        warden.check()
        warden.check()
        assert len(complaints) == (1 if registry == "away" else 0)
        for device, token, answer in zip(devices, tokens, (5, 0), strict=True):
            with MqttDevice(broker.mqtt_port, trusting(home), token, device=device) as connection:
                assert connection.connack == answer


def test_a_broker_without_a_key_to_sign_refusals_says_so_and_goes_on_once_it_has_one(home: Home) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        with taken_away(home, "broker.nk"):
            fleet.registry.retire(device, "dropped into water")
            fleet.warden.check()
            fleet.warden.check()
            (said,) = fleet.complaints
            assert "retired devices are still let in" in said.message and "broker.nk" in said.hint
            assert fleet.lets_in(device, token)
        fleet.warden.check()
        assert not fleet.lets_in(device, token)
        assert len(fleet.complaints) == 1


def test_an_account_that_the_server_does_not_take_leaves_it_as_it_was(home: Home) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        signer = account_signer(home, fleet.broker.operator)
        assert signer is not None
        with pytest.raises(ServiceError, match="does not trust the key"):
            fleet.broker.take(fleet.broker.account, KeyPair.generate(nats_jwt.OPERATOR))
        too_long = replace(fleet.broker.account, refused=frozenset(f"U{number:055d}" for number in range(12_000)))
        with pytest.raises(ServiceError, match="the broker refused its new settings"):
            fleet.broker.take(too_long, signer)
        assert fleet.lets_in(device, token)
        fleet.registry.retire(device, "dropped into water")
        fleet.warden.check()
        assert not fleet.lets_in(device, token)


@pytest.mark.parametrize("name", ["nats.conf", "account.jwt"])
def test_a_refusal_that_a_full_disk_kept_off_comes_once_there_is_room(home: Home, name: str) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        file = home.broker / name
        file.unlink(missing_ok=True)
        # As good as a full disk: nothing can be put in its place.
        file.mkdir()
        fleet.registry.retire(device, "dropped into water")
        fleet.warden.check()
        assert "can't write" in fleet.complaints[0].message
        file.rmdir()
        fleet.warden.check()
        assert not fleet.lets_in(device, token)
    with Broker(home) as again:
        assert again.account.refused == {public_part(token).key}


def test_a_server_takes_as_many_refusals_as_a_broker_gives_it(home: Home) -> None:
    user = KeyPair.generate(nats_jwt.USER).public
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        letters = str.maketrans("0123456789", "ABCDEFGHIJ")
        made_up = (user[:-6] + f"{number:06d}".translate(letters) for number in range(MAX_REFUSED + 5))
        many = [public_part(token).key, *made_up]
        signer = account_signer(home, fleet.broker.operator)
        assert signer is not None
        fleet.broker.take(fleet.broker.account.refusing(many), signer)
        assert len(fleet.broker.account.refused) == MAX_REFUSED
        assert not fleet.lets_in(device, token)
    with Broker(home) as again:
        assert len(again.account.refused) == MAX_REFUSED


@pytest.mark.parametrize("key", ["*", "", "UABC", "U" * 57])
def test_what_is_no_users_key_in_the_registry_cuts_nobody_off(home: Home, key: str) -> None:
    with town(home) as fleet:
        device, other = fleet.enrol(1), fleet.enrol(2)
        tokens = {each: fleet.provision(each) for each in (device, other)}
        fleet.registry.issue(device, replace(public_part(tokens[device]), key=key))
        fleet.registry.retire(device, "dropped into water")
        fleet.warden.check()
        assert fleet.lets_in(other, tokens[other]) and not fleet.lets_in(device, tokens[device])
        assert fleet.broker.account.refused == {public_part(tokens[device]).key}


def test_a_registry_that_can_not_be_read_is_told_once_and_the_broker_goes_on(home: Home) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        with sa.create_engine(home.database_url).begin() as connection:
            connection.execute(sa.text("DROP TABLE fleet_account"))
        fleet.warden.check()
        fleet.warden.check()
        assert len(fleet.complaints) == 1
        assert fleet.lets_in(device, token)


def test_two_brokers_of_one_registry_refuse_the_same(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIM_DB", f"sqlite:///{tmp_path / 'shared.db'}")
    second = make_home(tmp_path / "second")
    for file in home.keys.iterdir():
        secret_files.replace(second.keys / file.name, file.read_bytes())
    with town(home) as here, town(second) as there:
        device = here.enrol()
        token = here.provision(device)
        here.signing.rotate()
        here.registry.retire(device, "dropped into water")
        for each in (here, there):
            each.warden.check()
            assert not each.lets_in(device, token)
            assert len(each.broker.account.signing) == 2


def test_the_command_throws_off_what_the_command_retires(home: Home) -> None:
    environment = {**os.environ, "ANSIM_HOME": str(home.path)}
    with Registry.open(home.database_url) as registry:
        device = registry.enroll("24:6f:28:00:00:01", board="virtual", site="city", role="hub")
        token = Authority.load(home).device_token(device)
        registry.issue(device.device, public_part(token))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "broker", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = json.loads(next_line(process))["mqtt_port"]
        with MqttDevice(port, trusting(home), token) as connection:
            assert connection.connack == 0
            command = [sys.executable, "-c", RUN, "registry", "retire", device.device, "--reason", "lost"]
            said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
            assert "a running broker refuses it within a minute" in said.stdout
            # The client waits for ten seconds.
            assert CHECK_S < 10 and is_thrown_off(connection)
    finally:
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=30)
    assert complaints == ""


def test_a_fleet_made_before_there_were_signing_keys_goes_on_and_moves_when_it_is_told_to(tmp_path: Path) -> None:
    home = old_home(tmp_path / "home")
    with town(home) as fleet:
        old, lost = fleet.enrol(1), fleet.enrol(2)
        tokens = {device: fleet.provision(device) for device in (old, lost)}
        assert "issuer_account" not in nats_jwt.verified(tokens[old], [public_part(tokens[old]).signer])["nats"]
        fleet.registry.retire(lost, "dropped into water")
        fleet.warden.check()
        assert fleet.lets_in(old, tokens[old]) and not fleet.lets_in(lost, tokens[lost])
        moved = fleet.signing.rotate()
        fleet.warden.check()
        assert public_part(fleet.issue(old)).signer == moved.public
        assert fleet.lets_in(old, tokens[old])
    assert credentials.make(home, "localhost").made == ["broker.nk", "operator.jwt"]
    with taken_away(home, "operator.nk"), town(home) as fleet:
        assert fleet.lets_in(old, tokens[old]) and not fleet.lets_in(lost, tokens[lost])
        fleet.registry.retire(old, "dropped into water, too")
        fleet.warden.check()
        assert not fleet.lets_in(old, tokens[old])


def test_what_an_earlier_version_issued_is_refused_once_its_device_is_retired(home: Home) -> None:
    with town(home) as fleet:
        device = fleet.enrol()
        token = Authority.load(home).device_token(fleet.registry.get(device))
        issued = {"generation": 1, "key": public_part(token).key, "jti": public_part(token).jti}
        with contextlib.closing(Database.open(home.database_url)) as database, database.writing() as connection:
            Pen(connection, "bench-1").append(device, "credential", "issued", issued)
            connection.execute(sa.text("UPDATE devices SET generation = 1"))
        fleet.registry.record(device, "flash", "passed")
        fleet.warden.check()
        assert fleet.lets_in(device, token)
        fleet.registry.retire(device, "dropped into water")
        fleet.warden.check()
        assert not fleet.lets_in(device, token)
        assert fleet.registry.verify().devices == 1


def test_keys_that_a_stranger_wrote_into_the_registry_are_not_taken(home: Home, tmp_path: Path) -> None:
    stranger = make_home(tmp_path / "stranger")
    with town(home) as fleet:
        device = fleet.enrol()
        token = fleet.provision(device)
        forged = Account(
            fleet.broker.account.public, int(time.time()) + 9, (KeyPair.generate(nats_jwt.ACCOUNT).public,)
        )
        token_of_theirs = forged.token(KeyPair((stranger.keys / "broker.nk").read_bytes()))
        with sa.create_engine(home.database_url).begin() as connection:
            connection.execute(
                sa.text("INSERT INTO fleet_account (id, token, taken) VALUES (1, :token, false)"),
                {"token": token_of_theirs},
            )
        fleet.warden.check()
        (said,) = fleet.complaints
        assert "were not signed for this broker's fleet" in said.message
        assert fleet.lets_in(device, token)
        fleet.registry.retire(device, "dropped into water")
        fleet.warden.check()
        assert not fleet.lets_in(device, token)
        assert len(fleet.complaints) == 1
