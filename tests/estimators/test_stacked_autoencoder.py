"""`StackedAutoencoder`: pairs of layers trained one after the other, joined to one autoencoder."""

import numpy as np
import pytest
import torch

import unspool
from tests.close import assert_close
from tests.estimators.feedforward import (
    QUICK,
    check_saving,
    check_scikit_learn,
    check_shapes_of_sequences,
    digits,
)
from tests.model_file.files import rewrite
from unspool import DenseAutoencoder, StackedAutoencoder
from unspool.errors import InputError, ModelFileError
from unspool.estimators import training

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

OPTIONS = [
    {"fine_tune": True, "hidden_units": (12, 9)},
    {"kl_weight": 0.01, "code_l1": 0.01, "input_noise": 0.1},
    {
        "loss": "binary_crossentropy", "output_activation": "sigmoid", "scaling": "minmax",
        "metrics": ("accuracy",), "inner_output_activation": "relu", "inner_loss": "mae",
    },
    {"hidden_units": (), "validation_split": 0},
]  # fmt: skip


def make(**parameters):
    return StackedAutoencoder(**{**QUICK, "hidden_units": (12,), **parameters})


@pytest.fixture
def trained(monkeypatch):
    """Every pair that a fit trains: its weights, its data and its validation data."""
    seen = []
    train = training.train

    def spy(model, objective, batches, **given):
        history = train(model, objective, batches, **given)
        validation = given["validation"]
        seen.append(
            (
                {name: weight.clone() for name, weight in model.state_dict().items()},
                objective,
                batches,
                validation,
            )
        )
        return history

    monkeypatch.setattr(training, "train", spy)
    return seen


def test_fine_tuning_lowers_the_error():
    X = digits(600)
    given = {"hidden_units": (32,), "latent_dim": 16, "epochs": 12, "learning_rate": 0.005}
    greedy = make(**given, scaling="none").fit(X[:500])
    tuned = make(**given, scaling="none", fine_tune=True).fit(X[:500])
    assert greedy.score(X[500:]) > 0.3
    assert tuned.score(X[500:]) > greedy.score(X[500:]) + 0.1


def test_the_stack_is_the_composition_of_its_trained_halves(trained):
    X = digits()
    activations = {"activation": "elu", "output_activation": "tanh"}
    model = make(hidden_units=(12, 9), inner_output_activation="sigmoid", **activations).fit(X)
    varies = X.std(axis=0) > 0
    codes = (X - X.mean(axis=0)) / np.where(varies, X.std(axis=0), 1)
    halves = [weights for weights, *_ in trained]
    assert len(halves) == 3

    def product(values, weights, name):
        weight, bias = (
            weights[f"{name}.{kind}"].double().cpu().numpy() for kind in ("weight", "bias")
        )
        return values @ weight.T + bias

    for weights in halves:
        sums = product(codes, weights, "encoder.layers.0")
        codes = np.where(sums > 0, sums, np.expm1(sums))
    assert_close("codes", codes.astype(np.float32), model.transform(X))
    out = codes
    for depth in (2, 1, 0):
        sums = product(out, halves[depth], "decoders.reconstruction.head.0")
        out = 1 / (1 + np.exp(-sums)) if depth else np.tanh(sums)
    again = out * np.where(varies, X.std(axis=0), 1) + X.mean(axis=0)
    assert_close("again", again.astype(np.float32), model.reconstruct(X).astype(np.float32))


@pytest.mark.cpu
def test_every_layer_is_trained_on_the_codes_of_the_one_before(trained):
    X = digits()
    given = {"input_noise": 0.1, "code_l1": 0.01, "kl_weight": 0.001, "metrics": ("mae",)}
    make(hidden_units=(12, 9), inner_loss="huber", fine_tune=True, **given).fit(X)
    assert [objective.loss for _, objective, *_ in trained] == ["mse", "huber", "huber", "mse"]
    assert [o.kl_weight for _, o, *_ in trained] == [None, None, 0.001, 0.001]
    assert [o.metrics for _, o, *_ in trained] == [("mae",), (), (), ("mae",)]
    assert {(o.input_noise, o.code_l1) for _, o, *_ in trained} == {(0.1, 0.01)}
    (weights, _, first, held_out), (_, _, second, also_held_out), *_ = trained
    assert np.array_equal(first.indices, second.indices)
    assert np.array_equal(held_out.indices, also_held_out.indices)
    assert len(set(first.indices) | set(held_out.indices)) == 200
    read = torch.from_numpy(first.scaler.apply(first.source.values[:, 0]))
    codes = torch.relu(
        read @ weights["encoder.layers.0.weight"].T + weights["encoder.layers.0.bias"]
    )
    assert_close("codes", codes, second.source.values[:, 0])
    assert_close("unscaled", codes[held_out.indices], next(iter(also_held_out)).x[:, 0])


