"""Detectors as ONNX files: scores of windows, and what follows for series, are the detector's."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from sklearn.frozen import FrozenEstimator

from tests.interop.models import AUTOENCODERS, FORECASTERS, randomised
from tests.interop.onnx_runs import assert_standard_and_all_of_it_used, exported, outputs
from tests.trained import QUICK
from unspool import AnomalyDetector, DenseAutoencoder, LSTMAutoencoder, Sequences, model_file
from unspool.anomaly.scores import RATIO
from unspool.errors import InputError
from unspool.interop.onnx import export_onnx
from unspool.nn import losses
from unspool.runtime.detector import Detector

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning"),
]

# Of scores, which are about 0.7, and of errors as shares of normal ones.
TOLERANCE = 1e-5
NAMES = ["reconstruction", "score", "contributions", "step_error"]
TRAILING = ["trailing_score", "trailing_contributions"]


def series(model, steps, seed=1):
    """A float32 series in the units of the model's data, whose spread grows."""
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(steps, model.scaler_.shift.size))
    scaled *= np.linspace(0.5, 2, steps)[:, None]
    return model.scaler_.undo(scaled).astype(np.float32)


def over(model, **parameters):
    """A detector with a frozen model."""
    detector = AnomalyDetector(FrozenEstimator(model), **parameters)
    return detector.fit(series(model, 60, seed=0))


def cut(X, size):
    return np.lib.stride_tricks.sliding_window_view(X, size, axis=0).swapaxes(1, 2)


def of_steps(windows, steps):
    """For each step the mean over the windows that cover it."""
    size = steps - len(windows) + 1
    covering = [windows[max(0, t - size + 1) : t + 1] for t in range(steps)]
    if windows.ndim == 1:
        return np.array([one.mean() for one in covering])
    places = [np.arange(t - max(0, t - size + 1), -1, -1)[: len(w)] for t, w in enumerate(covering)]
    return np.stack(
        [w[np.arange(len(w)), p].mean(axis=0) for w, p in zip(covering, places, strict=True)]
    )


def overlapping(windows, steps):
    """For each step and feature the mean over the windows that cover the step, of values (N, F)."""
    return np.stack([of_steps(one, steps) for one in windows.T], axis=1)


def near(got, expected, label=""):
    assert expected.std() > 1e-3, f"{label}: trivial"
    np.testing.assert_allclose(got, expected, TOLERANCE, TOLERANCE, err_msg=label)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_scores_of_a_series_equal_those_of_detector_and_runtime(name, tmp_path):
    detector = over(randomised(AUTOENCODERS[name]))
    twin, X = Detector(detector.contents()), series(detector.model_, 40)
    windows = cut(X, 9)
    got = outputs(exported(detector, tmp_path), windows, [9] * len(windows))
    assert list(got) == [*NAMES, *TRAILING]
    for one in (detector, twin):
        near(got["trailing_score"], one.anomaly_scores(X, "trailing")[8:], "trailing")
        expected = one.detect(X, "trailing").contributions[8:]
        near(got["trailing_contributions"], expected, "contributions")
        near(overlapping(got["contributions"], 40), one.detect(X, "window").contributions)
        near(of_steps(got["score"], 40), one.anomaly_scores(X, "window"), "window")
        scores = np.log1p(of_steps(got["step_error"], 40)).mean(axis=1)
        near(scores, one.anomaly_scores(X, "step"), "step")
    scaler = detector.model_.scaler_
    expected = scaler.apply(detector.model_.reconstruct(Sequences(windows)))
    near(scaler.apply(got["reconstruction"]), expected, "reconstruction")
    assert {array.dtype for array in got.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["repeat", "defaults", "patches", "dense model", "sequences"])
