"""Properties of what shares the console's line: packets of Improv, texts, and noise; and of its lock."""

import hashlib
import hmac
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ansim_fw.core import improv, json_seq, lock

names = st.text(min_size=1, max_size=32).filter(lambda text: len(text.encode("utf-8", "ignore")) in range(1, 33))
secrets = st.one_of(
    st.just(""),
    st.text([chr(code) for code in range(32, 127)], min_size=8, max_size=63),
    st.text("0123456789abcdefABCDEF", min_size=64, max_size=64),
)


def rpc(number: int, data: bytes) -> bytes:
    framed = b"IMPROV\x01\x03" + bytes([len(data) + 2, number, len(data)]) + data
    return framed + bytes([sum(framed) & 0xFF])


def credentials(name: str, secret: str) -> bytes:
    coded = name.encode("utf-8", "ignore")
    return bytes([len(coded)]) + coded + bytes([len(secret)]) + secret.encode()


def found(reader: json_seq.Reader, data: bytes) -> list[bytes]:
    return [reader.text() for byte in data if reader.feed(byte) in (json_seq.TEXT, json_seq.PACKET)]


@given(names, secrets)
def test_what_a_client_sends_arrives(name: str, secret: str) -> None:
    (packet,) = found(json_seq.Reader(), b"\x1e half a text " + rpc(improv.WIFI, credentials(name, secret)))
    number, data = improv.command(packet)
    assert (number, *improv.credentials(data)) == (improv.WIFI, name.encode("utf-8", "ignore").decode(), secret)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_network_or_a_value_error_that_does_not_tell_them(data: bytes) -> None:
    try:
        name, secret = improv.credentials(data)
    except ValueError as error:
        assert len(data) < 12 or data[-8:].decode("latin-1") not in str(error)
    else:
        assert credentials(name, secret) == data


@given(st.binary(min_size=3, max_size=200))
def test_any_packet_is_a_command_or_a_value_error(packet: bytes) -> None:
    with suppress(ValueError, IndexError):
        number, data = improv.command(packet[:1] + bytes([len(packet) - 3]) + packet[2:])
        assert 0 <= number <= 255 and len(data) == len(packet) - 5


@given(
    st.lists(st.one_of(st.binary(max_size=40), st.just(b"IMPROV\x01"), st.just(b"\x1e"), st.just(b"\n")), max_size=60)
)
def test_the_reader_is_bounded_whatever_comes_and_recovers_after_a_silence(pieces: list[bytes]) -> None:
    reader = json_seq.Reader()
    for text in found(reader, b"".join(pieces)):
        assert len(text) <= json_seq.MAX_REQUEST
    reader.give_up()
    assert found(reader, b"\x1e{}\n") == [b"{}"]
    assert len(found(reader, rpc(improv.STATE, b""))) == 1


@given(st.lists(st.text(max_size=300), max_size=6), st.integers(0, 255))
def test_whatever_is_told_is_one_whole_packet(texts: list[str], number: int) -> None:
    coded = [text.encode("utf-8", "ignore").decode() for text in texts]
    sent = improv.result(number, coded)
    assert sent[:8] == b"IMPROV\x01\x04" and len(sent) == sent[8] + 11
    assert sent[-2] == sum(sent[:-2]) & 0xFF and sent[-1] == 10


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_tag_is_what_every_library_makes_of_it(key: bytes, text: bytes) -> None:
    assert lock.tag(key, text, hashlib.sha256) == hmac.digest(key, text, "sha256")[:12].hex()
