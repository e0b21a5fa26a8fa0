"""The parts of LSTM models, from the parameters that these models share."""

import torch

from unspool import _checks
from unspool.estimators.base import Model
from unspool.lstm import BACKENDS, Call, choose
from unspool.lstm.reference import ACTIVATIONS, RECURRENT_ACTIVATIONS
from unspool.nn import DECODERS, Decoder, DenseDecoder, LSTMDecoder, LSTMEncoder
from unspool.nn.dense import ACTIVATIONS as DENSE_ACTIVATIONS
from unspool.nn.recurrent import Cell

DECODER_NAMES = (*DECODERS, "dense")


class LSTMModel(Model):
    """A model whose encoder is an LSTM; see `LSTMAutoencoder` for the parameters."""

    def _complaints(self) -> list[_checks.Complaint]:
        return [
            *super()._complaints(),
            _checks.whole("units", self.units, 1, none=True),
            _checks.whole("num_layers", self.num_layers, 1),
            _checks.truth("bidirectional", self.bidirectional),
            _checks.choice("decoder", self.decoder, DECODER_NAMES),
            _checks.number("teacher_forcing", self.teacher_forcing, 0, 1, closed=True),
            *_checks.wholes("head_units", self.head_units, 1),
            _checks.choice("head_activation", self.head_activation, DENSE_ACTIVATIONS),
            _checks.choice("activation", self.activation, ACTIVATIONS),
            _checks.choice(
                "recurrent_activation", self.recurrent_activation, RECURRENT_ACTIVATIONS
            ),
            _checks.choice("backend", self.backend, ["auto", *BACKENDS]),
        ]

    @property
    def _cell(self) -> Cell:
        cell = Cell(self.activation, self.recurrent_activation, self.backend)
        choose(Call(cell.activation, cell.recurrent_activation), cell.backend)
        return cell

    def _encoder(
        self, generator: torch.Generator, *, whole_state: bool, variational: bool = False
    ) -> LSTMEncoder:
        return LSTMEncoder(
            self._n_features,
            self.latent_dim,
            units=self.units,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            whole_state=whole_state,
            variational=variational,
            cell=self._cell,
            generator=generator,
        )

    def _decoder(
        self, name: str, steps: int, generator: torch.Generator, *, reverse_target: bool = False
    ) -> Decoder:
        if name == "dense":
            return DenseDecoder(
                self.latent_dim,
                self._n_features,
                steps,
                units=tuple(self.head_units),
                activation=self.head_activation,
                output_activation=self.output_activation,
                generator=generator,
            )
        return LSTMDecoder(
            name,
            self.latent_dim,
            self._n_features,
            steps=steps,
            units=self.units,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional and not reverse_target,
            reverse_target=reverse_target,
            head_units=tuple(self.head_units),
            head_activation=self.head_activation,
            output_activation=self.output_activation,
            cell=self._cell,
            generator=generator,
        )


def reads_state(*names: str) -> bool:
    """Whether one of these decoders starts from the encoder's whole state."""
    return any(name in DECODERS and DECODERS[name].code == "state" for name in names)