def test_scores_of_the_first_steps_follow_from_step_errors(name, tmp_path):
    """The first steps are padded at the front with copies of the first one, which do not count."""
    detector = over(randomised(AUTOENCODERS[name]))
    X = series(detector.model_, 8)  # shorter than a window
    padded = [np.pad(X[:end], ((9 - end, 0), (0, 0)), "edge") for end in range(1, 9)]
    runs = exported(detector, tmp_path)
    meta = runs.get_modelmeta().custom_metadata_map
    step, window, trailing = (
        np.array(json.loads(meta[f"scale_{kind}"])) for kind in ("step", "window", "trailing")
    )
    errors = outputs(runs, padded, [9] * 8)["step_error"] * step
    weights = np.exp(-4 * np.arange(8, -1, -1) / 9)
    means = [
        np.average(one[-end:], axis=0, weights=weights[-end:]) for end, one in enumerate(errors, 1)
    ]
    scores = np.log1p(means / trailing[:8]).mean(axis=1)
    near(scores, detector.anomaly_scores(X, "trailing"), "trailing")
    score = np.log1p(errors[-1, -8:].mean(axis=0) / window).mean()
    np.testing.assert_allclose(detector.anomaly_scores(X, "window"), score, TOLERANCE)


LOSSES = {
    "mse": {},
    "mae": {},
    "huber": {},
    "binary_crossentropy": {"scaling": "minmax", "output_activation": "sigmoid"},
    "binary_crossentropy, beyond 0 to 1": {"scaling": "minmax"},
    "categorical_crossentropy": {"scaling": "none", "output_activation": "softmax"},
}


@pytest.mark.parametrize(
    ("name", "features"),  # a distribution over one feature has no error
    [
        (name, features)
        for name in LOSSES
        for features in (1, 3)
        if "cat" not in name or features > 1
    ],
)
@pytest.mark.parametrize("make", [LSTMAutoencoder, DenseAutoencoder])
def test_step_errors_are_values_of_the_loss(name, make, features, tmp_path):
    """They are compared with the losses of training; cross-entropies are replaced by squares."""
    loss = name.partition(",")[0]
    rng = np.random.default_rng(0)
    X = (rng.gamma(0.5, size=(90, features)) * 10.0 ** np.arange(features)).astype(np.float32)
    if loss == "categorical_crossentropy":
        X /= X.sum(axis=1, keepdims=True)
    model = make(3, loss=loss, **LOSSES[name], **QUICK)
    detector = AnomalyDetector(model, window=6, random_state=0).fit(X)
    with torch.no_grad():  # outputs below 0, above 1 and far from the target
        for weight in detector.model_.module_.parameters():
            weight.copy_(torch.from_numpy(rng.normal(0, 0.7, size=weight.shape)))
    windows = cut(X, 6)
    got = outputs(exported(detector, tmp_path), windows, [6] * len(windows))
    for one in (detector, Detector(detector.contents())):
        found = one.detect(X, "trailing")
        np.testing.assert_allclose(got["trailing_score"], found.scores[5:], TOLERANCE, TOLERANCE)
        np.testing.assert_allclose(
            got["trailing_contributions"], found.contributions[5:], TOLERANCE, TOLERANCE
        )
    scaler = detector.model_.scaler_
    target = torch.from_numpy(scaler.apply(windows.astype(np.float64))).float()
    reconstruction = detector.model_.reconstruct(Sequences(windows.astype(np.float64)))
    prediction = torch.from_numpy(scaler.apply(reconstruction)).float()
    if "beyond" in name:
        assert (prediction < -0.1).any()
        assert (prediction > 1.1).any()
    if loss == "huber":
        difference = abs(prediction - target)
        assert (difference < 1).any()
        assert (difference > 1).any()
    used = "mse" if "crossentropy" in loss else loss
    expected = losses.LOSSES[used](prediction, target).numpy() / (RATIO * detector.scales_["step"])
    np.testing.assert_allclose(got["step_error"], expected, 1e-4, 1e-4 * expected.std())
    assert expected.std() > 0.1


RAGGED = np.array([9, 4, 1, 7, 9, 2])


