"""The detector on recordings of people, where they are to be had."""

import numpy as np
import pytest

from ansim.falls import model_file
from ansim.falls.bounds import PLACEMENTS
from ansim.falls.evaluation import Study
from ansim.falls.figures import figures_of
from ansim.falls.judging import Deployed
from ansim.falls.recordings import Recording, data_folder, load

NATIVE_RATE = "sisfall_200hz.npz"
# Few enough for a quick look, of both groups.
SOME = {"waist": ("SA02", "SA09", "SA17", "SE02", "SE06", "SE09"), "wrist": ("U03", "U05", "U08", "U10", "U22", "U25")}


def recordings_of(name: str) -> list[Recording]:
    path = data_folder() / name
    if not path.is_file():
        pytest.skip(f"there are no recordings at {path}; set ANSIM_DATA")
    return load(path)


def study(placement: str) -> Study:
    return Study(placement, 2, 0, lambda *_: None)


def some(placement: str) -> list[Recording]:
    return [each for each in recordings_of(PLACEMENTS[placement].recordings) if each.subject in SOME[placement]]


@pytest.mark.parametrize(("placement", "sensitivity", "specificity"), [("waist", 0.85, 0.97), ("wrist", 0.8, 0.8)])
def test_few_people_teach_enough_for_strangers(placement: str, sensitivity: float, specificity: float) -> None:
    figures = figures_of(study(placement).cross_validate(some(placement), 3, "some people"))
    found = figures.overall
    assert found.sensitivity and found.sensitivity.value >= sensitivity
    assert found.specificity and found.specificity.value >= specificity
    assert figures.sleep.falls_slept_through == ()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_model_that_is_shipped_is_one_that_learned_from_its_set(placement: str) -> None:
    recordings = some(placement)
    told = model_file.read(model_file.shipped(placement))
    assert told["learned_from"]["set"] == PLACEMENTS[placement].recordings
    found = figures_of(study(placement).judge_model(Deployed(told), recordings, "shipped")).overall
    assert found.sensitivity and found.sensitivity.value >= 0.95
    assert found.specificity and found.specificity.value >= 0.95


def test_the_native_rate_becomes_the_device_s_as_the_set_s_makers_did_it() -> None:
    native, made = recordings_of(NATIVE_RATE), recordings_of(PLACEMENTS["waist"].recordings)
    for one, expected in list(zip(native, made, strict=True))[::150]:
        found = one.at_rate(50).acc
        assert np.abs(found.astype(int) - expected.acc).max() <= 2, one.name
