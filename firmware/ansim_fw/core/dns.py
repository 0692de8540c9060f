"""Asking a name server for an IPv4 address (RFC 1035; section numbers below): queries, and a bounded reader of answers.

Nothing here is trusted: who answers with a wrong address is found out by TLS, which checks the broker's name.
"""

from micropython import const

# The longest answer over UDP (4.2.1).
MAX_ANSWER = const(512)

_MAX_ADDRESSES = const(4)

_PORT = const(53)
# Names of the local link are asked of all who are on it (RFC 6762, 5.1); who knows answers as a name server does (6.7).
_LINK_LOCAL = ("224.0.0.251", 5353)

_LONGEST_NAME = const(255)
_LONGEST_LABEL = const(63)
_HEADER = const(12)
# Type A, class IN (3.2.2, 3.2.4).
_A_IN = b"\0\x01\0\x01"


def is_address(host: str) -> bool:
    """Tell whether host is four numbers with dots between, which nobody has to be asked for."""
    parts = host.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not part.isdigit() or len(part) > 3 or int(part) > 255:
            return False
    return True


def whom_to_ask(name: str, name_server: str) -> "tuple[str, int]":
    """Return the address and the port to which a query for name goes."""
    return _LINK_LOCAL if name.lower().endswith(".local") else (name_server, _PORT)


def query(number: int, name: str) -> bytes:
    """Return a query for the addresses of name (4.1), of which the server is to ask others if need be.

    Args:
        number: 0 to 65535; an answer has the same.

    Raises:
        ValueError: no host can have this name.
    """
    question = bytearray()
    for label in name.lower().encode().split(b"."):
        if not 0 < len(label) <= _LONGEST_LABEL:
            raise ValueError("no host's name")
        question.append(len(label))
        question.extend(label)
    question.append(0)
    if len(question) > _LONGEST_NAME:
        raise ValueError("no host's name")
    return number.to_bytes(2, "big") + b"\x01\0\0\x01\0\0\0\0\0\0" + bytes(question) + _A_IN


def addresses(asked: bytes, answer: bytes) -> "list[str] | None":
    """Return the first addresses in an answer, at most four; an empty list when it has none.

    Aliases (CNAME) are passed over and their chain is not followed: addresses in an answer are those of its end. In an
    answer that was cut short, what is whole counts.

    Args:
        asked: what query() made.
        answer: any bytes.

    Returns:
        None when it is no answer to what was asked.
    """
    at = len(asked)
    if answer[:2] != asked[:2] or answer[4:6] != asked[4:6] or answer[_HEADER:at].lower() != asked[_HEADER:]:
        return None
    if answer[2] & 0xF8 != 0x80:
        return None
    found: list[str] = []
    # Error codes (NXDOMAIN and others) come without addresses.
    for _ in range(int.from_bytes(answer[6:8], "big")):
        at = _after_name(answer, at)
        end = at + 10 + int.from_bytes(answer[at + 8 : at + 10], "big")
        if end > len(answer) or len(found) == _MAX_ADDRESSES:
            break
        if answer[at : at + 4] == _A_IN and end - at == 14:
            found.append(".".join([str(byte) for byte in answer[at + 10 : end]]))
        at = end
    return found


def _after_name(answer: bytes, at: int) -> int:
    """Return where the name at ``at`` ends. A pointer (4.1.4) ends it and is not followed, so no name is endless."""
    while at < len(answer):
        length = answer[at]
        if length >= 0xC0:
            return at + 2
        at += 1 + length
        if length == 0:
            break
    return at
