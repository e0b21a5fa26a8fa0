"""Bad parameters are reported by `fit`, all of them at once."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests.estimators.quick import quick, sines
from unspool import LSTMAutoencoder, gate_weights
from unspool.blueprint import DECODERS
from unspool.errors import InputError

BAD = [
    ({"latent_dim": 0}, "`latent_dim` must be a whole number of at least 1, got 0."),
    ({"latent_dim": 2.5}, "`latent_dim` must be a whole number of at least 1, got 2.5."),
    ({"epochs": True}, "`epochs` must be a whole number of at least 1 or 'auto', got True."),
    *(
        (
            {name: value},
            f"`{name}` must be a whole number of at least 1, a list with one for each layer, or "
            f"None, got {value!r}.",
        )
        for name in ("units", "decoder_units")
        for value in (0, (), "many", 2.5)
    ),
    ({"units": (3, 0)}, "`units` must be a whole number of at least 1, got 0."),
    ({"decoder_units": [3, "4"]}, "`decoder_units` must be a whole number of at least 1, got '4'."),
    (
        {"units": (4, 3, 2), "num_layers": 2},
        "`units` (4, 3, 2) is 3 layers, but `num_layers` is 2; leave num_layers=1, or make both "
        "the same number.",
    ),
    (
        {"units": 4, "decoder_units": (3, 4), "num_layers": 3},
        "`decoder_units` (3, 4) is 2 layers, but `num_layers` is 3; leave num_layers=1, or make "
        "both the same number.",
    ),
    (
        {"decoder": "dense", "units": (4, 3), "decoder_units": (3, 4)},
        "`decoder_units` is the width of the decoder's LSTM, which a decoder 'dense' lacks; set "
        "decoder_units=None.",
    ),
    ({"head_units": (3, 0)}, "`head_units` must be a whole number of at least 1, got 0."),
    ({"head_units": 3.5}, "`head_units` must be a list of whole numbers, got 3.5."),
    (
        {"validation_split": 1},
        "`validation_split` must be a number of at least 0 and below 1 or 'auto', got 1.",
    ),
    ({"learning_rate": 0}, "`learning_rate` must be a number above 0 or None, got 0."),
    ({"learning_rate": float("nan")}, "`learning_rate` must be a number above 0 or None, got nan."),
    (
        {"bidirectional": "yes"},
        "`bidirectional` must be True, False, 'encoder' or 'decoder', got 'yes'.",
    ),
    (
        {"code_activation": "relu", "decoder": "state"},
        "`code_activation` changes the code, but a decoder that starts from the encoder's state "
        "needs the state itself; set code_activation='linear', or another decoder.",
    ),
    (
        {"code_activation": "tanh", "kl_weight": 1.0},
        "`code_activation` cannot follow the normal distribution of a variational code; set "
        "code_activation='linear', or kl_weight=None.",
    ),
    (
        {"decoder": "repeet"},
        "unknown `decoder` 'repeet': did you mean 'repeat'? Known are 'dense', 'flat', 'previous', "
        "'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_repeat', 'state_reversed_input'.",
    ),
    (
        {"optimizer": "Adam"},
        "unknown `optimizer` 'Adam': did you mean 'adam'? Known are 'adadelta', 'adagrad', "
        "'adam', 'adamax', 'adamw', 'nadam', 'rmsprop', 'sgd'.",
    ),
    (
        {"loss": 3},
        "`loss` must be the name of a loss, a dict from features to names of losses, or a "
        "function, got 3.",
    ),
    (
        {"loss": "categorical_crossentropy"},
        "`loss` 'categorical_crossentropy' needs output_activation='softmax', got 'linear'.",
    ),
    ({"metrics": "mae"}, "`metrics` must be a list of names, got 'mae'."),
    (
        {"metrics": ["accuracy"]},
        "The metric 'accuracy' needs one of the losses binary_crossentropy and "
        "categorical_crossentropy, got loss='mse'; remove it from `metrics`.",
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
        "decoder='flat' emits all steps at once, so `reverse_target` has no effect; set "
        "reverse_target=False.",
    ),
    (
        {"decoder": "dense", "reverse_target": True},
        "decoder='dense' emits all steps at once, so `reverse_target` has no effect; set "
        "reverse_target=False.",
    ),
    (
        {"decoder": "reversed_input", "reverse_target": True},
        "decoder='reversed_input' reads the input backwards, so with `reverse_target` it would "
        "read at each step the value that it must reconstruct; set reverse_target=False.",
    ),
    (
        {"horizon": 2, "forecast_decoder": "stat"},
        "unknown `forecast_decoder` 'stat': did you mean 'state'? Known are 'dense', 'flat', "
        "'previous', 'repeat', 'reshape', 'reversed_input', 'state', 'state_previous', "
        "'state_repeat', 'state_reversed_input'.",
    ),
    (
        {"forecast_decoder": "state"},
        "`forecast_decoder` has no effect without `horizon`; set `horizon` too, or "
        "forecast_decoder=None.",
    ),
    ({"metrics": 3}, "`metrics` must be a list of names, got 3."),
    ({"input_noise": -1}, "`input_noise` must be a number of at least 0, got -1."),
    ({"input_dropout": 1}, "`input_dropout` must be a number of at least 0 and below 1, got 1."),
    ({"code_l1": "much"}, "`code_l1` must be a number of at least 0, got 'much'."),
    ({"kl_weight": -1}, "`kl_weight` must be a number of at least 0 or None, got -1."),
    (
        {"decoder": "dense", "decoder_units": 4},
        "`decoder_units` is the width of the decoder's LSTM, which a decoder 'dense' lacks; set "
        "decoder_units=None.",
    ),
    (
        {"decoder": "dense", "head_units": None},
        "A decoder 'dense' consists of its dense layers, and `head_units` None removes all of "
        "them; set head_units=().",
    ),
    (
        {"horizon": 2, "forecast_decoder": "dense", "head_units": None},
        "A decoder 'dense' consists of its dense layers, and `head_units` None removes all of "
        "them; set head_units=().",
    ),
    (
        {"head_units": None, "output_activation": "sigmoid"},
        "`head_units` None removes the output layer, so `output_activation` 'sigmoid' has no layer "
        "to apply to; set output_activation='linear', or head_units=().",
    ),
    (
        {"head_units": None},
        "`head_units` None makes the decoder's state the output, which needs 1 numbers, got 64; "
        "set `decoder_units`, or head_units=() for a dense layer.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("parameters", "message"), BAD, ids=[str(p) for p, _ in BAD])
def test_bad_parameters_are_reported_by_fit(parameters, message):
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(**parameters).fit(sines())
    assert str(caught.value) == message


def test_all_bad_parameters_are_reported_at_once():
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(latent_dim=0, epochs=0).fit(sines())
    assert str(caught.value).splitlines() == [
        "`latent_dim` must be a whole number of at least 1, got 0.",
        "`epochs` must be a whole number of at least 1 or 'auto', got 0.",
    ]


def test_a_missing_device_is_an_error():
    with pytest.raises(InputError, match=r"^`device` 'cuda:99' cannot be used \("):
        quick(device="cuda:99").fit(sines())


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.parametrize("decoder", [*DECODERS, "dense"])
def test_a_decoder_may_have_another_width_than_the_encoder(decoder):
    model = quick(decoder="repeat", horizon=2, forecast_decoder=decoder, decoder_units=3, epochs=1)
    model.fit(sines())
    decoders = model.module_.decoders
    widths = [layer.units for layer in decoders.modules() if hasattr(layer, "units")]
    assert widths
    assert set(widths) == {3}
    assert {layer.units for layer in model.encoder_.modules() if hasattr(layer, "units")} == {6}
    assert clone(model).get_params() == model.get_params()


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("given", "encoder", "decoders"),
    [
        ({"units": (6, 4)}, [6, 4], [4, 6]),
        ({"units": [6, 4], "num_layers": 2}, [6, 4], [4, 6]),
        ({"units": (6, 4), "decoder_units": (3, 5, 7)}, [6, 4], [3, 5, 7]),
        ({"units": (6, 4), "decoder_units": 3}, [6, 4], [3]),
        ({"units": (6, 4), "decoder_units": 3, "num_layers": 2}, [6, 4], [3, 3]),
        ({"units": 6, "decoder_units": (3, 5)}, [6], [3, 5]),
        ({"decoder_units": (3, 5), "num_layers": 2}, [4, 4], [3, 5]),
    ],
    ids=str,
)
def test_a_sequence_has_the_units_of_each_layer(given, encoder, decoders, decoder):
    model = quick(
        latent_dim=4, epochs=1, horizon=2, decoder=decoder, **{"units": None, **given}
    ).fit(sines())

    def units(part):
        return [layer.units for layer, *_ in part.lstm.stack()]

    assert units(model.encoder_) == encoder
    assert {name: units(part) for name, part in model.module_.decoders.items()} == {
        "reconstruction": decoders,
        "forecast": decoders,
    }
    weights = gate_weights(model)
    for depth, width in enumerate(encoder):
        assert weights[f"encoder.lstm.layers.{depth}.0"]["w_hh"]["o"].shape == (width, width)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.cpu
@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.parametrize("several", [(3,), (3, 3)], ids=str)
def test_equal_units_in_a_sequence_train_the_same_weights_as_one_number(several):
    one = {"units": 3, "num_layers": len(several)}
    first, second = (
        quick(epochs=2, **given).fit(sines()).module_.state_dict()
        for given in (one, {"units": several})
    )
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert torch.equal(weight, second[name]), name


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
def test_a_search_over_widths_and_heads():
    grid = {"decoder_units": [None, 3], "head_units": [(), (2,)]}
    search = GridSearchCV(quick(epochs=1), grid, cv=2, error_score="raise").fit(sines())
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.cpu
@pytest.mark.parametrize(("units", "one_call"), [(3, True), (9, True), (1, False)])
def test_a_decoder_of_another_width_trains_as_step_by_step(units, one_call):
    """In one call of compiled code where there is a dense layer."""
    heads = () if one_call else None
    made = {"bidirectional": False, "decoder_units": units, "head_units": heads, "epochs": 3}
    quickly, plainly = (
        quick(**made, backend=name).fit(sines()) for name in ("compiled", "stepwise")
    )
    ran = {layer.ran.reason for layer in quickly.module_.modules() if hasattr(layer, "ran")}
    assert ("in one call with the whole training step" in ran) == one_call
    np.testing.assert_allclose(quickly.history_["loss"], plainly.history_["loss"], rtol=1e-4)
