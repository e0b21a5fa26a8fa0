"""Messages of the runtime and of modules that no other test compares."""

import numpy as np
import pandas as pd
import pytest
import torch

import unspool
from unspool import (
    AnomalyDetector,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    plots,
    runtime,
)
from unspool.errors import InputError, ModelFileError
from unspool.evaluation import labels_from_windows
from unspool.lstm import BACKENDS, Call, choose, convolutions
from unspool.nn.decoder import check_known
from unspool.nn.device import resolve_device
from unspool.plots._time_axis import times_as_numbers

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
QUICK = {"epochs": 1, "random_state": 0, "verbose": 0, "validation_split": 0.0}
X = np.random.default_rng(0).normal(size=(12, 6, 2)).cumsum(1)
SERIES = np.sin(np.arange(200)[:, None] / [3, 5])


def forecaster(data=X, y=None, **parameters):
    model = LSTMForecaster(2, horizon=2, normalization="none", **QUICK, **parameters)
    return model.fit(data, y)


def light(model):
    return runtime.Model(model.contents())


def named_stream():
    frames = [pd.DataFrame(one, columns=["a", "b"]) for one in X]
    model = LSTMAutoencoder(2, bidirectional=False, n_kernels=0, **QUICK).fit(frames)
    return light(model).stream()


def detector_stream(model=None):
    model = DenseAutoencoder(2, **QUICK) if model is None else model
    found = AnomalyDetector(model, window=4, random_state=0, verbose=0).fit(SERIES)
    stream = found.stream()
    for step in SERIES[:10]:
        stream.update(step)
    return stream


def restored(**changes):
    model = LSTMForecaster(2, horizon=2, **QUICK) if "errors.ahead" in changes else None
    stream = detector_stream(model)
    stream.restore({**stream.state(), **changes})


def means(lengths, kernels):
    weight, bias = torch.zeros(kernels, 2, 3), torch.zeros(kernels)
    return convolutions._means(torch.zeros(1, 4, 2), lengths, weight, bias, [1, 2])


