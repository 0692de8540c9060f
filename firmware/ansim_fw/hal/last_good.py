"""The network and the broker's address that worked last, in NVS: for a start at which nothing else is known."""

import json

from esp32 import NVS

_NAMESPACE = "ansim"
_KEY = "last_good"
# A name of 32 bytes, each written as \uXXXX at the worst, and an address.
_LONGEST = 256


def load() -> "tuple[str, str]":
    """Return network and address; empty when they are not known."""
    buffer = bytearray(_LONGEST)
    try:
        length = NVS(_NAMESPACE).get_blob(_KEY, buffer)
        network, address = json.loads(bytes(buffer[:length]))
    except (OSError, ValueError, TypeError):
        return "", ""
    return str(network), str(address)


def save(network: str, address: str) -> bool:
    """Note that this network led to the broker at this address; tell whether that was news. Flash wears."""
    if load() == (network, address):
        return False
    try:
        store = NVS(_NAMESPACE)
        store.set_blob(_KEY, json.dumps([network, address]).encode())
        store.commit()
    except OSError:
        # It only makes the next start quicker.
        pass
    return True
