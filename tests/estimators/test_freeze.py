"""The `freeze` of `fit`: which layers a name chooses, and that their weights do not change."""

import numpy as np
import pytest
import torch

from tests.estimators.quick import LAST, sines
from tests.trained import ALL
from unspool import (
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    StackedAutoencoder,
    summary,
)
from unspool.errors import InputError
from unspool.estimators.freezing import layer_names

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

QUICK = {"epochs": 2, "random_state": 0, "verbose": 0, "batch_size": 10}
X = sines(40, 12, features=2)
LABELS = np.arange(40) % 2


def changed(before, after):
    """Return the names of the weights that changed in the least."""
    return {
        name
        for name, weight in after.module_.named_parameters()
        if not torch.equal(weight, before[name])
    }


def state(model):
    return {name: weight.clone() for name, weight in model.module_.state_dict().items()}


LSTM = ["encoder.lstm.layers.0.0", "encoder.lstm.layers.0.1"]


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        ("encoder", ["encoder"]),
        (["encoder.lstm"], ["encoder.lstm"]),
        (["encoder.lstm_1"], LSTM),
        (["encoder.lstm.layers.0"], LSTM),
        (["encoder.lstm_?", "*.head"], ["encoder.lstm", "decoders.reconstruction.head"]),
        (("reconstruction",), ["decoders.reconstruction"]),
        (["decoders.reconstruction.lstm"], ["decoders.reconstruction.lstm"]),
        (["*.lstm_2"], ["encoder.lstm.layers.1", "decoders.reconstruction.lstm.layers.1"]),
        (["encoder.projection"], ["encoder.projection"]),
        ([], []),
        (None, []),
    ],
)
@pytest.mark.parametrize("how", ["initial", "partial_fit"])
def test_a_name_freezes_its_layers_and_no_others(freeze, frozen, how):
    model = LSTMAutoencoder(3, num_layers=2, **QUICK).fit(X)
    before = state(model)
    if how == "initial":
        tuned = LSTMAutoencoder(3, num_layers=2, **QUICK).fit(X, initial=model, freeze=freeze)
    else:
        tuned = model.partial_fit(X, freeze=freeze)
    expected = {
        name for name in before
        if not any(name.startswith(f"{one}.") for one in frozen) and "kernels" not in name
    }  # fmt: skip
    assert changed(before, tuned) == expected
    assert all(weight.requires_grad for weight in tuned.module_.parameters())


@pytest.mark.parametrize("name", ["defaults", "variational", "dense sequences", "stacked", "images",
                                  "composite", "classifier, lstm", "classifier, images",
                                  "forecaster, normalised, fed back"])  # fmt: skip
def test_layers_have_the_names_of_the_summary(name):
    model = ALL[name].train()
    rows = [row for row in summary(model).rows if row.is_layer and row.parameters]
    expected = {f"{row.part}.{row.name}" for row in rows}
    assert set(layer_names(model.module_).values()) == expected


def test_fused_training_steps_respect_frozen_layers():
    """One LSTM layer that reads, one that writes: the whole step runs in one call."""
    model = LSTMAutoencoder(6, bidirectional=False, **QUICK, **LAST).fit(X)
    before = state(model)
    model.partial_fit(X, freeze="encoder")
    assert changed(before, model) == {name for name in before if name.startswith("decoders")}


def test_frozen_layers_do_not_change_with_weight_decay():
    model = DenseAutoencoder(3, optimizer="adamw", **QUICK).fit(X)
    before = state(model)
    model.set_params(warm_start=True).fit(X, freeze="reconstruction")
    assert changed(before, model) == {name for name in before if name.startswith("encoder")}


def test_a_frozen_layer_goes_on_with_its_optimizer_later():
    model = DenseAutoencoder(3, **QUICK).partial_fit(X)
    before = state(model)
    model.partial_fit(X, freeze="encoder")
    assert not any(name.startswith("encoder") for name in changed(before, model))
    model.partial_fit(X)
    assert changed(before, model) == set(before)
    steps = {name: int(one["step"]) for name, one in model._optimizers.weights[""].items()}
    assert {steps[name] for name in before if name.startswith("encoder")} == {8}
    assert {steps[name] for name in before if name.startswith("decoders")} == {12}


def test_layers_of_a_stack_can_be_frozen():
    model = StackedAutoencoder(2, hidden_units=(5, 4), fine_tune=True, **QUICK).fit(X)
    before = state(model)
    outer = ["encoder.dense_1", "reconstruction.head_3"]
    model.set_params(warm_start=True).fit(X, freeze=outer)
    frozen = {"encoder.layers.0", "decoders.reconstruction.head.4"}
    assert changed(before, model) == {
        name for name in before if name.rpartition(".")[0] not in frozen
    }
    first, second, third = model.history_["layers"]
    assert len(first["loss"]) == 1  # this pair is not trained
    assert "learning_rate" not in first
    assert len(second["loss"]) == len(third["loss"]) == 2


def test_a_classifier_fine_tunes_the_other_layers():
    encoder = LSTMAutoencoder(3, **QUICK).fit(X)
    model = EncoderClassifier(encoder, fine_tune=True, **QUICK)
    lstm = {name: one for name, one in state(encoder).items() if name.startswith("encoder.lstm")}
    model.fit(X, LABELS, freeze="encoder.lstm")
    for name, weight in model.module_.named_parameters():
        assert (name in lstm) == torch.equal(weight, state(encoder).get(name, torch.tensor(0)))
    head = state(model)
    model.set_params(warm_start=True).fit(X, LABELS, freeze=["head"])
    assert not any(name.startswith("head") for name in changed(head, model))
    assert any(name.startswith("encoder") for name in changed(head, model))


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        (
            "encoder.lstms",
            "unknown layer in `freeze` 'encoder.lstms': did you mean 'encoder.lstm'? Known are "
            "'encoder', 'encoder.lstm', 'encoder.projection', 'reconstruction', "
            "'reconstruction.head', 'reconstruction.lstm'.",
        ),
        (3, "`freeze` must be a name or a list of names of layers, such as 'encoder', got 3."),
        ([3], "`freeze` must be a name or a list of names of layers, such as 'encoder', got [3]."),
        (
            "*",
            "`freeze` leaves no weights to train; name fewer layers, or do not call `fit`.",
        ),
    ],
)
def test_what_freezes_nothing_or_all_is_refused(freeze, message):
    model = LSTMAutoencoder(3, **QUICK)
    for train in (model.fit, model.partial_fit):
        with pytest.raises(InputError) as error:
            train(X, freeze=freeze)
        assert str(error.value) == message


def test_a_classifier_without_fine_tuning_must_train_its_head():
    encoder = DenseAutoencoder(3, **QUICK).fit(X)
    with pytest.raises(InputError, match="without `fine_tune` only the head is trained"):
        EncoderClassifier(encoder, **QUICK).fit(X, LABELS, freeze="head")


def test_a_loss_that_no_trained_weight_changes_is_refused():
    model = LSTMAutoencoder(3, horizon=2, loss_weights=(1.0, 0.0), **QUICK, **LAST)
    with pytest.raises(InputError, match="depends on no weight that is trained"):
        model.fit(X, freeze=["encoder", "reconstruction"])
