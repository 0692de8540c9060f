"""What is learned, and the files it is kept in."""

import binascii
import json
from pathlib import Path

import numpy as np
import pytest
from made_up_falls import people

from ansim.errors import BadInput
from ansim.falls import model_file, train
from ansim.falls.candidates import Candidates
from ansim.home import project_root
from ansim_fw.core.fall.features import COUNT
from ansim_fw.core.fall.model import load

MODELS = project_root() / "firmware" / "models"


def candidates(seed: int = 1, subjects: int = 6, of_each: int = 60) -> Candidates:
    """Two windows a recording; those of falls are higher in measures 0 and 3, the second window of each by little."""
    chances = np.random.default_rng(seed)
    count = subjects * of_each
    is_fall = np.arange(count) % 3 == 0
    features = chances.integers(0, 200, (2, count, COUNT))
    features[:, :, (0, 3)] = chances.integers(20, 120, (2, count, 2))
    features[0][np.ix_(is_fall, (0, 3))] += 90
    subject = np.array([f"P{i % subjects}" for i in range(count)])
    return Candidates(
        np.concatenate(features).astype(np.int64),
        np.tile(np.arange(count), 2),
        np.tile(subject, 2),
        np.tile(is_fall, 2),
        np.zeros(2 * count),
    )


def test_the_strongest_window_of_a_fall_teaches_and_the_others_do_not() -> None:
    seen = candidates()
    seen.features[: len(seen.at_s) // 2, 0] += 200
    positive, teaches = train.labels(seen)
    first, second = np.split(teaches, 2)
    assert first.all()
    assert (second == ~seen.is_fall[: len(second)]).all()
    assert (positive == seen.is_fall).all()


def test_the_device_scores_a_window_as_the_training_did() -> None:
    seen = candidates()
    told = train.fit(seen, "waist", 0)
    on_device = load(model_file.pack(told), binascii.crc32)
    expected = train.score(told["trees"], seen.features[:50])
    assert [on_device.score(bytes(row.tolist())) for row in seen.features[:50]] == expected.tolist()


def test_a_model_tells_falls_from_the_rest_within_its_share_of_mistakes() -> None:
    told = train.fit(candidates(1), "wrist", 0)
    others = candidates(2)
    positive, teaches = train.labels(others)
    says = train.score(told["trees"], others.features) >= told["certain"]
    assert says[teaches & positive].mean() > 0.9
    assert says[teaches & ~positive].mean() < 0.05


def test_the_same_seed_gives_the_same_model() -> None:
    assert train.fit(candidates(), "waist", 3) == train.fit(candidates(), "waist", 3)


def test_a_softer_copy_lies_as_the_original_does_and_moves_less() -> None:
    recordings = people(count=1, of_each=1)
    made = train.with_softer(recordings)
    assert made[: len(recordings)] == recordings
    for one, copy in zip(recordings, made[len(recordings) :], strict=True):
        assert (copy.name, copy.subject, len(copy.acc)) == (one.name, one.subject, len(one.acc))
        assert np.abs(copy.acc[:100].mean(axis=0) - one.acc[:100].mean(axis=0)).max() < 20
        assert np.abs(np.diff(copy.acc, axis=0)).max() < np.abs(np.diff(one.acc, axis=0)).max()


def test_an_open_model_judges_everything_and_suspects_nothing() -> None:
    on_device = load(model_file.pack(train.open_model("wrist")), binascii.crc32)
    assert on_device.score(bytes(COUNT)) < on_device.suspect


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    told = {**train.fit(candidates(), "waist", 0), "learned_from": {"set": "x.npz"}}
    model_file.write(tmp_path / "m.json", told)
    assert model_file.read(tmp_path / "m.json") == json.loads(json.dumps(told))
    assert max(map(len, (tmp_path / "m.json").read_text().splitlines())) < 120


@pytest.mark.parametrize(
    "change",
    [{"trees": [{"features": [COUNT, 0, 0], "thresholds": [0, 0, 0], "leaves": [0, 0, 0, 0]}]}, {"wake_mg": 70000}]
    + [{"trees": [{"features": [0, 0], "thresholds": [0, 0], "leaves": [0, 0, 0, 0]}]}, {"placement": "ankle"}],
)
def test_a_model_that_no_device_takes_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / "m.json").write_text(json.dumps({**train.open_model("waist"), **change}))
    with pytest.raises(BadInput, match=r"m\.json"):
        model_file.read(tmp_path / "m.json")


@pytest.mark.parametrize("text", ["", "[1]", "{}", "{"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(BadInput, match=r"m\.json"):
        model_file.read(tmp_path / "m.json")


@pytest.mark.parametrize("placement", sorted(train.PLACEMENTS))
def test_the_models_of_the_repository_fit_a_device_and_name_whom_they_learned_from(placement: str) -> None:
    told = model_file.read(MODELS / f"fall_{placement}.json")
    assert told["placement"] == placement
    assert told["learned_from"]["subjects"]
    assert len(model_file.pack(told)) <= 3 * 1024
