"""Making the fitted estimator of a model that was trained in another library."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import unspool
from unspool._registry import CLASSIFIER, ESTIMATORS, MODELS, class_of
from unspool.model_file import Contents
from unspool.model_file.labels import write_labels
from unspool.model_file.upgrades import LATER_FITTED

if TYPE_CHECKING:
    from unspool.estimators.autoencoding import BaseAutoencoder
    from unspool.estimators.encoder_classifier import EncoderClassifier
    from unspool.estimators.lstm_forecaster import LSTMForecaster

    Estimator = BaseAutoencoder | LSTMForecaster | EncoderClassifier

Scaling = tuple[npt.NDArray[Any], npt.NDArray[Any]]

# The files of other libraries do not hold the history of the training.
NO_HISTORY = {"loss": [math.inf], "best_epoch": 0}


@dataclass
class ReadModel:
    """What a reader returns: everything that an estimator is made of.

    Parameters
    ----------
    model : str
        Class name of the estimator; for a classifier, of the model its encoder belongs to.
    parameters : dict
        Parameters of that estimator which differ from their defaults.
    fitted : dict
        What `fit` would have learned; see `unspool.model_file`.
    weights : dict of arrays
        Weights by their names in the module.
    scaling : (shift, scale), optional
        Scaling in front of the model.
    classes : int
        Number of classes of a classifier, otherwise 0.
    head : dict
        Parameters of a classifier's head.
    response_scaling : (shift, scale), optional
        Scaling of outputs that are not features of the input.
    notes : list of str
        What was guessed, with the option that changes it, and what differs from the other library.
    """

    model: str
    parameters: dict[str, Any]
    fitted: dict[str, Any]
    weights: dict[str, npt.NDArray[np.float32]]
    scaling: Scaling | None = None
    classes: int = 0
    head: dict[str, Any] = field(default_factory=dict)
    response_scaling: Scaling | None = None
    notes: list[str] = field(default_factory=list)


def estimator_of(read: ReadModel) -> "Estimator":
    """Make the fitted estimator of a model that was read."""
    scalers: dict[str, tuple[Scaling | None, int]] = {
        "scaler": (read.scaling, read.fitted["n_features"])
    }
    if "n_responses" in read.fitted:
        scalers["responses"] = read.response_scaling, read.fitted["n_responses"]
    tensors: dict[str, npt.NDArray[Any]] = {
        f"module.{name}": weight for name, weight in read.weights.items()
    }
    for name, (scaler, width) in scalers.items():
        shift, scale = scaler or (0.0, 1.0)
        tensors[f"{name}.shift"] = np.broadcast_to(np.float64(shift), width).copy()
        tensors[f"{name}.scale"] = np.broadcast_to(np.float64(scale), width).copy()
    plain = read.scaling is None and read.response_scaling is None
    scaling = "none" if plain else "standard"
    inner = class_of(read.model, MODELS)(scaling=scaling, **read.parameters)
    model, parameters = read.model, inner.get_params(deep=False)
    absent = dict.fromkeys(("feature_names_in", "y_ndim", "axes", "window"))
    fitted = {**absent, **LATER_FITTED, "horizon": 0, "history": NO_HISTORY, **read.fitted}
    fitted["typical_length"] = fitted["max_length"]
    if read.classes:
        of_encoder = {"model": model, "parameters": parameters}
        fitted["classes"] = write_labels(np.arange(read.classes))
        fitted["head_history"] = NO_HISTORY
        fitted["autoencoder"] = {**of_encoder, "history": NO_HISTORY}
        model = CLASSIFIER.name
        outer = class_of(model, ESTIMATORS)(**read.head).get_params(deep=False)
        parameters = {**outer, "autoencoder": of_encoder}
        fitted["part"] = "encoder"
    contents = Contents(model, parameters, fitted, tensors, {"unspool": unspool.__version__})
    contents.check()
    estimator: Estimator = class_of(model, ESTIMATORS)._from_contents(contents, "auto")
    estimator.import_notes_ = tuple(read.notes)
    return estimator
