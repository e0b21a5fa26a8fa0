"""What models with an LSTM encoder add: the check of the backend, and `features`."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import check_is_fitted

from unspool._pieces import Computation
from unspool.blueprint.features import check_scales, feature_names
from unspool.data.convert import Source
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner
from unspool.lstm import Call, choose
from unspool.nn import Autoencoder, LSTMEncoder


class LSTMModel(Model):
    """A model whose encoder is an LSTM; see `LSTMAutoencoder`."""

    @property
    def patch_size_(self) -> int:
        """Number of steps that the LSTM reads at once, p."""
        check_is_fitted(self)
        return cast(LSTMEncoder, self.module_.encoder).patch_size

    def _build(self, generator: torch.Generator) -> Autoencoder:
        choose(Call(self.activation, self.recurrent_activation, cell=self.cell), self.backend)
        return super()._build(generator)

    def features(self, X: Any, *, scales: Sequence[int] = (1,)) -> npt.NDArray[np.float32]:
        """Return features of sequences for a classifier or a regression, in addition to the code.

        They are statistics of all states of the last encoder layer over the whole sequence and over
        parts of it, and the means of the random kernels, if the model has any (`n_kernels`). Their
        number does not depend on the lengths of the sequences.

        Parameters
        ----------
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. They are read as a whole, as by `forecast`: no
            steps are cut off.
        scales : sequence of int, default (1,)
            Numbers of equal parts of a sequence, distinct and from 1 to 1,024: (1, 2, 4) uses the
            whole, its halves and its quarters. Finer scales help if it matters *when* something
            happens.

        Returns
        -------
        ndarray of shape (N, D), float32
            D = 4 · S · sum(scales) + number of kernels, for states of width S (units of the
            last layer, or twice that for a bidirectional encoder). For each k in `scales`, in their
            order, and each of the k parts: the mean, the maximum, the minimum and the standard
            deviation (the root of the variance plus 1e-6) of the S states over the real steps of
            the part; then the means of the kernels over the whole sequence, from 0 to 1.

        Raises
        ------
        InputError
            If `scales` are other numbers, or if `X` cannot be read.

        Notes
        -----
        Part i (from 0) of n steps consists of the steps from ``i * n // k`` up to, but not
        including, ``(i + 1) * n // k``, or of the first of these if there are none (n < k). The
        features of a sequence without steps are zeros.
        """
        features: npt.NDArray[np.float32] = self._features(X, scales=scales).whole()
        return features

    def _features(self, X: Any, *, scales: Sequence[int] = (1,)) -> Computation:
        scales = check_scales(scales)
        source, run = self._read(X), runner(self)
        encoder = cast(LSTMEncoder, self.module_.encoder)
        width = 0 if scales == (1,) else 2 * encoder.lstm.state_size  # the parts copy the states
        size = run.batch_size(max(source.max_length, *scales), width)
        count = len(self.feature_names(scales))

        def of(part: Source, first: int) -> npt.NDArray[np.float32]:
            features = np.empty((len(part), count), np.float32)
            outputs = run.outputs(
                part, lambda one: encoder.multiscale(one.x, one.lengths, scales), size
            )
            for indices, _, some in outputs:
                features[indices] = some
            return features

        return Computation(run, source, of, size=size)

    def feature_names(self, scales: Sequence[int] = (1,)) -> npt.NDArray[np.object_]:
        """Return the names of the columns of `features`.

        Counted from 0, "state3_mean" is the mean of state 3 over the whole sequence, "kernel17" the
        mean of kernel 17, and "state3_max_2of4" the maximum of state 3 over the second quarter.
        (`get_feature_names_out` returns names of the columns of the code.)

        Parameters
        ----------
        scales : sequence of int, default (1,)
            The `scales` that `features` was called with.

        Returns
        -------
        ndarray of shape (D,), of str
            One name for each column.

        Raises
        ------
        InputError
            If `scales` are not distinct whole numbers from 1 to 1,024.
        """
        check_is_fitted(self)
        encoder = cast(LSTMEncoder, self.module_.encoder)
        n_kernels = 0 if encoder.kernels is None else len(encoder.kernels.weight)
        return feature_names(encoder.lstm.state_size, n_kernels, check_scales(scales))
