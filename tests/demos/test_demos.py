"""Every script in `examples` runs with few data and epochs: its results, its files, its models."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot

import unspool
from unspool import demos
from unspool.datasets import TrainTest, load_digits, make_moving_ones, make_sine_classes
from unspool.errors import InputError
from unspool.estimators import detector_training

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),  # one epoch
    pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning"),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {
    "two_sines": ["two_sines.unspool", "data.png", "codes_by_class.png"],
    "ramp_composite": ["ramp_encoder.unspool", "ramp_composite.unspool", "composite.svg"],
    "padded_sequences": ["padded_sequences.unspool", "reconstruction.png", "generated.png"],
    "forecast_in_numpy": ["forecast.unspool", "forecast.png", "forecast_by_step.png"],
    "digit_images": ["dense_weights.png", "dense_reconstruction.png", "feature_maps.png"],
    "moving_mnist": ["moving_mnist.unspool", "frames.png", "composite.png"],
}


def load_small(name, monkeypatch):
    """Load a demo and replace its data by less of it."""
    script = demos.load(name)
    smaller = {
        "make_sine_classes": make_sine_classes(n_cycles=60),
        "make_moving_ones": make_moving_ones(60),
        "load_digits": TrainTest(*(part[:200] for part in load_digits())),
    }
    for function, data in smaller.items():
        if hasattr(script, function):
            monkeypatch.setattr(script, function, lambda *_, data=data, **__: data)
    for constant, value in {"VIDEOS": 40, "TEST_VIDEOS": 10, "UNITS": 8}.items():
        if hasattr(script, constant):
            monkeypatch.setattr(script, constant, value)
    return script


@pytest.fixture(autouse=True)
def closed_pictures():
    yield
    pyplot.close("all")


@pytest.mark.parametrize("name", FILES)
def test_a_demo_prints_its_results_and_writes_its_files(monkeypatch, tmp_path, name, capsys):
    results = load_small(name, monkeypatch).main(tmp_path / "new", epochs=2, random_state=1)
    assert all(np.isfinite(value) for value in results.values())
    printed = capsys.readouterr().out
    for result in results:
        assert result in printed
    for file in FILES[name]:
        assert (tmp_path / "new" / file).stat().st_size > 0
    for file in (tmp_path / "new").glob("*.unspool"):
        assert unspool.load(file).history_["loss"]


@pytest.mark.parametrize("name", ["two_sines", "forecast_in_numpy"])
def test_a_forward_pass_in_numpy_equals_the_model(monkeypatch, tmp_path, name):
    results = load_small(name, monkeypatch).main(tmp_path, epochs=1)
    (difference,) = (value for key, value in results.items() if "largest difference" in key)
    assert difference < 1e-5


def test_machine_temperature_finds_events_offline_and_online(monkeypatch, tmp_path, capsys):
    default_model = detector_training.default_model
    monkeypatch.setattr(
        detector_training,
        "default_model",
        lambda *given: default_model(*given).set_params(epochs=1),
    )
    script = demos.load("machine_temperature")
    monkeypatch.setattr(script, "STREAMED_STEPS", 100)
    results = script.main(tmp_path, random_state=1)
    assert "labelled anomalies found" in capsys.readouterr().out
    assert results["step by step in NumPy, largest difference"] < 1e-5
    assert 0 < results["share of normal steps above the threshold"] < 0.1
    assert (tmp_path / "events.csv").read_text().startswith("start,peak,end")
    assert (tmp_path / "anomalies.png").stat().st_size > 0
    assert unspool.load(tmp_path / "machine.unspool").window_ == 64


def test_every_script_is_a_demo_and_every_demo_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(demos.DEMOS)
    assert {*FILES, "machine_temperature"} == set(demos.DEMOS)


@pytest.mark.parametrize("name", demos.DEMOS)
def test_a_script_imports_public_names_only_and_says_how_to_run_it(name):
    lines = demos.script(name).read_text().splitlines()
    imports = [line for line in lines if line.startswith(("from unspool", "import unspool"))]
    assert imports
    assert not any("._" in line or " _" in line for line in imports)
    assert any(line.startswith("Source: ") for line in lines)
    run = f"    python {name}.py"
    assert any(line.startswith(run) and f"unspool demo {name}" in line for line in lines)


def test_a_script_runs_from_any_folder(tmp_path):
    script = demos.script("moving_mnist")
    done = subprocess.run(
        [sys.executable, script, "missing"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "missing: there is no such folder" in done.stderr
    assert (tmp_path / "unspool-demo" / "moving_mnist").is_dir()


def test_an_unknown_demo_is_refused():
    with pytest.raises(InputError, match="two_sines"):
        demos.load("two_sins")


def test_scripts_in_the_package_are_preferred_to_those_of_a_checkout(monkeypatch, tmp_path):
    package = tmp_path / "site-packages" / "unspool" / "demos"
    package.mkdir(parents=True)
    monkeypatch.setattr(demos, "__file__", str(package / "__init__.py"))
    assert demos.script("two_sines") == tmp_path / "examples" / "two_sines.py"
    (package / "two_sines.py").touch()
    assert demos.script("two_sines") == package / "two_sines.py"


def models():
    sines, ramp, padded, forecast, digits, moving = map(demos.load, FILES)
    return [
        sines.make_model(),
        ramp.make_model(),
        ramp.make_model(horizon=8),
        forecast.make_model(),
        padded.make_autoencoder("repeat"),
        padded.make_forecaster(),
        digits.make_dense(),
        digits.make_stacked(),
        digits.make_classifier(digits.make_stacked(), fine_tune=True),
        digits.make_convolutional((28, 28)),
        *moving.make_models().values(),
    ]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_a_model_of_an_article_is_trained_as_the_article_says(model):
    assert model.learning_rate_schedule == "constant"
    assert "auto" not in (model.epochs, model.patience, model.validation_split)


def test_exact_sequences_are_right_at_every_real_value():
    share_exact = demos.load("padded_sequences").share_exact
    data = make_moving_ones(50)
    assert share_exact(data.values, data) == 1
    wrong = data.values.copy()
    (row, *_) = np.flatnonzero(data.lengths == 5)
    wrong[row, 2, 3] = 0.7
    assert share_exact(wrong, data) == pytest.approx(0.98)
    wrong = data.values.copy()
    wrong[row, 7] = 1  # in the padding
    assert share_exact(wrong, data) == 1


def test_nats_are_summed_over_a_frame_and_cross_entropy_is_a_mean():
    nats = demos.load("moving_mnist").nats
    truth = np.array([[[0.0, 1.0, 1.0]]], np.float32)
    assert nats(truth, np.full((1, 1, 3), 0.5)) == pytest.approx(3 * np.log(2))
    assert nats(truth, truth) == pytest.approx(0, abs=1e-5)
    crossentropy = demos.load("digit_images").crossentropy
    assert crossentropy(truth, np.full((1, 1, 3), 0.5)) == pytest.approx(np.log(2))


def test_the_last_frame_is_repeated_with_the_best_probability_of_a_wrong_pixel():
    past = np.zeros((1, 2, 4), np.float32)
    future = np.array([[[0, 0, 0, 1]]], np.float32)  # a quarter is wrong: 0.25 is best
    best = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) * 4
    last_frame_nats = demos.load("moving_mnist").last_frame_nats
    assert last_frame_nats(past, future) == pytest.approx(best, rel=1e-3)
