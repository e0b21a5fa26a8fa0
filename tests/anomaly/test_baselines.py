"""The baselines against naive NumPy, and with few, equal and very many windows."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError

from unspool.anomaly import (
    GlobalZ,
    IsolationForestWindows,
    KMeansAD,
    MovingZ,
    NearestWindow,
    SubPCA,
    baseline_base,
)
from unspool.errors import InputError

RECONSTRUCT = [SubPCA(), KMeansAD(random_state=0), NearestWindow()]
ALL = [*RECONSTRUCT, IsolationForestWindows(random_state=0), GlobalZ(), MovingZ()]


def class_name(model):
    return type(model).__name__


def waves(n=60, w=8, n_features=2, *, seed=0):
    """Return windows of noisy waves."""
    rng = np.random.default_rng(seed)
    phases = rng.uniform(0, 6, (n, 1, n_features))
    return np.sin(np.arange(w)[:, None] / 2 + phases) + 0.1 * rng.normal(size=(n, w, n_features))


def outputs(model, windows):
    """Return reconstructions, scores or errors, depending on the methods of the model."""
    if hasattr(model, "reconstruct"):
        return model.reconstruct(windows)
    if hasattr(model, "window_scores"):
        return model.window_scores(windows)
    return model.step_errors(windows.reshape(-1, windows.shape[2]))


def nearest_by_loops(rows, points):
    return np.array([((points - row) ** 2).sum(axis=1).argmin() for row in rows])


@pytest.mark.parametrize("variance", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [12, 60])  # fewer windows than values, and more
def test_sub_pca_keeps_the_components_that_explain_the_share(variance, n):
    windows, new = waves(n), waves(7, seed=1)
    model = SubPCA(variance).fit(windows)
    rows = windows.reshape(n, -1)
    mean = rows.mean(axis=0)
    _, sizes, components = np.linalg.svd(rows - mean, full_matrices=False)
    explained = np.cumsum(sizes**2) / (sizes**2).sum()
    components = components[: 1 + np.flatnonzero(explained > variance)[0]]
    assert len(model.components_) == len(components)
    want = mean + (new.reshape(7, -1) - mean) @ components.T @ components
    np.testing.assert_allclose(model.reconstruct(new).reshape(7, -1), want, atol=1e-12)
    assert len(PCA(variance, svd_solver="full").fit(rows).components_) == len(components)


def test_k_means_reconstructs_each_window_as_the_nearest_of_its_centres():
    windows, new = waves(), waves(9, seed=1)
    model = KMeansAD(5, random_state=3).fit(windows)
    centres = KMeans(5, random_state=3).fit(windows.reshape(60, -1)).cluster_centers_
    np.testing.assert_allclose(model.cluster_centers_, centres, atol=1e-12)
    want = centres[nearest_by_loops(new.reshape(9, -1), centres)].reshape(new.shape)
    np.testing.assert_allclose(model.reconstruct(new), want, atol=1e-12)


def test_the_nearest_window_is_that_found_by_loops():
    windows, new = waves(), waves(9, seed=1)
    want = windows[nearest_by_loops(new.reshape(9, -1), windows.reshape(60, -1))]
    np.testing.assert_array_equal(NearestWindow().fit(windows).reconstruct(new), want)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_the_nearest_window_is_exact_where_products_round(offset):
    rng = np.random.default_rng(0)
    windows = offset + 1e-3 * rng.normal(size=(300, 16, 1))
    model = NearestWindow().fit(windows)
    np.testing.assert_array_equal(model.reconstruct(windows), windows)
    new = offset + 1e-3 * rng.normal(size=(50, 16, 1))
    want = windows[nearest_by_loops(new[:, :, 0], windows[:, :, 0])]
    np.testing.assert_array_equal(model.reconstruct(new), want)


def test_windows_that_repeat_are_kept_once_and_in_their_order():
    windows = waves(5)
    model = NearestWindow().fit(windows[[3, 1, 3, 0, 1]])
    np.testing.assert_array_equal(model.training_windows_, windows[[3, 1, 0]].reshape(3, -1))


def test_the_first_of_equally_near_windows_is_taken():
    windows = np.array([1.0, -1.0])[:, None, None]
    for order in ([0, 1], [1, 0]):
        near = NearestWindow().fit(windows[order]).reconstruct(np.zeros((1, 1, 1)))
        assert near.item() == windows[order][0].item()


def test_isolation_forest_scores_are_those_of_scikit_learn_with_the_sign_changed():
    windows, new = waves(), waves(9, seed=1)
    new[4] = 9
    scores = IsolationForestWindows(random_state=2).fit(windows).window_scores(new)
    forest = IsolationForest(random_state=2).fit(windows.reshape(60, -1))
    np.testing.assert_array_equal(scores, -forest.score_samples(new.reshape(9, -1)))
    assert scores.argmax() == 4


def test_global_z_is_the_squared_distance_from_the_training_mean():
    windows = waves(n_features=3) * [1, 5, 0] + [0, 2, 7]
    model = GlobalZ().fit(windows)
    values = windows.reshape(-1, 3)
    std = np.r_[values.std(axis=0)[:2], 1]  # a constant feature moves in the caller's units
    series = np.random.default_rng(0).normal(size=(20, 3))
    want = ((series - values.mean(axis=0)) / std) ** 2
    np.testing.assert_allclose(model.step_errors(series), want, rtol=1e-10)


@pytest.mark.parametrize("window", [1, 4, 7, 100])
def test_moving_z_equals_a_computation_by_loops(window):
    windows = waves()
    model = MovingZ(window).fit(windows)
    mean, std = windows.mean(axis=(0, 1)), windows.std(axis=(0, 1))
    series = np.random.default_rng(0).normal(size=(40, 2)).cumsum(axis=0)
    series[10:25, 0] = (
        3  # constant for longer than some windows, so the lower limit of the deviation applies
    )
    before = [mean + std * (-1) ** k for k in range(window)]
    want = []
    for step in series:
        past = np.array(before[len(before) - window :])
        deviation = np.maximum(past.std(axis=0), 0.1 * std)
        want.append(((step - past.mean(axis=0)) / deviation) ** 2)
        before.append(step)
    np.testing.assert_allclose(model.step_errors(series), want, rtol=1e-9, atol=1e-12)


def test_moving_z_is_causal_and_does_not_count_the_step_itself():
    series = np.random.default_rng(0).normal(size=(50, 1))
    model = MovingZ(5).fit(series[None])
    changed = series.copy()
    changed[30] = 1e3
    a, b = model.step_errors(series), model.step_errors(changed)
    np.testing.assert_array_equal(a[:30], b[:30])
    assert b[30] > 1e4


@pytest.mark.parametrize("model", ALL, ids=class_name)
@pytest.mark.parametrize(
    "windows",
    [
        waves(1),
        waves(3),
        waves(30, 1, 1),
        waves(30, 5, 1),
        waves(30, 4, 38),
        np.full((30, 6, 2), 0.1),
        np.zeros((1, 1, 1)),
        np.tile(waves(2), (15, 1, 1)),
    ],
    ids=["one", "three", "1x1", "one feature", "38 features", "constant", "a zero", "two, often"],
)
def test_few_windows_equal_windows_and_windows_of_one_step_are_scored(model, windows):
    found = outputs(clone(model).fit(windows), windows)
    assert np.isfinite(found).all()
    if hasattr(model, "reconstruct"):
        assert found.shape == windows.shape
        if len(np.unique(windows, axis=0)) <= 3 and not isinstance(model, SubPCA):
            np.testing.assert_allclose(found, windows, atol=1e-12)
        if (windows == windows[0]).all():
            np.testing.assert_array_equal(found, windows)


def test_constant_windows_leave_sub_pca_no_component():
    model = SubPCA().fit(np.full((30, 6, 2), 0.1))
    assert model.components_.shape == (0, 12)
    np.testing.assert_array_equal(model.reconstruct(np.ones((3, 6, 2))), np.full((3, 6, 2), 0.1))


@pytest.mark.parametrize("model", ALL, ids=class_name)
def test_the_size_of_blocks_changes_no_result(model, monkeypatch):
    windows = waves()
    fitted = clone(model).fit(windows)
    want = outputs(fitted, windows)
    for name in ("baseline_base", "z_scores"):
        monkeypatch.setattr(f"unspool.anomaly.{name}.BLOCK", 50)
    np.testing.assert_allclose(outputs(fitted, windows), want, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(outputs(clone(model).fit(windows), windows), want, rtol=1e-9)


def test_candidates_in_blocks_are_compared_as_a_whole(monkeypatch):
    rows = 1e8 + np.random.default_rng(0).normal(size=(40, 3))  # rounding confuses all of them
    monkeypatch.setattr(baseline_base, "BLOCK", 7)
    new = rows[::-1] + 0.01
    np.testing.assert_array_equal(
        baseline_base.nearest_index(new, rows), nearest_by_loops(new, rows)
    )


def test_fitted_windows_are_spread_from_the_first_to_the_last():
    windows = np.arange(1000.0)[:, None, None]
    assert NearestWindow(4).fit(windows).training_windows_.ravel().tolist() == [0, 333, 666, 999]
    assert NearestWindow(1).fit(windows).training_windows_.ravel().tolist() == [0]
    kept = NearestWindow(999).fit(windows).training_windows_
    assert len(kept) == 999


@pytest.mark.parametrize("model", [*RECONSTRUCT, IsolationForestWindows()], ids=class_name)
def test_fit_reads_at_most_a_fixed_number_of_values(model, monkeypatch):
    taken = []
    sample_rows = baseline_base.sample_rows

    def watched(windows, max_windows):
        taken.append((max_windows, sample_rows(windows, max_windows).shape))
        return sample_rows(windows, max_windows)

    monkeypatch.setattr(baseline_base, "MAX_VALUES", 20 * 16)
    monkeypatch.setattr("unspool.anomaly.baselines.sample_rows", watched)
    clone(model).fit(waves())
    assert taken == [(10_000, (20, 16))]


@pytest.mark.parametrize("model", RECONSTRUCT, ids=class_name)
def test_reconstructions_have_the_type_of_the_windows(model):
    windows = waves()
    fitted = clone(model).fit(windows.astype(np.float32))
    single = fitted.reconstruct(windows.astype(np.float32))
    assert single.dtype == np.float32
    assert fitted.reconstruct(windows).dtype == np.float64
    assert fitted.reconstruct(np.ones((2, 8, 2), int)).dtype == np.float64
    assert fitted.reconstruct(windows[:0]).shape == (0, 8, 2)
    if isinstance(model, NearestWindow):
        np.testing.assert_array_equal(single, windows.astype(np.float32))


@pytest.mark.parametrize("model", ALL, ids=class_name)
def test_float32_and_whole_numbers_are_computed_in_float64(model):
    for windows in (waves().astype(np.float32), (9 * waves()).astype(int)):
        wide = windows.astype(np.float64)
        found = outputs(clone(model).fit(windows), windows)
        np.testing.assert_array_equal(
            found, outputs(clone(model).fit(wide), wide).astype(found.dtype)
        )


@pytest.mark.parametrize("model", ALL, ids=class_name)
def test_windows_are_not_written_to(model):
    windows = waves()
    windows.flags.writeable = False
    view = np.lib.stride_tricks.sliding_window_view(windows[0], 4, axis=0).transpose(0, 2, 1)
    np.testing.assert_array_equal(
        outputs(clone(model).fit(windows), windows),
        outputs(clone(model).fit(windows.copy()), windows.copy()),
    )
    outputs(clone(model).fit(view), view)


@pytest.mark.parametrize("model", [KMeansAD(4), IsolationForestWindows()], ids=class_name)
def test_a_random_state_repeats_a_fit(model):
    one, two, other = (
        outputs(clone(model).set_params(random_state=seed).fit(waves()), waves())
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_get_params_and_repr_show_the_parameters():
    assert repr(SubPCA(0.9)) == "SubPCA(variance=0.9)"
    assert KMeansAD().get_params() == {"n_clusters": 20, "random_state": None}
    assert NearestWindow().get_params() == {"max_windows": 10_000}
    assert IsolationForestWindows(3).get_params() == {"random_state": 3}
    assert MovingZ(5).get_params() == {"window": 5}
    assert clone(GlobalZ()).get_params() == {}


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (SubPCA(0), "`variance` must be a number above 0 and below 1, got 0."),
        (SubPCA(1.0), "`variance` must be a number above 0 and below 1, got 1.0."),
        (KMeansAD(0), "`n_clusters` must be a whole number of at least 1, got 0."),
        (
            KMeansAD(random_state="a"),
            "`random_state` must be a whole number from 0 to 4294967295, ",
        ),
        (
            IsolationForestWindows(-1),
            "`random_state` must be a whole number from 0 to 4294967295, ",
        ),
        (NearestWindow(0), "`max_windows` must be a whole number of at least 1, got 0."),
        (MovingZ(0), "`window` must be a whole number of at least 1, got 0."),
    ],
)
def test_fit_refuses_parameters_out_of_range(model, text):
    with pytest.raises(InputError) as caught:
        model.fit(waves())
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("model", ALL, ids=class_name)
def test_windows_of_a_wrong_shape_type_or_with_nan_are_refused(model):
    def error_of(call, windows):
        with pytest.raises(InputError) as caught:
            call(windows)
        return str(caught.value)

    fit = clone(model).fit
    assert error_of(fit, waves()[0]) == (
        "Expected windows (N, w, F) of numbers, got an array of shape (8, 2) and dtype float64."
    )
    assert error_of(fit, waves()[:0]) == (
        "Expected at least one window of at least one step and feature, got (0, 8, 2)."
    )
    assert error_of(fit, np.full((3, 2, 1), "a")).endswith("and dtype <U1.")
    assert error_of(fit, np.full((3, 2, 1), np.nan)).startswith("The data contains NaN or infinity")
    fitted = fit(waves())
    bad = waves(n_features=1)
    text = error_of(lambda windows: outputs(fitted, windows), bad)
    if hasattr(model, "step_errors"):
        assert text == "Expected a series (T, 2) as in fit, got (480, 1)."
    else:
        assert text == "Expected windows (N, 8, 2) as in fit, got shape (60, 8, 1)."
    bad = waves()
    bad[4, 1, 1] = np.inf
    assert error_of(lambda w: outputs(fitted, w), bad).startswith(
        "The data contains NaN or infinity"
    )
    with pytest.raises(NotFittedError):
        outputs(clone(model), waves())
