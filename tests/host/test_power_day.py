"""Described days, and the movements that they are played with."""

import re
from pathlib import Path

import pytest

from ansim.errors import BadInput
from ansim.falls.recordings import data_folder
from ansim.power import rates
from ansim.power.day import DAY_S, Act, Day, Part, Wearer, day_names, load_day
from ansim.power.rates import KINDS, Rate, as_toml, derive, read_rates

HOUR_S = 3600
STILL = Rate(0, 0, 0, 0, 12, 0, 1, 1)
# Each of its seconds stirs, and has a window.
WILD = Rate(1, 1, 1, 1, 12, 1, 1, 1)


def day_of(*acts: Act) -> Day:
    return Day("a test's day", (Part("still", 12.0), Part("moving", 12.0, acts)))


@pytest.mark.parametrize("name", day_names())
def test_every_described_day_loads_and_names_its_sources(name: str) -> None:
    day = load_day(name)
    assert sum(part.hours for part in day.parts) == 24
    assert all(act.source for part in day.parts for act in part.acts)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("hours = 9", "hours = 10", "parts: their hours add up to 2[56]"),
        ("hours = 9", "hours = nan", "parts.asleep.hours: is nan"),
        ("hours = 4.5", "huors = 4.5", r"parts\[3\].huors: unknown key; did you mean 'hours'"),
        ('["bend", 12]', '["bend"]', r"parts\[3\].acts\[2\].movements\[1\]: is \['bend'\], must have 2 values"),
        ('"turn", 12', '"trun", 12', "no movement 'trun'; did you mean 'turn'"),
        ("per_hour = 2.1", "per_hour = 0", "per_hour: is 0, must be above 0"),
        ("per_hour = 2.1", "per_hour = 301", "fit into an hour with 12 s each"),
        ('["turn", 12]', "", "movements: is empty"),
        ('["turn", 12]', '["turn", 0]', "lasts 0 s"),
        ('["turn", 12]', '["turn", "12"]', "must be a whole number"),
        ("per_hour = 2.1", "pre_hour = 2.1", "unknown key; did you mean 'per_hour'"),
        ('title = "a day at home"', 'title = "x"\njoin_factor = 0.5', "join_factor: is 0.5, must be 1 to 20"),
    ],
)
def test_a_mistake_in_a_day_is_one_message_with_file_and_key(tmp_path: Path, old: str, new: str, says: str) -> None:
    good = (Path(rates.__file__).parent / "days" / "at_home.toml").read_text()
    assert old in good
    (tmp_path / "mine.toml").write_text(good.replace(old, new, 1))
    with pytest.raises(BadInput) as caught:
        load_day(str(tmp_path / "mine.toml"))
    assert re.search(says, caught.value.message) and "mine.toml" in caught.value.message


def test_a_day_that_is_unknown_is_named_with_the_nearest_one() -> None:
    with pytest.raises(BadInput, match="no day 'athome'; did you mean 'at_home'") as caught:
        load_day("athome")
    assert "restless" in caught.value.hint


def test_an_act_comes_as_often_as_it_is_described_and_only_in_its_part() -> None:
    wearer = Wearer(day_of(Act((("walk", 10),), 6, "")), {"walk": WILD}, 1)
    days = 20
    stirs = [each for number in range(days) for each in wearer.between(number * DAY_S, (number + 1) * DAY_S)]
    assert all(each.at_s % DAY_S >= 12 * HOUR_S for each in stirs)
    # 6 an hour, for 12 hours, 10 s each; some overlap.
    assert days * 720 * 0.9 < len(stirs) < days * 720 * 1.05
    assert all(each.stirs and each.windows == 1 for each in stirs)


def test_the_movements_of_an_act_follow_each_other() -> None:
    wearer = Wearer(day_of(Act((("sit", 5), ("walk", 3)), 1, "")), {"sit": STILL, "walk": WILD}, 3)
    stirs = wearer.between(0, DAY_S)
    assert stirs and all(each.stirs for each in stirs)
    runs = sum(each.at_s - 1 not in {other.at_s for other in stirs} for each in stirs)
    assert len(stirs) == pytest.approx(3 * runs, abs=3)


def test_the_same_seed_is_the_same_life_in_whatever_order_it_is_asked() -> None:
    day = load_day("at_home")
    table = read_rates().parts["bma400"]
    first, second, other = Wearer(day, table, 7), Wearer(day, table, 7), Wearer(day, table, 8)
    assert second.between(DAY_S, 2 * DAY_S)
    assert first.between(0, DAY_S) == second.between(0, DAY_S) != other.between(0, DAY_S)


def test_what_comes_next_is_found_beyond_midnight() -> None:
    wearer = Wearer(day_of(Act((("walk", 60),), 4, "")), {"walk": WILD}, 2)
    last = wearer.between(0, DAY_S)[-1].at_s
    following = wearer.next_stir(last + 1)
    assert following is not None and following.at_s == wearer.between(DAY_S, 2 * DAY_S)[0].at_s
    over = wearer.between(last, DAY_S + 13 * HOUR_S)
    assert over[0].at_s == last and over[-1].at_s > DAY_S + 12 * HOUR_S
    assert Wearer(day_of(), {}, 1).next_stir(5) is None


def test_false_wakes_come_all_day_long() -> None:
    wearer = Wearer(day_of(), {}, 1, extra_wakes_an_hour=10)
    found = [each for number in range(10) for each in wearer.between(number * DAY_S, (number + 1) * DAY_S)]
    assert 2100 < len(found) < 2700
    assert min(each.at_s % DAY_S for each in found) < HOUR_S


def test_the_table_of_rates_has_every_part_and_kind() -> None:
    table = read_rates()
    for part, kinds in table.parts.items():
        assert set(kinds) == set(KINDS), part
        for rate in kinds.values():
            assert 0 <= rate.begins <= 1 and 0 <= rate.stays <= 1 and rate.recordings > 0
    # The BMA400 compares twice as often, and so wakes for more than one that sees the firmware's own samples.
    fine, coarse = table.parts["bma400"], table.parts["mpu6886"]
    assert all(fine[kind].woken >= coarse[kind].woken for kind in KINDS)
    assert as_toml(table) == rates.RATES_FILE.read_text()


def test_movements_are_played_as_often_as_they_were_recorded_to_wake() -> None:
    for kind, rate in read_rates().parts["bma400"].items():
        woken, tries = 0, 400
        for seed in range(tries):
            act = Act(((kind, round(rate.seconds)),), 1 / 12, "")
            wearer = Wearer(Day("one", (Part("all", 24.0, (act,)),)), {kind: rate}, seed)
            stirs = wearer.between(0, DAY_S)
            woken += bool(stirs)
        # Two of them a day on average, by chance; one day in seven has none.
        expected = 1 - 2.718281828 ** (-2 * rate.woken)
        assert woken / tries == pytest.approx(expected, abs=0.12), kind


@pytest.mark.skipif(
    not (data_folder() / "sisfall_200hz.npz").exists(),
    reason="no sisfall_200hz.npz: set ANSIM_DATA to the folder of recordings",
)
def test_the_table_of_rates_is_what_the_recordings_give() -> None:
    assert derive() == read_rates()
