"""Keras models made estimators: `from_keras`.

The model's graph is made plain (`graph`), then read by what it is made of: LSTM layers
(`recurrent`), convolutions (`convolution`), or dense layers alone (`feedforward`).
Each reader walks from the outputs back to the inputs and refuses, by name, a layer that has no
counterpart here; one that it did not come past is refused as well. What they found becomes
`Contents`, and that an estimator.
"""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import unspool
from unspool import _checks
from unspool.errors import InputError
from unspool.interop.keras.convolution import CONVOLUTIONS, read_conv_model
from unspool.interop.keras.feedforward import read_dense_model
from unspool.interop.keras.graph import RECURRENT, graph, refuse
from unspool.interop.keras.loading import load_keras
from unspool.interop.keras.recurrent import read_recurrent_model
from unspool.interop.keras.supported import KNOWN, MASKS, what_helps
from unspool.interop.keras.traversal import Found
from unspool.model_file import Contents
from unspool.model_file.labels import write_labels

SECOND_INPUTS = ("reversed_input", "previous")

# There was no training here, and Keras's files do not say how theirs went.
NO_HISTORY = {"loss": [math.inf], "best_epoch": 0}


def from_keras(
    model: Any,
    *,
    second_input: str = "reversed_input",
    forecast: bool | None = None,
    max_length: int | None = None,
) -> Any:
    """Make a Keras model an estimator of unspool's that gives the same numbers.

    What can be read: an encoder of LSTM layers, of dense layers, or of convolutions and pools, its
    code, and a decoder for each output, as the estimators have them. The layers may be nested in
    models of their own, stand in `TimeDistributed` or `Bidirectional`, or be without bias.

    What does nothing when a model predicts is left out: `Dropout` and its kin, noise, the
    ``dropout`` and ``recurrent_dropout`` of an LSTM layer. A `Masking` layer in front is left out
    as well, since lengths do its work: give sequences of unequal length with NaN behind their
    ends, or as a list. A masked step *within* a sequence, which Keras would skip, is a step here.

    A `Normalization` or `Rescaling` in front becomes the scaler. All other models read and write
    the data as it is (``scaling="none"``). Layers that share weights get a copy each. All is
    computed in float32; a model of half or mixed precision gives fewer of the same digits in Keras.

    Parameters
    ----------
    model : keras.Model or path of a .keras file
        Of a file nothing is run: Keras is shown what is built of its own layers, as far as they
        can be read here. Initial weights, penalties and the compilation are left out; anything
        else, as custom layers and `Lambda`, is refused. A model in memory may hold all of these.
    second_input : {"reversed_input", "previous"}, default "reversed_input"
        What a decoder with an input of its own is given there: the sequence backwards, or each
        step's predecessor.
    forecast : bool, optional
        Whether the one output is a forecast. By default it is, unless it has as many steps as the
        input, or the input leaves them open. Of two outputs the second is. A dense layer behind
        the LSTM leads to a forecast; with False it makes the code of an encoder.
    max_length : int, optional
        Steps of the longest sequence, where the model leaves it open.

    Returns
    -------
    LSTMAutoencoder, LSTMForecaster, DenseAutoencoder, StackedAutoencoder or ConvAutoencoder
        Fitted, on the device "auto". An encoder alone can `transform` and no more. Its parameters
        build the same model again in `fit`; those of training are as by default, the loss too.
        ``history_["loss"]`` is ``[inf]``: nothing is known of its training.
    or EncoderClassifier
        For a softmax behind an encoder; the classes are 0, 1, ….

    Raises
    ------
    InputError
        For a model that has a layer without counterpart, which is named; for a file that is none.
    """
    _checks.raise_all(
        _checks.choice("second_input", second_input, SECOND_INPUTS),
        None if forecast is None else _checks.truth("forecast", forecast),
        _checks.whole("max_length", max_length, 1, none=True),
    )
    path = Path(model) if isinstance(model, (str, os.PathLike)) else None
    try:
        plain = graph(model if path is None else load_keras(path))
    except AttributeError as error:  # something else where a file should have a tensor
        if path is None:
            raise
        raise InputError(f"{path} cannot be read: {error}; save the model again.") from None
    for step in sorted(plain.steps, key=lambda step: step.name):
        if step.kind not in KNOWN | MASKS:
            known = what_helps(type(step.layer).__module__)
            raise refuse(step, f"there is no such layer here; {known}")
    kinds = {step.kind for step in plain.steps}
    if kinds & {*RECURRENT}:
        found = read_recurrent_model(plain, second_input, forecast, max_length)
    elif kinds & {*CONVOLUTIONS}:
        found = read_conv_model(plain)
    else:
        found = read_dense_model(plain)
    return _estimator(found)


def _estimator(found: Found) -> Any:
    """The fitted estimator of what was found."""
    from unspool._registry import CLASSIFIER, ESTIMATORS, MODELS, class_of

    n_features = found.fitted["n_features"]
    shift, scale = found.scaling or (0.0, 1.0)
    tensors: dict[str, npt.NDArray[Any]] = {
        "scaler.shift": np.broadcast_to(np.float64(shift), n_features).copy(),
        "scaler.scale": np.broadcast_to(np.float64(scale), n_features).copy(),
        **{f"module.{name}": weight for name, weight in found.weights.items()},
    }
    scaling = "none" if found.scaling is None else "standard"
    inner = class_of(found.model, MODELS)(scaling=scaling, **found.parameters)
    model, parameters = found.model, inner.get_params(deep=False)
    absent = dict.fromkeys(("feature_names_in", "y_ndim", "axes", "window"))
    fitted = {**absent, "horizon": 0, "history": NO_HISTORY, **found.fitted}
    if found.classes:
        of_encoder = {"model": model, "parameters": parameters}
        fitted["classes"] = write_labels(np.arange(found.classes))
        fitted["head_history"] = NO_HISTORY
        fitted["autoencoder"] = {**of_encoder, "history": NO_HISTORY}
        model = CLASSIFIER.name
        outer = class_of(model, ESTIMATORS)(**found.head).get_params(deep=False)
        parameters = {**outer, "autoencoder": of_encoder}
        fitted["part"] = "encoder"
    contents = Contents(model, parameters, fitted, tensors, {"unspool": unspool.__version__})
    contents.check()
    return class_of(model, ESTIMATORS)._from_contents(contents, "auto")
