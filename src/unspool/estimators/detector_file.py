"""Saving a fitted `AnomalyDetector` as the contents of a model file, and restoring it."""

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from unspool import _checks
from unspool._durations import seconds
from unspool._registry import MODELS, class_of
from unspool.errors import InputError
from unspool.estimators.base import Model
from unspool.estimators.saving import is_seed, plain_parameters, unfrozen, with_parameters
from unspool.model_file import Contents
from unspool.model_file.detector import PREFIX, plain_thresholds, restored_thresholds, scales_of

T = TypeVar("T", bound=BaseEstimator)


def parameters_of(detector: Any) -> dict[str, Any]:
    """Return the parameters of a detector as a model file contains them."""
    given = detector.get_params(deep=False)
    plain = {name: _checks.plain(value) for name, value in given.items()}
    model = unfrozen(detector.model)
    if isinstance(model, Model):
        frozen = model is not detector.model
        parameters = model._parameters if frozen else plain_parameters(model)
        plain["model"] = {"model": model._name, "parameters": parameters, "frozen": frozen}
    if not is_seed(detector.random_state):
        plain["random_state"] = None
    plain["device"] = str(detector.device)
    for name in ("window", "max_gap"):
        if not isinstance(plain[name], str) and seconds(plain[name]) is not None:
            plain[name] = f"{seconds(plain[name]):.9g}s"  # JSON has no timedelta
    return plain


def contents_of(detector: Any) -> Contents:
    """Return a fitted detector and its model as plain data."""
    if not isinstance(detector.model_, Model):
        raise InputError(
            f"A detector with the model {type(detector.model_).__name__} cannot be saved, because "
            "model files only hold unspool models; pickle it, or fit it again."
        )
    inner = detector.model_.contents()
    numbers, tensors = plain_thresholds(detector.thresholds_)
    tensors |= {f"{PREFIX}scales.{kind}": one for kind, one in detector.scales_.items()}
    if detector.codes_ is not None:
        tensors[f"{PREFIX}codes"] = detector.codes_
    names = getattr(detector, "feature_names_in_", None)
    learned = {
        "parameters": detector._parameters,
        "window": detector.window_,
        "dilation": detector.dilation_,
        "max_gap": detector.max_gap_,
        "of_sequences": detector._of_sequences,
        "offset": detector.offset_,
        "feature_names_in": None if names is None else list(names),
        "thresholds": numbers,
    }
    return replace(inner, tensors={**inner.tensors, **tensors}, detector=learned)


def restored(cls: type[T], contents: Contents, device: str) -> T:
    """Return the fitted detector in `contents`."""
    learned, tensors = contents.detector, contents.tensors
    assert learned is not None
    inner = class_of(contents.model, MODELS)._from_contents(contents, device)
    parameters = dict(learned["parameters"])
    given = parameters["model"]
    if given is not None:
        if given["frozen"]:
            parameters["model"] = FrozenEstimator(inner)
        else:
            kind = class_of(given["model"], MODELS)
            parameters["model"] = with_parameters(kind, given["parameters"], device)
    detector = with_parameters(cls, parameters, device)
    detector._parameters = parameters_of(detector)
    detector.model_, detector.interrupted_ = inner, inner.interrupted_
    detector.window_, detector._of_sequences = learned["window"], learned["of_sequences"]
    detector.dilation_, detector.max_gap_ = learned["dilation"], learned["max_gap"]
    detector.offset_, detector.n_features_in_ = learned["offset"], inner._n_features
    if learned["feature_names_in"] is not None:
        detector.feature_names_in_ = np.array(learned["feature_names_in"], dtype=object)
    detector.thresholds_ = restored_thresholds(learned["thresholds"], tensors)
    detector._scaler = None
    detector.codes_ = tensors.get(f"{PREFIX}codes")
    detector.scales_ = scales_of(tensors, learned["thresholds"])
    return detector
