"""Training that starts from a trained model: `warm_start`, `partial_fit` and `fit(initial=)`."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from tests.estimators.quick import LAST, sines
from tests.trained import ALL, AUTOENCODERS, FORECASTERS
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
    load,
)
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

STILL = {"learning_rate": 1e-30, "learning_rate_schedule": "constant"}  # changes no float32
QUICK = {"epochs": 2, "random_state": 0, "verbose": 0, "batch_size": 10}
X = sines(40, 12, features=2)
KINDS = (
    "defaults",
    "state",
    "variational",
    "composite",
    "kernels, pooling",
    "patches, composite that reads",
    "table",
    "dense rows",
    "dense sequences",
    "stacked",
    "images",
    "flat images",
    "forecaster, dense",
    "forecaster, normalization standard, linear 4",
    "forecaster, normalised, fed back",
    "forecaster of tables",
)


def weights(model):
    return {name: one.numpy().copy() for name, one in model.module_.state_dict().items()}


def outputs(model, case):
    reads = model.transform if hasattr(model, "transform") else model.forecast
    return reads(case.X)


def assert_same(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, one in found.items():
        np.testing.assert_allclose(one, expected[name], err_msg=name, **tolerance)


@pytest.mark.parametrize("how", ["initial", "path", "warm_start", "partial_fit", "loaded"])
@pytest.mark.parametrize("name", KINDS)
def test_training_starts_from_the_weights_and_the_scaling(name, how, tmp_path):
    """With a learning rate of almost 0, the outputs stay what they are."""
    case = ALL[name]
    first = case.train()
    before, scaler = outputs(first, case), first.scaler_
    path = tmp_path / "m.unspool"
    first.save(path)
    if how in ("initial", "path"):
        second = case.make().set_params(**STILL)
        second.fit(case.X, case.y, initial=first if how == "initial" else path)
    elif how == "warm_start":
        second = first.set_params(warm_start=True, **STILL).fit(case.X, case.y)
    else:
        second = first if how == "partial_fit" else load(path)
        second.set_params(**STILL).partial_fit(case.X, case.y)
    after = outputs(second, case)
    size = abs(before).max()
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4 * size)
    np.testing.assert_array_equal(second.scaler_.scale, scaler.scale)
    second.save(path)
    np.testing.assert_allclose(outputs(load(path), case), after, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("name", ["defaults", "dense rows", "stacked", "forecaster, dense"])
def test_a_model_that_goes_on_learns(name):
    case = ALL[name]
    model = case.train(warm_start=True, epochs=10, validation_split=0)
    first = model.history_["loss"]
    second = model.fit(case.X, case.y).history_["loss"]
    assert second[0] < first[0]
    assert second[-1] < first[-1]
    model.set_params(warm_start=False).fit(case.X, case.y)
    assert model.history_["loss"] == first


def test_the_data_of_the_second_fit_do_not_change_the_scaling():
    model = LSTMAutoencoder(3, **QUICK, **LAST).fit(X)
    other = DenseAutoencoder(2, **QUICK).fit(100 * X)
    scale = model.scaler_.scale.copy()
    tuned = clone(model).fit(100 * X, initial=model)
    np.testing.assert_array_equal(tuned.scaler_.scale, scale)
    assert other.scaler_.scale[0] > 50 * scale[0]


def test_the_model_to_start_from_is_not_changed():
    model = LSTMAutoencoder(3, **QUICK).fit(X)
    before = weights(model)
    tuned = clone(model).fit(X[:20], initial=model, freeze="encoder")
    assert_same(weights(model), before, rtol=0)
    assert all(one.requires_grad for one in model.module_.parameters())
    assert all(one.requires_grad for one in tuned.module_.parameters())


def test_a_warm_start_that_fails_leaves_the_model_as_it_was():
    model = LSTMAutoencoder(3, warm_start=True, **QUICK).fit(X)
    before = weights(model)

    def fail(model, history):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        model.fit(X, callbacks=[fail])
    assert_same(weights(model), before, rtol=0)
    assert len(model.history_["loss"]) == 2


def test_a_stack_can_be_the_start_of_a_dense_autoencoder():
    """Both have the same layers: pretraining layer by layer, then together."""
    layers = {"hidden_units": (6,), "activation": "relu"}
    stack = StackedAutoencoder(3, **layers, inner_output_activation="relu", **QUICK).fit(X)
    dense = DenseAutoencoder(3, **layers, code_activation="relu", **QUICK, **STILL)
    dense.fit(X, initial=stack)
    assert_same(weights(dense), weights(stack), rtol=0)


def test_linear_maps_are_kept(monkeypatch):
    model = LSTMForecaster(3, horizon=2, **QUICK).fit(X)
    maps = weights(model)["skip.weight"]
    tuned = clone(model).fit(3 * X[::-1], initial=model)
    np.testing.assert_array_equal(weights(tuned)["skip.weight"], maps)


def test_shorter_and_longer_sequences_fit_where_the_layers_allow():
    model = LSTMAutoencoder(3, **QUICK, **LAST).fit(X)
    for steps in (5, 30):
        tuned = clone(model).fit(sines(20, steps, features=2), initial=model)
        assert tuned.max_length_ == 12
    dense = DenseAutoencoder(3, **QUICK).fit(X)
    clone(dense).fit(X[:, :5], initial=dense)
    with pytest.raises(InputError, match="at most 12 steps"):
        clone(dense).fit(sines(20, 30, features=2), initial=dense)


def test_windows_are_those_of_the_first_fit(tmp_path):
    series = sines(1, 300, features=2)[0]
    model = LSTMAutoencoder(3, **QUICK, **LAST).fit(Windows(series, 20, 5))
    model.partial_fit(Windows(series, 10, 2))
    assert model.window_ == (20, 5)
    model.save(tmp_path / "m.unspool")
    assert load(tmp_path / "m.unspool").window_ == (20, 5)


@pytest.mark.parametrize(
    ("initial", "model", "message"),
    [
        (
            LSTMAutoencoder(3, **QUICK, **LAST),
            LSTMAutoencoder(4, units=3, decoder="dense", **QUICK, **LAST),
            "The model has other layers than `initial`, from which it starts: `latent_dim` is 4, "
            "but 3 there, `units` is 3, but None there, `decoder` is 'dense', but 'repeat' there; "
            "set the same parameters, or leave `initial` out.",
        ),
        (
            DenseAutoencoder(3, **QUICK),
            LSTMAutoencoder(3, **QUICK, **LAST),
            "The model has other layers than `initial`, from which it starts: this is a "
            "LSTMAutoencoder, but that is a DenseAutoencoder; set the same parameters, or leave "
            "`initial` out.",
        ),
        (
            LSTMAutoencoder(3, horizon=2, **QUICK, **LAST),
            LSTMAutoencoder(3, horizon=3, **QUICK, **LAST),
            "The model has other layers than `initial`, from which it starts: `horizon` is 3, but "
            "2 there; set the same parameters, or leave `initial` out.",
        ),
    ],
)
def test_other_layers_are_refused_with_the_difference(initial, model, message):
    with pytest.raises(InputError) as error:
        model.fit(X, initial=clone(initial).fit(X))
    assert str(error.value) == message


def test_other_layers_after_set_params_are_refused():
    model = LSTMAutoencoder(3, warm_start=True, **QUICK, **LAST).fit(X)
    model.set_params(latent_dim=4)
    with pytest.raises(InputError, match=r"`latent_dim` is 4, but 3 there; .* warm_start=False"):
        model.fit(X)
    with pytest.raises(InputError, match=r"`latent_dim` is 4, but 3 there; .* call `fit`"):
        model.partial_fit(X)
    model.set_params(latent_dim=3, units=3).fit(X)  # the same layers in other words


def test_images_of_another_shape_are_refused(tmp_path):
    images = np.random.default_rng(0).uniform(size=(12, 24))
    model = ConvAutoencoder(2, image_shape=(6, 4), filters=(2,), **QUICK).fit(images)
    with pytest.raises(InputError, match=r"`image_shape` is \(4, 6, 1\), but \(6, 4, 1\) there"):
        clone(model).set_params(image_shape=(4, 6)).fit(images, initial=model)


def frame(names, rows=30):
    values = np.random.default_rng(0).normal(size=(rows, len(names)))
    return pd.DataFrame(values, columns=list(names))


def test_features_must_have_the_names_of_the_start():
    model = DenseAutoencoder(2, **QUICK).fit(frame("abc"))
    for train in (
        lambda data: clone(model).fit(data, initial=model),
        lambda data: clone(model).set_params(warm_start=True).fit(data, initial=model),
        lambda data: copy.deepcopy(model).partial_fit(data),
    ):
        train(frame("abc"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an array has no names
            with pytest.raises(InputError, match="X has 2 features"):
                train(frame("ab").to_numpy())
        with pytest.raises(InputError, match="feature names should match"):
            train(frame("abd"))
    tuned = clone(model).fit(frame("abc"), initial=model)
    assert tuned.feature_names_in_.tolist() == ["a", "b", "c"]


def test_names_of_features_of_an_earlier_fit_are_forgotten():
    start = DenseAutoencoder(2, **QUICK).fit(frame("abc").to_numpy())
    model = DenseAutoencoder(2, **QUICK).fit(frame("abc"))
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    model.fit(frame("abc").to_numpy(), initial=start)
    assert not hasattr(model, "feature_names_in_")


def test_names_of_sequences_are_compared_too():
    named = Sequences(X, feature_names=["a", "b"])
    model = LSTMAutoencoder(3, **QUICK, **LAST).fit(named)
    with pytest.raises(InputError, match="Expected the features a, b, in this order, got b, a"):
        clone(model).fit(Sequences(X, feature_names=["b", "a"]), initial=model)


def test_targets_must_be_given_as_before():
    without = LSTMForecaster(3, horizon=2, **QUICK).fit(X)
    given = LSTMForecaster(3, horizon=2, **QUICK).fit(X[:, :-2], X[:, -2:])
    with pytest.raises(InputError, match="was fitted without `y`"):
        clone(without).fit(X[:, :-2], X[:, -2:], initial=without)
    with pytest.raises(InputError, match="was fitted with `y`"):
        clone(given).fit(X, initial=given)


def test_what_cannot_be_a_start_is_refused(tmp_path):
    model = LSTMAutoencoder(3, **QUICK, **LAST).fit(X)
    model.save(tmp_path / "encoder.unspool", part="encoder")
    new = clone(model)
    with pytest.raises(InputError, match="has an encoder alone"):
        new.fit(X, initial=tmp_path / "encoder.unspool")
    with pytest.raises(InputError, match="`initial` must be a fitted unspool model or the path"):
        new.fit(X, initial=3)
    with pytest.raises(ValueError, match="not fitted"):
        new.fit(X, initial=clone(model))
    labels = np.arange(len(X)) % 2
    classifier = EncoderClassifier(model, **QUICK).fit(X, labels)
    with pytest.raises(InputError, match="cannot start from an EncoderClassifier"):
        new.fit(X, initial=classifier)
    empty = Sequences(np.zeros((3, 0, 2)))
    with pytest.raises(InputError, match="at least one step to learn from"):
        new.fit(empty, initial=model)


def test_the_model_of_a_detector_can_be_the_start(tmp_path):
    series = sines(1, 600)[0]
    model = LSTMAutoencoder(3, **QUICK, **LAST)
    detector = AnomalyDetector(model, window=12, rate=0.5, random_state=0, verbose=0).fit(series)
    detector.save(tmp_path / "d.unspool")
    for initial in (detector, tmp_path / "d.unspool"):
        tuned = clone(model).set_params(**STILL).fit(Windows(series, 12), initial=initial)
        assert_same(weights(tuned), weights(detector.model_), rtol=0)


# partial_fit


def test_partial_fit_is_an_epoch_of_fit():
    """The first call equals a fit of one epoch, and later ones keep the optimizer's state."""
    same = {**QUICK, "learning_rate_schedule": "constant", "validation_split": 0}
    fitted = LSTMAutoencoder(3, **{**same, "epochs": 1, "patience": None}).fit(X)
    part = LSTMAutoencoder(3, **same).partial_fit(X)
    assert_same(weights(part), weights(fitted), rtol=0)
    assert part.history_ == fitted.history_


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "nadam", "adadelta"])
@pytest.mark.parametrize("model", [LSTMAutoencoder, DenseAutoencoder, StackedAutoencoder])
def test_passes_with_copies_between_them_equal_one_training(model, name, tmp_path):
    """The state of the optimizer and the standardisation of the code survive pickles and copies."""
    plain = model(3, optimizer=name, batch_size=40, random_state=0, verbose=0, patience=None,
                  learning_rate_schedule="constant", validation_split=0, input_noise=0.0,
                  input_dropout=0.0, epochs=4)  # fmt: skip
    whole = clone(plain).fit(X)
    parts = clone(plain)
    for copied in (lambda one: one, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        parts = copied(parts.partial_fit(X))
    parts.partial_fit(X)
    if model is StackedAutoencoder:  # each layer reads the codes of a layer that is not yet trained
        assert parts.history_["layers"][0]["loss"] == pytest.approx(
            whole.history_["layers"][0]["loss"], rel=1e-4
        )
        return
    assert_same(weights(parts), weights(whole), rtol=1e-3, atol=2e-5)
    assert parts.history_["loss"] == pytest.approx(whole.history_["loss"], rel=1e-5)


def test_partial_fit_without_the_optimizer_s_state_differs():
    model = DenseAutoencoder(3, learning_rate=0.01, **QUICK).partial_fit(X).partial_fit(X)
    kept, forgotten = copy.deepcopy(model), copy.deepcopy(model)
    del forgotten._optimizers
    kept.partial_fit(X)
    forgotten.partial_fit(X)
    differences = [abs(one - weights(forgotten)[name]).max() for name, one in weights(kept).items()]
    assert max(differences) > 1e-4


def test_partial_fit_learns_from_parts(tmp_path):
    data = sines(200, 12)
    model = LSTMAutoencoder(4, batch_size=10, random_state=0, verbose=0)
    for _ in range(10):
        for part in np.split(data, 4):
            model.partial_fit(part)
    losses = model.history_["loss"]
    assert len(losses) == 40
    assert model.history_["best_epoch"] == 39
    assert np.mean(losses[-4:]) < 0.5 * np.mean(losses[:4])
    model.save(tmp_path / "m.unspool")
    loaded = load(tmp_path / "m.unspool").partial_fit(data)
    assert loaded.history_["loss"][:40] == losses
    assert loaded.history_["loss"][-1] < losses[0]


def test_one_sequence_does_not_ruin_the_code():
    """Its features have no variance, but their weights must not become 0."""
    data = sines(60, 12)
    for first in ("fit", "partial_fit"):
        model = LSTMAutoencoder(4, **{**QUICK, "epochs": 20})
        getattr(model, first)(data)
        before = model.transform(data)
        model.set_params(learning_rate=1e-4).partial_fit(data[:1])
        np.testing.assert_allclose(model.transform(data), before, atol=0.02 * abs(before).max())


def test_passes_draw_other_random_numbers_with_the_same_seed():
    model = LSTMAutoencoder(3, input_dropout=0.5, **{**QUICK, **STILL}).partial_fit(X)
    model.partial_fit(X).partial_fit(X)
    first, second, third = model.history_["loss"]
    assert len({first, second, third}) == 3
    again = clone(model).partial_fit(X).partial_fit(X)
    assert again.history_["loss"] == [first, second]


def test_fit_after_partial_fit_starts_anew():
    model = DenseAutoencoder(3, **QUICK)
    expected = clone(model).fit(X)
    model.partial_fit(X).fit(X)
    assert_same(weights(model), weights(expected), rtol=0)
    assert not hasattr(model, "_optimizers")


def test_histories_without_validation_continue_those_with_it(tmp_path):
    model = DenseAutoencoder(3, validation_split=0.2, **QUICK).fit(X).partial_fit(X)
    assert len(model.history_["val_loss"]) == len(model.history_["loss"]) == 3
    assert np.isnan(model.history_["val_loss"][-1])
    model.save(tmp_path / "m.unspool")
    assert np.isnan(load(tmp_path / "m.unspool").history_["val_loss"][-1])


def test_set_params_changes_the_learning_rate_between_passes():
    model = DenseAutoencoder(3, **QUICK).partial_fit(X)
    before = weights(model)
    model.set_params(learning_rate=1e-30).partial_fit(X)
    assert_same(weights(model), before, rtol=0)
    assert model.history_["learning_rate"] == [0.002, 1e-30]


def test_another_optimizer_begins_with_a_new_state():
    model = DenseAutoencoder(3, optimizer="sgd", **QUICK).partial_fit(X)
    expected = copy.deepcopy(model)
    del expected._optimizers
    for one in (model, expected):
        one.set_params(optimizer="adam").partial_fit(X)
    assert_same(weights(model), weights(expected), rtol=0)


def test_teacher_forcing_stays_the_same_in_partial_fit():
    def loss(share, passes=1):
        model = LSTMAutoencoder(3, decoder="previous", teacher_forcing=share, **QUICK, **LAST)
        return model.partial_fit(X).history_["loss"]

    assert loss(0.0) != loss(1.0)


def test_a_recovered_rate_stays_halved_in_later_passes():
    model = DenseAutoencoder(3, optimizer="sgd", learning_rate=1.0, **QUICK).partial_fit(X)
    model._optimizers.factors[""] = 0.25
    model.partial_fit(X)
    assert model.history_["learning_rate"] == [1.0, 0.25]


def test_every_kind_of_model_can_go_on():
    for name, case in {**AUTOENCODERS, **FORECASTERS}.items():
        if name in KINDS or "," in name:
            continue
        model = case.train()
        before = {k: torch.tensor(v) for k, v in weights(model).items()}
        model.partial_fit(case.X, case.y)
        assert any(
            not torch.equal(before[k], torch.tensor(v)) for k, v in weights(model).items()
        ), name
