"""What the sensor models have in common, seen on the bus: samples at their rate, faults, and a quiet chip."""

import statistics

import pytest

from ansim.errors import BadInput
from ansim.virtual.models import BusError, Fault, names
from sensor_kit import SETUPS, Sample, SensorBench, Setup

ALL = pytest.mark.parametrize("setup", SETUPS.values(), ids=SETUPS)


def near(found: Sample, wanted: tuple[float, float, float], tolerance_mg: float) -> bool:
    return all(abs(a - b) <= tolerance_mg for a, b in zip(found, wanted, strict=True))


def test_each_part_is_a_file_and_an_unknown_one_is_told_with_those_that_there_are() -> None:
    assert names() == sorted(SETUPS)
    with pytest.raises(BadInput, match="no model of the part 'bmi160'") as caught:
        SensorBench("bmi160")
    assert "lis2dw12" in str(caught.value.hint)


@ALL
def test_it_says_who_it_is_and_does_not_let_itself_be_renamed(setup: Setup) -> None:
    bench = SensorBench(setup.name)
    register, value = setup.identity
    bench.set(register, 0x12)
    assert bench.get(register) == value


@ALL
def test_it_measures_nothing_before_it_is_told_to(setup: Setup) -> None:
    bench = SensorBench(setup.name)
    assert bench.part.due_ms is None
    bench.wait_ms(1000)
    assert setup.samples(bench) == []


@ALL
def test_ten_seconds_at_50_hz_are_500_samples_of_the_posture(setup: Setup) -> None:
    bench = setup.bench()
    bench.hold(-200, 600, 770)
    found = []
    for _ in range(20):
        bench.wait_ms(500)
        found += setup.samples(bench)
    assert len(found) == 500
    assert all(near(sample, (-200, 600, 770), setup.step_mg) for sample in found)


@ALL
def test_a_recording_of_its_rate_is_played_sample_by_sample(setup: Setup) -> None:
    bench = setup.bench()
    bench.wait_ms(333)
    setup.samples(bench)
    recording = [(i * 97 % 4001 - 2000, -(i * 53 % 3001), i * 31 % 9001) for i in range(150)]
    bench.play(recording)
    found = []
    for _ in range(16):
        bench.wait_ms(200)
        found += setup.samples(bench)
    played = found[:150]
    assert all(near(sample, wanted, setup.step_mg) for sample, wanted in zip(played, recording, strict=True))
    assert all(near(sample, recording[-1], setup.step_mg) for sample in found[150:]), "its last sample is held"
    assert len(found) >= 159


@ALL
def test_a_part_that_is_started_while_a_recording_plays_falls_in_with_its_samples(setup: Setup) -> None:
    bench = SensorBench(setup.name)
    recording = [(i * 20, 0, 0) for i in range(100)]
    bench.play(recording)
    bench.wait_ms(507)
    for write in setup.stream:
        bench.set(*write)
    bench.wait_ms(400)
    for x, _, _ in setup.samples(bench):
        assert abs(x - round(x / 20) * 20) <= setup.step_mg


@ALL
def test_beyond_full_scale_is_full_scale(setup: Setup) -> None:
    bench = setup.bench()
    bench.hold(20_000, -20_000, 0)
    bench.wait_ms(100)
    x, y, _ = setup.samples(bench)[-1]
    assert 16_000 - setup.step_mg <= x < 16_000
    assert y == -16_000


@ALL
def test_its_noise_and_offset_are_those_it_was_given_and_the_same_in_each_run(setup: Setup) -> None:
    runs = []
    for _ in range(2):
        bench = setup.bench(seed=7)
        bench.part.noise_mg, bench.part.offset_mg = 25.0, (40.0, 0.0, -60.0)
        found = []
        for _ in range(40):
            bench.wait_ms(500)
            found += setup.samples(bench)
        runs.append(found)
    assert runs[0] == runs[1]
    xs, zs = [sample[0] for sample in runs[0]], [sample[2] for sample in runs[0]]
    assert abs(statistics.mean(xs) - 40) < 5
    assert abs(statistics.mean(zs) - 940) < 5
    assert 22 < statistics.stdev(xs) < 28