def test_the_first_layer_is_that_of_a_dense_autoencoder():
    X = digits()
    stacked = make(hidden_units=()).fit(X)
    dense = DenseAutoencoder(**QUICK).fit(X)
    assert np.array_equal(stacked.transform(X), dense.transform(X))
    assert stacked.history_["layers"] == [dense.history_]


def test_greedy_training_leaves_the_layers_before_alone(trained):
    model = make(hidden_units=(12, 9)).fit(digits())
    final = model.module_.state_dict()
    for depth, (weights, *_) in enumerate(trained):
        for kind in ("weight", "bias"):
            own, joined = f"encoder.layers.0.{kind}", f"encoder.layers.{2 * depth}.{kind}"
            assert torch.equal(weights[own], final[joined])
            joined = f"decoders.reconstruction.head.{2 * (2 - depth)}.{kind}"
            assert torch.equal(weights[f"decoders.reconstruction.head.0.{kind}"], final[joined])


def test_a_variational_stack_has_the_heads_of_its_innermost_pair(trained):
    final = make(kl_weight=0.01).fit(digits()).module_.state_dict()
    first, last = (weights for weights, *_ in trained)
    for name in ("encoder.projection.weight", "encoder.log_variance.bias"):
        assert name not in first
        assert torch.equal(last[name], final[name])


def test_a_file_whose_layers_have_no_proper_history_is_refused(tmp_path):
    make().fit(digits()).save(tmp_path / "model")

    def spoil(header, _):
        header["fitted"]["history"]["layers"][1]["loss"] = ["low", "lower"]

    rewrite(tmp_path / "model", spoil)
    with pytest.raises(ModelFileError, match="one number per epoch for 'loss' in the history"):
        unspool.load(tmp_path / "model")


def test_the_history_is_of_the_whole_and_of_its_layers():
    X = digits()
    history = make(validation_split=0.25, scaling="none").fit(X).history_
    assert [len(layer["val_loss"]) for layer in history["layers"]] == [2, 2]
    assert history["best_epoch"] == 0
    model = make(validation_split=0, scaling="none").fit(X)
    assert model.history_.keys() == {"loss", "best_epoch", "layers"}
    error = ((model.reconstruct(X) - X) ** 2).mean()
    assert model.history_["loss"] == [pytest.approx(error, rel=1e-5)]
    tuned = make(fine_tune=True).fit(X).history_
    assert len(tuned["loss"]) == len(tuned["val_loss"]) == 2
    assert tuned["loss"][1] < tuned["loss"][0]


def test_sequences_in_every_form_have_the_same_codes():
    check_shapes_of_sequences(make)


def test_tables_come_back_as_tables():
    X = digits()
    model = make().fit(X)
    assert model.n_features_in_ == 64
    assert (
        model.reconstruct(X).shape == model.inverse_transform(model.transform(X)).shape == X.shape
    )


@pytest.mark.parametrize("given", OPTIONS, ids=str)
def test_saved_pickled_and_cloned_models_equal_the_original(given, tmp_path):
    check_saving(make(**given).fit(digits()), digits(), tmp_path)


@pytest.mark.parametrize(
    "given",
    [{}, {"fine_tune": True, "kl_weight": 0.1, "code_l1": 0.1, "input_noise": 0.1}],
    ids=str,
)
def test_pipelines_clones_and_searches_work(given):
    check_scikit_learn(StackedAutoencoder(2, hidden_units=(5,), epochs=2, **given))


def test_inner_crossentropy_is_for_sigmoid_codes():
    X = digits()
    given = {"inner_loss": "binary_crossentropy", "inner_output_activation": "sigmoid"}
    history = make(**given, activation="sigmoid").fit(X).history_
    assert 0.1 < history["layers"][1]["loss"][-1] < 1.0
    with pytest.raises(InputError) as caught:
        make(**given).fit(X)
    assert str(caught.value) == (
        "`inner_loss` 'binary_crossentropy' needs codes between 0 and 1, so activation='sigmoid', "
        "got 'relu'."
    )


def test_bad_parameters_are_reported_together():
    bad = {"latent_dim": 0, "hidden_units": 5, "fine_tune": 1, "inner_loss": "bce"}
    with pytest.raises(InputError) as caught:
        make(**bad).fit([[1]])
    assert str(caught.value).splitlines() == [
        "`latent_dim` must be a whole number of at least 1, got 0.",
        "`hidden_units` must be a list of whole numbers, got 5.",
        "unknown `inner_loss` 'bce': known are 'binary_crossentropy', 'huber', 'mae', "
        "'mean_absolute_error', 'mean_squared_error', 'mse'.",
        "`fine_tune` must be True or False, got 1.",
    ]
