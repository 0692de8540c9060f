"""Properties of what the link decides and reads: names, and the choice among networks."""

import string

from hypothesis import given
from hypothesis import strategies as st

from ansim.virtual import name_server
from ansim_fw.core import dns
from ansim_fw.core.wifi_choice import TRIES_BEFORE_LEAVING, WifiChoice

LABELS = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=20)
NAMES = st.lists(LABELS, min_size=1, max_size=6).map(".".join)
NUMBERS = st.integers(0, 0xFFFF)
ADDRESSES = st.lists(st.ip_addresses(v=4).map(str), max_size=6)


def are_addresses(found: "list[str] | None") -> bool:
    return found is None or (len(found) <= 4 and all(map(dns.is_address, found)))


@given(NUMBERS, NAMES, ADDRESSES)
def test_what_a_name_server_answers_is_read(number: int, name: str, addresses: list[str]) -> None:
    asked = dns.query(number, name)
    read, end = name_server.read_question(asked)
    assert (read, end) == (name, len(asked))
    assert dns.addresses(asked, name_server.write_answer(asked, addresses)) == addresses[:4]


@given(NUMBERS, NAMES, st.binary(max_size=600))
def test_any_answer_is_read_or_passed_over(number: int, name: str, answer: bytes) -> None:
    assert are_addresses(dns.addresses(dns.query(number, name), answer))


@given(NUMBERS, NAMES, NUMBERS, st.binary(max_size=450))
def test_any_records_behind_the_right_question_are_read_or_passed_over(
    number: int, name: str, count: int, records: bytes
) -> None:
    asked = dns.query(number, name)
    answer = asked[:2] + b"\x81\x80\0\1" + count.to_bytes(2) + b"\0\0\0\0" + asked[12:] + records
    found = dns.addresses(asked, answer)
    assert found is not None and are_addresses(found)


@given(NUMBERS, NAMES, ADDRESSES, st.data())
def test_an_answer_that_was_cut_or_garbled_is_read_as_far_as_it_goes(
    number: int, name: str, addresses: list[str], data: st.DataObject
) -> None:
    asked = dns.query(number, name)
    answer = bytearray(name_server.write_answer(asked, addresses))
    at = data.draw(st.integers(0, len(answer) - 1))
    cut = dns.addresses(asked, bytes(answer[:at]))
    assert cut is None or cut == addresses[: len(cut)]
    answer[at] = data.draw(st.integers(0, 255))
    assert are_addresses(dns.addresses(asked, bytes(answer)))


@given(st.text(max_size=300))
def test_any_text_is_asked_for_or_refused(name: str) -> None:
    try:
        asked = dns.query(1, name)
    except ValueError:
        return
    assert len(asked) <= dns.MAX_ANSWER


@given(st.binary(max_size=600))
def test_the_virtual_name_server_passes_over_what_is_no_query(query: bytes) -> None:
    name, end = name_server.read_question(query)
    assert end <= len(query)
    assert not name or dns.addresses(query[:end], name_server.write_answer(query[:end], [])) in ([], None)


NETWORKS = st.lists(st.text(min_size=1, max_size=3), min_size=1, max_size=5)
HAPPENINGS = st.lists(st.sampled_from(["not_joined", "no_broker", "good"]), max_size=40)


def after(names: list[str], last: str, happenings: list[str]) -> WifiChoice:
    choice = WifiChoice(names, last)
    for what in happenings:
        getattr(choice, what)()
    return choice


@given(NETWORKS, st.text(max_size=3), HAPPENINGS)
def test_whatever_happened_before_each_network_is_tried_within_a_bounded_number_of_failures(
    names: list[str], last: str, happenings: list[str]
) -> None:
    choice = after(names, last, happenings)
    tried = set()
    for _ in range(len(names) * TRIES_BEFORE_LEAVING):
        tried.add(choice.current)
        choice.no_broker()
    assert tried == set(range(len(names)))


@given(NETWORKS, st.text(max_size=3), HAPPENINGS)
def test_the_last_good_network_is_the_first_of_the_next_round(
    names: list[str], last: str, happenings: list[str]
) -> None:
    choice = after(names, last, happenings)
    good = choice.current
    choice.good()
    assert choice.current == good
    for _ in names:
        choice.not_joined()
    assert choice.current == good


@given(NETWORKS, st.text(max_size=3), HAPPENINGS)
def test_a_network_is_left_only_when_it_failed(names: list[str], last: str, happenings: list[str]) -> None:
    choice = WifiChoice(names, last)
    for what in happenings:
        before = choice.current
        left = getattr(choice, what)()
        assert choice.current == before or what == "not_joined" or left
