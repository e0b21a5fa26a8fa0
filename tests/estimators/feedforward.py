"""What the tests of dense, convolutional and stacked autoencoders share."""

import pickle
from functools import cache

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import check_estimator

import unspool
from tests.close import assert_close
from tests.estimators.quick import FIXED
from tests.estimators.test_check_estimator import EQUIVALENCE

QUICK = {**FIXED, "latent_dim": 6, "epochs": 2, "random_state": 0, "verbose": 0}


@cache
def digits(n=200):
    """Images of handwritten digits, 8 by 8, in 0–1, as a table (n, 64)."""
    return load_digits().data[:n] / 16


def check_saving(model, X, tmp_path):
    """Saved, loaded, pickled or cloned and fitted again, a model is the same to the bit."""
    codes, again, losses = model.transform(X), model.reconstruct(X), model.history_
    model.save(tmp_path / "model")
    for other in (
        unspool.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
        clone(model).fit(X),
    ):
        assert type(other) is type(model)
        assert np.array_equal(other.transform(X), codes)
        assert np.array_equal(other.reconstruct(X), again)
        assert np.array_equal(other.inverse_transform(codes), model.inverse_transform(codes))
        assert other.history_ == losses
    model.save(tmp_path / "encoder", part="encoder")
    assert np.array_equal(unspool.load(tmp_path / "encoder").transform(X), codes)


def check_shapes_of_sequences(make):
    """Fit on sequences in every form; what comes back has their form."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 9, 2)).cumsum(axis=1)
    model = make().fit(X)
    codes = model.transform(X)
    assert codes.shape == (30, 6)
    assert model.reconstruct(X).shape == model.inverse_transform(codes).shape == X.shape
    assert model.reconstruction_error(X).shape == (30,)
    assert model.reconstruction_error(X, per="step").shape == (30, 9)
    assert_close("list", codes, model.transform(list(X)))
    assert_close("windows", codes, model.transform(unspool.Windows(X.reshape(-1, 2), 9, 9)))

    lengths = np.array([9, 4, 7, 0, 1] * 6)
    tight = unspool.Sequences(X, lengths)
    wide = unspool.Sequences(np.pad(X, [(0, 0), (0, 5), (0, 0)]), lengths)
    model = make().fit(tight)
    assert model.max_length_ == 9
    assert_close("padding", model.transform(tight), make().fit(wide).transform(wide))
    again = model.reconstruct(tight)
    assert (np.isnan(again).all(axis=2) == (np.arange(9) >= lengths[:, None])).all()
    assert np.array_equal(np.isnan(model.reconstruction_error(tight)), lengths == 0)


def check_scikit_learn(estimator):
    """All of scikit-learn's checks pass, and none went missing."""
    expected = {EQUIVALENCE: "compares random batches in seven digits; see test_sample_weight.py"}
    results = check_estimator(
        estimator, on_fail=None, on_skip=None, expected_failed_checks=expected
    )
    bad = [r for r in results if r["status"] not in ("passed", "skipped", "xfail")]
    assert not bad, [(r["check_name"], r["exception"]) for r in bad]
    skipped = [r["check_name"] for r in results if r["status"] == "skipped"]
    assert skipped == ["check_array_api_input"]  # for SCIPY_ARRAY_API=1
    assert len(results) > 40
