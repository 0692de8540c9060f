from ansim_fw.core import improv, json_seq

# As the page at https://www.improv-wifi.com/serial/ has it, with the checksum of its public clients.
EXAMPLE = b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword"
FRAMED = b"IMPROV\x01\x03\x20" + EXAMPLE
SENT = FRAMED + bytes((sum(FRAMED) & 0xFF,)) + b"\n"


def refuses(call, argument):
    try:
        call(argument)
    except ValueError as error:
        return str(error)
    raise AssertionError(argument)


def told(reader, data):
    """Feed bytes; return what the reader found, packets and texts."""
    return [reader.text() for byte in data if reader.feed(byte) in (json_seq.PACKET, json_seq.TEXT)]


def test_the_example_of_the_standard_is_read():
    (packet,) = told(json_seq.Reader(), b"noise IMPRO" + SENT)
    number, data = improv.command(packet)
    assert number == improv.WIFI
    assert improv.credentials(data) == ("MyWirelessAP", "mysecurepassword")


def test_a_damaged_packet_is_refused():
    (packet,) = told(json_seq.Reader(), SENT)
    for at in range(1, len(packet)):
        refuses(improv.command, packet[:at] + bytes((packet[at] ^ 1,)) + packet[at + 1 :])


def no_memory(*_):
    raise MemoryError


def test_without_memory_for_it_what_comes_is_noise():
    for began in (b"\x1e", b"IMPROV\x01"):
        reader = json_seq.Reader()
        told(reader, began[:-1])
        json_seq.bytearray = no_memory
        try:
            reader.feed(began[-1])
            raise AssertionError(began)
        except MemoryError:
            assert told(reader, b"x" * 300 + b"\n") == []
        finally:
            del json_seq.bytearray
        assert told(reader, b"\x1e{}\n" + SENT) == [b"{}", SENT[7:-1]]


def test_what_is_sent_is_whole():
    assert improv.packet(improv.CURRENT_STATE, b"\x02") == b"IMPROV\x01\x01\x01\x02\xe2\n"
    assert improv.result(improv.WIFI, ()) == b"IMPROV\x01\x04\x02\x01\x00\xe5\n"
    sent = improv.result(improv.INFO, ("Ansim", "1.0"))
    assert sent[6:-2] == b"\x01\x04\x0c\x03\x0a\x05Ansim\x031.0"
    assert sent[-2] == sum(sent[:-2]) & 0xFF


def test_a_result_that_would_be_too_long_leaves_texts_out():
    sent = improv.result(improv.SCAN, ("x" * 200, "y" * 60, "YES"))
    assert len(sent) <= 9 + 255 + 2
    assert sent[10] == sent[8] - 2 == 1 + 200 + 1 + 3


def test_a_network_in_the_air_without_a_name_that_is_utf8_is_passed_over():
    assert improv.in_the_air(b"HOME", -55, True) == improv.result(improv.SCAN, ("HOME", "-55", "YES"))
    assert improv.in_the_air("우리집".encode(), -70, False) == improv.result(improv.SCAN, ("우리집", "-70", "NO"))
    # One that hides its name, and a Korean one as an old router has it (EUC-KR).
    assert improv.in_the_air(b"", -55, True) == improv.in_the_air(b"\xbf\xec\xb8\xae\xc1\xfd", -55, True) == b""


def test_networks_that_can_not_be_are_refused_without_telling_the_passphrase():
    def data(name, secret):
        return bytes((len(name),)) + name + bytes((len(secret),)) + secret

    for name, secret in ((b"x", b""), (b"x" * 32, b" ~345678"), (b"\xec\x95\x88", b"x" * 63), (b"x", b"0aF9" * 16)):
        assert improv.credentials(data(name, secret)) == (name.decode(), secret.decode())
    illegal = (b"", b"seven77"), (b"x" * 33, b""), (b"x", b"x" * 64), (b"x", b"x" * 65), (b"x", b"12345678\n")
    for name, secret in illegal + ((b"\xff", b"12345678"), (b"x", b"pass\xc3\xa9word")):
        error = refuses(improv.credentials, data(name, secret))
        assert not secret or secret.decode() not in error
    for broken in (b"", b"\x05home", b"\x04home", b"\x04home\x09eight888", b"\x04home\x00rest"):
        refuses(improv.credentials, broken)


def test_packets_and_texts_share_a_line():
    reader = json_seq.Reader()
    text = b'{"id":1,"cmd":"info"}'
    framed = b"\x1e" + text + b"\n"
    packet = FRAMED[7:] + bytes((sum(FRAMED) & 0xFF,))
    assert told(reader, framed + SENT + framed + SENT) == [text, packet, text, packet]
    # A name as long as the byte that begins a text, a passphrase as long as the one that ends it.
    data = b"\x1e" + b"n" * 30 + b"\x0a" + b"p" * 10
    rpc = b"IMPROV\x01\x03" + bytes((len(data) + 2, 1, len(data))) + data
    (packet,) = told(reader, rpc + bytes((sum(rpc) & 0xFF, 10)))
    assert improv.credentials(improv.command(packet)[1]) == ("n" * 30, "p" * 10)


def test_a_packet_that_breaks_off_is_given_up():
    reader = json_seq.Reader()
    assert told(reader, SENT[:20]) == []
    reader.give_up()
    assert told(reader, b"rest\n\x1e{}\n") == [b"{}"]
    assert told(reader, b"IMPROV\x01\x03\xff" + b"\x1e{}\n") == [b"{}"], "longer than any that has a meaning"
    reader.give_up()
    assert told(reader, b"\x1e{}\n") == [b"{}"]
