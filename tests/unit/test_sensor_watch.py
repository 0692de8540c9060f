"""What is wrong with a motion sensor, told from what it says."""

from array import array

from ansim_fw.core.sensor_watch import LOOK_MS, SensorWatch

MINUTE_MS = 60000


def batch(count, x=0, y=0, z=1000, noise=1):
    """Samples of which each axis alternates by noise mg."""
    samples = array("h", bytes(6 * count))
    for at in range(count):
        for axis, mg in enumerate((x, y, z)):
            samples[3 * at + axis] = mg + (noise if (at + axis) % 2 else 0)
    return samples


def fixed(count, axis, mg, motion_mg=1):
    samples = batch(count, noise=motion_mg)
    for at in range(count):
        samples[3 * at + axis] = mg
    return samples


def look(watch, samples, count=32, closely=False):
    """One look at what came; return what is wrong."""
    watch.forget()
    if count:
        watch.take(samples, count, False)
    return watch.judge(closely)


def test_a_sensor_at_rest_on_a_table_is_well_even_if_noise_is_smaller_than_its_steps():
    watch = SensorWatch()
    assert look(watch, batch(32)) == ""
    assert look(watch, batch(32, noise=0)) == ""


def test_what_does_not_change_is_looked_at_closer_and_is_stuck_if_there_is_no_noise_there_either():
    watch = SensorWatch()
    watch.take(fixed(32, 2, 1000), 32, False)
    assert watch.wants_closer_look()
    assert look(watch, fixed(32, 2, 1000), closely=True) == "sensor_stuck"
    assert look(watch, batch(32), closely=True) == ""


def test_a_closer_look_is_taken_at_every_other_look_unless_there_is_doubt():
    watch = SensorWatch()
    asked = []
    for _ in range(4):
        watch.forget()
        watch.take(batch(32, noise=0), 32, False)
        asked.append(watch.wants_closer_look())
    assert asked == [True, False, True, False]
    watch.looked("sensor_stuck")
    asked = []
    for _ in range(3):
        watch.forget()
        watch.take(batch(32, noise=0), 32, False)
        asked.append(watch.wants_closer_look())
    assert asked == [True, True, True]


def test_an_axis_that_does_not_change_while_others_move_is_stuck():
    for axis in range(3):
        assert look(SensorWatch(), fixed(32, axis, 17, motion_mg=400)) == "sensor_stuck"


def test_an_axis_at_full_scale_is_saturated_but_not_one_that_was_there_for_a_moment():
    for mg in (7999, -8000, 15998, 32767):
        assert look(SensorWatch(), fixed(32, 1, mg)) == "sensor_saturated"
    samples = fixed(32, 1, 7999)
    samples[1] = 0
    assert look(SensorWatch(), samples) == ""


def test_no_samples_are_a_silent_sensor_and_few_prove_nothing():
    assert look(SensorWatch(), None, 0) == "sensor_silent"
    assert look(SensorWatch(), fixed(8, 0, 0, motion_mg=400), 8) == ""


def test_samples_lost_now_and_then_are_no_fault_but_again_and_again_they_are():
    for lost_of_62, wanted in ((1, ""), (2, ""), (15, ""), (16, "sensor_overrun"), (62, "sensor_overrun")):
        watch = SensorWatch()
        for number in range(62):
            watch.take(batch(16), 16, number < lost_of_62)
        assert watch.judge(False) == wanted


def looks_until_told(watch, problems):
    """Take one look after the other; return when the fault changed, as {ms: fault}."""
    at_ms = 0
    told = {}
    for problem in problems:
        before = watch.fault
        wait_ms = watch.looked(problem)
        if watch.fault != before:
            told[at_ms] = watch.fault
        at_ms += wait_ms
    return told


def test_a_fault_is_told_at_the_second_look_and_over_at_the_second_good_one():
    watch = SensorWatch()
    told = looks_until_told(watch, ["", "sensor_absent", "sensor_absent", "sensor_absent", "", "", ""])
    assert told == {LOOK_MS + 1000: "sensor_absent", LOOK_MS + 1000 + 20000 + 1000: ""}


def test_one_disturbed_transfer_is_no_fault_and_one_good_moment_no_end_of_one():
    watch = SensorWatch()
    assert looks_until_told(watch, ["sensor_bus"] + [""] * 12 + ["sensor_bus"] + [""] * 12) == {}
    told = looks_until_told(watch, ["sensor_bus", "sensor_bus", "", "sensor_bus", "", "sensor_bus"])
    assert list(told.values()) == ["sensor_bus"]


def test_errors_now_and_then_are_told():
    told = looks_until_told(SensorWatch(), ["sensor_bus", "", "", "", "", "sensor_bus"])
    assert list(told.values()) == ["sensor_bus"]


def test_every_lasting_fault_is_told_within_a_minute_of_its_beginning():
    for first_look_ms in range(0, LOOK_MS, 500):
        watch = SensorWatch()
        # A stuck axis at rest may come just after a closer look: the look after it is not one.
        told = looks_until_told(watch, ["", "sensor_stuck", "sensor_stuck"])
        assert first_look_ms + min(told) < MINUTE_MS


def test_taking_samples_allocates_nothing():
    try:
        from micropython import heap_lock, heap_unlock
    except ImportError:
        # CPython has no such lock; the same file runs on MicroPython, where it has.
        return
    watch, samples = SensorWatch(), batch(32)
    heap_lock()
    for _ in range(5):
        watch.take(samples, 32, False)
        watch.wants_closer_look()
        watch.judge(False)
        watch.looked("")
    heap_unlock()
