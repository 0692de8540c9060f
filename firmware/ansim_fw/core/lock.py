"""The console's lock: a request that changes the device answers its challenge with the device's key."""

from micropython import const

# A guess is good for one challenge, so 96 bits are plenty; with the half of SHA-256's that RFC 2104 advises the longest
# name and passphrase of a Wi-Fi network would not fit into a request.
_TAG_BYTES = const(12)
_BLOCK_BYTES = const(64)


def tag(key: bytes, text: bytes, sha256: "Callable[[bytes], Any]") -> str:
    """Return HMAC-SHA256 (RFC 2104) in hex, cut to 12 bytes; the key has at most 64 bytes."""
    block = key + bytes(_BLOCK_BYTES - len(key))
    inner = sha256(bytes([byte ^ 0x36 for byte in block]) + text).digest()
    digest: bytes = sha256(bytes([byte ^ 0x5C for byte in block]) + inner).digest()
    return digest[:_TAG_BYTES].hex()


def sealed(key: bytes, nonce: bytes, text: bytes, sha256: "Callable[[bytes], Any]") -> bytes:
    """Return a request, a JSON object as text, with the tag over nonce and text as its last member."""
    return text[:-1] + b',"tag":"' + tag(key, nonce + text, sha256).encode() + b'"}'


def opens(key: bytes, nonce: bytes, request: bytes, sha256: "Callable[[bytes], Any]") -> bool:
    """Tell whether a request is what sealed() makes; as a nonce is used once, the time that it takes tells nothing."""
    text = request.rpartition(b',"tag":')[0] + b"}"
    return request == sealed(key, nonce, text, sha256)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