@ALL
def test_it_is_noisy_unless_told_otherwise(setup: Setup) -> None:
    assert type(setup.bench().part).NOISE_MG > 0


@ALL
def test_what_nobody_reads_is_lost_from_the_old_end(setup: Setup) -> None:
    bench = setup.bench()
    bench.play([(i, 0, 0) for i in range(0, 16000, 80)])
    bench.wait_ms(200 * 20)
    found = setup.samples(bench)
    assert len(found) == setup.depth
    newest = 200 * 80 - 80
    assert abs(found[-1][0] - newest) <= setup.step_mg
    assert abs(found[0][0] - (newest - 80 * (setup.depth - 1))) <= setup.step_mg


@ALL
def test_while_its_pin_cannot_change_the_chip_is_seldom_called(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.tick()
    assert bench.part.due_ms is not None
    assert bench.part.due_ms - bench.now_ms >= 5000


@ALL
def test_power_makes_it_forget_everything(setup: Setup) -> None:
    bench = setup.bench()
    bench.wait_ms(200)
    bench.part.power_on()
    assert bench.part.due_ms is None
    assert setup.samples(bench) == []


@ALL
def test_a_silent_part_acknowledges_nothing_until_it_is_well_again(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.break_down(Fault.SILENT)
    for attempt in (lambda: bench.part.write(b""), lambda: bench.part.read(1), lambda: bench.get(0)):
        with pytest.raises(BusError) as caught:
            attempt()
        assert caught.value.code == 19, "ENODEV, as ESP32 tells of a missing acknowledgement"
    bench.part.break_down(Fault.NONE)
    assert bench.get(setup.identity[0]) == setup.identity[1]


@ALL
def test_bus_errors_come_now_and_then(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.break_down(Fault.BUS_ERRORS)
    failures = 0
    for _ in range(400):
        try:
            bench.part.write(bytes((setup.identity[0],)))
        except BusError as error:
            assert error.code == 110
            failures += 1
    assert 20 < failures < 100


@ALL
def test_a_wrong_id_is_wrong_and_the_rest_goes_on(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.break_down(Fault.WRONG_ID)
    bench.wait_ms(100)
    assert bench.get(setup.identity[0]) != setup.identity[1]
    assert len(setup.samples(bench)) >= 4


@ALL
def test_a_stalled_part_answers_and_takes_no_sample(setup: Setup) -> None:
    bench = setup.bench()
    bench.wait_ms(100)
    setup.samples(bench)
    bench.part.break_down(Fault.STALLED)
    bench.wait_ms(1000)
    assert bench.get(setup.identity[0]) == setup.identity[1]
    assert setup.samples(bench) == []
    bench.part.break_down(Fault.NONE)
    bench.wait_ms(1000)
    assert len(setup.samples(bench)) >= 32


@ALL
def test_a_stuck_axis_does_not_change_while_the_others_do(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.noise_mg = 20.0
    bench.wait_ms(100)
    bench.part.break_down(Fault.STUCK_Y)
    setup.samples(bench)
    bench.play([(i * 50 % 1000, i * 50 % 1000, 0) for i in range(100)])
    bench.wait_ms(600)
    found = setup.samples(bench)
    assert len({y for _, y, _ in found}) == 1
    assert len({x for x, _, _ in found}) > 10


@ALL
def test_a_saturated_axis_stands_at_full_scale(setup: Setup) -> None:
    bench = setup.bench()
    bench.part.break_down(Fault.SATURATED_X)
    bench.wait_ms(200)
    found = setup.samples(bench)
    assert all(x > 16_000 - 2 * setup.step_mg for x, _, _ in found)
    assert all(abs(z - 1000) < 2 * setup.step_mg for _, _, z in found)
