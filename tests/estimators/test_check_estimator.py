"""scikit-learn's own checks of an estimator, all of them."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from unspool import LSTMAutoencoder

# Two epochs and two numbers: the checks ask for a contract, not for a good model, and a model so
# short of both may well be no better than the mean.
estimator = LSTMAutoencoder(latent_dim=2, epochs=2)
checks = list(estimator_checks_generator(estimator, legacy=True))


def name(check):
    return check.func.__name__ if hasattr(check, "func") else str(check)


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.parametrize(
    "check", [check for _, check in checks], ids=[name(check) for _, check in checks]
)
def test_scikit_learn(check):
    if name(check) == "check_array_api_input":
        pytest.skip("needs SCIPY_ARRAY_API=1 before scipy is imported")
    check(estimator)


def test_no_check_went_missing():
    assert len(checks) > 40
