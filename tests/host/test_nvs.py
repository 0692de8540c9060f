"""The NVS image: a device's identity, and the Wi-Fi settings that are refused before they reach a device."""

import dataclasses

import pytest

from ansim.errors import BadInput
from ansim.nvs import Settings, check_wifi, nvs_image
from ansim.registry import MAX_GENERATION

NVS_BYTES = 0x6000
SECRET = "correct horse battery"


def settings(**changes: object) -> Settings:
    plain = Settings(
        device="an-000001",
        site="demo",
        role="hub",
        host="broker.example",
        port=8883,
        generation=1,
        heartbeat_min=60,
        spread_s=30,
        ca_der=b"\x30\x82certificate",
        wifi=(("home", SECRET),),
        jwt="eyJ0eXAiOiJqd3QifQ.secret.token",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]  # changes are fields of Settings


def test_the_image_fills_its_partition_and_repeats_exactly() -> None:
    image = nvs_image(settings(), NVS_BYTES)
    assert len(image) == NVS_BYTES
    assert image == nvs_image(settings(), NVS_BYTES)
    assert b'[["home","' + SECRET.encode() + b'"]]' in image
    assert b"an-000001" in image


def test_each_provisioning_starts_at_its_own_boot_numbers() -> None:
    second, third = (nvs_image(settings(generation=number), NVS_BYTES) for number in (2, 3))
    assert (2 << 19).to_bytes(4, "little") in second
    assert (3 << 19).to_bytes(4, "little") in third
    with pytest.raises(BadInput, match="event ids are used up"):
        nvs_image(settings(generation=MAX_GENERATION + 1), NVS_BYTES)


def test_settings_never_show_their_secrets() -> None:
    shown = repr(settings())
    assert SECRET not in shown
    assert "token" not in shown


@pytest.mark.parametrize(
    "passphrase",
    ["", "8 chars!", "x" * 63, "0123456789abcdefABCDEF0123456789" * 2],
    ids=["open", "8", "63", "64 hex"],
)
def test_a_legal_passphrase_is_taken(passphrase: str) -> None:
    check_wifi("home", passphrase)


@pytest.mark.parametrize(
    "passphrase",
    ["7chars!", "x" * 64, "x" * 65, "umlaut \u00e4 here", "tab\there now", "newline here\n"],
    ids=["7", "64 not hex", "65", "umlaut", "tab", "newline"],
)
def test_an_illegal_passphrase_is_refused_and_never_shown(passphrase: str) -> None:
    with pytest.raises(BadInput, match="passphrase for Wi-Fi 'home' is not legal") as caught:
        nvs_image(settings(wifi=(("home", passphrase),)), NVS_BYTES)
    assert passphrase not in caught.value.message + caught.value.hint + repr(caught.value.__context__)


@pytest.mark.parametrize("ssid", ["", "x" * 33, "\uc548" * 11], ids=["empty", "33", "33 bytes of Hangul"])
def test_an_illegal_network_name_is_refused(ssid: str) -> None:
    with pytest.raises(BadInput, match="1 to 32"):
        check_wifi(ssid, SECRET)


def test_more_than_the_device_reads_is_refused_without_showing_what_it_was() -> None:
    networks = tuple((f"network {number}", f"{SECRET} {number}") for number in range(40))
    with pytest.raises(BadInput, match="'wifi' for an-000001 has 1[0-9]+ bytes") as caught:
        nvs_image(settings(wifi=networks), NVS_BYTES)
    assert SECRET not in caught.value.message + repr(caught.value.__context__)


def test_more_than_the_partition_holds_is_refused() -> None:
    with pytest.raises(BadInput, match="does not fit the NVS partition of 8192 bytes"):
        nvs_image(
            settings(jwt="j" * 1024, ca_der=b"c" * 1024, host="h" * 1000, wifi=(("n" * 32, "p" * 63),) * 8), 0x2000
        )


def test_a_device_without_a_network_is_refused() -> None:
    with pytest.raises(BadInput, match="no Wi-Fi network") as caught:
        nvs_image(settings(wifi=()), NVS_BYTES)
    assert "--wifi-ssid" in caught.value.hint
