"""What a fitted classifier can do: probabilities, classes, a score."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool.data.labels import labels_like
from unspool.errors import InputError
from unspool.estimators.base import sequences_of
from unspool.estimators.batch_runner import runner
from unspool.estimators.classifying import SavableClassifier
from unspool.estimators.labels import Labels
from unspool.nn import torch_settings


class ClassPredictions(
    ClassifierMixin,  # type: ignore[misc]  # scikit-learn ships no types
    SavableClassifier,
):
    """A classifier that predicts classes of sequences; see `EncoderClassifier`."""

    classes_: Labels

    @torch_settings.inference()
    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:
        """Return the probabilities of the classes of each sequence.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.

        Returns
        -------
        ndarray of shape (N, C), float32
            Probabilities in the order of ``classes_``; each row sums to 1.

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.
        """
        likely: npt.NDArray[np.float32] = self._logits(X).softmax(1).numpy()
        return likely

    @torch_settings.inference()
    def predict(self, X: Any) -> Labels:
        """Return the most likely class of each sequence.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.

        Returns
        -------
        ndarray of shape (N,)
            Labels from ``classes_``.

        Raises
        ------
        InputError
            If `X` cannot be read, or has other features than the `X` of `fit`.
        """
        likeliest = self._logits(X).argmax(1).numpy()
        labels: Labels = self.classes_[likeliest]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy: the share of the labels `y` that `predict` returns.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts.
        y : array of shape (N,)
            The true labels.
        sample_weight : array of shape (N,), optional
            Weights of the sequences.

        Returns
        -------
        float
            A share from 0 to 1.

        Raises
        ------
        InputError
            If `X` cannot be read, or if `y` has another shape than (N,).
        """
        predicted = self.predict(X)
        labels = labels_like(y, self.classes_)
        if labels.shape != predicted.shape:
            raise InputError(
                f"`y` must have the shape {predicted.shape}, one label per sequence, got "
                f"{labels.shape}."
            )
        return float(np.average(predicted == labels, weights=sample_weight))

    def _logits(self, X: Any) -> Tensor:
        """Return logits (N, C)."""
        check_is_fitted(self)
        inner, module = self.autoencoder_, self.module_
        source = sequences_of(inner, X)
        logits = np.empty((len(source), len(self.classes_)), np.float32)
        outputs = runner(inner).outputs(source, lambda one: module(one.x, one.lengths))
        for indices, _, some in outputs:
            logits[indices] = some
        return torch.from_numpy(logits)
