from ansim_fw.core import quick
from ansim_fw.core.quick import FIRST_S, LONGEST_S, NONE, Quick, unpack

ADDRESSES = ("192.168.0.23", "255.255.255.0", "192.168.0.1", "192.168.0.2")
OTHERS = ("10.0.0.9", "255.0.0.0", "10.0.0.1", "10.0.0.1")
HOUR_S = 3600


def known(at_s=1000):
    made = Quick()
    made.joined(1, 11)
    made.leased(ADDRESSES, at_s)
    made.named("203.0.113.7", at_s)
    return made


def test_nothing_is_known_at_first():
    made = Quick()
    assert (made.good, made.network, made.tries, made.channel) == (NONE, NONE, 0, 0)
    assert made.lease(0) is None
    assert made.broker(0) == ""


def test_an_address_is_used_for_half_an_hour():
    made = known(at_s=1000)
    assert made.lease(1000) == made.lease(1000 + FIRST_S - 1) == ADDRESSES
    assert made.lease(1000 + FIRST_S) is None


def test_an_address_that_was_given_again_is_believed_for_twice_the_time_in_between():
    made = known(at_s=0)
    made.leased(ADDRESSES, HOUR_S)
    assert made.lease(3 * HOUR_S - 1) == ADDRESSES
    assert made.lease(3 * HOUR_S) is None
    made.leased(ADDRESSES, 3 * HOUR_S)
    assert made.lease(7 * HOUR_S - 1) == ADDRESSES
    assert made.lease(7 * HOUR_S) is None


def test_an_address_that_is_given_again_soon_is_believed_as_long_as_before():
    made = known(at_s=0)
    made.leased(ADDRESSES, HOUR_S)
    made.leased(ADDRESSES, HOUR_S + 10)
    assert made.lease(HOUR_S + 10 + 2 * HOUR_S - 1) == ADDRESSES


def test_no_address_is_used_for_more_than_six_hours():
    made = known(at_s=0)
    made.leased(ADDRESSES, 10 * 24 * HOUR_S)
    assert made.lease(10 * 24 * HOUR_S + LONGEST_S - 1) == ADDRESSES
    assert made.lease(10 * 24 * HOUR_S + LONGEST_S) is None


def test_another_address_begins_with_half_an_hour():
    made = known(at_s=0)
    made.leased(ADDRESSES, HOUR_S)
    made.leased(OTHERS, 2 * HOUR_S)
    assert made.lease(2 * HOUR_S + FIRST_S - 1) == OTHERS
    assert made.lease(2 * HOUR_S + FIRST_S) is None


def test_the_brokers_name_is_asked_again_after_six_hours():
    made = known(at_s=1000)
    assert made.broker(1000 + LONGEST_S - 1) == "203.0.113.7"
    assert made.broker(1000 + LONGEST_S) == ""


def test_a_clock_that_went_back_makes_all_of_it_unusable():
    made = known(at_s=1000)
    assert made.lease(999) is None
    assert made.broker(999) == ""


def test_what_failed_once_is_forgotten_but_not_which_network_was_good():
    made = known(at_s=0)
    made.leased(ADDRESSES, HOUR_S)
    made.forget()
    assert (made.good, made.channel) == (1, 0)
    assert made.lease(HOUR_S) is None
    assert made.broker(HOUR_S) == ""
    made.leased(ADDRESSES, 2 * HOUR_S)
    assert made.lease(2 * HOUR_S + FIRST_S) is None


def test_only_what_led_to_the_broker_before_is_no_news():
    made = known()
    assert made.led(1, "203.0.113.7")
    assert not made.led(0, "203.0.113.7")
    assert not made.led(1, "203.0.113.8")
    made.forget()
    assert not made.led(1, "203.0.113.7")


def test_what_belongs_to_a_network_is_forgotten_with_it():
    made = known(at_s=0)
    made.joined(0, 6)
    assert (made.good, made.channel) == (0, 6)
    assert made.lease(0) is None


def test_an_impossible_channel_is_none():
    made = Quick()
    made.joined(0, 300)
    assert made.channel == 0


def test_what_was_packed_comes_back():
    made = known(at_s=0x2FFFFFFF)
    made.network, made.tries = 2, 1
    found = unpack(made.pack(), 3)
    assert (found.good, found.network, found.tries, found.channel) == (1, 2, 1, 11)
    assert found.lease(0x2FFFFFFF + 1) == ADDRESSES
    assert found.broker(0x2FFFFFFF + 1) == "203.0.113.7"
    assert found.pack() == made.pack()
    assert len(made.pack()) <= 64


def test_nothing_known_comes_back_as_that():
    found = unpack(Quick().pack(), 1)
    assert found.good == NONE
    assert found.lease(0) is None
    assert found.broker(0) == ""


def test_what_is_not_legal_is_as_nothing():
    packed = known(at_s=0).pack()
    wrong = [b"", packed[:-1], packed + b"\0", bytes([packed[0] + 1]) + packed[1:]]
    # A good network, a next one, a channel and a time of trust that can't be.
    for at, value in ((1, 3), (2, 3), (4, 250), (29, 1), (31, 0)):
        wrong.append(packed[:at] + bytes([value]) + packed[at + 1 :])
    for data in wrong:
        found = unpack(data, 3)
        assert found.good == NONE and found.lease(0) is None, data
    assert unpack(packed, 1).good == NONE


def test_any_bytes_are_read_or_passed_over():
    for seed in range(300):
        data = bytes([(seed * 7 + at * at * 31) % 256 for at in range(37)])
        found = unpack(bytes([1]) + data[1:], 4)
        lease = found.lease(seed)
        assert lease is None or len(lease) == 4
        assert quick.unpack(found.pack(), 4).pack() == found.pack()
