"""Charge by cause: a ledger times a board's currents, and what a change would cost."""

import importlib
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ansim.boards import boards_folder, load_board
from ansim.errors import BadInput, DeviceError
from ansim.home import project_root
from ansim.power.model import Bench, Budget
from ansim.power.parts import all_parts
from ansim.power.usage import DAY_S, Usage, read_usage
from ansim.power.what_if import cases
from ansim_fw.core.kept import Kept
from ansim_fw.core.ledger import CPU, DEEP, LIGHT, LINKS, MOTION, RADIO, TIMER, Ledger
from ansim_fw.watcher import Watcher

PENDANT = "esp32c3_pendant"
NOTHING = Usage(**dict.fromkeys((item.name for item in fields(Usage)), 0))
# Asleep all day, but for 24 contacts of 2 s.
HOURLY = replace(NOTHING, deep_s=DAY_S - 72, cpu_s=24, radio_s=48, wake_timer=24, links=24)


def mah(budget: Budget, beginning: str) -> float:
    found = [cause.mah_a_day for cause in budget.causes if cause.name.startswith(beginning)]
    assert found, beginning
    return sum(found)


def test_a_day_of_deep_sleep_takes_what_chip_sensor_and_board_draw() -> None:
    bench = Bench(load_board(PENDANT))
    budget = bench.budget(replace(NOTHING, deep_s=10 * DAY_S))
    assert mah(budget, "deep sleep") == pytest.approx(24 * bench.ma["deep_sleep"])
    assert mah(budget, "motion sensor") == pytest.approx(24 * all_parts()["bma400"].used.ma)
    assert mah(budget, "regulator") == pytest.approx(24 * bench.ma["board"])
    assert mah(budget, "self-discharge") == pytest.approx(500 * 0.02 / 30)
    assert mah(budget, "radio") == mah(budget, "light") == mah(budget, "awake") == mah(budget, "starts") == 0
    assert budget.days == pytest.approx(500 / budget.mah_a_day)


def test_each_state_is_charged_with_its_own_current() -> None:
    bench = Bench(load_board(PENDANT))
    budget = bench.budget(replace(NOTHING, deep_s=DAY_S - 3600, light_s=1800, cpu_s=1800))
    assert mah(budget, "light sleep") == pytest.approx(0.5 * bench.ma["light_sleep"])
    assert mah(budget, "awake") == pytest.approx(0.5 * bench.ma["active"])


def test_a_start_is_taken_out_of_the_time_awake_and_not_charged_twice() -> None:
    bench = Bench(load_board(PENDANT))
    woken = bench.budget(HOURLY)
    assert mah(woken, "starts") == pytest.approx(24 * bench.ms["start"] / 1000 * bench.ma["active"] / 3600)
    # The bootloader's part of each start is in no clock of the device: it comes out of the deep sleep.
    both_s = 24 + 24 * 0.047
    assert mah(woken, "starts") + mah(woken, "awake") == pytest.approx(both_s * bench.ma["active"] / 3600)


def test_radio_time_is_shared_out_as_the_bench_has_it() -> None:
    bench = Bench(load_board(PENDANT))
    budget = bench.budget(HOURLY)
    steps = bench.ms["join"] + bench.ms["handshake"] + bench.ms["send"]
    assert mah(budget, "radio: joining") == pytest.approx(
        48 * bench.ms["join"] / steps * bench.ma["wifi_receive"] / 3600
    )
    tls_ma = bench.ma["active"] + bench.ma["wifi_connected"] - bench.ma["idle"]
    assert mah(budget, "radio: TLS") == pytest.approx(48 * bench.ms["handshake"] / steps * tls_ma / 3600)
    # A contact that fails transmits as one that is made.
    failing = bench.budget(replace(HOURLY, links=12, failed=12))
    assert mah(failing, "radio: transmitter") == mah(budget, "radio: transmitter") > 0


