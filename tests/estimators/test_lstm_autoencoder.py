"""`LSTMAutoencoder` as a user meets it: data in, codes, reconstructions and errors out."""

import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from tests.close import assert_close
from tests.estimators.quick import quick, sines
from unspool import LSTMAutoencoder, Sequences, Windows
from unspool.errors import DivergedError, InputError, NoBetterThanMeanWarning
from unspool.estimators import base, batch_runner
from unspool.nn.random_kernels import RandomKernels

# Most fits here are far too short to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(sines(features=2))


def test_the_error_after_training_is_small():
    model = quick(epochs=60).fit(sines(features=2))
    assert model.score(sines(features=2, seed=1)) > 0.5
    assert model.history_["val_loss"][0] > 2 * min(model.history_["val_loss"])


def test_score_is_r2_of_the_reconstruction():
    X = sines(features=2) * [1, 1000] + [0, 5]
    model = quick(epochs=3).fit(X)
    again, spread = model.reconstruct(X), X.reshape(-1, 2).var(axis=0)
    expected = 1 - (((again - X) ** 2).mean(axis=(0, 1)) / spread).sum() / 2
    assert model.score(X) == pytest.approx(expected, rel=1e-5)


def test_reconstruction_comes_in_the_units_of_the_data():
    X = sines(features=2) * [3, 1000] + [7, -2e6]
    again = quick().fit(X).reconstruct(X)
    assert again.dtype == np.float64
    assert (((again - X) ** 2).mean(axis=(0, 1)) < 0.5 * X.reshape(-1, 2).var(axis=0)).all()


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust", "none"])
def test_scaling_is_inside_the_model(scaling):
    X = sines(features=2) * [1, 10] + [0, 5]
    model = quick(scaling=scaling, epochs=1).fit(X)
    flat = X.reshape(-1, 2)
    shift, scale = {
        "standard": (flat.mean(axis=0), flat.std(axis=0)),
        "minmax": (flat.min(axis=0), np.ptp(flat, axis=0)),
        "robust": (np.median(flat, axis=0), np.subtract(*np.quantile(flat, [0.75, 0.25], axis=0))),
        "none": (np.zeros(2), np.ones(2)),
    }[scaling]
    assert_close("shift", shift, model.scaler_.shift)
    assert_close("scale", scale, model.scaler_.scale)
    error = (((model.reconstruct(X) - X) / scale) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(model.reconstruction_error(X), error, rtol=1e-4)


def test_every_form_of_the_same_data_has_the_same_codes(fitted):
    X = sines(features=2, seed=2)
    codes = fitted.transform(X)
    padded = np.concatenate([X, np.full((60, 4, 2), np.nan)], axis=1)
    series = X.reshape(-1, 2)
    forms = {
        "list": list(X),
        "padded": padded,
        "Sequences": Sequences(X),
        "Windows": Windows(series, 30, 30),
        "float32": X.astype(np.float32),
    }
    for name, form in forms.items():
        assert_close(name, codes, fitted.transform(form), scale=10)
    table = sines()[:, :, 0]
    model = quick(epochs=1).fit(table)
    for frame in (pd.DataFrame(table), pl.DataFrame(table, schema=[str(i) for i in range(30)])):
        other = quick(epochs=1).fit(frame)
        assert (model.transform(table) == other.transform(frame)).all()


def test_padding_changes_no_code_error_or_reconstruction():
    rng = np.random.default_rng(0)
    ragged = [one[: rng.integers(5, 31)] for one in sines(features=2)]
    ragged[3] = ragged[3][:0]
    model = quick(epochs=2).fit(ragged)
    tight = Sequences.from_list(ragged)
    wide = Sequences(np.pad(tight.values, [(0, 0), (0, 9), (0, 0)]), tight.lengths)
    assert_close("codes", model.transform(tight), model.transform(wide))
    np.testing.assert_array_equal(model.transform(wide)[3], model.transform([np.zeros((0, 2))])[0])
    assert_close("again", *(np.nan_to_num(model.reconstruct(s)[:, :25]) for s in (tight, wide)))
    np.testing.assert_allclose(
        model.reconstruction_error(tight), model.reconstruction_error(wide), rtol=1e-5
    )
    assert np.isnan(model.reconstruction_error(wide)[3])


def test_a_fit_on_ragged_data_does_not_depend_on_its_padding():
    rng = np.random.default_rng(0)
    tight = Sequences.from_list([one[: rng.integers(5, 31)] for one in sines()])
    wide = Sequences(np.pad(tight.values, [(0, 0), (0, 9), (0, 0)]), tight.lengths)
    one, other = (quick(epochs=3).fit(s) for s in (tight, wide))
    np.testing.assert_array_equal(one.transform(tight), other.transform(tight))


def test_a_reconstruction_is_nan_past_the_end_of_a_sequence_and_can_be_encoded_again():
    ragged = [one[:length] for one, length in zip(sines(features=2), [30, 7, 12] * 20, strict=True)]
    model = quick(epochs=1).fit(ragged)
    again = model.reconstruct(ragged)
    assert again.shape == (60, 30, 2)
    assert (np.isnan(again[:, :, 0]).sum(axis=1) == [0, 23, 18] * 20).all()
    assert model.transform(again).shape == (60, 6)
    by_step = model.reconstruction_error(ragged, per="step")
    np.testing.assert_allclose(
        np.nanmean(by_step, axis=1), model.reconstruction_error(ragged), rtol=1e-5
    )


def test_other_lengths_than_those_trained_on(fitted):
    longer = sines(steps=45, features=2)
    assert fitted.transform(longer).shape == (60, 6)
    assert fitted.reconstruct(longer).shape == (60, 45, 2)
    assert fitted.inverse_transform(fitted.transform(longer), lengths=45).shape == (60, 45, 2)


def test_inverse_transform_of_codes_is_the_reconstruction(fitted):
    X = sines(features=2)
    np.testing.assert_allclose(
        fitted.inverse_transform(fitted.transform(X)), fitted.reconstruct(X), atol=1e-5
    )
    short = fitted.inverse_transform(fitted.transform(X), lengths=np.arange(60) % 31)
    assert (np.isnan(short[:, :, 0]).sum(axis=1) == 30 - np.arange(60) % 31).all()


def test_inverse_transform_of_unequal_lengths_unwinds_each_to_its_own():
    model = quick(epochs=1).fit(sines())
    codes = model.transform(sines())
    both = model.inverse_transform(codes[:2], lengths=[30, 11])
    alone = model.inverse_transform(codes[1:2], lengths=11)
    np.testing.assert_allclose(both[1, :11], alone[0], atol=1e-6)


def test_inverse_transform_says_that_reversed_input_needs_the_input():
    model = quick(decoder="reversed_input", epochs=1).fit(sines())
    with pytest.raises(InputError) as caught:
        model.inverse_transform(np.zeros((2, 6)))
    assert str(caught.value) == (
        "decoder='reversed_input' reads the input in addition to the code, so codes alone cannot "
        "be decoded; use `reconstruct`, or fit with decoder='repeat'."
    )


def test_a_table_comes_back_as_a_table():
    table = sines()[:, :, 0]
    model = quick(epochs=1).fit(table)
    assert model.reconstruct(table).shape == (60, 30)
    assert model.inverse_transform(model.transform(table)).shape == (60, 30)
    assert model.reconstruct(table[:, :, None]).shape == (60, 30, 1)


@pytest.mark.parametrize(
    "parameters",
    [
        {"units": 9},
        {"num_layers": 2},
        {"bidirectional": False},
        {"decoder": "reversed_input", "head_units": (5, 4), "output_activation": "tanh"},
        {"activation": "relu", "scaling": "minmax"},
        {"recurrent_activation": "hard_sigmoid"},
        {"backend": "stepwise"},
        {"loss": "mae"},
        {"loss": "huber", "optimizer": "rmsprop"},
        {"global_clipnorm": None, "patience": None, "validation_split": 0},
    ],
    ids=str,
)
def test_options_train_save_and_load(parameters, tmp_path):
    import unspool

    X = sines(n=40, steps=12)
    model = quick(**parameters, epochs=6).fit(X)
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    model.save(tmp_path / "model.unspool")
    again = unspool.load(tmp_path / "model.unspool")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.reconstruct(X), model.reconstruct(X))


