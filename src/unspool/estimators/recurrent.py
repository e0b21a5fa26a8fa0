"""What models with LSTM layers have of their own: the backend that runs these."""

from typing import cast

import torch
from sklearn.utils.validation import check_is_fitted

from unspool import _checks
from unspool.estimators.base import Model
from unspool.lstm import BACKENDS, Call, choose
from unspool.nn import Autoencoder, LSTMEncoder


class LSTMModel(Model):
    """A model whose encoder is an LSTM; see `LSTMAutoencoder` for the parameters."""

    def _complaints(self) -> list[_checks.Complaint]:
        return [
            *super()._complaints(),
            _checks.number("teacher_forcing", self.teacher_forcing, 0, 1, closed=True),
            _checks.choice("backend", self.backend, ["auto", *BACKENDS]),
        ]

    @property
    def patch_size_(self) -> int:
        """Steps that the LSTM reads at once."""
        check_is_fitted(self)
        return cast(LSTMEncoder, self.module_.encoder).patch_size

    def _build(self, generator: torch.Generator) -> Autoencoder:
        choose(Call(self.activation, self.recurrent_activation), self.backend)
        return super()._build(generator)
