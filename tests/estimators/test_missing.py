"""Models with `missing="mask"`: what is missing is read as missing, costs nothing, is imputed."""

import copy

import numpy as np
import pytest
import torch

from tests.trained import (
    AUTOENCODERS,
    FORECASTERS,
    FUTURE,
    HOLES,
    LONG_HOLES,
    MASKED,
    QUICK,
    forecaster,
    images,
    rows,
    with_missing,
)
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
    load,
    runtime,
)
from unspool.errors import InputError
from unspool.nn import fused
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss

# One epoch is too short to be better than the mean; some expected means are of nothing but NaN.
pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning"),
]
NAN = np.nan
SINES = np.sin(np.arange(12)[:, None] / 2 + np.arange(80)[:, None, None] / 3 + np.arange(2))
GAPS = np.where(np.random.default_rng(0).random(SINES.shape) < 0.2, NAN, SINES)
KINDS = (LSTMAutoencoder, LSTMForecaster, DenseAutoencoder, StackedAutoencoder, ConvAutoencoder)
FUSED = {"pooling": "last", "n_kernels": 0, "bidirectional": False, "input_dropout": 0.0}


def masked(**parameters):
    return LSTMAutoencoder(**{"latent_dim": 4, "missing": "mask", **QUICK, **parameters})


@pytest.mark.parametrize("kind", KINDS)
def test_missing_values_are_refused_unless_the_model_asks_for_them(kind):
    with pytest.raises(InputError, match=r"keep them as missing values with missing='mask'"):
        kind(**QUICK).fit(GAPS)
    with pytest.raises(InputError, match=r"Sequence 0 holds nan at step"):
        kind(**QUICK).fit(Sequences(GAPS, missing="mask"))


@pytest.mark.parametrize("kind", KINDS)
def test_infinity_is_an_error_with_missing_values_too(kind):
    X = GAPS.copy()
    X[3, 4, 1] = np.inf
    with pytest.raises(InputError, match=r"holds inf at step 4, feature 1; fill or drop"):
        kind(missing="mask", **QUICK).fit(X)


def test_all_ways_to_write_a_missing_value_are_alike():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    X = with_missing(rows())
    objects = np.where(np.isnan(X), None, X.astype(object))
    frame = pandas.DataFrame(X).add_prefix("c")
    forms = (
        np.ma.masked_invalid(X),
        objects,
        objects.tolist(),
        frame,
        frame.convert_dtypes(),
        polars.DataFrame(frame.to_dict("list")).fill_nan(None),
    )
    model = DenseAutoencoder(3, missing="mask", **QUICK).fit(X)
    expected = model.transform(X)
    for form in forms:
        other = DenseAutoencoder(3, missing="mask", **QUICK).fit(form)
        np.testing.assert_array_equal(other.transform(form), expected)


def test_padding_is_not_missing():
    X = GAPS.copy()
    X[5, 8:] = NAN  # the last steps of an array, NaN in every feature, are padding
    X[6, :3] = NAN  # steps in the middle or at the start are missing
    model = masked().fit(X)
    cut = model.transform([X[5, :8], X[6]])
    np.testing.assert_array_equal(model.transform(X[5:7]), cut)
    told = Sequences(X, np.full(len(X), 12), missing="mask")
    assert not np.allclose(model.transform(told)[5], cut[0])
    assert np.isnan(model.reconstruct(X)[5, 8:]).all()
    assert np.isfinite(model.reconstruct(told)).all()


def test_windows_keep_missing_steps_at_their_ends():
    series = np.concatenate(GAPS)
    series[30:40] = NAN
    windows = Windows(series, 12, missing="mask")
    assert windows.has_missing
    assert (windows.lengths_of(range(len(windows))) == 12).all()
    assert np.isnan(windows[25][5:]).all()
    (filled,) = masked().fit(windows).impute(windows, merge=True)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~np.isnan(series)], series[~np.isnan(series)])


