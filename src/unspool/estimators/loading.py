"""From a model file to the estimator that it holds."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from unspool import model_file
from unspool._registry import CLASSIFIER, MODELS, class_of
from unspool.errors import UnspoolError
from unspool.estimators.anomaly_detector import AnomalyDetector
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.encoder_classifier import EncoderClassifier
from unspool.estimators.lstm_forecaster import LSTMForecaster
from unspool.model_file.format import MALFORMED_ERRORS, malformed, unusable
from unspool.model_file.losses import with_functions
from unspool.nn.device import resolve_device

Loaded = BaseAutoencoder | LSTMForecaster | EncoderClassifier | AnomalyDetector


def load(
    path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    custom_objects: Mapping[str, Callable[..., Any]] | None = None,
) -> Loaded:
    """Read a fitted estimator that `save` wrote.

    Parameters
    ----------
    path : str or path
        The model file.
    device : str or torch.device, default "auto"
        Where the model will run; it becomes the model's parameter `device`. "auto" uses a GPU if
        there is one.
    custom_objects : dict from str to callable, optional
        For a model whose `loss` is a function: the function by its name. A file contains the name
        alone. Without the function, the model encodes, reconstructs and forecasts, and methods that
        compute the loss raise an error.

    Returns
    -------
    LSTMAutoencoder, StackedAutoencoder, ConvAutoencoder, DenseAutoencoder, LSTMForecaster, \
EncoderClassifier or AnomalyDetector
        A fitted estimator of the class that was saved.

    Raises
    ------
    ModelFileError
        If the file is missing, incomplete, not an unspool model, of a newer format, or if its
        parts do not fit together.
    InputError
        If `device` cannot be used, or `custom_objects` is no dict from names to functions.

    See Also
    --------
    unspool.runtime.load : Load the same file without PyTorch, in NumPy.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder, load
    >>> X = np.random.default_rng(0).normal(size=(40, 3)) @ np.ones((3, 5))
    >>> model = DenseAutoencoder(latent_dim=3, epochs=5, random_state=0, verbose=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.unspool")
    ...     loaded = load(f"{folder}/model.unspool")
    >>> bool((loaded.transform(X) == model.transform(X)).all())
    True
    """
    contents = model_file.read(path)
    resolve_device(device)
    device = str(device)
    contents = replace(
        contents,
        parameters=with_functions(contents.parameters, custom_objects),
        fitted=with_functions(contents.fitted, custom_objects),
        detector=with_functions(contents.detector, custom_objects),
    )
    try:
        if contents.detector is not None:
            return AnomalyDetector._from_contents(contents, device)
        loaded: Loaded = class_of(
            contents.model, {**MODELS, CLASSIFIER.name: CLASSIFIER}
        )._from_contents(contents, device)
    except UnspoolError as error:
        raise unusable(path, error) from None
    except (*MALFORMED_ERRORS, RuntimeError) as error:  # RecursionError is a RuntimeError
        raise unusable(path, malformed(error)) from None
    return loaded
