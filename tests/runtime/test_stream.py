"""After each step, a stream agrees with the model on all steps so far."""

import copy

import numpy as np
import pytest

from tests.trained import ALL, FEATURES
from unspool import runtime
from unspool.errors import InputError

SERIES = np.random.default_rng(0).normal(size=(12, FEATURES)) * [1, 10, 100] + 5


@pytest.fixture(scope="module")
def models():
    made = {}

    def model(name):
        if name not in made:
            made[name] = runtime.Model(ALL[name].fit().contents())
        return made[name]

    return model


STREAMED = [
    "repeat",
    "relu",
    "relu, hard gates",
    "variational",
    *(f"pooling {name}" for name in ("mean", "max", "mean_max")),
    "kernels",
    "state",
    "state that is the code",
    "composite",
    "forecaster, dense",
    "forecaster, previous",
    "forecaster, state_previous",
    "forecaster, two layers",
    "repeat, patches",
    "forecaster, state_previous, patches",
    "patches longer than all",
    "patches, streamed",
    "forecaster, normalization none, linear 3",
    "forecaster of a quantity",
    "targets, streamed",
    "forecaster, known, quantiles",
    "forecaster, previous, known, patches",
]
NORMALISED = [
    "forecaster, normalization last, linear 0",
    "forecaster, normalization last, linear 20",
    "forecaster, normalization standard, linear 4",
    "forecaster, normalised, fed back",
]


@pytest.mark.parametrize("name", NORMALISED)
def test_a_normalising_model_knows_as_many_steps_as_the_longest_sequence_had(name, models):
    model = models(name)
    longest = model.contents.facts.max_length
    assert longest < len(SERIES)
    stream = model.stream(series=2)
    both = np.stack([SERIES, SERIES[::-1]])
    for t, step in enumerate(both.swapaxes(0, 1), 1):
        codes = stream.push(step)
        known = both[:, max(0, t - longest) : t]
        np.testing.assert_allclose(codes, model.encode(known), rtol=1e-5, atol=1e-6)
        expected = model.forecast(known)
        np.testing.assert_allclose(stream.forecast(), expected, rtol=1e-5, atol=1e-4)
        if "quantiles" in model._network.decoders:
            expected = model.predict_quantiles(known)
            np.testing.assert_allclose(stream.quantiles(), expected, rtol=1e-5, atol=1e-4)
        else:
            with pytest.raises(InputError, match="no quantiles"):
                stream.quantiles()
    assert stream.steps == len(SERIES)
    stream.reset()
    assert stream.steps == 0
    empty = model.forecast(np.zeros((2, 0, FEATURES)), np.zeros(2, int))
    np.testing.assert_allclose(stream.forecast(), empty, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", STREAMED)
def test_code_and_forecast_after_every_step_equal_those_of_the_sequence_so_far(name, models):
    model = models(name)
    stream = model.stream()
    for t, step in enumerate(SERIES, 1):
        code = stream.push(step)
        so_far = SERIES[None, :t]
        np.testing.assert_allclose(code, model.encode(so_far)[0], rtol=1e-5, atol=1e-6)
        if model.horizon:
            future = ALL[name].future
            one = None if future is None else future[0]
            several = None if future is None else future[:1]
            expected = model.forecast(so_far, future=several)[0]
            np.testing.assert_allclose(stream.forecast(one), expected, rtol=1e-5, atol=1e-4)
    assert stream.steps == len(SERIES)
    np.testing.assert_array_equal(stream.code, code)


def test_the_state_is_that_of_the_layers(models):
    model = models("forecaster, two layers")
    stream = model.stream()
    assert [half.shape for half in stream.state] == [(2, 4), (2, 4)]
    assert not np.any(stream.state)
    for step in SERIES:
        stream.push(step)
    h, c = stream.state
    np.testing.assert_allclose(
        model._network.encoder.code(h[-1:]), model.encode(SERIES[None]), rtol=1e-5, atol=1e-6
    )
    assert not np.allclose(h, c)


def test_layers_of_different_units_have_states_of_different_lengths(models):
    stream = models("forecaster, repeat, narrowing").stream()
    for step in SERIES:
        stream.push(step)
    for half in stream.state:
        assert [layer.shape for layer in half] == [(6,), (4,)]
        assert all(layer.all() for layer in half)


@pytest.mark.parametrize("name", ["forecaster, repeat", "forecaster, repeat, patches"])
def test_series_side_by_side_do_not_see_each_other(name, models):
    model = models(name)
    both = np.stack([SERIES, -SERIES])
    stream = model.stream(series=2)
    for step in both.swapaxes(0, 1):
        codes = stream.push(step)
    np.testing.assert_allclose(codes, model.encode(both), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stream.forecast(), model.forecast(both), rtol=1e-5, atol=1e-4)
    assert stream.state[0].shape == (1, 2, 5)


def test_what_was_given_is_not_changed_by_the_next_step(models):
    stream = models("repeat").stream()
    code, state = stream.push(SERIES[0]), stream.state[0]
    kept = code.copy(), state.copy()
    stream.push(SERIES[1])
    np.testing.assert_array_equal(code, kept[0])
    np.testing.assert_array_equal(state, kept[1])


def test_a_copy_of_a_stream_is_independent(models):
    stream = models("forecaster, two layers").stream()
    stream.push(SERIES[0])
    other = copy.deepcopy(stream)
    code, once = stream.push(SERIES[1]), other.code
    np.testing.assert_array_equal(other.push(SERIES[1]), code)
    assert not np.array_equal(once, code)


def test_reset_forgets(models):
    stream = models("repeat").stream()
    first = stream.push(SERIES[0])
    stream.push(SERIES[1])
    stream.reset()
    assert stream.steps == 0
    np.testing.assert_array_equal(stream.push(SERIES[0]), first)


def test_a_bad_step_is_refused_and_not_read(models):
    stream = models("repeat").stream()
    stream.push(SERIES[0])
    before = stream.code
    for step, message in [
        (SERIES[:1], "Expected a step of shape (3,), got (1, 3)."),
        (
            [1.0, np.nan, 2.0],
            "The step holds nan at feature 1; leave it out, or push the last value again.",
        ),
        (
            ["abc"],
            "Expected real numbers in a step, got dtype <U3; convert text to numbers with "
            "X.astype(float).",
        ),
    ]:
        with pytest.raises(InputError) as caught:
            stream.push(step)
        assert str(caught.value) == message
    assert stream.steps == 1
    np.testing.assert_array_equal(stream.code, before)


def test_what_cannot_be_streamed(models):
    message = (
        "A stream needs an LSTM encoder that reads in one direction, bidirectional=False; "
        "this {} has another."
    )
    for name, kind in [
        ("repeat, both ways, two layers", "LSTMAutoencoder"),
        ("images", "ConvAutoencoder"),
    ]:
        with pytest.raises(InputError) as caught:
            models(name).stream()
        assert str(caught.value) == message.format(kind)
    for name in ("repeat", "forecaster, reversed_input"):
        stream = models(name).stream()
        stream.push(SERIES[0])
        with pytest.raises(InputError, match="This model does not forecast from the code alone"):
            stream.forecast()
    with pytest.raises(InputError, match="`series` must be a whole number of at least 1 or None"):
        models("repeat").stream(series=0)