@pytest.mark.parametrize("name", [name for name in MASKED if "targets" not in name])
def test_impute_replaces_missing_values_only(name):
    model, X = AUTOENCODERS[name].fit(), AUTOENCODERS[name].X
    other = runtime.Model(model.contents())
    source = model._read(X, decodes=True, ends_with_future=True)
    values, lengths = source.take(np.arange(len(source)))
    filled, expected = (
        one if one.ndim == 3 else one.reshape(values.shape)
        for one in (model.impute(X), model.reconstruct(X))
    )
    real = (np.arange(values.shape[1]) < lengths[:, None])[:, :, None] & np.ones_like(values, bool)
    known = real & ~np.isnan(values)
    assert known.any()
    assert (real & ~known).any()
    np.testing.assert_array_equal(filled[known], values[known])
    np.testing.assert_array_equal(filled[real & ~known], expected[real & ~known])
    assert np.isnan(filled[~real]).all()
    got = other.impute(X).reshape(filled.shape)
    np.testing.assert_allclose(got, filled, rtol=1e-3, atol=1e-4)


def loss_and_gradients(model, x, lengths, y=None):
    model.module_.train()
    objective = model._objective(torch.Generator().manual_seed(0))
    terms = objective(Batch(x, lengths, y))
    total = sum(term.total / max(1, term.size) * term.weight for term in terms.values())
    model.module_.zero_grad()
    total.backward()
    return float(total.detach()), [
        None if weight.grad is None else weight.grad.clone()
        for weight in model.module_.parameters()
    ]


@pytest.mark.parametrize(
    "name", ["missing, defaults", "missing, dense sequences", "missing, kernels"]
)
def test_losses_and_gradients_are_those_of_present_values(name):
    """Against a loss that is computed by hand from the outputs of the module."""
    model = AUTOENCODERS[name].train(input_dropout=0.0)
    model.set_params(
        input_dropout=0.0, **({"contrastive_weight": 0.0} if "kernels" in name else {})
    )
    values, lengths = HOLES.take(np.arange(len(HOLES)))
    x = torch.from_numpy(model.scaler_.apply(values))
    lengths = torch.from_numpy(lengths)
    real = torch.arange(x.shape[1]) < lengths[:, None]
    x = torch.where(real[:, :, None], x, 0.0)
    found, gradients = loss_and_gradients(model, x, lengths)
    known = real[:, :, None] & ~x.isnan()
    model.module_.zero_grad()
    expected = (model.module_(x, lengths) - x)[known].square().mean()
    expected.backward()
    assert found == pytest.approx(float(expected.detach()), rel=1e-5)
    for weight, gradient in zip(model.module_.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("decoder", "size"), [("repeat", 1), ("repeat", 4), ("reversed_input", 1)])
