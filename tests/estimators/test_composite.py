"""`LSTMAutoencoder` with its options: a forecast beside the reconstruction, decoders, penalties."""

import numpy as np
import pytest
import torch

import unspool
from tests.close import assert_close
from tests.estimators.quick import quick, sines
from unspool import Sequences, Windows, runtime
from unspool.blueprint.models import DECODER_NAMES
from unspool.errors import InputError, NoBetterThanMeanWarning
from unspool.nn import DenseDecoder, LSTMDecoder

# Most fits here are far too short to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

K = 3


def short(**parameters):
    return quick(**{"epochs": 2, "latent_dim": 5, **parameters})


def message(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def r2(truth, got):
    return 1 - ((truth - got) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()


@pytest.fixture(scope="module")
def composite():
    return quick(horizon=4).fit(sines(n=80, steps=16, features=2))


def test_reconstruction_and_forecast_are_both_learned(composite):
    unseen = sines(n=40, steps=16, features=2, seed=1)
    past, future = unseen[:, :12], unseen[:, 12:]
    assert composite.score(past) > 0.7
    assert r2(future, composite.forecast(past)) > 0.7
    assert (composite.max_length_, composite.horizon_) == (12, 4)


def test_the_history_has_both_losses_and_their_sum(composite):
    history = composite.history_
    names = ("loss", "reconstruction_loss", "forecast_loss")
    assert list(history) == [
        *names,
        *(f"val_{name}" for name in names),
        "learning_rate",
        "best_epoch",
    ]
    for prefix in ("", "val_"):
        parts = np.add(history[f"{prefix}reconstruction_loss"], history[f"{prefix}forecast_loss"])
        np.testing.assert_allclose(history[f"{prefix}loss"], parts)


def test_the_last_steps_cut_off_are_the_future_that_could_be_given():
    X = sines(n=30, steps=9, features=2)
    cut = short(horizon=K, scaling="none").fit(X)
    given = short(horizon=K, scaling="none").fit(X[:, :-K], X[:, -K:])
    past = X[:, :-K]
    np.testing.assert_array_equal(cut.transform(past), given.transform(past))
    np.testing.assert_array_equal(cut.forecast(past), given.forecast(past))
    np.testing.assert_array_equal(cut.reconstruct(past), given.reconstruct(past))


def as_windows(X):
    """The rows of X as windows, one for each of as many series."""
    return Windows([*X], X.shape[1])


READ_AS = {"array": lambda X: X, "list": list, "Sequences": Sequences, "Windows": as_windows}


@pytest.mark.parametrize("read", READ_AS.values(), ids=READ_AS)
def test_the_data_of_fit_are_scored_at_the_length_that_was_trained(read, tmp_path):
    X = sines(n=30, steps=9, features=2)
    past = X[:, :-K]
    model = short(horizon=K, validation_split=0).fit(read(X))
    runs = runtime.Model(model.contents())
    for one in (model, runs):
        expected = one.reconstruct(past)
        assert expected.shape == past.shape
        np.testing.assert_array_equal(one.reconstruct(read(X)), expected)
        for per in ("sequence", "step"):
            np.testing.assert_array_equal(
                one.reconstruction_error(read(X), per=per), one.reconstruction_error(past, per=per)
            )
        assert one.score(past, X[:, -K:]) == one.score(past)
        assert one.score(read(X)) == pytest.approx(one.score(past), abs=1e-12)


def test_a_table_comes_back_without_its_future():
    X = sines(n=30, steps=9)[:, :, 0]
    model = short(horizon=K).fit(X)
    assert model.reconstruct(X).shape == (30, 6)
    np.testing.assert_array_equal(model.reconstruct(X), model.reconstruct(X[:, :-K]))
    assert model.forecast(X).shape == (30, K)  # comes after X, of which nothing is cut off


def test_a_decoder_of_bounded_length_scores_what_it_was_fitted_on():
    X = sines(n=30, steps=9)
    for decoder in ("flat", "reshape", "dense"):
        assert np.isfinite(short(horizon=K, decoder=decoder).fit(X).score(X))


def test_sequences_of_unequal_length_are_cut_as_fit_cut_them(tmp_path):
    X = Sequences(sines(n=30, steps=12, features=2), 5 + np.arange(30) % 8)
    past = Sequences(X.values, X.lengths - K)  # 2 to 9 steps
    model = short(horizon=K).fit(X)
    model.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m", device="cpu")
    for one in (model, loaded, runtime.load(tmp_path / "m")):
        errors = one.reconstruction_error(X, per="step")
        np.testing.assert_array_equal((~np.isnan(errors)).sum(1), past.lengths)
        np.testing.assert_array_equal(errors, one.reconstruction_error(past, per="step"))
        np.testing.assert_array_equal(one.reconstruct(X), one.reconstruct(past))
        assert one.score(X) == pytest.approx(one.score(past), abs=1e-12)


def test_a_sequence_that_is_all_future_is_refused_as_in_fit():
    model = short(horizon=K).fit(sines(n=30, steps=9))
    X = Sequences(sines(n=5, steps=9), [9, 3, 9, 9, 9])
    expected = (
        "Expected sequences of more than 3 steps, because the last 3 are forecast, but the "
        "shortest has 3; leave it out, lower `horizon`, or give the future as `y`."
    )
    for one in (model, runtime.Model(model.contents())):
        assert message(one.score, X) == expected


def test_what_was_given_with_its_future_loses_no_step():
    X = sines(n=30, steps=9, features=2)
    model = short(horizon=K).fit(X[:, :-K], X[:, -K:])
    assert model.reconstruct(X).shape == X.shape


def test_windows_of_the_data_of_fit_are_merged_as_far_as_they_were_encoded():
    series = sines(n=1, steps=60, features=2)[0]
    model = short(horizon=K).fit(Windows(series, 9, 2))
    assert model.window_ == (6, 2)
    (whole,) = model.reconstruct(Windows(series, 6, 2), merge=True)
    (cut,) = model.reconstruct(Windows(series, 9, 2), merge=True)
    np.testing.assert_array_equal(cut[:52], whole[:52])  # later steps are in more of the shorter
    assert np.isnan(cut[56:]).all()
    again = runtime.Model(model.contents()).reconstruct(Windows(series, 9, 2), merge=True)[0]
    np.testing.assert_allclose(again, cut, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reverse_target", [False, True])
@pytest.mark.parametrize("decoder", DECODER_NAMES)
def test_all_decoders_train_forecast_save_and_load(decoder, reverse_target, tmp_path):
    X = [one[: 6 + i % 4] for i, one in enumerate(sines(n=30, steps=9, features=2))]
    options = {"decoder": decoder, "horizon": K, "num_layers": 2, "head_units": (4,)}
    bound = ("dense", "flat", "reversed_input", "state_reversed_input")
    if reverse_target and decoder in bound:
        reason = (
            "reads the input backwards, so with `reverse_target` it would read at each step the "
            "value that it must reconstruct"
            if "reversed_input" in decoder
            else "emits all steps at once, so `reverse_target` has no effect"
        )
        assert message(short(**options, reverse_target=True).fit, X) == (
            f"decoder={decoder!r} {reason}; set reverse_target=False."
        )
        return
    model = short(**options, epochs=4, reverse_target=reverse_target).fit(X)
    for name in ("reconstruction_loss", "forecast_loss"):
        assert model.history_[name][-1] < model.history_[name][0]
    past = [one[:-K] for one in X]
    assert model.forecast(past).shape == (30, K, 2)
    again = model.reconstruct(past)
    assert (np.isnan(again[:, :, 0]).sum(1) == [6 - len(one) for one in past]).all()
    model.save(tmp_path / "model.unspool")
    loaded = unspool.load(tmp_path / "model.unspool")
    np.testing.assert_array_equal(loaded.forecast(past), model.forecast(past))
    np.testing.assert_array_equal(loaded.reconstruct(past), again)
    assert loaded.forecast([one[:0] for one in past]).shape == (30, K, 2)


@pytest.mark.parametrize("decoder", DECODER_NAMES)
def test_a_sequence_is_forecast_the_same_alone_and_among_others(decoder):
    X = [one[: 2 + i % 5] for i, one in enumerate(sines(n=20, steps=6))]
    model = short(decoder=decoder, horizon=K).fit(sines(n=20, steps=9))
    among, alone = model.forecast(X), [model.forecast([one])[0] for one in X]
    np.testing.assert_allclose(among, alone, atol=2e-6)
    again = model.reconstruct(X)
    for i, one in enumerate(X):
        expected = model.reconstruct([one])[0]
        np.testing.assert_allclose(again[i, : len(one)], expected[: len(one)], atol=2e-6)


def test_the_forecast_may_have_a_decoder_of_another_kind():
    X = sines(n=20, steps=9)
    model = short(decoder="repeat", forecast_decoder="state_previous", horizon=K).fit(X)
    decoders = model.module_.decoders
    assert decoders["reconstruction"].kind.code == "context"
    assert decoders["forecast"].feeds_back
    assert model.module_.encoder.whole_state
    assert isinstance(
        short(forecast_decoder="dense", horizon=K).fit(X).module_.decoders["forecast"],
        DenseDecoder,
    )
    same = short(decoder="flat", horizon=K).fit(X).module_.decoders
    assert [decoder.kind.flat for decoder in same.values()] == [True, True]
    assert [decoder.max_steps for decoder in same.values()] == [6, K]


def untrained(X, **parameters):
    """The weights that a fit starts from."""
    still = {"optimizer": "sgd", "learning_rate": 1e-30, "epochs": 1, "patience": None}
    return short(**parameters | still).fit(X).module_.state_dict()


@pytest.mark.parametrize(("weights", "still"), [((1, 0), "forecast"), ((0, 1), "reconstruction")])
def test_a_loss_of_weight_0_leaves_its_decoder_as_it_was(weights, still):
    X = sines(n=30, steps=9)
    options = {"horizon": K, "loss_weights": weights, "patience": None}
    before = untrained(X, **options)
    after = short(**options).fit(X).module_.state_dict()
    for name, weight in after.items():
        same = torch.equal(weight, before[name])
        assert same == name.startswith(f"decoders.{still}."), name


def test_without_the_weight_of_the_forecast_it_is_a_plain_autoencoder():
    X = sines(n=30, steps=9)
    options = {"scaling": "none", "epochs": 3, "patience": None}
    both = short(horizon=K, loss_weights=(1, 0), **options).fit(X)
    plain = short(**options).fit(X[:, :-K])
    assert_close("codes", plain.transform(X), both.transform(X))
    np.testing.assert_allclose(both.history_["loss"], plain.history_["loss"], rtol=1e-5)


def test_the_loss_is_the_weighted_sum_of_both_losses():
    history = short(horizon=K, loss_weights=(0.25, 3)).fit(sines(n=30, steps=9)).history_
    parts = (np.array(history[f"{name}_loss"]) for name in ("reconstruction", "forecast"))
    np.testing.assert_allclose(history["loss"], np.dot((0.25, 3), list(parts)))
    assert message(short(horizon=K, loss_weights=(0, 0.0)).fit, sines()) == (
        "`loss_weights` must have at least one number above 0, got (0, 0.0)."
    )


def test_a_reversed_target_is_learned_and_returned_in_the_order_of_the_data():
    ramps = [np.linspace(0, 1, 6 + i % 4)[:, None] * (1 + i % 3 + i / 99) for i in range(40)]
    model = quick(reverse_target=True, decoder="state").fit(ramps)
    decoder = model.module_.decoder()
    assert decoder.reverse_target
    assert len(decoder.lstm.stack()[0]) == 1, "written from one end, whatever the encoder does"
    assert model.score(ramps) > 0.8
    again = model.reconstruct(ramps)
    assert all(one[0, 0] < one[5, 0] - 0.3 for one in again)


@pytest.fixture
def shares(monkeypatch):
    """The share of true steps of each call of a decoder; None for none."""
    seen, forward = [], LSTMDecoder.forward

    def spy(self, code, steps, lengths=None, reversed_input=None, teacher=None, draw=None):
        seen.append(teacher and teacher.ratio)
        return forward(self, code, steps, lengths, reversed_input, teacher, draw)

    monkeypatch.setattr(LSTMDecoder, "forward", spy)
    return seen


@pytest.mark.parametrize(
    ("forced", "expected"), [(1.0, [1, 1, 1]), (0.0, [1, 0.5, 0]), (0.4, [1, 0.7, 0.4])]
)
@pytest.mark.parametrize("where", ["decoder", "forecast_decoder"])
def test_teacher_forcing_falls_to_its_share_and_validation_has_none(
    shares, where, forced, expected
):
    options = {"horizon": K} if where == "forecast_decoder" else {}
    options |= {"decoder": "repeat", where: "previous", "batch_size": 20, "patience": None}
    short(**options, teacher_forcing=forced, epochs=3, validation_split=0.5).fit(sines(n=40))
    seen = shares[1::2] if where == "forecast_decoder" else shares
    assert seen[0::2] == pytest.approx(expected)  # an epoch is a batch, and its validation
    assert seen[1::2] == [None] * 3


def test_teacher_forcing_changes_what_is_learned():
    X = sines(n=30, steps=9)
    codes = [
        short(decoder="previous", teacher_forcing=share, patience=None).fit(X).transform(X)
        for share in (1.0, 0.0)
    ]
    assert not np.allclose(*codes, atol=1e-4)


def test_metrics_are_recorded_in_addition_to_the_loss():
    X = sines(n=30, steps=9, features=2) * [1, 50]
    still = {"optimizer": "sgd", "learning_rate": 1e-30, "validation_split": 0, "epochs": 1}
    model = short(metrics=["mae", "mse"], loss="huber", **still).fit(X)
    errors = np.abs(model.reconstruct(X) - X) / model.scaler_.scale
    assert model.history_["mae"] == pytest.approx([errors.mean()], rel=1e-5)
    assert model.history_["mse"] == pytest.approx([(errors**2).mean()], rel=1e-5)
    names = list(short(metrics=["mae"], horizon=K).fit(X).history_)
    assert names[:5] == [
        "loss",
        "reconstruction_loss",
        "reconstruction_mae",
        "forecast_loss",
        "forecast_mae",
    ]


def test_random_state_repeats_all_that_is_random():
    X = sines(n=30, steps=9)
    options = {
        "kl_weight": 0.1,
        "input_noise": 0.1,
        "input_dropout": 0.1,
        "horizon": K,
        "decoder": "previous",
        "teacher_forcing": 0.5,
        "epochs": 3,
    }
    one, again, other = (short(**options, random_state=seed).fit(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.transform(X), again.transform(X))
    assert one.history_ == again.history_ != other.history_


@pytest.mark.parametrize("options", [{}, {"kl_weight": 1.0, "decoder": "state"}], ids=str)
def test_the_encoder_alone_makes_the_same_codes_and_nothing_else(options, tmp_path):
    X = sines(n=30, steps=9)
    model = short(horizon=K, **options).fit(X)
    model.save(tmp_path / "whole")
    model.save(tmp_path / "part", part="encoder")
    assert (tmp_path / "part").stat().st_size < (tmp_path / "whole").stat().st_size
    encoder = unspool.load(tmp_path / "part")
    np.testing.assert_array_equal(encoder.transform(X), model.transform(X))
    assert encoder.history_ == model.history_
    for method, what in [
        (encoder.reconstruct, "reconstruction"),
        (encoder.reconstruction_error, "reconstruction"),
        (encoder.score, "reconstruction"),
        (encoder.forecast, "forecast"),
    ]:
        reported = f"This model has no decoder {what!r}; it has an encoder only."
        assert message(method, X) == reported
    assert message(encoder.inverse_transform, np.zeros((2, 5))).startswith("This model has no")
    assert message(model.save, tmp_path / "x", part="decoder") == (
        "unknown `part` 'decoder': did you mean 'encoder'? Known are 'encoder', 'model'."
    )


def test_the_future_keeps_the_form_that_the_data_had():
    table = sines(n=20, steps=9)[:, :, 0]
    model = short(horizon=K).fit(table)
    assert model.forecast(table[:, :-K]).shape == (20, K)
    assert model.forecast(table).shape == (20, K)  # of what comes after them
    assert model.reconstruct(table[:, :-K]).shape == (20, 6)
    given = short(horizon=K).fit(table, table[:, :K])
    assert given.forecast(table).shape == (20, K)
    one = short(horizon=1).fit(table, table[:, 0])
    assert one.forecast(table).shape == (20,)
    series = np.sin(np.arange(60))[:, None] * [1, 2]
    windows = short(horizon=K).fit(Windows(series, 9, 2))
    assert windows.forecast(Windows(series, 6)).shape == (55, K, 2)
    assert (windows.max_length_, windows.window_) == (6, (6, 2))


def test_without_a_horizon_nothing_is_forecast_and_y_is_left_alone():
    X = sines(n=20, steps=9)
    model = short().fit(X, y=["anything"])
    assert model.horizon_ == 0
    assert list(model.module_.decoders) == ["reconstruction"]
    assert message(model.forecast, X) == (
        "This model was fitted without a forecast; set `horizon` and call `fit` again."
    )


def test_sequences_too_short_for_the_horizon_are_reported():
    X = [np.ones((9, 1)), np.ones((3, 1)), *sines(n=20, steps=9)]
    assert message(short(horizon=K).fit, X) == (
        "Expected sequences of more than 3 steps, because the last 3 are forecast, but the "
        "shortest has 3; leave it out, lower `horizon`, or give the future as `y`."
    )


@pytest.mark.parametrize("decoder", ["reshape", "flat", "dense"])
def test_bound_decoders_tell_their_bound(decoder):
    model = short(decoder=decoder, horizon=K).fit(sines(n=20, steps=9))
    reported = (
        "Expected sequences of at most 6 steps, as in `fit`, got 7; this LSTMAutoencoder "
        "has layers of a fixed number of steps."
    )
    longer = sines(n=4, steps=7)
    for method in (model.reconstruct, model.reconstruction_error, model.score):
        assert message(method, sines(n=4, steps=7 + K)) == reported
    assert model.transform(longer).shape == (4, 5)
    assert model.forecast(longer).shape == (4, K, 1)
    assert message(model.inverse_transform, np.zeros((4, 5)), 7) == (
        "Expected `lengths` of at most 6, as in `fit`, got 7; this decoder has layers of a fixed "
        "number of steps."
    )
    codes = model.transform(longer[:, :4])
    np.testing.assert_allclose(
        model.inverse_transform(codes, 4), model.reconstruct(longer[:, :4]), atol=1e-6
    )


def test_a_forecast_no_better_than_the_mean_is_reported_by_name():
    X = np.concatenate([sines(n=60), np.random.default_rng(0).normal(size=(60, K, 1))], 1)
    with pytest.warns(NoBetterThanMeanWarning) as caught:
        quick(horizon=K, loss_weights=(1, 1e-6), epochs=15).fit(X)
    reported = [str(warning.message) for warning in caught]
    assert len(reported) == 1
    assert reported[0].startswith("The forecast is no better than the mean sequence (loss ")


def test_sequences_of_no_step_at_all_are_refused():
    with pytest.raises(InputError, match=r"^Expected a sequence with at least one step to learn"):
        short().fit([np.zeros((0, 2))] * 20)


@pytest.mark.parametrize("decoder", ["state", "state_previous", "state_reversed_input"])
def test_pooling_is_not_for_a_code_that_is_the_whole_state(decoder):
    expected = (
        "`pooling` must be 'last' for a decoder that starts from the encoder's whole state, got "
        "'mean'; set pooling='last', or choose another decoder."
    )
    assert message(short(decoder=decoder, pooling="mean").fit, sines()) == expected
    two = short(horizon=K, forecast_decoder=decoder, pooling="mean")
    assert message(two.fit, sines()) == expected


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "all"])
def test_pooled_codes_train_save_and_load(pooling, tmp_path):
    X = [one[: 6 + i % 4] for i, one in enumerate(sines(n=30, steps=9, features=2))]
    model = short(pooling=pooling, epochs=5).fit(X)
    losses = model.history_["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m", device="cpu")
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    codes = runtime.load(tmp_path / "m").encode(X)
    np.testing.assert_allclose(codes, model.transform(X), rtol=1e-4, atol=1e-5)
