"""What a fitted classifier can do: probabilities, classes, a score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from unspool._pieces import Computation
from unspool.data.convert import Source
from unspool.data.labels import labels_like
from unspool.errors import InputError
from unspool.estimators.base import sequences_of
from unspool.estimators.batch_runner import runner
from unspool.estimators.classifying import SavableClassifier
from unspool.estimators.labels import Labels
from unspool.estimators.pieces import InPieces
from unspool.nn import torch_settings


class ClassPredictions(
    ClassifierMixin,  # type: ignore[misc]  # scikit-learn ships no types
    SavableClassifier,
    InPieces,
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
        likely: npt.NDArray[np.float32] = self._predict_proba(X).whole()
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
        labels: Labels = self._predict(X).whole()
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

    def _predict_proba(self, X: Any) -> Computation:
        return self._computed(X, lambda logits: logits.softmax(1).numpy())

    def _predict(self, X: Any) -> Computation:
        return self._computed(X, lambda logits: self.classes_[logits.argmax(1).numpy()])

    def _computed(self, X: Any, change: Callable[[Tensor], Any]) -> Computation:
        check_is_fitted(self)
        inner = self.autoencoder_
        source = sequences_of(inner, X)
        return Computation(runner(inner), source, lambda part, first: change(self._logits(part)))

    @torch_settings.inference()
    def _logits(self, source: Source) -> Tensor:
        """Return logits (N, C)."""
        inner, module = self.autoencoder_, self.module_
        logits = np.empty((len(source), len(self.classes_)), np.float32)
        outputs = runner(inner).outputs(source, lambda one: module(one.x, one.lengths))
        for indices, _, some in outputs:
            logits[indices] = some
        return torch.from_numpy(logits)
