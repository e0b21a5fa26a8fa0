"""`features`: statistics of the states over a sequence and its parts, and the kernels' means."""

import re

import numpy as np
import pytest
import torch

from tests.estimators.quick import quick, sines
from tests.trained import ALL, FEATURES, forecaster, lstm, redraw
from unspool import DenseAutoencoder, LSTMAutoencoder, Sequences
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

LENGTHS = np.array([9, 0, 1, 2, 3, 4, 5, 8, 9])
MODELS = {
    "one direction": lstm(units=4),
    "two layers, both ways": lstm(num_layers=2, bidirectional=True),
    "whole state": lstm(decoder="state", num_layers=2, units=3),
    "kernels": lstm(n_kernels=6, bidirectional=True),
    "kernels, pooling": lstm(n_kernels=6, pooling="all"),
    "composite": lstm(horizon=2),
    "forecaster": forecaster(bidirectional=True),
    "library": lstm(backend="torch"),
}
OVER = {
    "mean": lambda states: states.mean(0),
    "max": lambda states: states.max(0),
    "min": lambda states: states.min(0),
    "std": lambda states: np.sqrt(states.var(0) + VARIANCE_FLOOR),
}


def sequences(lengths=LENGTHS, seed=0):
    values = np.random.default_rng(seed).normal(3, 2, size=(len(lengths), 9, FEATURES))
    return Sequences(values, lengths)


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def model(name):
        if name not in made:
            train = sequences(np.full(20, 9), seed=1)
            made[name] = redraw(MODELS[name]().fit(train))
        return made[name]

    return model


def by_hand(model, sequence, scales):
    """The features of one sequence (n, F) by their names, from PyTorch's own LSTM in float64."""
    encoder, n = model.encoder_, len(sequence)
    x = torch.from_numpy(model.scaler_.apply(sequence)).double()[None]
    width = encoder.lstm.state_size
    states = encoder.lstm.to_torch().double()(x)[0][0].detach().numpy() if n else None
    found = {}
    for k in scales:
        for i in range(k):
            first, end = i * n // k, (i + 1) * n // k
            part = None if states is None else states[first : max(end, first + 1)]
            for name, over in OVER.items():
                values = np.zeros(width) if part is None else over(part)
                place = f"_{i + 1}of{k}" if k > 1 else ""
                found |= {f"state{j}_{name}{place}": value for j, value in enumerate(values)}
    if encoder.kernels is not None:
        found |= {f"kernel{j}": mean for j, mean in enumerate(kernel_means(encoder.kernels, x[0]))}
    return found