def test_a_ledger_is_read_as_the_device_tells_it() -> None:
    ledger = Ledger()
    for state, ms in ((DEEP, 3_600_000), (LIGHT, 61_999), (CPU, 2_500), (RADIO, 2_000)):
        ledger.pass_time(state, ms)
    ledger.woke(TIMER)
    ledger.woke(MOTION)
    ledger.count(LINKS)
    usage = read_usage({"battery_mv": 4000, **ledger.told()}, "AN000001")
    assert (usage.deep_s, usage.light_s, usage.cpu_s, usage.radio_s) == (3600, 61, 2, 2)
    assert (usage.wakes, usage.contacts, usage.wake_motion) == (2, 1, 1)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"battery_mv": 4000}, "AN000001 tells no ledger"),
        ({**Ledger().told(), "deep_s": -1}, "deep_s is -1"),
        ({**Ledger().told(), "links": "many"}, "links is 'many'"),
        ({**Ledger().told(), "light_s": True}, "light_s is True"),
        ({**Ledger().told(), "cpu_s": 1 << 40}, "cpu_s is 1099511627776"),
    ],
)
def test_a_ledger_that_is_missing_or_impossible_is_told(told: dict[str, object], says: str) -> None:
    with pytest.raises(DeviceError, match=says) as caught:
        read_usage(told, "AN000001")
    assert caught.value.hint


def test_a_board_without_the_figures_is_told_which_are_missing(tmp_path: Path) -> None:
    text = (boards_folder() / f"{PENDANT}.toml").read_text()
    begin = text.index("[currents.light_sleep]")
    path = tmp_path / f"{PENDANT}.toml"
    path.write_text(text[:begin] + text[text.index("[", begin + 1) :])
    with pytest.raises(BadInput, match="no currents.light_sleep"):
        Bench(load_board(str(path)))
    with pytest.raises(BadInput, match="'esp32_devkit' has no battery"):
        Bench(load_board("esp32_devkit"))


def test_every_driver_has_its_part_and_keeps_as_many_samples() -> None:
    drivers = (project_root() / "firmware/ansim_fw/drivers").glob("[a-z]*.py")
    assert set(all_parts()) == {path.stem for path in drivers}
    for name, part in all_parts().items():
        driver = importlib.import_module(f"ansim_fw.drivers.{name}")
        assert part.history_samples == driver.Sensor.HISTORY_SAMPLES, name
        assert all(mode.source for mode in part.modes)


class Resting:
    """A sensor that keeps so many samples, and has none."""

    FIFO_SAMPLES = 32

    def __init__(self, history_samples: int) -> None:
        self.HISTORY_SAMPLES = history_samples

    def resume(self, rate_hz: int, range_g: int) -> None:
        pass


def test_a_sensor_is_read_as_often_as_the_firmware_reads_it() -> None:
    for name, part in all_parts().items():
        watcher = Watcher(Resting(part.history_samples), None, Kept())
        assert watcher.read_ms == int(part.read_every_ms), name


def test_a_part_wakes_at_most_at_the_firmwares_threshold() -> None:
    for part in all_parts().values():
        for threshold_mg in (250, 500, 900):
            assert part.grain_mg <= part.wake_mg(threshold_mg) <= threshold_mg


def test_changes_cost_what_they_should() -> None:
    board = load_board(PENDANT)
    usage = replace(HOURLY, light_s=3600, wake_motion=80, cpu_s=200)
    days = {case.name: case.budget.days for case in cases(board, usage, 60)}
    assert days["heartbeat every 60 min"] == pytest.approx(Bench(board).budget(usage).days, rel=1e-3)
    by_interval = [days[f"heartbeat every {minutes} min"] for minutes in (5, 15, 30, 60, 240, 1440)]
    assert by_interval == sorted(by_interval)
    assert days["0.5 times the movements"] > days["heartbeat every 60 min"] > days["2 times the movements"]
    assert days["5 more false wakes an hour"] < days["heartbeat every 60 min"]
    assert days["Wi-Fi takes 3 times as long to join"] < days["heartbeat every 60 min"]
    assert min(days.values()) > 0


def test_twice_the_usage_of_twice_the_time_is_the_same_day() -> None:
    twice = Usage(**{item.name: 2 * getattr(HOURLY, item.name) for item in fields(Usage)})
    assert Bench(load_board(PENDANT)).budget(twice).mah_a_day == pytest.approx(
        Bench(load_board(PENDANT)).budget(HOURLY).mah_a_day
    )
