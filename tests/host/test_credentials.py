"""The keys on disk, the tokens and the certificates; that a broker takes them is test_broker's matter."""

import base64
import json
import resource
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from mqtt_device import identity

from ansim import credentials, key_files, nats_jwt, pki, secret_files
from ansim.account import Account
from ansim.credentials import Authority
from ansim.errors import BadInput, ServiceError
from ansim.home import Home
from ansim.image import write_atomically
from ansim.nats_jwt import public_part, verified
from ansim.nvs import MAX_BLOB_BYTES
from ansim_fw.core import event_reader

FILES = {
    "operator.nk",
    "console.key",
    "operator.jwt",
    "broker.nk",
    "account.nk",
    "account.jwt",
    "system.nk",
    "system.jwt",
    "receiver.creds",
    "ca.key",
    "ca.pem",
    "broker.key",
    "broker.pem",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def signing_files(home: Home) -> set[str]:
    return {file.name for file in home.keys.glob("signing-*.nk")}


def contents(home: Home) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in home.keys.iterdir()}


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def test_making_the_keys_leaves_nothing_that_others_can_read(home: Home) -> None:
    result = credentials.make(home, "localhost")
    (signing,) = signing_files(home)
    assert set(result.made) == FILES | {signing}
    assert {file.name for file in home.keys.iterdir()} == FILES | {signing}
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.keys.iterdir()} == {0o600}
    assert stat.S_IMODE(home.keys.stat().st_mode) == 0o700


def test_making_them_again_changes_nothing(home: Home) -> None:
    credentials.make(home, "localhost")
    before = contents(home)
    result = credentials.make(home, "localhost")
    assert result.made == []
    assert contents(home) == before


@pytest.mark.parametrize("lost", sorted(FILES - {"account.nk", "broker.nk", "ca.key", "operator.nk", "system.nk"}))
def test_making_them_again_completes_what_is_missing(home: Home, lost: str) -> None:
    credentials.make(home, "localhost")
    before = contents(home)
    (home.keys / lost).unlink()
    assert credentials.make(home, "localhost").made == [lost]
    after = contents(home)
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in FILES - {lost})


@pytest.mark.parametrize("offline", ["operator.nk", "system.nk", "account.nk", "broker.nk", "ca.key"])
def test_a_key_that_was_taken_offline_is_not_made_anew(home: Home, offline: str) -> None:
    credentials.make(home, "localhost")
    (home.keys / offline).unlink()
    credentials.make(home, "localhost")
    assert not (home.keys / offline).exists()
    Authority.load(home).device_token(identity())


def test_another_broker_host_gets_another_certificate_by_the_same_authority(home: Home) -> None:
    credentials.make(home, "localhost")
    authority = (home.keys / "ca.pem").read_bytes()
    assert credentials.make(home, "alarm.example.org").made == ["broker.pem"]
    certificate = (home.keys / "broker.pem").read_bytes()
    for host in ("alarm.example.org", "localhost", "127.0.0.1"):
        assert pki.covers(certificate, host)
    assert not pki.covers(certificate, "example.org")
    assert (home.keys / "ca.pem").read_bytes() == authority


