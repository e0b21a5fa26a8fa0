"""`DenseAutoencoder`: rows of tables and whole sequences onto codes and back."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.close import assert_close
from tests.estimators.feedforward import (
    QUICK,
    check_saving,
    check_scikit_learn,
    check_shapes_of_sequences,
    digits,
)
from unspool import DenseAutoencoder, Sequences
from unspool.data.sequences import MASK_HINT
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

OPTIONS = [
    {"hidden_units": (9, 7), "activation": "tanh", "code_activation": "linear"},
    {"kl_weight": 0.01, "code_l1": 0.01, "input_noise": 0.1},
    {"loss": "binary_crossentropy", "scaling": "minmax", "output_activation": "sigmoid"},
    {"optimizer": "adadelta", "learning_rate": 1.0, "validation_split": 0, "patience": None},
]


def make(**parameters):
    return DenseAutoencoder(**{**QUICK, **parameters})


def test_the_error_after_training_is_small():
    X = digits(600)
    model = make(latent_dim=16, epochs=30, code_activation="linear", learning_rate=0.01)
    model.fit(X[:500])
    assert model.score(X[500:]) > 0.65
    assert model.history_["val_loss"][0] > 1.5 * min(model.history_["val_loss"])


def test_codes_and_reconstructions_are_those_of_the_weights():
    X = digits() * 3 + np.arange(64)
    constant = np.where(X[0] == 0, 1, abs(X[0]) / 10)  # the scale of a constant column
    spread = np.where(X.std(axis=0) > 0, X.std(axis=0), constant)
    model = make(hidden_units=(10, 8), activation="tanh", code_activation="elu").fit(X)
    weights = [w.detach().cpu().numpy().astype(float) for w in model.module_.parameters()]
    assert [w.shape for w in weights[::2]] == [(10, 64), (8, 10), (6, 8), (8, 6), (10, 8), (64, 10)]

    def elu(x):
        return np.where(x > 0, x, np.expm1(x))

    activations = [np.tanh, np.tanh, elu, np.tanh, np.tanh, np.asarray]
    scaled = (X - X.mean(axis=0)) / spread
    outputs = [scaled]
    for kernel, bias, activation in zip(weights[::2], weights[1::2], activations, strict=True):
        outputs.append(activation(outputs[-1] @ kernel.T + bias))
    assert_close("codes", outputs[3].astype(np.float32), model.transform(X))
    again, errors = model.reconstruct(X), model.reconstruction_error(X)
    expected = outputs[-1] * spread + X.mean(axis=0)
    assert_close("again", expected.astype(np.float32), again.astype(np.float32))
    expected = ((outputs[-1] - scaled) ** 2).mean(axis=1)
    assert_close("errors", expected.astype(np.float32), errors.astype(np.float32))


def test_tables_come_back_as_tables_with_the_manners_of_scikit_learn():
    X = digits()
    model = make().fit(X)
    codes = model.transform(X)
    assert model.n_features_in_ == 64
    assert model.reconstruct(X).shape == model.inverse_transform(codes).shape == X.shape
    assert_close("inverse", model.reconstruct(X), model.inverse_transform(codes))
    with pytest.raises(ValueError, match="X has 63 features, but DenseAutoencoder is expecting 64"):
        model.transform(X[:, 1:])
    names = [f"pixel {i}" for i in range(64)]
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        named = make().fit(frame)
        assert list(named.feature_names_in_) == names
        assert np.array_equal(named.transform(frame), codes)
    table = model.set_output(transform="pandas").transform(X)
    assert list(table.columns) == [f"denseautoencoder{i}" for i in range(6)]


def test_a_table_that_ends_in_nan_is_refused():
    X = digits().copy()
    model = make().fit(X)
    X[7, 60:] = np.nan
    for call in (model.transform, make().fit):
        with pytest.raises(InputError) as caught:
            call(X)
        assert str(caught.value) == (
            "Row 7 ends in NaN, but this model needs every value of it; fill or drop "
            f"it{MASK_HINT}."
        )


def test_sequences_in_every_form_have_the_same_codes():
    check_shapes_of_sequences(make)


def test_longer_sequences_than_in_fit_are_refused():
    X = digits().reshape(-1, 8, 8)
    model = make().fit(X)
    with pytest.raises(InputError) as caught:
        model.transform(np.concatenate([X, X], axis=1))
    assert str(caught.value) == (
        "Expected sequences of at most 8 steps, as in `fit`, got 16; this DenseAutoencoder "
        "has layers of a fixed number of steps."
    )
    shorter = Sequences(np.pad(X[:, :5], [(0, 0), (0, 3), (0, 0)]), np.full(200, 5))
    assert_close("shorter", model.transform(shorter), model.transform(X[:, :5]))


def test_noise_dropout_and_penalties_reach_training():
    X = digits()
    plain = make().fit(X)
    for given in ({"input_noise": 0.5}, {"input_dropout": 0.3}, {"code_l1": 1.0}):
        assert not np.allclose(make(**given).fit(X).transform(X), plain.transform(X)), given
    sparse = make(epochs=20, code_l1=10.0).fit(X).transform(X)
    assert sparse.mean() < 0.5 * make(epochs=20).fit(X).transform(X).mean()


def test_input_dropout_of_a_row_takes_single_values():
    X = np.random.default_rng(0).normal(size=(400, 1)) * np.ones((1, 10))  # ten times the same
    given = {"latent_dim": 1, "code_activation": "linear", "epochs": 30, "learning_rate": 0.01}
    model = make(**given, input_dropout=0.5).fit(X)
    holes = X.copy()
    holes[:, ::2] = 0
    # A model that had seen whole rows go would know nothing better than to halve what it reads.
    slope, _ = np.polyfit(X[:, 0], model.reconstruct(holes)[:, 0], 1)
    assert 0.8 < slope < 1.1


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_saved_pickled_and_cloned_models_equal_the_original(given, tmp_path):
    check_saving(make(**given).fit(digits()), digits(), tmp_path)


@pytest.mark.parametrize("given", [{}, OPTIONS[1]], ids=str)
def test_pipelines_clones_and_searches_work(given):
    check_scikit_learn(DenseAutoencoder(latent_dim=2, epochs=2, **given))


def test_bad_parameters_are_reported_together():
    with pytest.raises(InputError) as caught:
        make(latent_dim=None, hidden_units=(3, 0), activation="swish", code_activation=1).fit([[1]])
    assert str(caught.value).splitlines() == [
        "`latent_dim` must be a whole number of at least 1, got None.",
        "`hidden_units` must be a whole number of at least 1, got 0.",
        "unknown `activation` 'swish': known are 'elu', 'gelu', 'linear', 'relu', 'sigmoid', "
        "'softmax', 'tanh'.",
        "unknown `code_activation` 1: known are 'elu', 'gelu', 'linear', 'relu', 'sigmoid', "
        "'softmax', 'tanh'.",
    ]
