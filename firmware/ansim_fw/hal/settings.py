"""Identity and settings in NVS: they survive a wiped filesystem."""

import json
import os

from esp32 import NVS
from micropython import const

from ansim_fw.core import config

_NAMESPACE = "ansim"
_LONGEST_BLOB = 1024

# ESP_ERR_NVS_NOT_FOUND of ESP-IDF, as MicroPython's OSError has it.
_NOT_FOUND = const(-0x1102)

# NVS keys of the settings (at most 15 characters).
_KEYS = {
    "heartbeat_min": "hb_min",
    "cancel_s": "cancel_s",
    "spread_s": "spread_s",
    "prealarm_s": "prealarm_s",
    "fall": "fall",
}

# Provisioning never gives out the last generation of 2^19 starts: those that can't be counted get random numbers of it.
_UNCOUNTED_FIRST = 0x3FF80000
# So many starts a generation has: what provisioning writes is the number before its first one.
_STARTS = const(0x80000)
# Half of generation 0, the one before the first provisioning.
_FIRST_BELOW = const(0x40000)


class Identity:
    """Who this device is and where it reports to. Never printed: it holds the Wi-Fi passphrases."""

    def __init__(self, store: "Settings") -> None:
        self._store = store
        self.device = store.text("device")
        self.site = store.text("site")
        self.role = store.text("role")
        self.host = store.text("host")
        self.port = store.number("port", 0)
        self.wifi = _networks(store.text("wifi"))
        # Whether the device was provisioned.
        self.complete = bool(self.device and self.site and self.host and self.port and self.wifi and self.ca())

    # Over a KB together, needed once a connection: not kept in memory.

    def token(self) -> bytes:
        """Return the device's token: a secret."""
        return self._store.blob("jwt")

    def ca(self) -> bytes:
        """Return the certificate of the fleet's authority, as DER."""
        return self._store.blob("ca")


class Settings:
    """The namespace that provisioning writes."""

    def __init__(self) -> None:
        self._nvs = NVS(_NAMESPACE)

    def number(self, key: str, default: int) -> int:
        try:
            return self._nvs.get_i32(key)
        except OSError:
            return default

    def blob(self, key: str) -> bytes:
        """Return what is stored under key; empty if nothing is, or more than 1024 bytes."""
        buffer = bytearray(_LONGEST_BLOB)
        try:
            length = self._nvs.get_blob(key, buffer)
        except OSError:
            return b""
        return bytes(memoryview(buffer)[:length])

    def text(self, key: str) -> str:
        return self.blob(key).decode()

    def settings(self) -> "dict[str, int]":
        """Return every setting; one that is missing or out of its limits has its default."""
        found = {}
        for name, key in _KEYS.items():
            value = self.number(key, config.default(name))
            try:
                found[name] = config.check(name, value)
            except ValueError:
                found[name] = config.default(name)
        return found

    def save(self, name: str, value: int) -> None:
        """Keep a setting, or another number of the core's under its own name; written only if it changes.

        Raises:
            OSError: NVS is full or broken.
        """
        key = _KEYS.get(name, name)
        # No number of these is negative.
        if self.number(key, -1) != value:
            self._nvs.set_i32(key, value)
            self._nvs.commit()

    def starts_unmet(self, boot: int) -> int:
        """Return how many starts in a row, this one (boot) included, had no contact that came to its end."""
        first = boot & ~(_STARTS - 1)
        met = self.number("met", first)
        return boot - (met if first <= met < boot else first)

    def next_boot(self) -> "tuple[int, bool]":
        """Return a number for this start that was never used, and whether it could be counted durably."""
        try:
            boot = self._last_boot() + 1
            self._nvs.set_i32("boot", boot)
            self._nvs.commit()
        except OSError:
            return _UNCOUNTED_FIRST + int.from_bytes(os.urandom(3), "big") % _STARTS, False
        return boot, True

    def _last_boot(self) -> int:
        """Return the number of the start before.

        A device that was never provisioned, or erased since, begins anywhere in generation 0: its events are sent once
        it is provisioned, and must not have the ids of those before it was erased.

        Raises:
            OSError: there may be one, but it can't be read.
        """
        try:
            return self._nvs.get_i32("boot")
        except OSError as error:
            if error.errno == _NOT_FOUND:
                return int.from_bytes(os.urandom(3), "big") % _FIRST_BELOW
            raise


def _networks(text: str) -> "list[tuple[str, str]]":
    """Return the known Wi-Fi networks as (name, passphrase), in the order in which they are tried."""
    try:
        found = json.loads(text)
        return [(str(name), str(passphrase)) for name, passphrase in found]
    except (ValueError, TypeError):
        return []
