"""What models with LSTM layers have of their own: the backend that runs these, and `features`."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.utils.validation import check_is_fitted

from unspool.blueprint.features import check_scales, feature_names
from unspool.estimators.base import Model
from unspool.estimators.batch_runner import runner
from unspool.lstm import Call, choose
from unspool.nn import Autoencoder, LSTMEncoder


class LSTMModel(Model):
    """A model whose encoder is an LSTM; see `LSTMAutoencoder` for the parameters."""

    @property
    def patch_size_(self) -> int:
        """Steps that the LSTM reads at once."""
        check_is_fitted(self)
        return cast(LSTMEncoder, self.module_.encoder).patch_size

    def _build(self, generator: torch.Generator) -> Autoencoder:
        choose(Call(self.activation, self.recurrent_activation), self.backend)
        return super()._build(generator)

    def features(self, X: Any, *, scales: Sequence[int] = (1,)) -> npt.NDArray[np.float32]:
        """Features of sequences for a classifier or a regression, beside the code.

        They are statistics of all states of the encoder's last layer over the whole sequence and
        over parts of it, and the means of the random kernels where the model has any
        (`n_kernels`). Their number does not depend on the lengths of the sequences.

        Parameters
        ----------
        X : as for `fit`
            Sequences are read whole, as by `forecast`: no future is cut off.
        scales : list or tuple of int, default (1,)
            Into how many parts a sequence is cut, distinct numbers from 1 to 1,024: (1, 2, 4)
            takes statistics of the whole, of its halves and of its quarters. Finer scales help
            where it matters *when* something happens.

        Returns
        -------
        array of shape (N, D), float32
            D = 4 · S · sum(scales) + number of kernels, for states of width S (`units`, twice that
            where the encoder reads in both directions). For each k in `scales`, in their order,
            and each of the k parts: the mean, the maximum, the minimum and the standard deviation
            (the root of the variance plus 1e-6) of the S states over the real steps of the part;
            then the kernels' means over the whole sequence, 0 to 1. Part i, from 0, of n steps
            consists of the steps from ``i * n // k`` up to, but not including,
            ``(i + 1) * n // k``, and of the first of these where there are none (n < k). A
            sequence of no steps has zeros.

        Raises
        ------
        InputError
            For `scales` that are not such numbers; for an X that the model cannot read.
        """
        scales = check_scales(scales)
        source = self._read(X)
        encoder = cast(LSTMEncoder, self.module_.encoder)
        width = 0 if scales == (1,) else 2 * encoder.lstm.state_size  # states, copied by parts
        size = runner(self).batch_size(max(source.max_length, *scales), width)
        features = np.empty((len(source), len(self.feature_names(scales))), np.float32)
        outputs = runner(self).outputs(
            source, lambda one: encoder.multiscale(one.x, one.lengths, scales), size
        )
        for indices, _, some in outputs:
            features[indices] = some
        return features

    def feature_names(self, scales: Sequence[int] = (1,)) -> npt.NDArray[np.object_]:
        """Names of the columns of `features`: array of shape (D,), of strings.

        Counted from 0, "state3_mean" is the mean of state 3 over the whole sequence and
        "kernel17" the mean of kernel 17; "state3_max_2of4" is the maximum of state 3 over the
        second quarter. (`get_feature_names_out` names the columns of the code.)

        Parameters
        ----------
        scales : list or tuple of int, default (1,)
            As for `features`.
        """
        check_is_fitted(self)
        encoder = cast(LSTMEncoder, self.module_.encoder)
        n_kernels = 0 if encoder.kernels is None else len(encoder.kernels.weight)
        return feature_names(encoder.lstm.state_size, n_kernels, check_scales(scales))
