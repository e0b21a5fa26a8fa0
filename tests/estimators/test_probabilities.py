"""Outputs that are probabilities: cross-entropies, and sequences drawn from codes."""

import numpy as np
import pytest
import torch

from tests.estimators.quick import quick, sines
from unspool.errors import InputError
from unspool.nn import TeacherForcing

# Most fits here are far too short to be any good.
pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

BITS = (sines(n=40, steps=8, features=2) > 0).astype(float)
HOT = np.eye(3)[np.digitize(sines(n=40, steps=8)[:, :, 0], [-0.5, 0.5])]
BINARY = {"loss": "binary_crossentropy", "output_activation": "sigmoid", "scaling": "none"}
CATEGORICAL = BINARY | {"loss": "categorical_crossentropy", "output_activation": "softmax"}


def short(**parameters):
    return quick(**{"epochs": 2, "latent_dim": 5, **parameters})


def message(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(("X", "loss"), [(BITS, BINARY), (HOT, CATEGORICAL)], ids=["bits", "one"])
@pytest.mark.parametrize("decoder", ["repeat", "flat", "dense"])
def test_crossentropies_learn_shares(X, loss, decoder):
    model = quick(**loss, decoder=decoder, metrics=["accuracy"], horizon=2, epochs=20).fit(X)
    for name in ("reconstruction", "forecast"):
        accuracy = model.history_[f"{name}_accuracy"]
        assert accuracy[-1] > max(0.7, accuracy[0])
    past, future = X[:, :-2], X[:, -2:]
    again, forecast = model.reconstruct(past), model.forecast(past)
    for p in (again, forecast):
        assert ((p > 0) & (p < 1)).all()
        if loss is CATEGORICAL:
            np.testing.assert_allclose(p.sum(2), 1, rtol=1e-5)
    hits = (forecast > 0.5) == future if loss is BINARY else forecast.argmax(2) == future.argmax(2)
    assert hits.mean() > (0.7 if loss is BINARY else 0.55)
    errors = model.reconstruction_error(past, per="step")
    expected = -np.log(np.where(past == 1, again, 1 - again))
    expected = expected.mean(2) if loss is BINARY else (expected * past).sum(2)
    np.testing.assert_allclose(errors, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(model.reconstruction_error(past), errors.mean(1), rtol=1e-5)


RANGE = (
    "`loss` 'binary_crossentropy' needs values between 0 and 1, got {} after scaling='none'; set "
    "scaling='minmax', or 'none' for data between 0 and 1."
)


def test_crossentropies_need_values_between_0_and_1():
    assert message(short(**BINARY).fit, 3 * BITS) == RANGE.format("0 to 3")
    assert message(short(**BINARY).fit, BITS - 0.5) == RANGE.format("-0.5 to 0.5")
    assert message(short(**CATEGORICAL).fit, BITS) == (
        "`loss` 'categorical_crossentropy' needs each step to be a distribution, with a sum of 1 "
        "(or all zeros, which do not count); set loss='binary_crossentropy'."
    )
    short(**BINARY | {"scaling": "minmax"}).fit(7 * BITS - 2)
    short(**CATEGORICAL).fit(np.where(np.arange(8)[:, None] < 6, HOT, 0))


def test_a_future_outside_0_to_1_is_refused_too():
    given = 5 * BITS[:, :2]
    assert message(short(**BINARY, horizon=2).fit, BITS, given) == RANGE.format("0 to 5")


@pytest.fixture(scope="module", params=["repeat", "previous"])
def bits(request):
    return quick(**BINARY, decoder=request.param, epochs=15).fit(BITS)


def test_what_is_generated_of_codes_is_drawn(bits):
    codes = np.repeat(bits.transform(BITS)[:1], 4000, axis=0)
    chances, drawn = bits.inverse_transform(codes[:1])[0], bits.generate(codes, random_state=0)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn[:, 0].mean(0), chances[0], atol=0.03)
    if bits.decoder == "repeat":
        np.testing.assert_allclose(drawn.mean(0), chances, atol=0.03)
    cold = bits.generate(codes, temperature=0.3, random_state=0)
    odds = (chances[0] / (1 - chances[0])) ** (1 / 0.3)
    np.testing.assert_allclose(cold[:, 0].mean(0), odds / (1 + odds), atol=0.03)


def test_generation_feeds_what_was_drawn_to_the_next_step(bits):
    codes = bits.transform(BITS)[:5]
    drawn = bits.generate(codes, temperature=0)
    decoder, code = bits.decoder_, torch.from_numpy(codes)
    if bits.decoder == "repeat":
        expected = decoder(code, 8) > 0.5
    else:
        written = torch.zeros(5, 8, 2)
        for step in range(8):
            previous = TeacherForcing(written)
            written[:, step] = (decoder(code, 8, teacher=previous)[:, step] > 0.5).float()
        expected = written
    np.testing.assert_array_equal(drawn, expected.double().numpy())


def test_generation_is_repeatable_and_as_long_as_asked(bits):
    codes = bits.transform(BITS)[:6]
    one, again, other = (bits.generate(codes, random_state=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    ragged = bits.generate(codes, lengths=np.arange(6))
    assert ragged.shape == (6, 5, 2)
    assert (np.isnan(ragged[:, :, 0]).sum(1) == 5 - np.arange(6)).all()
    assert bits.generate(codes, lengths=0).shape == (6, 0, 2)


def test_generation_comes_in_the_units_of_the_data():
    model = short(**BINARY | {"scaling": "minmax"}).fit(7 * BITS - 2)
    assert set(np.unique(model.generate(np.zeros((9, 5)), random_state=0))) == {-2.0, 5.0}
    one_of_all = short(**CATEGORICAL, decoder="previous").fit(HOT)
    drawn = one_of_all.generate(np.zeros((9, 5)), random_state=0)
    assert (drawn.sum(2) == 1).all()
    assert set(np.unique(drawn)) == {0.0, 1.0}


def test_generation_needs_probabilities():
    model = short().fit(sines(n=20, steps=6))
    assert message(model.generate, np.zeros((2, 5))) == (
        "`temperature` needs outputs that are probabilities (a cross-entropy loss), but this model "
        "was trained with loss='mse'. Leave `temperature` out, or decode codes with "
        "`inverse_transform`."
    )
    bits = short(**BINARY).fit(BITS)
    assert message(bits.generate, np.zeros((2, 5)), temperature=-1) == (
        "`temperature` must be a number of at least 0, got -1."
    )
    assert message(bits.generate, np.zeros((2, 4))) == (
        "Expected codes of shape (N, 5), got (2, 4)."
    )
    reading = short(**BINARY, decoder="state_reversed_input").fit(BITS)
    assert message(reading.generate, np.zeros((2, 5))) == (
        "decoder='state_reversed_input' reads the input in addition to the code, so codes alone "
        "cannot be decoded; use `reconstruct`, or fit with decoder='repeat'."
    )