def test_parameters_change_the_modules():
    def sizes(**parameters):
        module = quick(epochs=1, **parameters).fit(sines(n=20, steps=5, features=2)).module_
        return {name: tuple(weight.shape) for name, weight in module.named_parameters()}

    plain = sizes(bidirectional=False)
    assert plain == {
        "encoder.lstm.layers.0.0.weight_ih": (24, 2),
        "encoder.lstm.layers.0.0.weight_hh": (24, 6),
        "encoder.lstm.layers.0.0.bias": (24,),
        "decoders.reconstruction.lstm.layers.0.0.weight_context": (24, 6),
        "decoders.reconstruction.lstm.layers.0.0.weight_hh": (24, 6),
        "decoders.reconstruction.lstm.layers.0.0.bias": (24,),
        "decoders.reconstruction.head.0.weight": (2, 6),
        "decoders.reconstruction.head.0.bias": (2,),
    }
    assert sizes(units=9)["encoder.projection.weight"] == (6, 18)
    assert "encoder.lstm.layers.1.1.weight_hh" in sizes(num_layers=2)
    assert sizes(head_units=[5])["decoders.reconstruction.head.0.weight"] == (5, 12)
    reads = sizes(bidirectional=False, decoder="reversed_input")
    assert reads["decoders.reconstruction.lstm.layers.0.0.weight_ih"] == (24, 2)


