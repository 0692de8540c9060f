from ansim_fw.core.wifi_choice import TRIES_BEFORE_LEAVING, WifiChoice

NAMES = ["home", "neighbour", "phone"]


def tried(choice, rounds):
    """Return which networks are tried when none of them can be joined."""
    seen = []
    for _ in range(rounds):
        seen.append(NAMES[choice.current])
        choice.not_joined()
    return seen


def test_networks_are_tried_in_their_order_round_and_round():
    assert tried(WifiChoice(NAMES, ""), 4) == ["home", "neighbour", "phone", "home"]


def test_the_last_good_network_is_tried_first_and_the_others_keep_their_order():
    assert tried(WifiChoice(NAMES, "phone"), 4) == ["phone", "home", "neighbour", "phone"]


def test_a_last_good_network_that_is_not_known_any_more_counts_for_nothing():
    assert tried(WifiChoice(NAMES, "gone"), 3) == NAMES


def test_a_network_that_leads_to_no_broker_is_left_after_some_tries():
    choice = WifiChoice(NAMES, "")
    for _ in range(TRIES_BEFORE_LEAVING - 1):
        assert not choice.no_broker()
        assert choice.current == 0
    assert choice.no_broker()
    assert choice.current == 1


def test_tries_are_counted_for_each_network_and_forgotten_when_it_proves_good():
    choice = WifiChoice(NAMES, "")
    choice.no_broker()
    choice.not_joined()
    assert not choice.no_broker()
    choice.good()
    assert not choice.no_broker()
    assert NAMES[choice.current] == "neighbour"


def test_a_network_that_proved_good_is_the_first_from_then_on():
    choice = WifiChoice(NAMES, "")
    choice.not_joined()
    choice.not_joined()
    choice.good()
    assert tried(choice, 4) == ["phone", "home", "neighbour", "phone"]


def test_the_only_network_is_joined_anew():
    choice = WifiChoice(["home"], "home")
    left = [choice.no_broker() for _ in range(2 * TRIES_BEFORE_LEAVING)]
    assert left.count(True) == 2
    assert choice.current == 0


def test_a_choice_goes_on_where_another_one_was():
    before = WifiChoice(NAMES, "phone")
    before.not_joined()
    before.no_broker()
    choice = WifiChoice(NAMES, "phone")
    choice.resume(before.current, before.tries)
    assert choice.current == 0
    assert choice.no_broker()
    assert tried(choice, 3) == ["neighbour", "phone", "home"]
