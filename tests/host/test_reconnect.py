"""A fleet comes back after an outage: spread, so that the broker stands it, and with everything that waited."""

from pathlib import Path

import pytest
from broker_count import accepted_ms, let_count
from fleet_rows import stored_ids
from mqtt_device import make_home
from returning_fleet import FIRST_MAC, MOST_PER_SECOND, Outage, come_back, most_in_a_second

from ansim.stress.fleet.city import City
from ansim.stress.fleet.crowd import Crowd, State
from ansim_fw.core import config

CITY = 5000
SPREAD_MS = config.default("spread_s") * 1000
SMALL = 100
PATIENCE_S = 60

OUTAGES = [Outage(0, power_cut=True), *[Outage(away_ms) for away_ms in (1000, 10_000, 60_000, 600_000)]]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
@pytest.mark.parametrize("batch", range(3))
def test_a_city_comes_back_at_no_more_than_250_connections_a_second(outage: Outage, batch: int) -> None:
    back = come_back(CITY, SPREAD_MS, outage, FIRST_MAC + batch * CITY)
    assert len(back.connections_ms) == CITY
    assert most_in_a_second(back.attempts_ms) <= MOST_PER_SECOND
    assert max(back.connections_ms) <= outage.away_ms + 2 * SPREAD_MS


def test_alarms_that_wait_come_first_and_at_once() -> None:
    back = come_back(CITY, SPREAD_MS, Outage(1000, urgent_every=10))
    assert len([at for at in back.attempts_ms if at < 100]) >= CITY // 10
    # They try again and again; one second of the broker's absence costs them no more than a few.
    assert len([at for at in back.connections_ms if at <= 6000]) >= CITY // 10


def test_without_the_spread_a_city_would_come_back_at_one_moment() -> None:
    assert most_in_a_second(come_back(CITY, 0, Outage(0, power_cut=True)).connections_ms) == CITY


def test_the_most_in_a_second_is_counted_over_any_second() -> None:
    assert most_in_a_second([0, 999, 1000, 1001, 1998, 3000]) == 4
    assert most_in_a_second([]) == 0


def test_after_the_broker_is_killed_every_device_is_back_and_every_event_arrived_once(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    let_count(home)
    with City(home.path, spread_s=1) as city, Crowd(city, spread_s=1, here=1) as crowd:
        crowd.spawn(SMALL, rate=SMALL)
        assert crowd.until(is_whole, PATIENCE_S)
        assert len(accepted_ms(home, city.broker.client_port)) == SMALL
        city.kill_broker()
        assert crowd.until(lambda state: not state.connected, PATIENCE_S)
        crowd.call(alarms=SMALL // 10, over_s=0, faults=True)
        assert crowd.until(lambda state: state.owed >= SMALL, PATIENCE_S)
        city.start_broker()
        assert crowd.until(is_whole, PATIENCE_S)
        assert len(accepted_ms(home, city.broker.client_port)) == SMALL
        raised = crowd.report().lasting()
    assert len(raised) >= SMALL
    assert stored_ids(home) == raised


def is_whole(state: State) -> bool:
    return state.connected == SMALL and not state.owed
