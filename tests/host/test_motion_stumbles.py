"""A fall detector that fails in a way that nobody foresaw: the device goes on, and tells it when it lasts."""

import binascii

from ansim.falls import model_file
from ansim_fw import motion
from ansim_fw.core.fall.detector import Detector
from ansim_fw.core.fall.model import load
from ansim_fw.drivers._part import Part


def watching() -> motion.Motion:
    """Return what watches a sensor that is never asked, with the shipped model."""
    packed = model_file.pack(model_file.read(model_file.shipped("waist")))
    watched = motion.Motion(Part(None, 0x19, 6), None)  # type: ignore[arg-type]  # nothing is asked on its bus
    watched.detector = Detector(load(packed, binascii.crc32))
    return watched


def test_a_detector_that_fails_three_times_is_told_and_one_or_two_are_not() -> None:
    watched = watching()
    faults = []
    for _ in range(4):
        watched.stumbled()
        faults.append(watched.fault)
    assert faults == ["", "", "fall_model", "fall_model"]


def test_what_fails_while_it_records_is_the_recording() -> None:
    watched = watching()
    for _ in range(4):
        watched.record = lambda _samples, _count, _lost: None
        watched.stumbled()
        assert watched.record is None
    assert watched.fault == ""
