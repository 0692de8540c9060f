from ansim_fw.core import dns

ASKED = dns.query(0x1234, "broker.example.org")
POINTER = b"\xc0\x0c"


def record(kind, data, name=POINTER, cls=1):
    """Return a resource record as RFC 1035, 4.1.3 has it."""
    head = name + kind.to_bytes(2, "big") + cls.to_bytes(2, "big")
    return head + b"\0\0\x0e\x10" + len(data).to_bytes(2, "big") + data


def answer(*records, flags=b"\x81\x80", asked=ASKED, count=None):
    number = len(records) if count is None else count
    return asked[:2] + flags + b"\0\x01" + number.to_bytes(2, "big") + b"\0\0\0\0" + asked[12:] + b"".join(records)


def a(*numbers):
    return record(1, bytes(numbers))


def refused(name):
    try:
        dns.query(1, name)
    except ValueError:
        return True
    return False


def test_a_query_is_what_the_standard_shows():
    assert dns.query(0xABCD, "f.isi.arpa") == (
        b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01f\x03isi\x04arpa\x00\x00\x01\x00\x01"
    )


def test_names_that_no_host_can_have_are_refused():
    assert refused("") and refused(".") and refused("a..b") and refused(".a") and refused("a.")
    assert refused("x" * 64) and refused(".".join(["x" * 63] * 4))
    assert not refused("x" * 63) and not refused(".".join(["x" * 61] * 4))


def test_four_numbers_are_an_address_and_nothing_else_is():
    for host in ("0.0.0.0", "127.0.0.1", "255.255.255.255"):
        assert dns.is_address(host)
    for host in ("", "127.1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.", "a.b.c.d", "1.2.3.0004", "::1"):
        assert not dns.is_address(host)


def test_names_of_the_local_link_are_asked_of_all_who_are_on_it():
    assert dns.whom_to_ask("broker.example.org", "192.0.2.53") == ("192.0.2.53", 53)
    assert dns.whom_to_ask("local", "192.0.2.53") == ("192.0.2.53", 53)
    for name in ("broker.local", "Broker.LOCAL"):
        assert dns.whom_to_ask(name, "192.0.2.53") == ("224.0.0.251", 5353)


def test_the_address_in_an_answer_is_found():
    assert dns.addresses(ASKED, answer(a(192, 0, 2, 1))) == ["192.0.2.1"]


def test_aliases_are_passed_over():
    alias = record(5, b"\x05other\x07example\xc0\x1b")
    named = record(1, b"\xc6\x33\x64\x02", name=b"\x05other\x07example\x03org\0")
    assert dns.addresses(ASKED, answer(alias, named)) == ["198.51.100.2"]


def test_other_types_classes_and_lengths_are_no_addresses():
    wrong = [record(28, bytes(16)), record(1, bytes(4), cls=3), record(1, bytes(5)), record(1, b"")]
    assert dns.addresses(ASKED, answer(*wrong)) == []
    assert dns.addresses(ASKED, answer(*wrong, a(192, 0, 2, 9))) == ["192.0.2.9"]


def test_a_name_that_nobody_knows_has_no_address():
    assert dns.addresses(ASKED, answer(flags=b"\x81\x83")) == []


def test_at_most_four_addresses_are_taken():
    told = dns.addresses(ASKED, answer(*[a(10, 0, 0, number) for number in range(9)]))
    assert told == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_what_is_no_answer_to_the_query_is_passed_over():
    good = answer(a(192, 0, 2, 1))
    assert dns.addresses(ASKED, b"\x12\x35" + good[2:]) is None
    assert dns.addresses(ASKED, ASKED) is None
    assert dns.addresses(ASKED, good[:2] + b"\x89\x80" + good[4:]) is None
    assert dns.addresses(ASKED, good[:4] + b"\0\x02" + good[6:]) is None
    other = dns.query(0x1234, "broker.example.com")
    assert dns.addresses(ASKED, answer(a(192, 0, 2, 1), asked=other)) is None
    for length in range(len(ASKED)):
        assert dns.addresses(ASKED, good[:length]) is None


def test_a_server_may_answer_in_capitals():
    name = ASKED[12:-4].upper() + ASKED[-4:]
    assert dns.addresses(ASKED, answer(a(192, 0, 2, 1), asked=ASKED[:12] + name)) == ["192.0.2.1"]


def test_an_answer_cut_short_counts_as_far_as_it_is_whole():
    whole = answer(a(192, 0, 2, 1), a(192, 0, 2, 2), flags=b"\x83\x80")
    assert dns.addresses(ASKED, whole[:-1]) == ["192.0.2.1"]
    assert dns.addresses(ASKED, whole[:-17]) == []


def test_names_that_point_at_themselves_and_counts_that_lie_end():
    loop = record(5, b"", name=(0xC000 | len(ASKED)).to_bytes(2, "big"))
    assert dns.addresses(ASKED, answer(loop, a(192, 0, 2, 1))) == ["192.0.2.1"]
    assert dns.addresses(ASKED, answer(a(192, 0, 2, 1), count=0xFFFF)) == ["192.0.2.1"]
    assert dns.addresses(ASKED, answer(record(1, b"", name=b"\xff" * 9))) == []
