"""Bad parameters are told at `fit`, all of them at once."""

import pytest

from tests.estimators.quick import quick, sines
from unspool import LSTMAutoencoder
from unspool.errors import InputError

BAD = [
    ({"latent_dim": 0}, "`latent_dim` must be a whole number of at least 1, got 0."),
    ({"latent_dim": 2.5}, "`latent_dim` must be a whole number of at least 1, got 2.5."),
    ({"epochs": True}, "`epochs` must be a whole number of at least 1, got True."),
    ({"units": 0}, "`units` must be a whole number of at least 1 or None, got 0."),
    ({"head_units": (3, 0)}, "`head_units` must be a whole number of at least 1, got 0."),
    ({"head_units": 3.5}, "`head_units` must be a list of whole numbers, got 3.5."),
    (
        {"validation_split": 1},
        "`validation_split` must be a number of at least 0 and below 1, got 1.",
    ),
    ({"learning_rate": 0}, "`learning_rate` must be a number above 0 or None, got 0."),
    ({"learning_rate": float("nan")}, "`learning_rate` must be a number above 0 or None, got nan."),
    ({"bidirectional": "yes"}, "`bidirectional` must be True or False, got 'yes'."),
    (
        {"decoder": "repeet"},
        "unknown `decoder` 'repeet': did you mean 'repeat'? Known are 'dense', 'flat', 'previous', "
        "'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_reversed_input'.",
    ),
    (
        {"optimizer": "Adam"},
        "unknown `optimizer` 'Adam': did you mean 'adam'? Known are 'adadelta', 'adagrad', "
        "'adam', 'adamax', 'adamw', 'nadam', 'rmsprop', 'sgd'.",
    ),
    (
        {"loss": 3},
        "unknown `loss` 3: known are 'binary_crossentropy', 'categorical_crossentropy', 'huber', "
        "'mae', 'mse'.",
    ),
    (
        {"loss": "categorical_crossentropy"},
        "`loss` 'categorical_crossentropy' needs output_activation='softmax', got 'linear'.",
    ),
    ({"metrics": "mae"}, "`metrics` must be a list of names, got 'mae'."),
    (
        {"metrics": ["accuracy"]},
        "`metrics` has 'accuracy', which is for binary_crossentropy and "
        "categorical_crossentropy, got loss='mse'.",
    ),
    ({"horizon": 0}, "`horizon` must be a whole number of at least 1 or None, got 0."),
    (
        {"teacher_forcing": 1.5},
        "`teacher_forcing` must be a number of at least 0 and at most 1, got 1.5.",
    ),
    ({"loss_weights": (1, -1)}, "`loss_weights` must be a number of at least 0, got -1."),
    ({"loss_weights": 2}, "`loss_weights` must be two numbers, got 2."),
    (
        {"decoder": "flat", "reverse_target": True},
        "`reverse_target` is not for decoder='flat', which writes all steps at once, or would "
        "read at every step what it is to write.",
    ),
    (
        {"forecast_decoder": "stat"},
        "unknown `forecast_decoder` 'stat': did you mean 'state'? Known are 'dense', 'flat', "
        "'previous', 'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_reversed_input'.",
    ),
    ({"input_noise": -1}, "`input_noise` must be a number of at least 0, got -1."),
    ({"input_dropout": 1}, "`input_dropout` must be a number of at least 0 and below 1, got 1."),
    ({"code_l1": "much"}, "`code_l1` must be a number of at least 0, got 'much'."),
    ({"kl_weight": -1}, "`kl_weight` must be a number of at least 0 or None, got -1."),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "message"), BAD, ids=[str(p) for p, _ in BAD])
def test_bad_parameters_are_told_at_fit(parameters, message):
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(**parameters).fit(sines())
    assert str(caught.value) == message


def test_all_bad_parameters_are_told_at_once():
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(latent_dim=0, epochs=0).fit(sines())
    assert str(caught.value).splitlines() == [
        "`latent_dim` must be a whole number of at least 1, got 0.",
        "`epochs` must be a whole number of at least 1, got 0.",
    ]


def test_a_device_that_is_not_there():
    with pytest.raises(InputError, match=r"^`device` 'cuda:99' cannot be used \("):
        quick(device="cuda:99").fit(sines())