def test_random_state_repeats_a_fit_to_the_bit():
    X = sines()
    one, other = (quick(epochs=3, random_state=7).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.transform(X), other.transform(X))
    assert one.history_ == other.history_
    different = quick(epochs=3, random_state=8).fit(X)
    assert not np.allclose(one.transform(X), different.transform(X))


def test_a_sequence_has_the_same_code_alone_and_in_a_batch(fitted):
    X = sines(features=2)
    alone = np.concatenate([fitted.transform(X[i : i + 1]) for i in range(len(X))])
    np.testing.assert_allclose(alone, fitted.transform(X), atol=1e-6)


def test_early_stopping_keeps_the_best_weights():
    X = sines(n=30, steps=10)
    model = quick(epochs=200, patience=3, learning_rate=0.1).fit(X)
    losses, best = model.history_["val_loss"], model.history_["best_epoch"]
    assert best == int(np.argmin(losses))
    assert len(losses) == best + 4 < 200
    again = quick(epochs=best + 1, patience=None, learning_rate=0.1).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_without_patience_the_last_weights_stay():
    X = sines(n=30, steps=10)
    model = quick(epochs=12, patience=None, learning_rate=0.1).fit(X)
    assert len(model.history_["loss"]) == 12
    assert model.history_["best_epoch"] == 11


def test_clipping_bounds_a_step():
    X = sines(n=20, steps=10)
    still = quick(optimizer="sgd", learning_rate=1.0, epochs=1, global_clipnorm=1e-9).fit(X)
    moved = quick(optimizer="sgd", learning_rate=1.0, epochs=1, global_clipnorm=None).fit(X)
    fresh = quick(optimizer="sgd", learning_rate=1e-9, epochs=1).fit(X)
    assert np.abs(still.transform(X) - fresh.transform(X)).max() < 1e-6
    assert np.abs(moved.transform(X) - fresh.transform(X)).max() > 1e-3


@pytest.fixture
def indices(monkeypatch):
    """The indices that a fit trains on, and those it holds out."""
    seen = []

    class Spy(base.Batches):
        def __init__(self, source, scaler, indices, *rest, **options):
            seen.append(indices)
            super().__init__(source, scaler, indices, *rest, **options)

    monkeypatch.setattr(base, "Batches", Spy)
    return seen


def test_windows_are_validated_by_time_and_remembered(indices):
    model = quick(epochs=1).fit(Windows(np.sin(np.arange(400) / 5), 20, 2))
    assert model.window_ == (20, 2)
    training, held_out = indices[:2]
    assert max(training) * 2 + 20 <= 360 <= min(held_out) * 2
    assert (len(training), len(held_out)) == (171, 11)


def test_sequences_are_held_out_at_random(indices):
    quick(epochs=1, validation_split=0.25).fit(sines())
    training, held_out = indices[:2]
    assert sorted([*training, *held_out]) == list(range(60))
    assert len(held_out) == 15
    assert not set(held_out) <= set(range(45, 60))  # the last ones may be all of one class


