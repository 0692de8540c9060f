"""Each driver on a virtual chip, over I2C, with the part's register model: all have to behave alike."""

from array import array
from collections.abc import Iterator

import pytest

from ansim.home import project_root
from ansim.virtual.models.accelerometer import Fault
from sensor_bench import AT_REST, PARTS, PartFacts, Sample, SensorBench

RANGES_G = (2, 4, 8, 16)
QUIET_SAMPLES = 10
# What the model for the body wakes by.
WAKE_MG = 250


@pytest.fixture(scope="module", params=PARTS, ids=str)
def chip(request: pytest.FixtureRequest) -> Iterator[SensorBench]:
    made = SensorBench(request.param)
    yield made
    made.close()


@pytest.fixture
def bench(chip: SensorBench) -> SensorBench:
    chip.begin()
    return chip


def part(name: str) -> PartFacts:
    return next(facts for facts in PARTS if facts.name == name)


def movement(*samples: Sample) -> "array[int]":
    return array("h", [axis for sample in samples for axis in sample])


def jolt(change_mg: int, before: int = QUIET_SAMPLES) -> "array[int]":
    """Stillness, then one sample that differs on x, then stillness."""
    return movement(*[AT_REST] * before, (change_mg, 0, 1000), *[AT_REST] * QUIET_SAMPLES)


def near(found: Sample, wanted: Sample, within_mg: float) -> bool:
    return all(abs(a - b) <= within_mg for a, b in zip(found, wanted, strict=True))


def test_the_part_is_known_by_its_id(bench: SensorBench) -> None:
    assert bench.ask("sensor.identify()") is True
    assert bench.ask("Sensor.NAME") == bench.facts.name


def test_another_chip_at_its_address_is_told(bench: SensorBench) -> None:
    bench.change(Fault.WRONG_ID)
    assert bench.ask("sensor.identify()") is False


def test_nothing_is_sent_before_something_is_asked(bench: SensorBench) -> None:
    bench.change(Fault.SILENT)
    bench.run(f"Sensor(I2C(0), {bench.facts.address})")


@pytest.mark.parametrize("at", range(4), ids=("2g", "4g", "8g", "16g"))
def test_acceleration_is_told_in_milli_g_on_each_axis(bench: SensorBench, at: int) -> None:
    bench.run(f"sensor.start(50, {RANGES_G[at]})")
    for wanted in ((-1700, 0, 0), (0, 1234, 0), (0, 0, -987), (500, -501, 502)):
        bench.wear(wanted)
        bench.run("collect(2)")
        assert near(bench.samples("collect(3)")[-1], wanted, bench.facts.step_mg[at] / 2 + 0.5)


def test_what_is_beyond_the_range_is_its_end(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 2)")
    bench.wear((3000, -3000, 0))
    bench.run("collect(2)")
    assert near(bench.samples("collect(3)")[-1], (2000, -2000, 0), 2 * bench.facts.step_mg[0])


@pytest.mark.parametrize("call", ["sensor.start(60, 16)", "sensor.start(50, 3)"])
def test_a_rate_or_range_that_no_part_has_is_refused(bench: SensorBench, call: str) -> None:
    assert bench.run(f"try: {call}\nexcept ValueError: print('refused')") == "refused"


@pytest.mark.parametrize("rate_hz", [25, 50, 100])
def test_samples_come_at_the_rate_that_was_asked_for(bench: SensorBench, rate_hz: int) -> None:
    bench.run(f"sensor.start({rate_hz}, 16)\ncollect(1)\nstart = time.ticks_us()")
    bench.run(f"count = len(collect({rate_hz // 2}))\ntaken_us = time.ticks_diff(time.ticks_us(), start)")
    count, taken_us = bench.ask("count"), bench.ask("taken_us")
    assert isinstance(count, int) and isinstance(taken_us, int)
    assert abs(count - taken_us * rate_hz / 1e6) <= 0.1 * count + 2