def of_sequences(model, lengths=RAGGED, seed=0):
    """A detector of whole sequences, and sequences with NaN in their padding."""
    values = np.stack([series(model, 9, seed + i) for i in range(len(lengths))])
    detector = AnomalyDetector(FrozenEstimator(model)).fit(Sequences(values, lengths))
    values[np.arange(9) >= lengths[:, None]] = np.nan
    return detector, values


@pytest.mark.parametrize(
    "name",
    [
        *("repeat", "defaults", "previous, reversed target", "reversed input", "flat"),
        *("patches", "patches, previous", "pooled", "random kernels, pooled"),
        *("dense model", "dense decoder", "sequences"),
    ],
)
def test_sequences_are_scored_over_their_real_steps(name, tmp_path):
    detector, x = of_sequences(randomised(AUTOENCODERS[name]))
    given = Sequences(np.nan_to_num(x), RAGGED)
    runs = exported(detector, tmp_path)
    got = outputs(runs, x, RAGGED)
    for one in (detector, Detector(detector.contents())):
        near(got["score"], one.anomaly_scores(given, "window"), "window")
        near(got["contributions"], one.detect(given, "window").contributions, "contributions")
        highest = np.log1p(got["step_error"]).mean(axis=2).max(axis=1)
        near(highest, one.anomaly_scores(given, "step"), "step")
    for row, length in enumerate(RAGGED):  # each one alone, without padding
        alone = outputs(runs, x[row : row + 1, :length], [length])
        for key in ("score", "contributions"):
            np.testing.assert_allclose(alone[key][0], got[key][row], TOLERANCE)
        assert (got["step_error"][row, :length] > 0).all()
        assert not got["step_error"][row, length:].any()
    scores = runs.get_modelmeta().custom_metadata_map
    assert scores["scores"] == "sequences"
    assert "threshold_trailing" not in scores
    assert float(scores["threshold_window"]) == detector.thresholds_["window"].start


@pytest.mark.parametrize("name", ["repeat", "patches, previous", "dense model", "sequences"])
def test_empty_sequences_have_the_score_nan(name, tmp_path):
    runs = exported(over(randomised(AUTOENCODERS[name])), tmp_path)
    got = outputs(runs, np.full((3, 4, 2), 5.0), [0, 3, 0])
    for key in ("score", "contributions", *TRAILING):
        np.testing.assert_array_equal(
            np.isnan(got[key]).reshape(3, -1).all(axis=1), [True, False, True]
        )
        assert not np.isnan(got[key][1]).any()
    assert not got["step_error"][[0, 2]].any()
    no_steps = outputs(runs, np.zeros((3, 0, 2)), [0, 0, 0])
    assert np.isnan(no_steps["score"]).tolist() == [True] * 3
    assert no_steps["step_error"].shape == (3, 0, 2)
    no_batch = outputs(runs, np.zeros((0, 5, 2)), [])
    assert [no_batch[key].shape for key in NAMES] == [(0, 5, 2), (0,), (0, 2), (0, 5, 2)]


@pytest.mark.parametrize("name", ["reversed input", "dense model", "sequences"])
def test_values_in_the_padding_are_ignored(name, tmp_path):
    detector, x = of_sequences(randomised(AUTOENCODERS[name]))
    runs = exported(detector, tmp_path)
    expected = outputs(runs, x, RAGGED)
    for value in (0, 1e30, np.inf):
        for label, array in outputs(runs, np.nan_to_num(x, nan=value), RAGGED).items():
            np.testing.assert_array_equal(array, expected[label], err_msg=label)


def test_scores_of_a_constant_feature_and_of_a_huge_error_are_finite(tmp_path):
    rng = np.random.default_rng(0)
    X = np.stack([rng.normal(size=80), np.full(80, 3.0)], axis=1).astype(np.float32)
    detector = AnomalyDetector(LSTMAutoencoder(2, **QUICK), window=6, random_state=0).fit(X)
    X[60:, 1] = 40
    windows = cut(X, 6)
    got = outputs(exported(detector, tmp_path), windows, [6] * len(windows))
    expected = detector.anomaly_scores(X, "trailing")[5:]
    assert expected.max() > 5
    near(got["trailing_score"], expected, "trailing")


