"""From a model file to the estimator that it holds."""

import os

import torch

from unspool import model_file
from unspool.errors import UnspoolError
from unspool.estimators.anomaly_detector import AnomalyDetector
from unspool.estimators.encoder_classifier import EncoderClassifier
from unspool.estimators.registry import MODELS, class_of
from unspool.estimators.saving import Savable
from unspool.model_file.format import MALFORMED_ERRORS, unusable
from unspool.nn.device import resolve_device

ESTIMATORS: dict[str, type[Savable]] = {**MODELS, "EncoderClassifier": EncoderClassifier}


def load(
    path: str | os.PathLike[str], *, device: str | torch.device = "auto"
) -> Savable | AnomalyDetector:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : path of the file
    device : str or torch.device, default "auto"
        Where the model shall run; it becomes the model's parameter `device`.

    Returns
    -------
    The fitted estimator, of the class that was saved.

    Raises
    ------
    ModelFileError
        For a file that is missing, cut short, not a model of unspool's, of a newer format, or
        whose parts do not fit together.
    InputError
        For a `device` that cannot be used.
    """
    contents = model_file.read(path)
    resolve_device(device)
    device = str(device)
    try:
        if contents.detector is not None:
            return AnomalyDetector.from_contents(contents, device)
        return class_of(contents.model, ESTIMATORS).from_contents(contents, device)
    except UnspoolError as error:
        raise unusable(path, error) from None
    except (*MALFORMED_ERRORS, RuntimeError) as error:  # that of recursion is one of them
        reason = " ".join(str(error).split())
        raise unusable(
            path, f"{type(error).__name__}: {reason}; train and save it again."
        ) from None