OTHER_STATE = "Expected the state of a stream of this detector, got another: "
CASES = {
    "y without all features": (
        lambda: light(forecaster(targets=(0,), known=(1,))).score(X, X[:, :2, :1]),
        "Expected `y` of shape (12, 2, 2), with all features, because some are known ahead, got "
        "(12, 2, 1).",
    ),
    "a step with other names": (
        lambda: named_stream().push(pd.Series({"b": 1.0, "a": 2.0})),
        "Expected the features a, b, in this order, got b, a; order them as in `fit`.",
    ),
    "quantiles of a model without any": (
        lambda: light(forecaster()).stream().quantiles(),
        "This model has no quantiles; train one with `quantiles`.",
    ),
    "a step of NaN": (
        lambda: detector_stream().update([1.0, np.nan]),
        "The step holds nan at feature 1; leave it out, or give the last value again.",
    ),
    "half a step": (
        lambda: restored(steps=np.array(2.5)),
        f"{OTHER_STATE}`steps` must be a whole number, got array(2.5).",
    ),
    "rows of other features": (
        lambda: restored(**{"errors.recent": np.zeros((2, 3))}),
        f"{OTHER_STATE}at most 4 rows of 2 features are expected, not shape (2, 3).",
    ),
    "rows of NaN": (
        lambda: restored(**{"errors.recent": np.full((2, 2), np.nan)}),
        f"{OTHER_STATE}it contains NaN or infinity.",
    ),
    "forecasts of another horizon": (
        lambda: restored(**{"errors.ahead": np.zeros((2, 1, 2))}),
        f"{OTHER_STATE}it has forecasts of shape (2, 1, 2), and ",
    ),
    "forecasts of NaN": (
        lambda: restored(**{"errors.ahead": np.full((2, 2, 2), np.nan)}),
        f"{OTHER_STATE}at most 2 finite forecasts are expected.",
    ),
    "windows of another kind than times": (
        lambda: labels_from_windows(["2024-01-01"], [[1, 2]]),
        "`times` and `windows` must be of the same kind, got dates and numbers.",
    ),
    "kernels that the dilations do not divide": (
        lambda: means(None, 3),
        "Expected kernels (K, 2, taps) and a bias (K,) in torch.float32 with K a multiple of the "
        "number of dilations, got [((3, 2, 3), torch.float32), ((3,), torch.float32)] and [1, 2].",
    ),
    "lengths beyond the steps": (
        lambda: means(torch.tensor([9]), 2),
        "Expected 1 lengths of 0 to 4, got tensor([9]).",
    ),
    "gates of no module": (
        lambda: unspool.gate_weights(3),
        "Expected a fitted estimator or a torch module, got int. Call `fit` before this function.",
    ),
    "known features of other steps": (
        lambda: check_known(torch.zeros(2, 3, 1), 2, 1),
        "This decoder reads 1 known features at each of 2 steps; pass `known` of shape (B, 2, 1), "
        "got shape (2, 3, 1).",
    ),
    "a time that is missing": (
        lambda: times_as_numbers([1.0, np.nan]),
        "Expected `times` of shape (T,) without missing values.",
    ),
    "a picture of a quantity that is no feature": (
        lambda: plots.ContinuationDisplay.from_estimator(forecaster(y=np.ones((12, 2, 3))), X),
        "This estimator predicts a quantity that is no feature, so it does not continue the "
        "sequences; draw it with ForecastDisplay.",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said_in_full(name):
    make, message = CASES[name]
    with pytest.raises(InputError) as caught:
        make()
    found = str(caught.value)
    assert found == message or (message.endswith(" ") and found.startswith(message))


def test_a_call_that_no_backend_serves_is_refused_with_the_reason_of_each(monkeypatch):
    for name, backend in BACKENDS.items():
        monkeypatch.setattr(backend, "refusal", lambda call, name=name: f"is no {name}")
    with pytest.raises(
        InputError, match=r"^No backend serves this cell: compiled is no compiled; "
    ):
        choose(Call())


@pytest.mark.parametrize("package", [unspool, unspool.nn, unspool.runtime])
def test_a_package_names_itself_if_it_has_no_such_attribute(package):
    with pytest.raises(AttributeError) as caught:
        package.nothing  # noqa: B018
    assert str(caught.value) == f"module {package.__name__!r} has no attribute 'nothing'"


def test_a_device_that_computes_nothing_is_refused(monkeypatch):
    def zeros(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(torch, "zeros", zeros)
    with pytest.raises(InputError) as caught:
        resolve_device("cpu")
    assert str(caught.value) == (
        "`device` 'cpu' cannot be used (this PyTorch cannot compute there). Use 'auto' or 'cpu'."
    )


def test_a_model_file_without_a_detector_is_no_detector(tmp_path):
    path = tmp_path / "a.unspool"
    DenseAutoencoder(2, **QUICK).fit(X).save(path)
    with pytest.raises(ModelFileError) as caught:
        runtime.load_detector(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable detector: Expected contents of an AnomalyDetector, got "
        "contents of DenseAutoencoder without a detector; fit an AnomalyDetector with this model."
    )


def test_a_loss_function_of_the_runtime_that_returns_another_shape_is_refused():
    def by_feature(predicted, target):
        return ((predicted - target) ** 2).mean(1)

    def squares(predicted, target):
        return (predicted - target) ** 2

    contents = LSTMAutoencoder(2, loss=squares, **QUICK).fit(X).contents()
    model = runtime.Model(contents, custom_objects={"squares": by_feature})
    with pytest.raises(InputError) as caught:
        model.reconstruction_error(X)
    assert str(caught.value) == (
        "The loss function 'squares' must return a loss for each value, (12, 6, 2), or for each "
        "step, (12, 6), got shape (12, 2)."
    )
