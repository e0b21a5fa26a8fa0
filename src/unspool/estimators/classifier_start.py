"""A classifier whose training starts from a trained classifier: its labels and its head."""

from typing import Any

import torch
from torch import nn

from unspool import _checks
from unspool._registry import CLASSIFIER
from unspool.data.sequences import IntArray
from unspool.errors import InputError
from unspool.estimators.base import Model
from unspool.estimators.class_predictions import ClassPredictions
from unspool.estimators.going_on import ADVICE, plain
from unspool.estimators.labels import Labels, read_classes, read_known_labels, read_labels
from unspool.estimators.saving import unfrozen
from unspool.estimators.training import Run


def start_of_classifier(
    kind: type[ClassPredictions], run: Run, device: str | torch.device
) -> ClassPredictions | None:
    """Return a copy of the classifier that training starts from, or None.

    Raises
    ------
    InputError
        If it is a model of another class.
    """
    if run.start is None:
        return None
    if run.start.model != CLASSIFIER.name:
        raise InputError(
            f"`initial` must hold an EncoderClassifier, got a {run.start.model}; to use its "
            "encoder, give it as `autoencoder`."
        )
    return kind._from_contents(run.start, str(device))


def classes_of_run(
    y: Any, X: Any, run: Run, start: ClassPredictions | None, classes: Any
) -> tuple[Labels, IntArray]:
    """Return the sorted classes, and the class index of each sequence.

    Raises
    ------
    InputError
        If they are other classes than those of the classifier that training starts from.
    """
    known = None if start is None else start.classes_
    if classes is not None:
        given = read_classes(classes)
        if known is not None and not _equal(given, known):
            raise InputError(
                f"`classes` is {given.tolist()}, but the first call knew {known.tolist()}; leave "
                "`classes` out, or call `fit`."
            )
        known = given
    if known is not None and run.passes is not None:
        return known, read_known_labels(y, X, known)
    found, indices = read_labels(y, X)
    if known is not None and not _equal(found, known):
        raise InputError(
            f"The labels in `y` are {_checks.shown(found.tolist())}, but the classifier from which "
            f"training starts knows {_checks.shown(known.tolist())}; give all of these labels and "
            "no others, or start from new weights."
        )
    return found, indices


def _equal(one: Labels, other: Labels) -> bool:
    return bool(one.tolist() == other.tolist())


def autoencoder_complaints(given: Any) -> list[_checks.Complaint]:
    """List what is wrong with the parameter `autoencoder`."""
    inner = unfrozen(given)
    frozen = inner is not given
    if isinstance(inner, Model):
        if not frozen or inner.__sklearn_is_fitted__():
            return []
        return [
            "`autoencoder` is a FrozenEstimator, whose model is not fitted; fit the model first."
        ]
    if not frozen and inner is None:
        return []
    return [
        "`autoencoder` must be an unspool autoencoder or forecaster, or None, got "
        f"{_checks.shown(given)}."
    ]


def check_same_head(classifier: Any, start: Any, how: str) -> None:
    """Check that the head has the layers of the one that training starts from."""
    differences = [
        f"`{name}` is {_checks.shown(value)}, but {_checks.shown(other)} there"
        for name in ("head_units", "head_activation")
        for value, other in [(getattr(classifier, name), getattr(start, name))]
        if plain(value) != plain(other)
    ]
    if differences:
        raise InputError(
            "The head has other layers than the one from which training starts: "
            f"{', '.join(differences)}; {ADVICE[how]}."
        )


def check_head_is_trained(classifier: Any, head: nn.Module) -> None:
    """Refuse to freeze all that is trained without `fine_tune`."""
    if not classifier.fine_tune and not any(one.requires_grad for one in head.parameters()):
        raise InputError(
            "`freeze` leaves no weights to train, because without `fine_tune` only the head is "
            "trained; set fine_tune=True, or name other layers."
        )
