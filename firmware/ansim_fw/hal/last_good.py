"""The network and the broker's address that worked last, in NVS."""

import json

from esp32 import NVS

_NAMESPACE = "ansim"
_KEY = "last_good"
# A name of 32 bytes, each written as \uXXXX at the worst, and an address.
_LONGEST = 256


class LastGood:
    """What worked last. Written once a start at the most, and only when it is new: flash wears.

    Attributes:
        network, address: empty when not known.
    """

    def __init__(self) -> None:
        self._nvs = NVS(_NAMESPACE)
        self._kept = False
        self.network, self.address = self._read()

    def keep(self, network: str, address: str) -> None:
        """Note that this network led to the broker at this address."""
        if self.network == network and self.address == address:
            return
        self.network, self.address = network, address
        if self._kept:
            return
        self._kept = True
        try:
            self._nvs.set_blob(_KEY, json.dumps([network, address]).encode())
            self._nvs.commit()
        except OSError:
            # It only makes the next start quicker.
            pass

    def _read(self) -> "tuple[str, str]":
        buffer = bytearray(_LONGEST)
        try:
            length = self._nvs.get_blob(_KEY, buffer)
            network, address = json.loads(bytes(buffer[:length]))
        except (OSError, ValueError, TypeError):
            return "", ""
        return str(network), str(address)