def test_an_absurdly_large_value_has_a_finite_score(tmp_path):
    detector = over(randomised(AUTOENCODERS["repeat"]))
    X = series(detector.model_, 12)
    X[8, 0] = 1e30
    windows = cut(X, 9)
    got = outputs(exported(detector, tmp_path), windows, [9] * len(windows))
    expected = detector.anomaly_scores(X, "trailing")[8:]
    np.testing.assert_allclose(got["trailing_score"], expected, 1e-3)


@pytest.mark.parametrize("name", ["repeat", "patches, previous", "dense model", "composite"])
def test_graphs_have_standard_operators_and_nothing_unused(name, tmp_path):
    export_onnx(over(randomised(AUTOENCODERS[name])), tmp_path / "model.onnx")
    assert_standard_and_all_of_it_used(tmp_path / "model.onnx")


def test_the_bound_of_a_model_is_in_the_metadata_of_its_detector(tmp_path):
    runs = exported(over(randomised(AUTOENCODERS["dense decoder"])), tmp_path)
    assert runs.get_modelmeta().custom_metadata_map["max_steps"] == "9"


@pytest.mark.parametrize("threshold", ["moving", "quantile"])
def test_metadata_and_descriptions_are_written(threshold, tmp_path):
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 2)), columns=["load", "oil"])
    model = LSTMAutoencoder(2, **QUICK)
    options = {"window": 8, "kind": "step", "threshold": threshold, "random_state": 0}
    detector = AnomalyDetector(model, **options).fit(X)
    meta = exported(detector, tmp_path).get_modelmeta().custom_metadata_map
    levels = {
        f"threshold_{kind}": detector.thresholds_[kind].start
        for kind in ("window", "step", "trailing")
    }
    assert {name: float(meta.pop(name)) for name in levels} == levels
    assert len(set(levels.values())) == 3
    assert json.loads(meta.pop("feature_names")) == ["load", "oil"]
    for kind in ("window", "step", "trailing"):
        scale = json.loads(meta.pop(f"scale_{kind}"))
        np.testing.assert_allclose(scale, 3 * detector.scales_[kind])
    assert meta.pop("unspool_version")
    assert meta == {
        "model": "LSTMAutoencoder",
        "part": "detector",
        "window": "8",
        "scores": "windows",
        "kind": "step",
        "threshold": threshold,
    }
    graph = onnx.load(tmp_path / "model.onnx").graph
    docs = {one.name: one.doc_string for one in [*graph.input, *graph.output]}
    assert list(docs) == ["x", "lengths", *NAMES, *TRAILING]
    assert all(docs.values())
    shapes = [
        [d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in graph.output
    ]
    assert shapes == [
        ["batch", "time", 2],
        ["batch"],
        ["batch", 2],
        ["batch", "time", 2],
        ["batch"],
        ["batch", 2],
    ]


@pytest.mark.parametrize("part", ["model", "encoder"])
def test_part_model_of_a_detector_writes_the_file_of_its_model(part, tmp_path):
    model = randomised(AUTOENCODERS["repeat"])
    export_onnx(over(model), tmp_path / "below.onnx", part=part)
    export_onnx(model, tmp_path / "alone.onnx", part=part)
    assert (tmp_path / "below.onnx").read_bytes() == (tmp_path / "alone.onnx").read_bytes()


def test_a_model_file_of_a_detector_is_exported_like_the_detector(tmp_path):
    detector = over(randomised(AUTOENCODERS["repeat"]))
    detector.save(tmp_path / "d.unspool")
    export_onnx(model_file.read(tmp_path / "d.unspool"), tmp_path / "read.onnx")
    export_onnx(detector, tmp_path / "given.onnx", part="detector")
    assert (tmp_path / "read.onnx").read_bytes() == (tmp_path / "given.onnx").read_bytes()


def test_detectors_whose_score_needs_more_than_one_window_are_refused(tmp_path):
    composite = randomised(AUTOENCODERS["composite"])
    whole = AnomalyDetector(FrozenEstimator(composite)).fit(
        np.stack([series(composite, 13, seed) for seed in range(6)])
    )
    refused = {
        "no detector": (randomised(AUTOENCODERS["repeat"]), "needs an AnomalyDetector"),
        "forecasts": (
            over(randomised(FORECASTERS["forecaster, dense"])),
            "A detector with the model LSTMForecaster compares each step with earlier forecasts, "
            "which a graph of single windows cannot do. Run it with unspool.runtime, or fit a "
            "detector with an autoencoder; part='model' exports its model without the score.",
        ),
        "codes": (over(randomised(AUTOENCODERS["repeat"]), kind="code"), "another `kind`"),
        "the end is forecast": (
            whole,
            "This detector scores sequences without their last 4 steps, which its model forecasts, "
            "but the graph would score all steps. Run it with unspool.runtime, or fit it with a "
            "model without `horizon`; part='model' exports its model without the score.",
        ),
    }
    for label, (model, message) in refused.items():
        for part in ("detector",) if label == "no detector" else ("detector", "auto"):
            with pytest.raises(InputError, match=message) as caught:
                export_onnx(model, tmp_path / "model.onnx", part=part)
            assert "part='model'" in str(caught.value), label
        assert list(tmp_path.iterdir()) == []
    for label, (model, _) in refused.items():
        export_onnx(model, tmp_path / f"{label}.onnx", part="model")


def test_a_composite_model_with_a_separate_future_scores_whole_sequences(tmp_path):
    """Only a model that was fitted without `y` leaves the end of each sequence out."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 9, 2)).astype(np.float32), rng.normal(size=(12, 3, 2))
    model = LSTMAutoencoder(3, horizon=3, **QUICK).fit(X, y)
    detector = AnomalyDetector(FrozenEstimator(model)).fit(X)
    near(outputs(exported(detector, tmp_path), X, [9] * 12)["score"], detector.anomaly_scores(X))


def test_the_command_exports_a_detector_by_default(run, tmp_path):
    model = randomised(AUTOENCODERS["repeat"])
    detector = over(model)
    detector.save(tmp_path / "d.unspool")
    for options, part in (
        ((), "detector"),
        (("--part", "detector"), "detector"),
        (("--part", "model"), "model"),
    ):
        done = run("export", tmp_path / "d.unspool", "-o", tmp_path / "d.onnx", *options)
        assert (done.code, done.out, done.err) == (0, "", "")
        export_onnx(detector, tmp_path / "same.onnx", part=part)
        assert (tmp_path / "d.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()
    text = " ".join(run("export", "--help").out.replace("│", " ").split())
    assert "auto: detector if MODEL is one, else model" in text


@pytest.mark.parametrize("options", [(), ("--part", "detector")])
def test_the_command_refuses_a_keras_file_of_a_detector(options, run, tmp_path):
    over(randomised(AUTOENCODERS["repeat"])).save(tmp_path / "d.unspool")
    done = run("export", tmp_path / "d.unspool", "-o", tmp_path / "d.keras", *options)
    assert done.code == 1
    assert "a .keras file cannot hold a detector" in done.err
    assert "--part model" in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["d.unspool"]


def test_an_export_needs_neither_torch_nor_scikit_learn(tmp_path):
    over(randomised(AUTOENCODERS["repeat"])).save(tmp_path / "d.unspool")
    code = (
        "import sys; from unspool.cli import main\n"
        f"try: main(['export', {str(tmp_path / 'd.unspool')!r}, '-o', "
        f"{str(tmp_path / 'd.onnx')!r}])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'sklearn', 'scipy', 'numba'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert (tmp_path / "d.onnx").exists()