def test_errors_and_reconstructions_of_overlapping_windows_are_averaged():
    series = [np.sin(np.arange(90) / 5), np.cos(np.arange(55) / 4)]
    windows = Windows(series, 20, 3)
    model = quick(epochs=1).fit(windows)
    errors, again = model.reconstruction_error(windows, per="step"), model.reconstruct(windows)
    merged = model.reconstruction_error(windows, per="step", merge=True)
    merged_again = model.reconstruct(windows, merge=True)
    owner, start = windows.place(np.arange(len(windows)))
    for number, one in enumerate(series):
        for step in range(len(one)):
            covering = [w for w in range(len(windows)) if owner[w] == number]
            covering = [w for w in covering if start[w] <= step < start[w] + 20]
            if not covering:
                assert np.isnan(merged[number][step])
                continue
            expected = np.mean([errors[w, step - start[w]] for w in covering])
            assert merged[number][step] == pytest.approx(expected)
            expected = np.mean([again[w, step - start[w], 0] for w in covering])
            assert merged_again[number][step, 0] == pytest.approx(expected)


def test_merge_needs_windows_and_steps(fitted):
    X = sines(features=2)
    with pytest.raises(InputError, match=re.escape("`merge` needs Windows(series, size), got")):
        fitted.reconstruct(X, merge=True)
    with pytest.raises(InputError) as caught:
        fitted.reconstruction_error(X, merge=True)
    assert str(caught.value) == (
        "`merge` averages errors of steps; set per='step' or per=('step', 'feature')."
    )


def test_works_in_a_pipeline_and_a_grid_search():
    X = np.concatenate([sines(seed=1), 2 * sines(seed=2)])
    y = np.repeat([0, 1], 60)
    model = make_pipeline(quick(scaling="none"), LogisticRegression()).fit(X, y)
    assert model.score(X, y) > 0.9
    search = GridSearchCV(quick(epochs=5), {"latent_dim": [1, 6]}, cv=2).fit(X)
    assert search.best_params_ == {"latent_dim": 6}
    windows = Windows(X.reshape(-1, 1), 30, 30)
    assert GridSearchCV(quick(epochs=2), {"latent_dim": [2]}, cv=2).fit(windows).n_features_in_ == 1


def test_set_output_names_the_codes(fitted):
    X = sines(features=2)
    names = [f"lstmautoencoder{i}" for i in range(6)]
    assert list(fitted.get_feature_names_out()) == names
    for container, kind in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        codes = clone(fitted).set_params(epochs=1).set_output(transform=container).fit_transform(X)
        assert isinstance(codes, kind)
        assert list(codes.columns) == names


def test_clones_are_unfitted_and_pickles_keep_the_model(fitted):
    X = sines(features=2)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "module_")


def test_warns_when_it_is_no_better_than_the_mean_sequence():
    rng = np.random.default_rng(0)
    noise = np.sin(np.arange(20)) + 0.1 * rng.normal(size=(50, 20))  # one curve, and noise
    with pytest.warns(NoBetterThanMeanWarning) as caught:
        quick(epochs=1, learning_rate=1e-4).fit(noise)
    message = str(caught[0].message)
    assert message.startswith("The reconstruction is no better than the mean sequence (loss ")
    assert message.endswith("5 updates of the weights were few. Train for more `epochs`.")


def test_the_mean_sequence_is_no_excuse_for_ragged_data_or_windows():
    curve = np.sin(np.arange(25))
    ragged = [curve[: 10 + i % 15] * (1 + i / 1000) for i in range(60)]
    with pytest.warns(NoBetterThanMeanWarning):
        quick(epochs=1, learning_rate=1e-6).fit(ragged)
    far_from_zero = Windows(9 + np.sin(np.arange(300)), 20)
    with pytest.warns(NoBetterThanMeanWarning):
        quick(epochs=1, learning_rate=1e-6, scaling="none").fit(far_from_zero)


@pytest.mark.filterwarnings("error")
def test_constant_data_trains_without_a_warning():
    model = quick(epochs=2).fit(np.ones((20, 5, 2)))
    assert np.isfinite(model.transform(np.ones((2, 5, 2)))).all()


@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_a_loss_that_explodes_beyond_rescue_is_reported():
    model = quick(
        activation="relu", optimizer="sgd", learning_rate=1e6, global_clipnorm=None, epochs=50
    )
    with pytest.raises(DivergedError, match=r"^The loss became \S+ in epoch \d+, batch \d+\. The"):
        model.fit(100 * sines())
    with pytest.raises(NotFittedError):
        model.transform(sines())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_relu_cells_stay_finite(seed):
    X = sines(n=24, steps=300, seed=seed)
    model = quick(
        latent_dim=64, activation="relu", learning_rate=0.02, batch_size=4, epochs=4,
        random_state=seed,
    )  # fmt: skip
    model.fit(X)
    losses = model.history_["loss"] + model.history_["val_loss"]
    assert max(losses) < 100
    assert np.isfinite(model.transform(X)).all()


