"""`sample_weight`: a weight of 2 is two copies of a sequence, a weight of 0 is none."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.trained import LAST
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
)
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

N, T, F = 24, 8, 2
COPIES = np.arange(N) % 4  # 0 to 3
REPEATED = np.repeat(np.arange(N), COPIES)
QUICK = {"epochs": 4, "random_state": 0, "verbose": 0}
# One batch with all sequences, and nothing random: only then is the comparison exact.
EXACT = {**QUICK, "batch_size": 99, "validation_split": 0, "patience": None}
PLAIN = {"linear_steps": 0, "code_dropout": 0.0}


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(3, 2, shape) * [1, 10][: shape[-1]]


def ragged(seed=0):
    lengths = np.arange(N) % (T - 2) + 3
    return Sequences(drawn(N, T, F, seed=seed), lengths)


X, FUTURE = ragged(), drawn(N, 2, F, seed=1)
LABELS = np.array(["b", "a", "c"])[np.arange(N) * 7 % 3]


def lstm(**parameters):
    return LSTMAutoencoder(**{"latent_dim": 3, "units": 4, **LAST, **parameters})


def forecaster(**parameters):
    return LSTMForecaster(**{"latent_dim": 3, "horizon": 2, **parameters})


MODELS = {
    "lstm": (lstm, {}, None),
    "lstm, penalty": (lstm, {"code_l1": 0.1}, None),
    "composite": (lstm, {"horizon": 2}, None),
    "composite, y": (lstm, {"horizon": 2}, FUTURE),
    "minmax": (lstm, {"scaling": "minmax"}, None),
    "dense": (lambda **p: DenseAutoencoder(3, **p), {}, None),
    "stacked": (
        lambda **p: StackedAutoencoder(2, hidden_units=(5,), **p),
        {"fine_tune": True},
        None,
    ),
    "conv": (lambda **p: ConvAutoencoder(3, filters=(2,), **p), {}, None),
    "forecaster": (forecaster, PLAIN, None),
    "forecaster, y": (forecaster, PLAIN, FUTURE),
    "every step": (forecaster, {**PLAIN, "every_step": True}, None),
    "quantiles": (forecaster, {**PLAIN, "quantiles": (0.1, 0.9)}, None),
    "linear maps": (forecaster, {"code_dropout": 0.0}, None),
    "classifier": (
        lambda **p: EncoderClassifier(lstm(**EXACT), fine_tune=True, **p),
        {},
        LABELS,
    ),
}
KINDS = pytest.mark.parametrize("kind", MODELS)


def made(kind, options=EXACT):
    make, parameters, y = MODELS[kind]
    model = make(**{**parameters, **options})
    if isinstance(model, EncoderClassifier):
        model.set_params(autoencoder__validation_split=options.get("validation_split", "auto"))
    return model, y


def output(model):
    if isinstance(model, EncoderClassifier):
        return model.predict_proba(X)
    return model.forecast(X) if model.horizon_ else model.transform(X)


# The ridge penalty of linear maps depends on the number of sequences, whatever they weigh.
@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "linear maps"])
def test_a_weight_of_n_counts_like_n_copies(kind):
    model, y = made(kind)
    weighted = output(model.fit(X, y, sample_weight=7 * COPIES))
    copies = output(model.fit(X[REPEATED], None if y is None else y[REPEATED]))
    plain = output(model.fit(X, y))
    np.testing.assert_allclose(weighted, copies, rtol=2e-3, atol=2e-3 * abs(copies).max())
    off = abs(plain - copies).max()
    assert off > 10 * abs(weighted - copies).max(), "weights make no difference"


@KINDS
def test_a_sequence_of_weight_0_is_left_out_to_the_last_bit(kind):
    options = {**QUICK, "batch_size": 5, "validation_split": 0.2}
    model, y = made(kind, options)
    weights, keep = COPIES + 0.25 * (COPIES > 0), COPIES > 0
    groups = np.arange(N) // 2
    with_zeros = output(model.fit(X, y, weights, groups=groups))
    history = model.history_
    left = None if y is None else y[keep]
    np.testing.assert_array_equal(
        with_zeros, output(model.fit(X[keep], left, weights[keep], groups=groups[keep]))
    )
    assert model.history_ == history


@KINDS
def test_equal_weights_change_no_bit_and_a_factor_nothing(kind):
    model, y = made(kind, {**QUICK, "batch_size": 5})
    plain = output(model.fit(X, y))
    np.testing.assert_array_equal(plain, output(model.fit(X, y, [0.3] * N)))
    weights = 0.5 + COPIES
    one, other = (output(model.fit(X, y, factor * weights)) for factor in (1, 8))
    np.testing.assert_array_equal(one, other)
    assert abs(one - plain).max() > 0


def test_weights_of_steps_weigh_errors_and_statistics():
    """With the loss and the statistics of the steps alone, without a model."""
    weights = np.random.default_rng(2).uniform(size=(N, T))
    model = lstm(**EXACT).fit(X, sample_weight=weights)
    real = np.arange(T) < X.lengths[:, None]
    flat, of_flat = X.values[real], weights[real]
    mean = np.average(flat, axis=0, weights=of_flat)
    spread = np.sqrt(np.average((flat - mean) ** 2, axis=0, weights=of_flat))
    np.testing.assert_allclose(model.scaler_.shift, mean, rtol=1e-12)
    np.testing.assert_allclose(model.scaler_.scale, spread, rtol=1e-12)
    still = lstm(**{**EXACT, "epochs": 1, "learning_rate": 1e-30}).fit(X, sample_weight=weights)
    errors = still.reconstruction_error(X, per="step")[real]
    assert still.history_["loss"][0] == pytest.approx(np.average(errors, weights=of_flat), rel=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "composite", "dense", "forecaster", "every step"])
def test_equal_weights_of_the_steps_of_a_sequence_are_its_weight(kind):
    model, y = made(kind)
    one = output(model.fit(X, y, 1.0 + COPIES))
    padded = np.where(np.arange(T) < X.lengths[:, None], 1.0 + COPIES[:, None], np.nan)
    np.testing.assert_allclose(one, output(model.fit(X, y, padded)), rtol=1e-4, atol=1e-4)
    as_list = [np.full(length, 1.0 + n) for length, n in zip(X.lengths, COPIES, strict=True)]
    np.testing.assert_allclose(one, output(model.fit(X, y, as_list)), rtol=1e-4, atol=1e-4)


def test_values_at_steps_of_weight_0_are_no_targets():
    waves = np.sin(np.arange(12) + np.arange(40)[:, None])[..., None]
    waves[:, 5] = 20
    weights = np.ones((40, 12))
    weights[:, 5] = 0
    model = DenseAutoencoder(4, hidden_units=(), **{**EXACT, "epochs": 300})
    for given, low, high in ((None, 15, 25), (weights, -5, 5)):
        fitted = model.fit(waves, sample_weight=given)
        assert low < fitted.reconstruct(waves)[:, 5].mean() < high
    errors = np.delete(fitted.reconstruct(waves) - waves, 5, axis=1)
    assert abs(errors).mean() < 0.3
    assert fitted.scaler_.scale[0] < 1


def test_steps_of_a_series_are_weighted_in_all_its_windows():
    series = [drawn(30, F), drawn(17, F, seed=3)]
    weights = [np.random.default_rng(n).uniform(size=len(one)) for n, one in enumerate(series)]
    windows = Windows(series, 6, 3)
    values, _ = windows.take(np.arange(len(windows)))
    owner, start = windows.place(np.arange(len(windows)))
    by_window = [weights[i][first : first + 6] for i, first in zip(owner, start, strict=True)]
    model = lstm(**EXACT, scaling="none")
    one = model.fit(windows, sample_weight=weights).transform(windows)
    other = model.fit(Sequences(values), sample_weight=by_window).transform(windows)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    scaled = lstm(**EXACT).fit(windows, sample_weight=weights)
    flat, of_flat = np.concatenate(series), np.concatenate(weights)
    np.testing.assert_allclose(
        scaled.scaler_.shift, np.average(flat, axis=0, weights=of_flat), rtol=1e-12
    )


def test_a_single_series_may_have_its_weights_in_an_array():
    series, weights = drawn(30, F), np.random.default_rng(0).uniform(size=30)
    model, windows = lstm(**EXACT), Windows(series, 6)
    np.testing.assert_array_equal(
        model.fit(windows, sample_weight=weights).transform(windows),
        model.fit(windows, sample_weight=[weights]).transform(windows),
    )


def test_a_weight_of_a_window_counts_like_copies_of_it():
    windows, copies = Windows(drawn(30, F), 6), np.arange(25) % 3
    model = lstm(**EXACT)
    one = model.fit(windows, sample_weight=copies).transform(windows)
    repeated = windows[np.repeat(np.arange(25), copies)]
    other = model.fit(repeated).transform(windows)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_last_steps_have_their_weights_in_the_forecast_of_them():
    """Where the loss counts the first step of the forecast alone, the second is not learned."""
    weights = np.ones((N, T))
    weights[np.arange(N), X.lengths - 1] = 0
    model = forecaster(**PLAIN, **{**EXACT, "epochs": 1, "learning_rate": 1e-30})
    model.fit(X, sample_weight=weights)
    truth = np.stack([one[-2:] for one in map(X.__getitem__, range(N))])
    past = X.without_end(2)
    scaled = (model.forecast(past) - truth) / model.scaler_.scale
    expected = (scaled[:, 0] ** 2).mean()
    assert model.history_["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_pixels_of_images_have_weights():
    images, weights = drawn(12, 6, 4, 1), np.ones((12, 6, 4))
    images[:, 2, 1], weights[:, 2, 1] = 1e6, 0
    model = ConvAutoencoder(2, filters=(2,), **EXACT).fit(images, sample_weight=weights)
    assert model.scaler_.scale[0] < 10


@pytest.mark.parametrize("kind", ["lstm", "forecaster, y", "classifier"])
def test_validation_losses_are_weighted_and_nothing_of_weight_0_is_validated_on(kind):
    model, y = made(kind)
    some, of_some = ragged(seed=5), None if y is None else y[::-1]
    weighted = model.fit(X, y, validation_data=(some, of_some, COPIES)).history_
    of_copies = None if y is None else of_some[REPEATED]
    copied = some[REPEATED]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(X, y, validation_data=(copied, of_copies)).history_
    np.testing.assert_allclose(weighted["val_loss"], history["val_loss"], rtol=1e-4)
    plain = model.fit(X, y, validation_data=(some, of_some, None)).history_
    assert abs(plain["val_loss"][0] / history["val_loss"][0] - 1) > 1e-3


def test_held_out_sequences_are_weighted_in_the_validation_loss():
    groups = np.repeat([0, 1], [20, 4])
    weights = np.where(groups == 1, COPIES[::-1], 1)
    options = {**EXACT, "validation_split": 0.15, "learning_rate": 1e-30, "scaling": "none"}
    model = lstm(**options).fit(X, sample_weight=weights, groups=groups)
    errors = model.reconstruction_error(X, per="step")[20:]
    real = ~np.isnan(errors)
    by_step = np.broadcast_to(weights[20:, None], errors.shape)[real]
    expected = np.average(errors[real], weights=by_step)
    assert model.history_["val_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_weights_pass_through_pipelines_and_searches():
    rows, weights = drawn(N, 6, 1)[:, :, 0], 1.0 + COPIES
    pipe = make_pipeline(StandardScaler(), DenseAutoencoder(2, **QUICK))
    step = {"denseautoencoder__sample_weight": weights}
    alone = DenseAutoencoder(2, **QUICK).fit(StandardScaler().fit_transform(rows), None, weights)
    np.testing.assert_array_equal(pipe.fit(rows, **step)[-1].transform(rows), alone.transform(rows))
    with config_context(enable_metadata_routing=True):
        routed = EncoderClassifier(DenseAutoencoder(2, **QUICK), **QUICK)
        routed.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(routed, {"head_units": [(), (3,)]}, cv=2)
        search.fit(rows, LABELS, sample_weight=weights)
        best = routed.set_params(**search.best_params_).fit(rows, LABELS, sample_weight=weights)
    np.testing.assert_array_equal(search.predict_proba(rows), best.predict_proba(rows))


ONES = np.ones(N)
NAMED = "The `sample_weight` of `validation_data`"
TABLE = drawn(N, T, 1)[:, :, 0]
BAD = {
    "shape": (X, ONES[:-1], "`sample_weight` must have the shape (24,), one weight for each "
              "sequence of `X`, or (24, 8), one for each step, got (23,)."),
    "table": (TABLE, np.ones((N, T)), "`sample_weight` must have the shape (24,), one weight for "
              "each sequence of `X`, or (24, 8, 1), one for each step, got (24, 8)."),
    "negative": (X, -ONES, "`sample_weight` must be at least 0, got -1 (first at index 0)."),
    "nan": (X, np.where(ONES.cumsum() == 4, np.nan, 1),
            "`sample_weight` contains NaN or infinity (first at index 3)."),
    "zero": (X, 0 * ONES, "Expected `sample_weight` with at least one weight above zero, got zero "
             "for all of them."),
    "step": (X, np.where(np.arange(T) == 1, -2.0, 1) * ONES[:, None],
             "`sample_weight` must be at least 0, got -2 (first at step 1 of number 0)."),
    "list": (X, [np.ones(T + 1)] * N, "`sample_weight` must have 3 weights for sequence 0, one for "
             "each step, got shape (9,)."),
    "series": (Windows([drawn(9, F), drawn(8, F)], 4), [np.ones(9), np.ones(9)],
               "`sample_weight` must have the shape (8,), one weight for each step, in series 1, "
               "got (9,)."),
    "windows": (Windows(drawn(9, F), 4), np.ones(7), "`sample_weight` must have the shape (6,), "
                "one weight for each sequence of `X`, or (6, 4), one for each step, or be a list "
                "with the weights of the steps of each series, got (7,)."),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_weights_that_cannot_be_used_are_refused(case):
    data, weights, message = BAD[case]
    with pytest.raises(InputError) as caught:
        lstm(**EXACT).fit(data, sample_weight=weights)
    assert str(caught.value) == message


def refused(model, *arguments, **options):
    with pytest.raises(InputError) as caught:
        model.fit(*arguments, **options)
    return str(caught.value)


def test_weights_of_steps_are_refused_where_the_targets_are_others():
    assert refused(forecaster(**EXACT), X, FUTURE, np.ones((N, T)) + np.arange(T)) == (
        "`sample_weight` has a weight for each step of `X`, but with `y` the steps of `y` are the "
        "targets; give one weight for each sequence, or leave `y` out, so that the last steps of "
        "each sequence are the targets."
    )
    only_first = np.zeros((N, T))
    only_first[:, 0] = 1
    assert refused(forecaster(**EXACT), X, sample_weight=only_first) == (
        "Expected `sample_weight` above zero for some step of `X` that the model has to write, got "
        "zero for all of them."
    )
    classifier = EncoderClassifier(lstm(**EXACT), **EXACT)
    assert refused(classifier, X, LABELS, np.ones((N, T))) == (
        "`sample_weight` must have the shape (24,), one weight for each sequence, got (24, 8)."
    )
    assert refused(lstm(**EXACT), X, validation_data=(ragged(5), None, ONES - 2)) == (
        f"{NAMED} must be at least 0, got -1 (first at index 0)."
    )


def test_quantiles_of_the_robust_scaling_are_not_weighted():
    assert refused(lstm(**EXACT, scaling="robust"), X, sample_weight=COPIES) == (
        "`scaling` 'robust' uses quantiles, which `sample_weight` does not weigh; set "
        "scaling='standard', or leave `sample_weight` out."
    )
