"""A device's identity and settings as the image of its NVS partition."""

import io
import json
import re
from dataclasses import dataclass, field

from esp_idf_nvs_partition_gen import nvs_partition_gen

from ansim.boards import SECTOR_BYTES
from ansim.errors import BadInput
from ansim_fw.core import config

NAMESPACE = "ansim"
SCHEMA = 1
BOOTS_PER_GENERATION = 1 << 19
# Ids have 30 bits. The last generation is the device's own, for starts that it could not count.
MAX_GENERATION = (1 << 30) // BOOTS_PER_GENERATION - 2
# What the firmware reads of one.
MAX_BLOB_BYTES = 1024
_PASSPHRASE = re.compile(r"[\x20-\x7e]{8,63}|[0-9a-fA-F]{64}|")


@dataclass(frozen=True)
class Settings:
    """What a device keeps in NVS; the secrets are left out of its repr.

    Args:
        wifi: (network name, passphrase) in the order of preference; an empty passphrase is an open network.
        host: the broker's name or address.
        ca_der: the certificate that the broker's own is signed with, DER.
        generation: how often this device has been provisioned, from 1; its first boot number follows from it.
        fall: how the device is worn, as core.config says.
        console_key: what opens its console for changes (console_key.py); empty: it is open.
    """

    device: str
    site: str
    role: str
    host: str
    port: int
    generation: int
    heartbeat_min: int
    spread_s: int
    ca_der: bytes = field(repr=False)
    wifi: tuple[tuple[str, str], ...] = field(repr=False)
    jwt: str = field(repr=False)
    fall: int = config.default("fall")
    console_key: bytes = field(default=b"", repr=False)


def check_wifi(ssid: str, passphrase: str) -> None:
    """Accept what a WPA2 network can be called and secured with.

    Raises:
        BadInput: the name or the passphrase is not legal; never shows the passphrase.
    """
    if not 1 <= len(ssid.encode()) <= 32:
        raise BadInput(
            f"the Wi-Fi name '{ssid[:40]}' is {len(ssid.encode())} bytes long; a name has 1 to 32",
            "Give the network's name as the access point shows it.",
        )
    if not _PASSPHRASE.fullmatch(passphrase):
        raise BadInput(
            f"the passphrase for Wi-Fi '{ssid}' is not legal: it has {len(passphrase)} characters",
            "WPA takes 8 to 63 printable ASCII characters, or 64 hex digits; an open network has none.",
        )


def nvs_image(settings: Settings, size: int) -> bytes:
    """The whole NVS partition of size bytes, settings in its namespace ``ansim``; same settings, same bytes.

    Made in memory only, as it holds secrets.

    Raises:
        BadInput: a value is out of its limits, or the whole does not fit.
    """
    blobs, numbers = _blobs(settings), _numbers(settings)
    output = io.BytesIO()
    try:
        # The last sector stays free: NVS needs a spare page to move entries into.
        nvs = nvs_partition_gen.nvs_open(output, size - SECTOR_BYTES, version=nvs_partition_gen.Page.VERSION2)
        nvs.write_namespace(NAMESPACE)
        for key, blob in blobs.items():
            nvs.write_entry(key, blob.hex(), "hex2bin")
        for key, number in numbers.items():
            nvs.write_entry(key, number, "i32")
        nvs_partition_gen.nvs_close(nvs)
    except (nvs_partition_gen.InsufficientSizeError, nvs_partition_gen.InputError):
        # Its text may quote a value, and values are secret.
        raise BadInput(
            f"the identity of {settings.device} does not fit the NVS partition of {size} bytes",
            "Give the device fewer Wi-Fi networks.",
        ) from None
    return output.getvalue()


def _blobs(settings: Settings) -> dict[str, bytes]:
    if not settings.wifi:
        raise BadInput(
            f"{settings.device} would have no Wi-Fi network to send an alarm over",
            "Name one for this device: --wifi-ssid NAME, or one for the fleet: ansim init --wifi-ssid NAME",
        )
    for ssid, passphrase in settings.wifi:
        check_wifi(ssid, passphrase)
    networks = json.dumps([list(network) for network in settings.wifi], ensure_ascii=False, separators=(",", ":"))
    blobs = {
        "device": settings.device.encode(),
        "site": settings.site.encode(),
        "role": settings.role.encode(),
        "wifi": networks.encode(),
        "host": settings.host.encode(),
        "jwt": settings.jwt.encode(),
        "ca": settings.ca_der,
    }
    if settings.console_key:
        blobs["ckey"] = settings.console_key
    for key, blob in blobs.items():
        if not 1 <= len(blob) <= MAX_BLOB_BYTES:
            hint = "A device takes at most 8 Wi-Fi networks, fewer where names and passphrases are long."
            raise BadInput(f"'{key}' for {settings.device} has {len(blob)} bytes; a device takes 1 to 1024", hint)
    return blobs


def _numbers(settings: Settings) -> dict[str, int]:
    if not 1 <= settings.generation <= MAX_GENERATION:
        raise BadInput(
            f"{settings.device} has been provisioned {settings.generation} times; its event ids are used up",
            "Enrol the unit as a new device.",
        )
    return {
        "schema": SCHEMA,
        "port": settings.port,
        "boot": settings.generation * BOOTS_PER_GENERATION,
        "hb_min": config.check("heartbeat_min", settings.heartbeat_min),
        "spread_s": config.check("spread_s", settings.spread_s),
        "cancel_s": config.default("cancel_s"),
        "prealarm_s": config.default("prealarm_s"),
        "fall": config.check("fall", settings.fall),
    }