def kernel_means(kernels, x):
    """Step by step: a causal, dilated kernel, a hard sigmoid, the mean."""
    weight, bias = kernels.weight.double(), kernels.bias.double()
    for j, own in enumerate(weight):  # (F, taps)
        dilation, shares = kernels.dilations[j * len(kernels.dilations) // len(kernels.weight)], []
        for t in range(len(x)):
            response = bias[j]
            for tap in range(own.shape[1]):
                step = max(0, t - (own.shape[1] - 1 - tap) * dilation)  # copies of the first
                response = response + own[:, tap] @ x[step]
            shares.append(float((response / 6 + 0.5).clamp(0, 1)))
        yield np.mean(shares) if shares else 0.0


@pytest.mark.parametrize("scales", [(1,), (2,), (4, 1, 3), (12, 9)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_every_column_is_what_its_name_says(name, scales, fitted):
    model, X = fitted(name), sequences()
    features, names = model.features(X, scales=scales), model.feature_names(scales)
    assert features.dtype == np.float32
    assert features.shape == (len(X), len(names))
    assert len(set(names)) == len(names)
    for row, values in enumerate(features):
        expected = by_hand(model, X[row], scales)
        assert list(expected) == names.tolist()
        np.testing.assert_allclose(
            values, list(expected.values()), rtol=1e-5, atol=2e-6, err_msg=f"{LENGTHS[row]} steps"
        )


@pytest.mark.parametrize("name", ["two layers, both ways", "kernels, pooling", "forecaster"])
def test_the_same_bits_alone_and_among_others(name, fitted):
    rng = np.random.default_rng(2)
    lengths = rng.integers(0, 40, 70)
    X = Sequences(rng.normal(size=(70, 40, FEATURES)), lengths)
    model = fitted(name)
    among = model.features(X, scales=(1, 2, 5))
    for row in range(0, 70, 3):
        alone = model.features([X[row]], scales=(1, 2, 5)) if lengths[row] else among[row][None]
        np.testing.assert_array_equal(alone[0], among[row])
    for part in (slice(0, 2), slice(5, 44)):
        np.testing.assert_array_equal(model.features(X[part], scales=(1, 2, 5)), among[part])
    whole, names = model.features(X), model.feature_names((1, 2, 5)).tolist()
    own = [names.index(column) for column in model.feature_names()]
    np.testing.assert_array_equal(whole, among[:, own])


def test_many_parts_of_short_sequences_take_smaller_batches(fitted, monkeypatch):
    model = fitted("one direction")
    monkeypatch.setattr("unspool.estimators.batch_runner.INFERENCE_VALUES", 1 << 14)
    sizes, multiscale = [], model.encoder_.multiscale
    monkeypatch.setattr(
        model.encoder_, "multiscale", lambda x, *more: sizes.append(len(x)) or multiscale(x, *more)
    )
    model.features(sequences(np.full(40, 2)), scales=(256,))
    assert max(sizes) * 256 * 4 <= 1 << 14


def test_nothing_is_cut_off_for_a_composite_model():
    model = LSTMAutoencoder(4, horizon=3, epochs=1, random_state=0, verbose=0).fit(sines(20, 12))
    X = sines(5, 12, seed=1)
    cut = model.features(X[:, :9])
    assert not np.allclose(model.features(X), cut)
    np.testing.assert_array_equal(cut, model.features([one[:9] for one in X]))


WRONG = {
    "empty": ([], "`scales` must be a list of whole numbers, such as (1, 2, 4), got []."),
    "a number": (2, "`scales` must be a list of whole numbers, such as (1, 2, 4), got 2."),
    "zero": ((1, 0), "`scales` must be a whole number of at least 1, got 0."),
    "a fraction": ((1, 2.0), "`scales` must be a whole number of at least 1, got 2.0."),
    "many": ((1025,), "`scales` must be a whole number of at most 1024, got 1025."),
    "twice": ((1, np.int64(2), 2), "`scales` must be distinct, got (1, np.int64(2), 2)."),
}


@pytest.mark.parametrize(("scales", "message"), WRONG.values(), ids=WRONG)
def test_scales_that_are_none(scales, message, fitted):
    model = fitted("one direction")
    for call in (
        lambda: model.features(sequences(), scales=scales),
        lambda: model.feature_names(scales),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            call()


def test_a_model_has_to_be_fitted_and_an_lstm():
    from sklearn.exceptions import NotFittedError

    for call in (lambda: quick().features(sines()), lambda: quick().feature_names()):
        with pytest.raises(NotFittedError):
            call()
    assert not hasattr(DenseAutoencoder(), "features")
    inner = ALL["classifier, lstm"].fit().autoencoder_
    assert inner.features(ALL["classifier, lstm"].X).shape[1] == len(inner.feature_names())


def test_features_are_what_a_classifier_or_a_pipeline_reads():
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    late = np.arange(60) % 2
    X = 0.1 * sines(60, 24)
    X[np.arange(60), np.where(late, 18, 4)] += 3  # what differs is where
    model = quick(epochs=1).fit(X)
    pipeline = make_pipeline(
        FunctionTransformer(model.features, kw_args={"scales": (2,)}),
        StandardScaler(),
        RidgeClassifierCV(),
    )
    assert pipeline.fit(X[:40], late[:40]).score(X[40:], late[40:]) == 1
