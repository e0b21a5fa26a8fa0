"""What a default model is made of, what "auto" comes to, and what is refused of it."""

import numpy as np
import pytest

from unspool import LSTMAutoencoder, LSTMForecaster
from unspool.blueprint import DECODERS, Facts, blueprint
from unspool.errors import InputError

STATE = [name for name, kind in DECODERS.items() if kind.starts]
OTHERS = [*(name for name in DECODERS if name not in STATE), "dense"]
STATISTICS = 5  # final state, mean, maximum, minimum, standard deviation
X = np.random.default_rng(0).normal(size=(6, 8, 2))


def plan(model=LSTMAutoencoder, steps=100, **parameters):
    given = model(**parameters)
    facts = Facts(3, steps, parameters.get("horizon", 0))
    return blueprint(given._name, given.get_params(deep=False), facts)


def message(**parameters):
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(**parameters).fit(X)
    return str(caught.value)


@pytest.mark.parametrize("decoder", OTHERS)
def test_a_code_is_made_of_all_statistics_and_of_512_kernels(decoder):
    made = plan(decoder=decoder).encoder
    assert (made.pooling, made.whole_state, made.patch_size) == ("all", False, 4)
    kernels = made.kernels
    assert kernels.dilations == (1, 2, 4, 8)  # 9 values 8 steps apart span 65 of 100 steps
    assert (kernels.each, kernels.width) == (128, 512)
    weights = dict(made.weights())
    assert weights["projection.weight"] == (32, STATISTICS * 2 * 32 + 512)


@pytest.mark.parametrize("decoder", STATE)
@pytest.mark.parametrize("as_forecast", [False, True])
def test_a_decoder_that_starts_from_the_whole_state_has_that_alone(decoder, as_forecast):
    given = {"horizon": 4, "forecast_decoder": decoder} if as_forecast else {"decoder": decoder}
    made = plan(**given).encoder
    assert (made.pooling, made.kernels, made.whole_state) == ("last", None, True)
    weights = dict(made.weights())
    assert weights["projection.weight"] == (32, 2 * 2 * 32)  # h and c of both directions


@pytest.mark.parametrize(
    ("steps", "dilations"),
    [(1, (1,)), (16, (1,)), (17, (1, 2)), (33, (1, 2, 4)), (1000, (1, 2, 4, 8, 16, 32, 64))],
)
def test_kernels_are_shared_out_over_the_dilations_that_fit_into_the_longest(steps, dilations):
    kernels = plan(steps=steps).encoder.kernels
    assert kernels.dilations == dilations
    assert kernels.each == 512 // len(dilations)
    few = plan(steps=steps, n_kernels=3).encoder.kernels
    assert few.each == max(1, 3 // len(dilations))


def test_given_values_are_not_replaced_by_defaults():
    made = plan(pooling="max", n_kernels=0).encoder
    assert (made.pooling, made.kernels) == ("max", None)
    assert (
        plan(pooling="last", n_kernels=0, units=32, bidirectional=False).encoder.pooling == "last"
    )


@pytest.mark.parametrize(("steps", "expected"), [(64, 1), (65, 3), (1000, 32)])
def test_long_sequences_are_read_by_patches_and_by_kernels_step_by_step(steps, expected):
    made = plan(steps=steps)
    assert made.encoder.patch_size == made.decoders["reconstruction"].patch_size == expected
    assert made.encoder.lstm.inputs == 3 * expected
    assert made.encoder.kernels.n_features == 3


def test_a_forecaster_reads_states_at_the_end_and_has_level_and_lines():
    made = plan(LSTMForecaster, horizon=4)
    assert (made.encoder.pooling, made.encoder.kernels) == ("last", None)
    assert (made.encoder.patch_size, made.encoder.normalization) == (1, "last")
    assert (made.skip.steps, made.skip.normalization) == (100, "last")  # no more than there are
    assert plan(LSTMForecaster, steps=700, horizon=4).skip.steps == 512
    with pytest.raises(InputError, match=r"^unknown `pooling` 'auto'"):
        LSTMForecaster(pooling="auto").fit(X)


@pytest.mark.parametrize("value", [-1, 2.0, None, True, "all", [512]], ids=str)
def test_other_numbers_of_kernels_are_refused(value):
    assert message(n_kernels=value) == (
        f"`n_kernels` must be a whole number of at least 0 or 'auto', got {value!r}."
    )


@pytest.mark.parametrize("value", [None, "min", "AUTO", 1, ["all"]], ids=str)
def test_other_poolings_are_refused(value):
    assert message(pooling=value) == (
        f"unknown `pooling` {value!r}: known are 'all', 'auto', 'last', 'max', 'mean', 'mean_max'."
    )


@pytest.mark.parametrize("decoder", STATE)
def test_kernels_are_not_for_a_code_that_is_the_whole_state(decoder):
    expected = (
        "`n_kernels` must be 0 for a decoder that starts from the encoder's whole state, got 8; "
        "set n_kernels=0, or choose another decoder."
    )
    assert message(decoder=decoder, n_kernels=8) == expected
    assert message(horizon=2, forecast_decoder=decoder, n_kernels=8) == expected


def test_faults_of_masks_and_of_the_contrastive_loss_are_reported():
    reported = message(mask_length=0, contrastive_weight=-1, input_dropout=1.0)
    assert "`mask_length` must be a whole number of at least 1, got 0." in reported
    assert "`contrastive_weight` must be a number of at least 0, got -1." in reported
    assert "`input_dropout` must be" in reported
