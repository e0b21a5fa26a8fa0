"""`dropout`, `recurrent_dropout`, `code_dropout` and `weight_decay` of the estimators."""

import numpy as np
import pytest
import torch

import unspool
from tests.estimators.quick import sines
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.errors import InputError
from unspool.nn import fused

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

X = sines(24, 9)
SMALL = {"epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0, "validation_split": 0.25}
CODE = {"bidirectional": False, "pooling": "last", "n_kernels": 0, "input_dropout": 0.0}
MAKE = {
    "lstm": lambda **given: LSTMAutoencoder(5, num_layers=2, **SMALL, **given),
    "lstm, one call": lambda **given: LSTMAutoencoder(5, **CODE, **SMALL, **given),
    "lstm, fed back": lambda **given: LSTMAutoencoder(
        5, decoder="previous", teacher_forcing=0.0, num_layers=2, **CODE, **SMALL, **given
    ),
    "forecaster": lambda **given: LSTMForecaster(
        5, horizon=2, num_layers=2, **{"code_dropout": 0.0, **SMALL, **given}
    ),
    "forecaster, every step": lambda **given: LSTMForecaster(
        5, every_step=True, num_layers=2, horizon=2, **{"code_dropout": 0.0, **SMALL, **given}
    ),
    "dense": lambda **given: DenseAutoencoder(5, hidden_units=(7,), **SMALL, **given),
    "conv": lambda **given: ConvAutoencoder(5, filters=(4, 3), **SMALL, **given),
}
CASES = [
    (name, share)
    for name in MAKE
    for share in ("dropout", "recurrent_dropout", "code_dropout")
    if share in MAKE[name]().get_params() and (name, share) != ("lstm, one call", "dropout")
]
cases = pytest.mark.parametrize(("name", "share"), CASES, ids=[" ".join(case) for case in CASES])


def weights(model):
    return [weight.detach().clone() for weight in model.module_.parameters()]


def same(one, other):
    return all(map(torch.equal, one, other))


@cases
def test_dropout_changes_training_and_random_state_repeats_it(name, share):
    one, again, without = (
        weights(MAKE[name](**given).fit(X)) for given in ({share: 0.5}, {share: 0.5}, {})
    )
    assert same(one, again)
    assert not same(one, without)


@cases
def test_validation_and_methods_of_a_fitted_model_drop_nothing(name, share):
    """Without learning, the validation loss is that of the model without dropout."""
    still = {"learning_rate": 1e-30, "patience": None}
    if name.startswith("forecaster"):  # else its decoder starts at zero
        still |= {"normalization": "none", "linear_steps": 0}
    one, without = (MAKE[name](**given, **still).fit(X) for given in ({share: 0.5}, {}))
    assert one.history_["loss"] != without.history_["loss"]
    assert one.history_["val_loss"] == without.history_["val_loss"]
    method = "forecast" if isinstance(one, LSTMForecaster) else "reconstruct"
    np.testing.assert_array_equal(getattr(one, method)(X), getattr(without, method)(X))


@pytest.mark.parametrize("name", ["lstm", "lstm, one call"])
def test_the_number_of_threads_changes_no_bit(name):
    shares = {"recurrent_dropout": 0.3, "code_dropout": 0.3}
    if name == "lstm":
        shares["dropout"] = 0.3
    before, found = torch.get_num_threads(), []
    many = np.concatenate([X, X + 1, X + 2])
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            model = MAKE[name](**shares, backend="compiled").fit(many)
            found.append(weights(model))
    finally:
        torch.set_num_threads(before)
    assert same(*found)


def test_a_model_of_two_plain_layers_trains_in_one_call_with_dropout():
    model = MAKE["lstm, one call"](recurrent_dropout=0.3, code_dropout=0.3)
    model.set_params(validation_split=0.0).fit(X)
    assert {layer.ran for _, layer in model.module_._lstm()} == {fused.RAN}


@pytest.mark.parametrize("backend", ["compiled", "stepwise"])
def test_the_backends_train_alike_with_recurrent_dropout(backend):
    given = {"recurrent_dropout": 0.4, "dropout": 0.2, "epochs": 1}
    auto = MAKE["lstm"]().set_params(**given).fit(X)
    other = MAKE["lstm"]().set_params(**given, backend=backend).fit(X)
    np.testing.assert_allclose(other.history_["loss"], auto.history_["loss"], rtol=1e-4)


def test_a_model_with_dropout_is_saved_and_loaded(tmp_path):
    shares = {"dropout": 0.1, "recurrent_dropout": 0.2, "code_dropout": 0.3}
    model = MAKE["lstm"](**shares, optimizer="adamw", weight_decay=0.01).fit(X)
    model.save(tmp_path / "m.unspool")
    loaded = unspool.load(tmp_path / "m.unspool")
    assert {name: loaded.get_params()[name] for name in shares} == shares
    assert loaded.weight_decay == 0.01
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    runtime = unspool.runtime.load(tmp_path / "m.unspool")
    np.testing.assert_allclose(runtime.reconstruct(X), model.reconstruct(X), atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        *(MAKE[name] for name in ("lstm", "forecaster", "dense", "conv")),
        lambda **given: StackedAutoencoder(5, hidden_units=(7,), **SMALL, **given),
        lambda **given: EncoderClassifier(
            DenseAutoencoder(5, **SMALL), **{**SMALL, "validation_split": 0.0}, **given
        ),
    ],
    ids=["lstm", "forecaster", "dense", "conv", "stacked", "classifier"],
)
def test_weight_decay_makes_weights_smaller(make):
    labels = np.arange(len(X)) % 2
    sums = []
    for decay in (0.0, None, 200.0):  # with 200, an update halves what a weight was
        model = make(optimizer="adamw", weight_decay=decay, learning_rate=0.002)
        model.set_params(learning_rate_schedule="constant", patience=None)
        model.fit(X, labels if isinstance(model, EncoderClassifier) else None)
        sums.append(sum(weight.abs().sum().item() for weight in weights(model)))
    assert sums[0] > sums[1] > 1.5 * sums[2]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            LSTMAutoencoder(dropout=0.1),
            "`dropout` acts between LSTM layers, but encoder and decoder have one layer each, got "
            "dropout=0.1; set num_layers=2, or use `recurrent_dropout` or `code_dropout`.",
        ),
        (
            LSTMForecaster(dropout=0.1, units=[4]),
            "`dropout` acts between LSTM layers, but encoder and decoder have one layer each, got "
            "dropout=0.1; set num_layers=2, or use `recurrent_dropout` or `code_dropout`.",
        ),
        (
            DenseAutoencoder(dropout=0.1),
            "`dropout` acts on the outputs of the `hidden_units` layers, but there are none, got "
            "dropout=0.1; set `hidden_units`, or use `code_dropout`.",
        ),
        (
            LSTMAutoencoder(recurrent_dropout=0.1, backend="torch"),
            "`backend` 'torch' does not support `recurrent_dropout`, got recurrent_dropout=0.1; "
            "set backend='auto'.",
        ),
        (
            LSTMAutoencoder(weight_decay=0.1),
            "`weight_decay` needs optimizer='adamw', got optimizer='adam'; set optimizer='adamw', "
            "or weight_decay=None.",
        ),
        (
            EncoderClassifier(optimizer="sgd", weight_decay=0.1),
            "`weight_decay` needs optimizer='adamw', got optimizer='sgd'; set optimizer='adamw', "
            "or weight_decay=None.",
        ),
        (
            LSTMAutoencoder(optimizer="adamw", weight_decay=-1),
            "`weight_decay` must be a number of at least 0 or None, got -1.",
        ),
        (
            ConvAutoencoder(code_dropout=1.0),
            "`code_dropout` must be a number of at least 0 and below 1, got 1.0.",
        ),
        (
            LSTMAutoencoder(recurrent_dropout=-0.1),
            "`recurrent_dropout` must be a number of at least 0 and below 1, got -0.1.",
        ),
    ],
    ids=str,
)
def test_parameters_that_have_no_effect_or_do_not_fit_are_refused(model, expected):
    with pytest.raises(InputError) as caught:
        model.fit(X, np.arange(len(X)) % 2 if isinstance(model, EncoderClassifier) else None)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    "model",
    [
        LSTMAutoencoder(3, dropout=0.1, units=[4, 3], **SMALL),
        LSTMAutoencoder(3, dropout=0.1, decoder_units=[4, 3], **SMALL),
        LSTMForecaster(3, dropout=0.1, num_layers=2, horizon=2, **SMALL),
    ],
    ids=["units", "decoder_units", "num_layers"],
)
def test_dropout_is_accepted_if_one_part_has_two_layers(model):
    model.fit(X)