@pytest.mark.parametrize("name", ["signing-*.nk", "account.jwt", "ca.pem"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_read_is_refused(home: Home, name: str, mode: int) -> None:
    credentials.make(home, "localhost")
    (path,) = home.keys.glob(name)
    path.chmod(mode)
    with pytest.raises(ServiceError, match=f"{path.name} can be read or changed by others") as caught:
        Authority.load(home)
    assert "chmod 600" in caught.value.hint


def test_a_folder_that_others_can_change_is_refused(home: Home) -> None:
    credentials.make(home, "localhost")
    home.keys.chmod(0o777)
    with pytest.raises(ServiceError, match="keys can be changed by others"):
        Authority.load(home)


def test_without_keys_a_person_is_told_how_to_make_them(home: Home) -> None:
    with pytest.raises(ServiceError, match="does not exist") as caught:
        Authority.load(home)
    assert "ansim init" in caught.value.hint


@pytest.mark.parametrize("name", ["signing-*.nk", "account.jwt", "operator.jwt", "ca.pem"])
@pytest.mark.parametrize("rubbish", [b"", b"SAABC", b"\xff" * 80, b"x" * 100_000])
def test_a_damaged_file_is_named_and_its_contents_are_not_shown(home: Home, name: str, rubbish: bytes) -> None:
    credentials.make(home, "localhost")
    (path,) = home.keys.glob(name)
    path.write_bytes(rubbish)
    with pytest.raises(ServiceError, match=f"{path.name} is (damaged|too long)") as caught:
        Authority.load(home)
    assert "SAABC" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_device_may_use_its_own_two_topics_and_mqtt_only(home: Home) -> None:
    credentials.make(home, "localhost")
    token = Authority.load(home).device_token(identity("AN000007", "harbour"))
    nats = claims(token)["nats"]
    assert nats["pub"] == {"allow": ["ansim.harbour.AN000007.evt"]}
    assert nats["sub"] == {"allow": ["ansim.harbour.AN000007.cmd"]}
    assert nats["bearer_token"] is True
    assert nats["allowed_connection_types"] == ["MQTT"]
    assert "exp" not in claims(token)


def test_each_token_is_another_and_its_public_part_is_what_the_registry_may_keep(home: Home) -> None:
    credentials.make(home, "localhost")
    authority = Authority.load(home)
    first, second = (nats_jwt.public_part(authority.device_token(identity())) for _ in range(2))
    assert first.key != second.key and first.jti != second.jti
    assert first.key.startswith("U") and len(first.key) == 56 and len(first.jti) == 52
    assert abs((datetime.now(UTC) - first.issued_at).total_seconds()) < 60


@pytest.mark.parametrize("text", ["", "a.b.c", "x", "a.e30.c", "a." + "é" + ".c"])
def test_what_is_no_token_has_no_public_part(text: str) -> None:
    with pytest.raises(ValueError, match="not a NATS token"):
        nats_jwt.public_part(text)


def test_a_token_with_the_longest_names_fits_a_device(home: Home) -> None:
    credentials.make(home, "localhost")
    longest = "n" * event_reader.MAX_NAME
    assert len(Authority.load(home).device_token(identity(longest, longest))) <= MAX_BLOB_BYTES


def test_a_token_is_signed_in_the_accounts_name_by_a_key_that_the_account_lists(home: Home) -> None:
    credentials.make(home, "localhost")
    token = Authority.load(home).device_token(identity())
    listed = claims((home.keys / "account.jwt").read_text())
    assert claims(token)["nats"]["issuer_account"] == listed["sub"]
    assert [public_part(token).signer] == listed["nats"]["signing_keys"]
    assert verified(token, listed["nats"]["signing_keys"])["sub"] == public_part(token).key


def test_a_token_that_was_altered_or_signed_by_another_is_not_taken_for_good(home: Home) -> None:
    credentials.make(home, "localhost")
    token = Authority.load(home).device_token(identity())
    other = Authority.load(home).device_token(identity())
    signer = public_part(token).signer
    head, body, signature = token.split(".")
    for wrong, signers in (
        (token, []),
        (token, ["A" * 56]),
        (f"{head}.{other.split('.')[1]}.{signature}", [signer]),
        (f"{head}.{body}.{other.split('.')[2]}", [signer]),
        (f"{head}.{body}.", [signer]),
        ("a.W10.c", [signer]),
        ("a." + base64.urlsafe_b64encode(b"[" * 90_000).decode() + ".c", [signer]),
    ):
        with pytest.raises(ValueError, match="NATS token"):
            verified(wrong, signers)


def test_no_account_is_read_that_the_operator_did_not_sign_for(home: Home, tmp_path: Path) -> None:
    stranger = Home(tmp_path / "stranger")
    for each in (home, stranger):
        credentials.make(each, "localhost")
    operator = key_files.operator(home)
    theirs, ours = ((each.keys / "account.jwt").read_text() for each in (stranger, home))
    assert Account.read(ours, operator).refused == frozenset()
    for wrong in (theirs, (home.keys / "operator.jwt").read_text(), Authority.load(home).device_token(identity())):
        with pytest.raises(ValueError, match="token"):
            Account.read(wrong, operator)
    # Only signing keys sign, so a stolen account.nk, or operator.nk's copy on some bench, is worth nothing.
    assert operator.strict and operator.public not in operator.signers


def test_an_account_is_newer_than_the_one_it_came_from_also_when_the_clock_was_put_back() -> None:
    account = Account("A1", issued_at_s=4_000_000_000, signing=("A2",))
    assert account.with_key("A3").issued_at_s == 4_000_000_001
    assert account.with_key("A3").without_key("A2") == Account("A1", 4_000_000_002, ("A3",))


@pytest.mark.parametrize("left", [["account.nk", "ca.pem"], ["account.jwt", "signing-*.nk", "ca.pem"]])
def test_a_station_with_too_few_of_a_fleets_keys_does_not_become_another_fleet(home: Home, left: list[str]) -> None:
    credentials.make(home, "localhost")
    kept = {path for pattern in left for path in home.keys.glob(pattern)}
    for path in set(home.keys.iterdir()) - kept:
        path.unlink()
    with pytest.raises(ServiceError, match="operator.jwt|account.jwt"):
        Authority.load(home)
    with pytest.raises(ServiceError, match="not its operator.jwt") as caught:
        credentials.make(home, "localhost")
    assert "from where ansim init was run" in caught.value.hint
    assert set(home.keys.iterdir()) == kept


def test_secrets_are_in_no_repr(home: Home) -> None:
    credentials.make(home, "localhost")
    authority = Authority.load(home)
    seeds = [file.read_text() for file in home.keys.glob("*.nk")]
    assert seeds and not any(seed in repr(authority) for seed in seeds)
    assert "KeyPair" not in repr(authority)


def test_a_device_without_a_clock_and_one_in_twenty_years_accept_the_certificates(home: Home) -> None:
    credentials.make(home, "localhost")
    for name in ("ca.pem", "broker.pem"):
        certificate = x509.load_pem_x509_certificate((home.keys / name).read_bytes())
        assert certificate.not_valid_before_utc < datetime(2000, 1, 1, tzinfo=UTC)
        assert certificate.not_valid_after_utc.timestamp() > time.time() + 20 * 365 * 86400


def test_the_certificates_are_small(home: Home) -> None:
    credentials.make(home, "localhost")
    assert len(Authority.load(home).ca_der()) < 420
    assert len(pki.to_der((home.keys / "broker.pem").read_bytes())) < 520


def test_creating_a_secret_never_overwrites_one(tmp_path: Path) -> None:
    secret_files.create(tmp_path / "a.nk", b"first")
    with pytest.raises(BadInput, match="File exists"):
        secret_files.create(tmp_path / "a.nk", b"second")
    assert (tmp_path / "a.nk").read_bytes() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["a.nk"]


@pytest.mark.parametrize("write", [secret_files.create, secret_files.replace, write_atomically])
def test_a_file_that_can_not_be_written_whole_leaves_nothing_behind(
    tmp_path: Path, write: Callable[[Path, bytes], None]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A file beyond this fails as one on a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises((BadInput, OSError)):
            write(tmp_path / "key", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
