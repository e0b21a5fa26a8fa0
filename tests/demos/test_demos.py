"""Every demo runs whole, on little data: numbers, files, and that it is repeatable."""

import importlib

import numpy as np
import pytest

import unspool
from unspool import datasets
from unspool.demos import (
    DEMOS,
    images,
    machine,
    moving_digits,
    moving_ones,
    next_value,
    ramp,
    sines,
)
from unspool.demos.report import Report
from unspool.estimators import detector_training

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),  # one epoch
    pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning"),
]

FILES = {
    "ramp": ["ramp_encoder.unspool", "ramp_composite.unspool", "summary.txt", "composite.svg"],
    "moving_ones": ["moving_ones.unspool", "reconstruction.png", "generated.png"],
    "next_value": ["next_value.unspool", "forecast.png", "forecast_by_step.png"],
    "images": ["dense_weights.png", "dense_reconstruction.png", "feature_maps.png"],
    "moving_digits": ["moving_digits.unspool", "frames.png", "composite.png"],
}


@pytest.fixture
def little(monkeypatch):
    few = datasets.make_moving_ones(60)
    monkeypatch.setattr(moving_ones, "make_moving_ones", lambda *_, **__: few)
    small = images.load_digits()
    monkeypatch.setattr(
        images, "load_digits", lambda: images.TrainTest(*(part[:200] for part in small))
    )
    monkeypatch.setattr(moving_digits, "VIDEOS", 40)
    monkeypatch.setattr(moving_digits, "TEST_VIDEOS", 10)
    monkeypatch.setattr(moving_digits, "UNITS", 8)


@pytest.mark.parametrize("name", FILES)
def test_a_demo_leaves_numbers_and_files(little, tmp_path, name, capsys):
    run = importlib.import_module(f"unspool.demos.{name}").run
    numbers = run(tmp_path, epochs=2, seed=1)
    assert all(np.isfinite(value) for value in numbers.values())
    told = capsys.readouterr().out
    for file in FILES[name]:
        assert (tmp_path / file).stat().st_size > 0
        assert file in told
    for number in numbers:
        assert number in told
    for file in tmp_path.glob("*.unspool"):
        assert unspool.load(file).history_["loss"]


def test_every_demo_is_here_or_on_the_command_line():
    assert set(DEMOS) == {*FILES, "sines", "machine"}


def test_the_demo_of_a_machine(monkeypatch, tmp_path, capsys):
    few = detector_training.default_model
    monkeypatch.setattr(
        detector_training, "default_model", lambda *given: few(*given).set_params(epochs=1)
    )
    monkeypatch.setattr(machine, "STREAMED", 100)
    numbers = machine.run(tmp_path, seed=1)
    told = capsys.readouterr().out
    assert "labelled stretches found" in told
    assert numbers["step by step in NumPy, largest difference"] < 1e-5
    assert 0 < numbers["share of normal steps above the threshold"] < 0.1
    assert (tmp_path / "events.csv").read_text().startswith("start,peak,end")
    assert (tmp_path / "anomalies.png").stat().st_size > 0
    assert unspool.load(tmp_path / "machine.unspool").window_ == 64


MODELS = [
    sines.article(),
    ramp.simple(),
    ramp.composite(),
    next_value.article(),
    images.dense(),
    images.stacked(),
    images.classifier(images.stacked(), fine_tune=True),
    images.convolutional((28, 28)),
    moving_ones.autoencoder("repeat"),
    *moving_digits.models().values(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_no_default_of_training_reaches_into_an_article(model):
    assert model.learning_rate_schedule == "constant"
    assert "auto" not in (model.epochs, model.patience, model.validation_split)


def test_a_result_that_is_no_number_is_not_told(tmp_path):
    with pytest.raises(AssertionError, match="loss"):
        Report(tmp_path, "").number("loss", float("nan"))


def test_exact_sequences_are_right_at_every_real_value():
    data = datasets.make_moving_ones(50)
    values, lengths = data.take(np.arange(50))
    assert moving_ones.exact(values, data) == 1
    wrong = values.copy()
    (row, *_) = np.flatnonzero(lengths == 5)
    wrong[row, 2, 3] = 0.7
    assert moving_ones.exact(wrong, data) == pytest.approx(0.98)
    wrong = values.copy()
    wrong[row, 7] = 1  # in the padding
    assert moving_ones.exact(wrong, data) == 1


def test_nats_are_summed_over_a_frame():
    truth = np.array([[[0.0, 1.0, 1.0]]], np.float32)
    assert moving_digits.nats(truth, np.full((1, 1, 3), 0.5)) == pytest.approx(3 * np.log(2))
    assert moving_digits.nats(truth, truth) == pytest.approx(0, abs=1e-5)
    assert images.crossentropy(truth, np.full((1, 1, 3), 0.5)) == pytest.approx(np.log(2))


def test_the_last_frame_is_as_unsure_as_serves_it_best():
    past = np.zeros((1, 2, 4), np.float32)
    future = np.array([[[0, 0, 0, 1]]], np.float32)  # a quarter is wrong: 0.25 is best
    best = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) * 4
    assert moving_digits.last_frame(past, future) == pytest.approx(best, rel=1e-3)