def test_samples_come_in_their_order_and_each_once(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)")
    ramp: list[Sample] = [(40 * i, -40 * i, 1000) for i in range(1, 61)]
    bench.play(movement(*ramp))
    found = [sample for sample in bench.samples("collect(75)") if sample[0] > 20]
    assert len(found) >= len(ramp)
    for sample, wanted in zip(found, ramp, strict=False):
        assert near(sample, wanted, bench.facts.step_mg[3] / 2 + 0.5)


def test_a_batch_is_never_longer_than_its_buffer_and_the_next_goes_on(bench: SensorBench) -> None:
    bench.run("sensor.start(100, 16)\ntime.sleep_ms(900)\ncount = sensor.read(buffer)")
    assert bench.ask("count") == bench.ask("Sensor.FIFO_SAMPLES") == 32
    rest = bench.samples("drain()[0]")
    assert len(rest) >= (90 if bench.facts.depth > 32 else 32) - 32 - 10


def test_samples_that_were_lost_are_told_once(bench: SensorBench) -> None:
    bench.run(f"sensor.start(100, 16)\ntime.sleep_ms({bench.facts.depth * 10 + 200})\nfound, lost = drain()")
    assert bench.ask("lost") is True
    count = bench.ask("len(found)")
    assert isinstance(count, int) and bench.facts.depth <= count <= bench.facts.depth + 12
    assert bench.ask("drain()[1]") is False


def test_a_fifo_that_is_read_in_time_loses_nothing(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)\ntime.sleep_ms(320)\nlost = drain()[1]")
    assert bench.ask("lost") is False


def test_reading_allocates_nothing(bench: SensorBench) -> None:
    bench.run(
        "sensor.start(100, 16)\n"
        "def read():\n"
        "  total = 0\n"
        "  for _ in range(4):\n"
        "    total += sensor.read(buffer)\n"
        "    time.sleep_ms(60)\n"
        "  return total\n"
        "read()\nmicropython.heap_lock()\ntry: total = read()\nfinally: micropython.heap_unlock()"
    )
    total = bench.ask("total")
    assert isinstance(total, int) and total >= 10


def test_the_pin_rises_when_the_fifo_holds_as_much_as_was_asked_for(bench: SensorBench) -> None:
    # Each at once: after 160 ms the FIFO holds as much again.
    bench.run("sensor.start(50, 16)\nsensor.wake_on_watermark(8)\ndrain()\nbefore = pin.value()")
    assert bench.ask("before") == 0
    assert bench.ask("pin_rises()") is True
    assert bench.ask("sensor.woke() == WATERMARK") is True
    # Where the part latches this, too, the sample that came before the FIFO was empty has raised it once more.
    bench.run("found = drain()[0]\nsensor.woke()\nafter = (sensor.woke(), pin.value())")
    assert len(bench.samples("found")) >= 8
    assert bench.ask("after") == (0, 0)


