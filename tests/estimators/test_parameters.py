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
    ({"head_units": 3.5}, "`head_units` must be a whole number of at least 1, got 3.5."),
    (
        {"validation_split": 1},
        "`validation_split` must be a number of at least 0 and below 1, got 1.",
    ),
    ({"learning_rate": 0}, "`learning_rate` must be a number above 0 or None, got 0."),
    ({"learning_rate": float("nan")}, "`learning_rate` must be a number above 0 or None, got nan."),
    ({"bidirectional": "yes"}, "`bidirectional` must be True or False, got 'yes'."),
    (
        {"decoder": "repeet"},
        "unknown `decoder` 'repeet': did you mean 'repeat'? Known are 'repeat', 'reversed_input'.",
    ),
    (
        {"optimizer": "Adam"},
        "unknown `optimizer` 'Adam': did you mean 'adam'? Known are 'adadelta', 'adagrad', "
        "'adam', 'adamax', 'adamw', 'nadam', 'rmsprop', 'sgd'.",
    ),
    ({"loss": 3}, "unknown `loss` 3: known are 'huber', 'mae', 'mse'."),
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