def test_the_fused_training_step_agrees(decoder, size):
    model = masked(**FUSED, decoder=decoder, patch_size=size).fit(GAPS)
    x = torch.from_numpy(model.scaler_.apply(GAPS))
    lengths = torch.tensor([12, 8] * 40)
    targets = {"reconstruction": fused.Target(x)}
    assert fused.losses(model.module_, x, lengths, targets, "mse") is not None
    fast, gradients = loss_and_gradients(model, x, lengths)
    slow = copy.deepcopy(model).set_params(code_l1=1e-30)  # which is not fused
    other, expected = loss_and_gradients(slow, x, lengths)
    assert fast == pytest.approx(other, rel=1e-5)
    for one, two in zip(gradients, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_the_mean_of_present_values_is_fed():
    for scaling in ("standard", "minmax", "robust", "none"):
        model = DenseAutoencoder(3, scaling=scaling, missing="mask", **QUICK).fit(GAPS)
        mean = np.nanmean(GAPS, axis=(0, 1))
        np.testing.assert_allclose(
            model.scaler_.undo(model.module_.encoder.fill.numpy()), mean, rtol=1e-5
        )
        x = torch.full((1, 12, 2), torch.nan)
        filled = np.broadcast_to(model.scaler_.apply(mean[None])[None], (1, 12, 2))
        read = torch.cat([torch.from_numpy(filled.copy()), torch.ones(1, 12, 2)], 2)
        np.testing.assert_allclose(model.module_.encoder.marked(x), read, atol=1e-6)


def test_a_feature_without_a_value_is_refused():
    X = GAPS.copy()
    X[:, :, 1] = NAN
    with pytest.raises(InputError, match="Feature 1 is missing in every step"):
        masked().fit(X)


def test_a_sequence_has_the_same_outputs_alone_and_among_others():
    model, rng = AUTOENCODERS["missing, defaults"].fit(), np.random.default_rng(9)
    for size in range(1, 10):
        one = np.where(rng.random((size, 3)) < 0.4, NAN, np.arange(size * 3).reshape(size, 3))
        alone = model.transform(Sequences(one[None], [size], missing="mask"))[0]
        together = np.full((3, 9, 3), 5.0)
        together[1, :size] = one
        among = model.transform(Sequences(together, [9, size, 4], missing="mask"))
        np.testing.assert_allclose(among[1], alone, rtol=1e-4, atol=1e-5)


def test_errors_and_scores_are_means_over_present_values():
    X = GAPS.copy()
    X[2, 3] = X[4] = NAN
    source = Sequences(X, np.full(len(X), 12), missing="mask")
    model = masked().fit(source)
    squares = ((model.reconstruct(source) - X) / model.scaler_.scale) ** 2
    errors = {per: model.reconstruction_error(source, per=per) for per in ("sequence", "step")}
    np.testing.assert_allclose(errors["sequence"], np.nanmean(squares, axis=(1, 2)), rtol=1e-4)
    np.testing.assert_allclose(errors["step"], np.nanmean(squares, axis=2), rtol=1e-4)
    assert np.isnan(errors["sequence"][4])
    assert np.isnan(errors["step"][2, 3])
    present = ~np.isnan(X)
    centred = (X - np.nanmean(X, axis=(0, 1))) / model.scaler_.scale
    explained = 1 - squares[present].sum() / (centred[present] ** 2).sum()
    assert model.score(source) == pytest.approx(explained, rel=1e-5)


def test_linear_maps_are_least_squares_over_present_values():
    """The maps of each feature and step against NumPy's least squares on the complete rows."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4000, 6, 1))
    y = X[:, -3:].cumsum(1) + rng.normal(size=(4000, 3, 1)) / 10
    y[rng.random(y.shape) < 0.3] = NAN
    model = forecaster(horizon=3, linear_steps=4, missing="mask", scaling="none", decoder="dense")()
    model.set_params(validation_split=0.0).fit(X, y)
    (maps,) = model.module_.skip.weight.numpy()
    for step, found in enumerate(maps):
        rows_of_step = ~np.isnan(y[:, step, 0])
        columns = X[rows_of_step, -4:, 0]
        expected, *_ = np.linalg.lstsq(columns, y[rows_of_step, step, 0], rcond=None)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_forecast_carries_the_last_value_before_a_gap():
    model = forecaster(horizon=1, linear_steps=3, normalization="last", missing="mask")()
    X = np.linspace(0, 1, 400).reshape(50, 8, 1)
    model.set_params(epochs=1).fit(X)
    gap = X[:4].copy()
    gap[:, -2:] = NAN
    level = model.module_.skip.level(torch.from_numpy(model.scaler_.apply(gap)), None)
    last = model.scaler_.apply(gap[:, -3])
    assert torch.isfinite(level.location).all()
    columns = model.module_.skip.columns(
        torch.from_numpy(model.scaler_.apply(gap)), None, torch.from_numpy(last)[:, None]
    )
    np.testing.assert_allclose(columns[:, :3, 0], np.zeros((4, 3)), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in FORECASTERS if "missing" in name])
def test_a_forecast_of_gaps_is_finite_and_its_score_leaves_missing_targets_out(name):
    case = FORECASTERS[name]
    model = case.fit()
    assert np.isfinite(model.forecast(case.X)).all()
    truth = with_missing(FUTURE) if case.y is not None else None
    if truth is None:
        return
    predicted = model.forecast(case.X)
    each = []
    for i in np.ndindex(truth.shape[1:]):
        present = ~np.isnan(truth[(slice(None), *i)])
        known, guess = truth[(slice(None), *i)][present], predicted[(slice(None), *i)][present]
        each.append(1 - ((known - guess) ** 2).sum() / ((known - known.mean()) ** 2).sum())
    assert model.score(case.X, truth) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("kind", [DenseAutoencoder, ConvAutoencoder, LSTMAutoencoder])
def test_dropped_inputs_are_read_as_missing(kind):
    model = kind(4, missing="mask", input_dropout=0.4, **QUICK).fit(SINES)
    objective = model._objective(torch.Generator().manual_seed(0))
    x = torch.ones(400, 12, 2)
    read = objective._disturbed(x)
    hidden = read.isnan()
    assert (read[~hidden] == 1).all()
    assert hidden.float().mean() == pytest.approx(0.4, abs=0.05)
    whole = (hidden.all(2) == hidden.any(2)).all(1)
    assert 0.4 < whole.float().mean() < 0.7  # whole steps in half of the sequences
    table = objective._disturbed(torch.ones(400, 1, 2)).isnan()
    assert (table.all(2) != table.any(2)).float().mean() > 0.1  # single values of a row


def test_a_saved_model_knows_that_values_may_be_missing(tmp_path):
    model = AUTOENCODERS["missing, minmax, patches"].fit()
    model.save(tmp_path / "m.unspool")
    loaded = load(tmp_path / "m.unspool")
    assert loaded.missing == "mask"
    np.testing.assert_array_equal(loaded.transform(HOLES), model.transform(HOLES))
    np.testing.assert_array_equal(loaded.module_.encoder.fill, model.module_.encoder.fill)


def test_gaps_are_imputed_better_than_by_the_mean():
    rng = np.random.default_rng(1)
    X = np.sin(np.arange(16)[:, None] / 2 + rng.uniform(0, 6, (300, 1, 1))) * [1.0, 2.0]
    holes = np.where(rng.random(X.shape) < 0.25, NAN, X)
    source = Sequences(holes, np.full(len(holes), 16), missing="mask")
    model = masked(latent_dim=8, decoder="reversed_input", n_kernels=0, epochs=30).fit(source)
    hidden = np.isnan(holes)
    error = ((model.impute(source) - X)[hidden] ** 2).mean()
    assert error < 0.3 * (X[hidden] ** 2).mean()


@pytest.mark.parametrize("values", [images(), rows()])
def test_images_and_rows_may_end_in_missing_values(values):
    X = values.copy()
    X.reshape(len(X), -1)[3, -2:] = NAN
    kind = ConvAutoencoder if X.ndim == 4 else DenseAutoencoder
    model = kind(3, missing="mask", **QUICK).fit(X)
    assert np.isfinite(model.impute(X)).all()
    assert model.reconstruct(X).shape == X.shape
    if X.ndim == 2:
        X[5] = NAN  # a row may be empty
        assert np.isfinite(model.impute(X)).all()
        assert np.isnan(model.reconstruction_error(X)[5])


def test_a_stream_accepts_missing_values():
    for case in (
        AUTOENCODERS["missing"],
        FORECASTERS["forecaster, missing, normalization last, linear 20"],
    ):
        model = case.fit()
        stream = runtime.Model(model.contents()).stream()
        sequence = LONG_HOLES[0][: model.max_length_]
        for step in sequence:
            code = stream.push(step)
        whole = Sequences(sequence[None], [len(sequence)], missing="mask")
        np.testing.assert_allclose(
            code, runtime.Model(model.contents()).encode(whole)[0], atol=1e-5
        )
        with pytest.raises(InputError, match="holds inf"):
            stream.push([np.inf, 0, 0])
    plain = runtime.Model(AUTOENCODERS["repeat"].fit().contents()).stream()
    with pytest.raises(InputError, match="holds nan"):
        plain.push([NAN, 0, 0])


def test_a_batch_without_a_value_changes_no_weight():
    model = masked(**FUSED).fit(GAPS)
    objective = AutoencoderLoss(model.module_, code_l1=0.0)
    terms = objective(Batch(torch.full((2, 12, 2), torch.nan), None))
    assert terms["loss"].size == 0


def test_the_scores_of_missing_values_alone_are_nan():
    model = masked().fit(GAPS)
    nothing = Sequences(np.full((3, 12, 2), NAN), np.full(3, 12), missing="mask")
    assert np.isnan(model.score(nothing))
    assert np.isnan(model.skill_score(nothing))
    one = Sequences(np.where(np.arange(3)[:, None, None] == 0, GAPS[:3], NAN), missing="mask")
    assert np.isfinite(model.score(one))
    assert np.isnan(model.skill_score(one))  # the mean sequence is that sequence
