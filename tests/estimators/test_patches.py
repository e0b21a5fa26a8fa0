"""`patch_size`: what "auto" chooses, what it is refused with; long sequences are learned."""

import numpy as np
import pytest

import unspool
from tests.trained import LAST
from unspool import EncoderClassifier, LSTMAutoencoder, LSTMForecaster, Sequences, runtime
from unspool.blueprint.models import LONGEST_BY_STEP, MOST_PATCHES
from unspool.data.lengths import typical_length
from unspool.errors import InputError

QUICK = {"epochs": 1, "random_state": 0, "verbose": 0}
LONG = LONGEST_BY_STEP + 1

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs


def sines(n=12, steps=LONG, seed=0):
    starts = np.random.default_rng(seed).uniform(0, 6, n)
    return np.sin(np.arange(steps) / 9 + starts[:, None])[:, :, None]


def message(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    return str(error.value)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, 1), (LONGEST_BY_STEP, 1), (LONG, 3), (32 * 8, 8), (32 * 8 + 1, 9), (1000, 32)],
)
def test_auto_depends_on_the_length_of_a_typical_sequence(steps, expected):
    lengths = [*[steps] * 7, 1, *[max(1, steps // 3)] * 2]
    model = LSTMAutoencoder(3, **QUICK).fit(Sequences(sines(10, steps), lengths))
    assert model.patch_size_ == expected
    assert expected == 1 or -(-steps // expected) <= MOST_PATCHES
    assert model.module_.decoder().patch_size == expected
    forecaster = LSTMForecaster(3, patch_size="auto", **QUICK).fit(sines(10, steps + 1))
    assert forecaster.patch_size_ == expected


def test_auto_is_one_step_where_patches_are_refused():
    X = sines(steps=LONG + 1)
    every = LSTMForecaster(3, every_step=True, patch_size="auto", **QUICK).fit(X)
    assert every.patch_size_ == LSTMForecaster(3, **QUICK).fit(X).patch_size_ == 1
    bare = {"decoder_units": 1, "head_units": None, "bidirectional": False}
    assert LSTMAutoencoder(3, **bare, **QUICK).fit(X).patch_size_ == 1


def test_a_patch_of_one_step_is_the_model_that_auto_is_for_short_sequences():
    X = sines(steps=30)
    auto, one = (
        LSTMAutoencoder(3, patch_size=size, **QUICK).fit(X).transform(X) for size in ("auto", 1)
    )
    np.testing.assert_array_equal(auto, one)


def test_a_patch_of_the_forecast_is_no_longer_than_the_forecast():
    model = LSTMAutoencoder(3, horizon=2, patch_size=5, **QUICK).fit(sines(steps=30))
    assert model.patch_size_ == 5
    assert model.module_.decoder("forecast").patch_size == 2
    assert model.forecast(sines(steps=30)).shape == (12, 2, 1)


@pytest.mark.parametrize("value", [0, -1, 2.0, None, True, "eight", "AUTO", [4]], ids=str)
def test_other_values_are_refused(value):
    assert message(LSTMAutoencoder(patch_size=value).fit, sines()) == (
        f"`patch_size` must be a whole number of at least 1 or 'auto', got {value!r}."
    )


def test_forecasts_at_every_step_need_steps():
    assert message(LSTMForecaster(every_step=True, patch_size=4).fit, sines()) == (
        "`every_step` needs the encoder's state after every step, which an LSTM that reads "
        "patches of 4 steps does not have; set patch_size=1."
    )
    model = LSTMForecaster(3, patch_size=4, **QUICK).fit(sines())
    reported = message(model.forecast_by_step, sines())
    assert "Fit it with patch_size=1" in reported


def test_a_state_that_is_the_output_has_to_be_as_wide_as_a_patch():
    model = LSTMAutoencoder(3, patch_size=4, head_units=None, bidirectional=False, **QUICK)
    assert "which needs 4 numbers, got 3" in message(model.fit, sines())
    model.set_params(decoder_units=4).fit(sines())


def test_sequences_may_have_other_lengths_than_in_fit():
    model = LSTMAutoencoder(3, **QUICK).fit(sines())
    for steps in (1, 6, 7, 8, 500):
        X = sines(4, steps)
        assert model.reconstruct(X).shape == X.shape
        assert model.inverse_transform(model.transform(X), steps).shape == X.shape


def test_a_saved_model_and_the_runtime_compute_the_same(tmp_path):
    X = Sequences(sines(steps=LONG + 40), np.arange(12) * 4 + 61)
    model = LSTMAutoencoder(3, horizon=4, **QUICK).fit(X)
    model.save(tmp_path / "m.unspool")
    again, twin = unspool.load(tmp_path / "m.unspool"), runtime.load(tmp_path / "m.unspool")
    assert again.patch_size_ == model.patch_size_ == 3
    assert again.get_params()["patch_size"] == "auto"
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_allclose(twin.encode(X), model.transform(X), atol=2e-5)
    np.testing.assert_allclose(twin.reconstruct(X), model.reconstruct(X), atol=1e-5)
    np.testing.assert_allclose(twin.forecast(X), model.forecast(X), atol=1e-5)


def test_a_classifier_reads_patches():
    X, y = sines(), np.arange(12) % 2
    model = EncoderClassifier(LSTMAutoencoder(3, **QUICK), fine_tune=True, **QUICK).fit(X, y)
    assert model.autoencoder_.patch_size_ == 3
    assert model.predict(X).shape == (12,)


def test_long_sequences_are_reconstructed_with_patches():
    """Waves of a few patches too, which a decoder that does not know the place learns hardly."""
    X = sines(40, 640)
    given = {"epochs": 200, "patience": None, "random_state": 0, "verbose": 0}
    model = LSTMAutoencoder(8, **LAST, **given).fit(X)
    assert model.patch_size_ == 20
    assert model.score(sines(40, 640, seed=1)) > 0.9


def test_one_long_sequence_does_not_set_the_patches_of_all_others(tmp_path):
    lengths = np.array([4000, *11 * [90]])
    X = Sequences(sines(steps=4000), lengths)
    model = LSTMAutoencoder(3, **QUICK).fit(X)
    assert (model.max_length_, model.patch_size_) == (4000, 3)
    model.save(tmp_path / "m.unspool")
    contents = unspool.model_file.read(tmp_path / "m.unspool")
    assert (contents.fitted["max_length"], contents.fitted["typical_length"]) == (4000, 90)
    again, twin = unspool.load(tmp_path / "m.unspool"), runtime.load(tmp_path / "m.unspool")
    np.testing.assert_array_equal(again.transform(X[1:]), model.transform(X[1:]))
    np.testing.assert_allclose(twin.encode(X[1:]), model.transform(X[1:]), atol=2e-5)
    more = LSTMAutoencoder(3, **QUICK).fit(X[1:], initial=model)
    assert (more.max_length_, more.patch_size_) == (4000, 3)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([7, 7, 7], 7),
        ([1_000_000, *1000 * [100]], 100),
        ([*100 * [10_000], *1000 * [5]], 10_000),
        ([0, 0, 0], 0),
        ([3, 0, 3], 3),
    ],
)
def test_the_typical_length_is_that_of_neither_a_few_long_nor_many_short_ones(
    lengths, expected, monkeypatch
):
    class Source:
        def __len__(self):
            return len(lengths)

        def lengths_of(self, indices):
            return np.array(lengths)[indices]

    assert typical_length(Source()) == expected
    monkeypatch.setattr("unspool.data.lengths.LENGTHS_AT_ONCE", 2)
    assert typical_length(Source()) == expected
