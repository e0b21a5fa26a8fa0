"""scikit-learn's own checks of an estimator, all of them."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from unspool import DenseAutoencoder, LSTMAutoencoder, LSTMForecaster

# Two epochs and two numbers: the checks ask for a contract, not for a good model, and a model so
# short of both may well be no better than the mean.
ESTIMATORS = [
    estimator(latent_dim=2, epochs=2)
    for estimator in (LSTMAutoencoder, LSTMForecaster, DenseAutoencoder)
]
checks = [
    (estimator, check)
    for estimator in ESTIMATORS
    for _, check in estimator_checks_generator(estimator, legacy=True)
]


def name(check):
    return check.func.__name__ if hasattr(check, "func") else str(check)


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    checks,
    ids=[f"{type(estimator).__name__}-{name(check)}" for estimator, check in checks],
)
def test_scikit_learn(estimator, check):
    if name(check) == "check_array_api_input":
        pytest.skip("needs SCIPY_ARRAY_API=1 before scipy is imported")
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_no_check_went_missing(estimator):
    own = [name(check) for one, check in checks if one is estimator]
    assert len(own) > 40
    assert ("check_regressors_train" in own) == isinstance(estimator, LSTMForecaster)
    assert ("check_transformer_general" in own) != isinstance(estimator, LSTMForecaster)
