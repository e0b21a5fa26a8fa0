"""The reconstruction error of a stream is that of the newest step of the sequence so far."""

import copy

import numpy as np
import pytest

from tests.trained import ALL, AUTOENCODERS, FEATURES, Case, lstm
from unspool import runtime
from unspool.errors import InputError

BOTH = ("step", "feature")
SERIES = np.random.default_rng(0).normal(size=(14, FEATURES)) * [1, 10, 100] + [7, 70, 700]

STREAMED = [
    name
    for name, case in AUTOENCODERS.items()
    if case.make().__class__.__name__ == "LSTMAutoencoder"
    and not case.parameters()["bidirectional"]
    and case.parameters()["normalization"] == "none"
    and not case.parameters()["conv_filters"]
    and name not in ("table", "defaults")
]


def model_of(name):
    return runtime.Model(ALL[name].fit().contents())


def close(got, expected):
    assert got.shape == expected.shape
    scale = np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("name", STREAMED)
def test_the_error_is_that_of_the_newest_step_of_at_most_the_longest_sequence(name):
    model = model_of(name)
    longest = model.contents.facts.max_length
    features = model.contents.facts.n_features
    series = np.resize(SERIES, (len(SERIES), features))
    assert longest < len(series)
    stream = model.stream()
    for t, step in enumerate(series, 1):
        stream.push(step)
        so_far = series[None, max(0, t - longest) : t]
        for per in ("step", BOTH):
            expected = model.reconstruction_error(so_far, per=per)[0, -1]
            close(stream.reconstruction_error(per=per), expected)
        if "loss by feature" in name:  # a category counts once
            continue
        by_feature = stream.reconstruction_error(per=BOTH)
        np.testing.assert_allclose(by_feature.mean(), stream.reconstruction_error(), rtol=1e-12)


@pytest.mark.parametrize("name", ["reversed_input", "composite", "repeat, patches"])
def test_series_in_parallel_have_the_errors_that_each_has_alone(name):
    model = model_of(name)
    both = np.stack([SERIES, SERIES[::-1]])
    together, alone = model.stream(series=2), [model.stream(), model.stream()]
    for step in both.swapaxes(0, 1):
        together.push(step)
        for one, values in zip(alone, step, strict=True):
            one.push(values)
        for per in ("step", BOTH):
            expected = np.stack([one.reconstruction_error(per=per) for one in alone])
            close(together.reconstruction_error(per=per), expected)


def test_the_error_changes_neither_code_nor_forecast():
    model = model_of("composite")
    watched, other = model.stream(), model.stream()
    for step in SERIES:
        np.testing.assert_array_equal(watched.push(step), other.push(step))
        watched.reconstruction_error()
        np.testing.assert_array_equal(watched.forecast(), other.forecast())


def test_forecasts_and_errors_read_different_numbers_of_steps():
    model = model_of("forecaster, normalization none, linear 3")
    contents, network = model.contents, model._network
    assert 3 < contents.facts.max_length < len(SERIES)
    read = []

    def doubled(x, lengths):
        read.append((x, lengths.steps))
        return 2 * x

    decoders = {"forecast": network.forecaster("forecast")}
    stream = runtime.Stream(contents, network.encoder, decoders, reconstruct=doubled)
    for step in SERIES:
        stream.push(step)
    close(stream.forecast(), model.forecast(SERIES[None])[0])
    scaled = contents.scaler.apply(SERIES)
    close(stream.reconstruction_error(per=BOTH), scaled[-1].astype(float) ** 2)
    ((x, steps),) = read
    assert steps == contents.facts.max_length
    np.testing.assert_array_equal(x[0], scaled[-steps:])


def test_a_copy_and_a_reset_stream_have_their_own_errors():
    stream = model_of("repeat").stream()
    stream.push(SERIES[0])
    first, other = stream.reconstruction_error(), copy.deepcopy(stream)
    other.push(SERIES[1])
    assert stream.reconstruction_error() == first != other.reconstruction_error()
    other.reset()
    other.push(SERIES[0])
    assert other.reconstruction_error() == first


def test_before_the_first_step_errors_are_nan():
    model = model_of("repeat")
    for series, shape in [(None, ()), (2, (2,))]:
        stream = model.stream(series)
        for per, axes in [("step", ()), (BOTH, (FEATURES,))]:
            error = stream.reconstruction_error(per=per)
            assert error.shape == (*shape, *axes)
            assert np.isnan(error).all()


def refusal(stream, **named):
    with pytest.raises(InputError) as caught:
        stream.reconstruction_error(**named)
    return str(caught.value)


def test_what_has_no_error_is_refused():
    assert refusal(model_of("forecaster, repeat").stream()) == (
        "This LSTMForecaster has no decoder for a reconstruction; train an LSTMAutoencoder with "
        "bidirectional=False."
    )
    stream = model_of("repeat").stream()
    for per in ("feature", "sequence", ("feature", "step")):
        assert refusal(stream, per=per) == (
            f"`per` must be 'step' or ('step', 'feature'), got {per!r}."
        )
    shares = np.eye(3)[np.random.default_rng(0).integers(0, 3, (20, 9))]
    parameters = {"loss": "categorical_crossentropy", "output_activation": "softmax"}
    trained = Case(lstm(**parameters, scaling="none"), shares).train()
    stream = runtime.Model(trained.contents()).stream()
    stream.push(shares[0, 0])
    expected = trained.reconstruction_error(shares[:1, :1], per="step")[0, -1]
    close(stream.reconstruction_error(), expected)
    assert refusal(stream, per=BOTH) == (
        "The loss 'categorical_crossentropy' has one value for all features of a step, so there "
        "are no errors by feature; use per='step'."
    )