def test_an_impact_raises_the_pin_until_it_is_asked_and_its_history_is_kept(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    assert bench.ask("pin.value()") == 0
    bench.play(jolt(3000))
    # All at once: the smallest FIFO holds no more than 640 ms.
    bench.run(
        "seen = [pin_rises(), (time.sleep_ms(100), pin.value())[1]]\n"
        "seen += [sensor.woke() == IMPACT, pin.value(), sensor.woke()]\nfound = drain()[0]"
    )
    assert bench.ask("seen") == [True, 1, True, 0, 0]
    found = [round(x, -2) for x, _, _ in bench.samples("found")]
    assert found[found.index(3000) - 5 : found.index(3000)] == [0] * 5


def test_a_new_driver_takes_over_a_part_that_went_on_while_the_chip_slept(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 8)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    bench.play(jolt(3000))
    bench.run(
        "seen = [pin_rises()]\ntime.sleep_ms(100)\nsensor = Sensor(bus, address)\n"
        "sensor.resume(50, 8)\nfound = drain()[0]\nseen += [sensor.woke() == IMPACT, pin.value()]"
    )
    assert bench.ask("seen") == [True, True, 0]
    found = [round(x, -2) for x, _, _ in bench.samples("found")]
    assert found[found.index(3000) - 5 : found.index(3000)] == [0] * 5
    bench.play(jolt(3000))
    assert bench.ask("pin_rises()") is True


def test_a_part_keeps_as_many_samples_as_it_says_while_nobody_reads_it(bench: SensorBench) -> None:
    bench.run("sensor.start(100, 8)\ntime.sleep_ms(Sensor.HISTORY_SAMPLES * 11)")
    assert bench.ask("len(drain()[0]) >= Sensor.HISTORY_SAMPLES") is True


def test_after_an_impact_the_next_one_raises_the_pin_again(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    for _ in range(2):
        bench.play(jolt(3000))
        assert bench.ask("pin_rises()") is True
        bench.run(f"collect({2 * QUIET_SAMPLES + 2})\nsensor.woke()\ncollect(3)\nsensor.woke()")
        assert bench.ask("pin.value()") == 0


def test_a_start_raises_nothing_whenever_its_first_sample_comes(bench: SensorBench) -> None:
    # A part that is played to takes its samples with the recording's: the first one up to two periods after the start.
    bench.play(movement(*[AT_REST] * 3))
    bench.run(
        "raised = []\nfor phase in range(8):\n"
        f"  sensor.start(50, 8)\n  sensor.wake_on_impact({WAKE_MG})\n"
        "  time.sleep_ms(50 + 3 * phase)\n  raised.append(pin.value())"
    )
    assert bench.ask("raised") == [0] * 8


def test_in_a_new_posture_the_part_is_quiet_again(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    bench.play(movement(*[AT_REST] * 3, (1500, 0, 0)))
    assert bench.ask("pin_rises()") is True
    assert bench.ask("(time.sleep_ms(100), sensor.woke() == IMPACT)[1]") is True
    bench.run("time.sleep_ms(100)")
    assert bench.ask("(pin.value(), sensor.woke())") == (0, 0)


def test_a_change_as_large_as_the_threshold_is_never_missed(bench: SensorBench) -> None:
    # A hair more, as the part rounds what it measures.
    change_mg = bench.facts.impact_mg + 20
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    bench.play(jolt(change_mg))
    assert bench.ask("pin_rises()") is True
    assert bench.ask("sensor.woke() == IMPACT") is True


def test_a_change_is_not_missed_after_slow_movement(bench: SensorBench) -> None:
    threshold_mg = bench.facts.impact_mg
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({threshold_mg})\ncollect(3)\nsensor.woke()")
    lowest_mg = -threshold_mg * 48 // 100
    drift: list[Sample] = [(lowest_mg * i // 20, 0, 1000) for i in range(21)]
    bench.play(movement(*drift, (lowest_mg + threshold_mg + 20, 0, 1000), *drift[-5:]))
    assert bench.ask("pin_rises()") is True


def test_a_small_change_does_not_wake(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    bench.play(jolt(bench.facts.impact_mg * 2 // 5))
    bench.run(f"collect({3 * QUIET_SAMPLES})")
    assert bench.ask("(pin.value(), sensor.woke())") == (0, 0)


def test_turning_over_slowly_wakes_no_part_that_compares_neighbours(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\ncollect(3)\nsensor.woke()")
    bench.play(movement(*[(40 * i, 0, 1000 - 40 * i) for i in range(26)]))
    bench.run("collect(35)")
    # The ADXL345's reference is older, as its driver says.
    assert bench.ask("sensor.woke() == IMPACT") is (bench.facts.name == "adxl345")


def test_an_impact_is_let_pass_once_that_is_switched_off(bench: SensorBench) -> None:
    bench.run(f"sensor.start(50, 16)\nsensor.wake_on_impact({bench.facts.impact_mg})\nsensor.wake_on_impact(0)")
    bench.play(jolt(4000))
    bench.run(f"collect({3 * QUIET_SAMPLES})")
    assert bench.ask("(pin.value(), sensor.woke())") == (0, 0)


def test_free_fall_raises_the_pin_where_the_part_knows_it(bench: SensorBench) -> None:
    assert bench.ask("Sensor.HAS_FREE_FALL") is bench.facts.has_free_fall
    assert bench.ask("hasattr(sensor, 'wake_on_freefall')") is bench.facts.has_free_fall
    if not bench.facts.has_free_fall:
        return
    bench.run("sensor.start(50, 16)\nsensor.wake_on_freefall(350, 100)\ncollect(10)\nsensor.woke()")
    assert bench.ask("pin.value()") == 0
    bench.play(movement(*[AT_REST] * 3, *[(30, 30, 30)] * 12, *[AT_REST] * 5))
    assert bench.ask("pin_rises()") is True
    bench.run("collect(25)")
    assert bench.ask("(sensor.woke() == FREE_FALL, pin.value())") == (True, 0)


def test_a_good_part_passes_its_self_test_in_any_posture(bench: SensorBench) -> None:
    bench.change(noise_mg=2)
    for posture in (AT_REST, (-700, 700, 0)):
        bench.wear(posture)
        assert bench.ask("sensor.selftest()") is True


@pytest.mark.parametrize("fault", [Fault.STUCK_X, Fault.STUCK_Y, Fault.STUCK_Z, Fault.SATURATED_Y])
def test_a_part_with_a_bad_axis_fails_its_self_test(bench: SensorBench, fault: Fault) -> None:
    bench.change(fault)
    assert bench.ask("sensor.selftest()") is False


def test_a_part_that_takes_no_samples_does_not_pass_its_self_test(bench: SensorBench) -> None:
    bench.change(Fault.STALLED)
    assert bench.run("try: print(sensor.selftest())\nexcept OSError: print('failed')") == "failed"


def test_the_self_test_leaves_the_part_stopped_and_start_starts_it(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)\nsensor.selftest()\ndrain()\ntime.sleep_ms(200)")
    assert bench.samples("drain()[0]") == []
    bench.run("sensor.start(50, 16)\ncollect(1)")
    assert near(bench.samples("collect(2)")[-1], AT_REST, bench.facts.step_mg[3])


def test_a_stopped_part_takes_no_samples(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)\ncollect(2)\nsensor.stop()\ndrain()\ntime.sleep_ms(200)")
    assert bench.samples("drain()[0]") == []


@pytest.mark.parametrize(
    "call", ["identify()", "start(50, 16)", "read(buffer)", "wake_on_impact(1000)", "woke()", "selftest()", "stop()"]
)
def test_a_part_that_does_not_answer_is_an_oserror(bench: SensorBench, call: str) -> None:
    bench.run("sensor.start(50, 16)")
    bench.change(Fault.SILENT)
    assert bench.run(f"try: sensor.{call}\nexcept OSError: print('bus')") == "bus"
    bench.change(Fault.NONE)
    bench.run("sensor.start(50, 16)")
    assert near(bench.samples("collect(2)")[-1], AT_REST, bench.facts.step_mg[3])


def test_samples_that_a_bus_error_cost_are_told(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)\ncollect(3)")
    bench.change(Fault.SILENT)
    assert bench.run("try: sensor.read(buffer)\nexcept OSError: print('bus')") == "bus"
    bench.change(Fault.NONE)
    assert bench.ask("[drain()[1], drain()[1]]") == [True, False]


def test_bus_errors_come_out_as_such_and_no_sample_is_made_up(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)")
    bench.change(Fault.BUS_ERRORS)
    bench.run(
        "found, errors = [], 0\n"
        "for _ in range(60):\n"
        "  try: found.extend(drain()[0])\n"
        "  except OSError: errors += 1\n"
        "  time.sleep_ms(10)"
    )
    assert bench.ask("errors > 0 and len(found) > 0") is True
    bench.change(Fault.NONE)
    found = bench.samples("found + collect(5)")
    assert all(near(sample, AT_REST, bench.facts.step_mg[3]) for sample in found)


def test_start_gets_the_part_out_of_any_state(bench: SensorBench) -> None:
    bench.run(
        "sensor.start(100, 2)\nsensor.wake_on_impact(200)\nsensor.wake_on_watermark(4)\n"
        "if Sensor.HAS_FREE_FALL: sensor.wake_on_freefall(500, 20)\n"
        "time.sleep_ms(200)"
    )
    assert bench.ask("pin.value()") == 1
    bench.run(f"sensor = Sensor(I2C(0), {bench.facts.address})\nsensor.start(50, 8)\ncollect(3)")
    bench.play(jolt(4000))
    found = bench.samples(f"collect({3 * QUIET_SAMPLES})")
    assert max(found)[0] in range(3990, 4011)
    assert bench.ask("(pin.value(), sensor.woke())") == (0, 0)


def test_a_part_that_lost_its_power_is_started_again(bench: SensorBench) -> None:
    bench.run("sensor.start(50, 16)")
    bench.lose_power()
    assert bench.samples("drain()[0]") == []
    bench.run("sensor.start(50, 16)\ncollect(1)")
    assert near(bench.samples("collect(2)")[-1], AT_REST, bench.facts.step_mg[3])


@pytest.mark.parametrize("chip", [part("mpu6886")], indirect=True, ids=str)
def test_a_fifo_that_is_out_of_step_makes_no_samples_up(bench: SensorBench) -> None:
    """The MPU-6886's FIFO knows bytes only: what was cut off in the middle of a sample shifts all that follows."""
    bench.run("sensor.start(50, 16)\ntime.sleep_ms(200)")
    bench.run("bus.readfrom_mem_into(0x68, 0x74, bytearray(3))\ncount = sensor.read(buffer)")
    assert bench.ask("(count, sensor.overran)") == (0, True)
    found = bench.samples("collect(5)")
    assert len(found) < bench.facts.depth // 2
    assert all(near(sample, AT_REST, bench.facts.step_mg[3]) for sample in found)


@pytest.mark.parametrize("chip", [part("bma400")], indirect=True, ids=str)
def test_frames_that_are_no_samples_are_passed_over(bench: SensorBench) -> None:
    """The BMA400 puts a frame of its own between the samples when its settings change."""
    bench.run("sensor.start(50, 16)\ncollect(3)")
    bench.run(
        "for odr in (6, 7) * 3:\n  time.sleep_ms(100)\n  bus.writeto_mem(address, 0x1A, bytes([0xF0 | odr]))\n"
        "time.sleep_ms(60)"
    )
    assert bench.ask("(sensor.read(buffer), sensor.overran)[1]") is False
    found = bench.samples("[tuple(buffer[3 * i : 3 * i + 3]) for i in range(10)] + collect(3)")
    assert all(near(sample, AT_REST, bench.facts.step_mg[3]) for sample in found)


def test_conversion_takes_either_byte_order_rounds_and_saturates(bench: SensorBench) -> None:
    bench.run(
        "from ansim_fw.drivers._convert import to_mg\nraw = bytes(range(1, 7)) + b'\\x00\\x80\\xff\\x7f\\xff\\xff'"
    )
    bench.run("to_mg(raw, 0, 2, 0x06108, buffer, 3)")
    assert bench.ask("list(buffer[3:9])") == [round(n * 125 / 256) for n in (0x201, 0x403, 0x605)] + [-16000, 16000, 0]
    bench.run("to_mg(raw, 1, 1, 0x06018, buffer, 0)")
    assert bench.ask("list(buffer[:3])") == [round(n * 125 / 256) for n in (0x203, 0x405, 0x600)]
    bench.run("to_mg(raw, 6, 1, 0x06105, buffer, 0)")
    assert bench.ask("list(buffer[:3])") == [-32768, 32767, -4]


def test_every_driver_of_the_firmware_is_tested_here() -> None:
    files = (project_root() / "firmware/ansim_fw/drivers").glob("[a-z]*.py")
    assert {path.stem for path in files} == {facts.name for facts in PARTS}