def test_one_sequence_cannot_be_split():
    with pytest.raises(InputError) as caught:
        quick().fit(sines(n=1))
    assert str(caught.value) == (
        "`validation_split` 0.1 leaves 0 sequences to train on and 1 to validate on, got "
        "n_samples=1; set validation_split=0 to train on all of them."
    )
    assert quick(validation_split=0, epochs=1).fit(sines(n=1)).transform(sines(n=1)).shape == (1, 6)


def test_other_features_than_those_trained_on(fitted):
    with pytest.raises(InputError) as caught:
        fitted.transform(sines(features=3))
    assert str(caught.value) == (
        "X has 3 features, but LSTMAutoencoder is expecting 2 features as input."
    )
    frame = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0)})
    model = quick(epochs=1).fit(Windows(frame, 10))
    assert list(model.feature_names_in_) == ["a", "b"]
    with pytest.raises(InputError) as caught:
        model.transform(Windows(frame[["b", "a"]], 10))
    assert str(caught.value) == (
        "Expected the features a, b, in this order, got b, a; choose and order them as in `fit`."
    )


def test_refitting_forgets_the_features_of_before():
    frame = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0)})
    model = quick(epochs=1).fit(Windows(frame, 10))
    model.fit(sines())
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 1


def test_nan_inside_is_reported_with_its_place(fitted):
    X = sines(features=2)
    X[4, 7, 1] = np.nan
    with pytest.raises(InputError, match=r"^Sequence 4 holds nan at step 7, feature 1; "):
        fitted.transform(X)
    with pytest.raises(InputError, match=r"^Sequence 4 holds nan at step 7, feature 1; "):
        quick().fit(X)


@pytest.mark.parametrize("method", ["transform", "reconstruct", "reconstruction_error", "score"])
def test_an_unfitted_model_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(LSTMAutoencoder(), method)(sines())


def test_codes_have_to_fit(fitted):
    with pytest.raises(InputError) as caught:
        fitted.inverse_transform(np.zeros((3, 5)))
    assert str(caught.value) == "Expected codes of shape (N, 6), got (3, 5)."


def test_codes_and_lengths_are_looked_at(fitted):
    codes = np.zeros((3, 6))
    codes[1, 2] = np.nan
    with pytest.raises(InputError, match=r"^Codes contain NaN or infinity \(first in row 1\)"):
        fitted.inverse_transform(codes)
    for lengths in ([4, 5], -1, [1.5, 2, 3], [[1], [2], [3]]):
        with pytest.raises(InputError, match=r"^Expected `lengths` as one whole number of"):
            fitted.inverse_transform(np.zeros((3, 6)), lengths=lengths)


def test_lists_ragged_further_inside_are_refused():
    with pytest.raises(InputError, match="sequence 0"):
        quick().fit([[[1, 2], [3]], [[1, 2], [3, 4]]])


def test_a_sensor_that_hardly_moved_in_training_does_not_drown_the_others_when_it_moves():
    X = np.concatenate([sines(), np.full((60, 30, 1), 5.0)], axis=2)
    X[..., 1] += 1e-7 * np.random.default_rng(0).normal(size=(60, 30))
    model = quick(epochs=5).fit(X)
    later = X[:2].copy()
    later[0, 10:, 1] = 10.0
    moved, still = model.reconstruction_error(later)
    assert 10 * still < moved < 100


def test_kernels_are_adapted_to_sequences_from_all_over_the_data(monkeypatch):
    seen = []
    monkeypatch.setattr(RandomKernels, "adapt", lambda self, x, *_: seen.append(x))
    monkeypatch.setattr(batch_runner, "INFERENCE_STEPS", 60)  # batches of 10 sequences
    X = np.arange(40.0)[:, None] * np.ones(6)
    quick(n_kernels=8, epochs=1, scaling="none", validation_split=0.0).fit(X)
    assert [sorted(x[:, 0, 0].tolist()) for x in seen] == [list(range(0, 40, 4))]
