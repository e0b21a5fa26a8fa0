"""scikit-learn's own checks of an estimator, all of them."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)

# Two epochs and two numbers: the checks ask for a contract, not for a good model, and a model so
# short of both may well be no better than the mean.
ESTIMATORS = [
    estimator(latent_dim=2, epochs=2)
    for estimator in (LSTMAutoencoder, LSTMForecaster, DenseAutoencoder)
]
# One of the checks wants an anomaly found in 300 normal rows, where a threshold that was learned
# from 60 of them need not find any.
ESTIMATORS.append(AnomalyDetector(DenseAutoencoder(latent_dim=2, epochs=2), contamination=0.1))
BY_DEFAULT = [
    LSTMAutoencoder(),
    LSTMForecaster(),
    DenseAutoencoder(),
    StackedAutoencoder(),
    ConvAutoencoder(),
    EncoderClassifier(),
    AnomalyDetector(),
]
# One of the checks compares weights with copies of sequences in seven digits. Copies fill other
# random batches, and float32 has fewer digits; test_sample_weight.py compares them in full batches.
EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
# Those that compare numbers, in which the sizes of a model matter.
OF_NUMBERS = ("check_methods_subset_invariance", "check_methods_sample_order_invariance")


def name(check):
    return check.func.__name__ if hasattr(check, "func") else str(check)


def checks_of(estimators):
    return [
        (estimator, check)
        for estimator in estimators
        for _, check in estimator_checks_generator(estimator, legacy=True)
    ]


def parameters(pairs):
    ids = [f"{type(estimator).__name__}-{name(check)}" for estimator, check in pairs]
    return pytest.mark.parametrize(("estimator", "check"), pairs, ids=ids)


checks, by_default = checks_of(ESTIMATORS), checks_of(BY_DEFAULT)
filtered = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)


@filtered
@parameters(checks)
def test_pipelines_clones_and_searches_work(estimator, check):
    run(estimator, check)


@filtered
@parameters([(one, check) for one, check in by_default if name(check) in OF_NUMBERS])
def test_numbers_with_default_parameters(estimator, check):
    run(estimator, check)


@pytest.mark.slow
@filtered
@parameters(by_default)
def test_scikit_learn_with_default_parameters(estimator, check):
    run(estimator, check)


def run(estimator, check):
    if name(check) == EQUIVALENCE:
        pytest.skip("compares random batches in seven digits; see test_sample_weight.py")
    if name(check) == "check_array_api_input":
        pytest.skip("needs SCIPY_ARRAY_API=1 before scipy is imported")
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_no_group_of_checks_is_missing(estimator):
    own = [name(check) for one, check in checks if one is estimator]
    assert len(own) > 40
    assert ("check_regressors_train" in own) == isinstance(estimator, LSTMForecaster)
    assert ("check_outliers_fit_predict" in own) == isinstance(estimator, AnomalyDetector)
    transforms = not isinstance(estimator, (LSTMForecaster, AnomalyDetector))
    assert ("check_transformer_general" in own) == transforms
