"""The key that opens a device's console for changes (docs/console.md): each device's own, derived from the fleet's."""

import hashlib
import hmac
import secrets
from typing import Any

from ansim import secret_files
from ansim.client import Console
from ansim.errors import DeviceError, ServiceError
from ansim.home import Home
from ansim_fw.core import lock

FILE = "console.key"
KEY_BYTES = 32


def new() -> bytes:
    """Return what a new fleet's file holds: a random key in hex."""
    return secrets.token_hex(KEY_BYTES).encode() + b"\n"


def load(home: Home) -> bytes:
    """Return the fleet's key, from which its devices' are derived.

    Raises:
        ServiceError: missing, readable by others, or damaged.
    """
    path = home.keys / FILE
    if not path.exists():
        hint = "Make it at one station with: ansim init. Then copy it to the others."
        raise ServiceError(f"{path} does not exist", hint)
    try:
        key = bytes.fromhex(secret_files.read(path).decode())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ServiceError(f"{path} is damaged", "Put back a backup of it.")
    return key


def device_key(fleet_key: bytes, mac: str) -> bytes:
    """Return the key of the device with this MAC (like 02:61:6e:00:00:01): HMAC-SHA256 of it, 32 bytes."""
    return hmac.digest(fleet_key, bytes.fromhex(mac.replace(":", "")), "sha256")


def change(console: Console, home: Home, cmd: str, members: dict[str, Any]) -> dict[str, Any]:
    """Have a device change something, and return the result; a device that is locked, with the key that opens it.

    Raises:
        DeviceError: it refuses, takes another key, or gives no answer in time.
        ServiceError: the fleet's key can't be used.
        what Console.request raises.
    """
    facts = console.request("info", repeat=True)
    if not facts.get("locked"):
        return console.request(cmd, members)
    key = _key_of(console, home, str(facts.get("mac")))
    nonce = str(console.request("challenge", again=True).get("nonce")).encode()
    try:
        return console.request(cmd, members, seal=lambda text: lock.sealed(key, nonce, text, hashlib.sha256))
    except DeviceError as error:
        if not error.message.endswith(": locked"):
            raise
        raise DeviceError(
            f"the device on {console.name} was provisioned with another {FILE} than this station's",
            f"Use {home.keys / FILE} of the fleet that it is of, or provision it anew: ansim provision",
        ) from error


def _key_of(console: Console, home: Home, mac: str) -> bytes:
    fleet_key = load(home)
    try:
        return device_key(fleet_key, mac)
    except ValueError:
        raise DeviceError(f"the device on {console.name} tells no MAC", "Is it one of ours? See: ansim info") from None
