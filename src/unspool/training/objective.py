"""What training minimises: the distance of what is unwound from what it should be."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from unspool.nn import fused
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.decoder import TeacherForcing
from unspool.nn.losses import LOSSES, count_values, masked_sum, metric, pinball
from unspool.nn.sampling import bernoulli, standard_normal
from unspool.training.batches import Batch
from unspool.training.contrastive import contrastive_sum, crops


class Term(NamedTuple):
    """A part of the loss of a batch, or something that is only watched.

    Parameters
    ----------
    total : tensor, a number
    size : int
        What to divide it by for a mean.
    weight : float, default 1.0
        Of the mean in the loss; 0 for what is only watched.
    """

    total: Tensor
    size: int
    weight: float = 1.0


# A batch's terms by name. A single one is called "loss".
Objective = Callable[[Batch], Mapping[str, Term]]


@dataclass
class AutoencoderLoss:
    """The loss of an `Autoencoder` on a batch, with what its options add to it.

    In training the input is disturbed, codes are drawn, and decoders that read their previous
    step are given the true one; in evaluation none of it bernoulli.

    Parameters
    ----------
    model : Autoencoder
    loss : str
        A name in `unspool.nn.losses.LOSSES`.
    weights : mapping of decoders' names to float
        Of their losses; 1 where there is none.
    metrics : sequence of str
        Names for `unspool.nn.losses.metric`.
    input_noise : float
        Standard deviation of normal noise on the input, in scaled units.
    input_dropout : float
        Share of the input's steps that are set to 0; of its values where it is a single step.
    mask_length : int
        Consecutive steps that are set to 0 together; at most a quarter of those of the batch.
    contrastive_weight : float
        Weight of the contrastive loss of two crops of every sequence, see `contrast`; in training.
    code_l1 : float
        Weight of the sum of the absolute values of a code.
    kl_weight : float or None
        Weight of the divergence of a variational code from the standard normal distribution, in
        nats for every sequence, beside the loss summed over its values.
    every_step : bool
        Forecast after every step of a sequence, not after the last alone.
    dropout : float
        Share of a code's values that are set to 0, the others enlarged in proportion.
    quantiles : sequence of float
        Those that the decoder "quantiles" gives.
    teacher_forcing : float
        Of true previous steps, see `TeacherForcing`.
    generator : torch.Generator, optional
        Source of all that is random here.

    Source: denoising, Vincent et al. 2008; the L1 penalty on codes as in Keras's
    `activity_regularizer`; the variational bound, Kingma & Welling 2014, equation 10.
    """

    model: Autoencoder
    loss: str = "mse"
    weights: Mapping[str, float] = field(default_factory=dict)
    metrics: Sequence[str] = ()
    input_noise: float = 0.0
    input_dropout: float = 0.0
    mask_length: int = 1
    contrastive_weight: float = 0.0
    code_l1: float = 0.0
    kl_weight: float | None = None
    every_step: bool = False
    dropout: float = 0.0
    quantiles: Sequence[float] = ()
    teacher_forcing: float = 1.0
    generator: Generator | None = None

    def __call__(self, batch: Batch) -> dict[str, Term]:
        """Terms of the batch's loss, and metrics, by name."""
        x, lengths = batch.x, batch.lengths
        if self._is_plain:
            total = fused.loss_sum(self.model, x, lengths, self.loss)
            if total is not None:
                return {"loss": Term(total, count_values(x, lengths))}
        read = self._disturbed(x) if self.model.training else x
        terms: dict[str, Term] = {}
        if self.every_step:
            for name in self.model.decoders:
                terms |= self._terms(name, *self._by_step(name, batch, read))
            return alone(terms)
        code, divergence = self.model.encoder.sample(read, lengths, self.generator)
        if self.dropout and self.model.training:
            code = self._dropped(code)
        for name in self.model.decoders:
            target, own = (x, lengths) if name == "reconstruction" else (batch.y, None)
            assert target is not None
            teacher = (
                TeacherForcing(target, self.teacher_forcing, self.generator)
                if self.model.training
                else None
            )
            output = self.model.decode(name, code, read, lengths, teacher)
            terms |= self._terms(name, output, target, own)
        values = max(terms[f"{name}_loss"].size for name in self.model.decoders)
        if self.contrastive_weight and self.model.training:
            terms["contrastive_loss"] = self._contrast(x, lengths)
        if self.code_l1:
            terms["code_l1"] = Term(code.abs().sum(), len(x), self.code_l1)
        if self.kl_weight is not None:
            terms["divergence"] = Term(divergence.sum(), values, self.kl_weight)
        return terms if self.contrastive_weight else alone(terms)

    def _contrast(self, x: Tensor, lengths: Tensor | None) -> Term:
        """The contrastive loss of two crops of every sequence that has steps."""
        if lengths is not None:
            x, lengths = x[lengths > 0], lengths[lengths > 0]
        first, second = (
            self.model.encoder.sample(*crops(x, lengths, self.generator), self.generator)[0]
            for _ in range(2)
        )
        count = 2 * len(x) if len(x) > 1 else 0
        return Term(contrastive_sum(first, second), count, self.contrastive_weight)

    def _by_step(
        self, name: str, batch: Batch, read: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Outputs after every step and what they should be, (B, T · K, F), and their lengths."""
        assert batch.y is not None
        target = futures(batch.x, batch.lengths, batch.y)
        teacher = None
        if self.model.training:
            teacher = TeacherForcing(target, self.teacher_forcing, self.generator)
        change = self._dropped if self.dropout and self.model.training else None
        output = self.model.decode_by_step(name, read, batch.lengths, teacher, change)
        lengths = None if batch.lengths is None else batch.lengths * target.shape[2]
        return output.flatten(1, 2), target.flatten(1, 2), lengths

    def _terms(
        self, name: str, output: Tensor, target: Tensor, lengths: Tensor | None
    ) -> dict[str, Term]:
        """Loss and metrics of one decoder's output (B, T, F)."""
        if name == "quantiles":
            total = masked_sum(pinball(output, target, self.quantiles), lengths)
            return {f"{name}_loss": Term(total, count_values(target, lengths))}
        total = masked_sum(LOSSES[self.loss](output, target), lengths)
        count = count_values(target, lengths, self.loss)
        terms = {f"{name}_loss": Term(total, count, self.weights.get(name, 1.0))}
        prefix = f"{name}_" if len({*self.model.decoders} - {"quantiles"}) > 1 else ""
        for watched in self.metrics:
            with torch.no_grad():
                total = masked_sum(metric(watched, self.loss)(output, target), lengths)
            count = count_values(target, lengths, self.loss if watched == "accuracy" else watched)
            terms[prefix + watched] = Term(total, count, 0)
        return terms

    @property
    def _is_plain(self) -> bool:
        disturbed = self.model.training and (self.input_noise or self.input_dropout)
        added = (
            self.code_l1 or self.contrastive_weight or self.metrics or self.kl_weight is not None
        )
        return not (disturbed or added or self.weights)

    def _dropped(self, code: Tensor) -> Tensor:
        """Codes without some of their values."""
        dropped = bernoulli(self.dropout, code.shape, code, self.generator)
        return torch.where(dropped, 0.0, code / (1 - self.dropout))

    def _disturbed(self, x: Tensor) -> Tensor:
        if self.input_dropout and x.shape[1]:
            # Of a row, which is a single step, single values go.
            shape = x.shape if x.shape[1] == 1 else (*x.shape[:2], 1)
            length = min(self.mask_length, max(1, x.shape[1] // 4))
            begins = 1 - (1 - self.input_dropout) ** (1 / length)
            gone = bernoulli(begins, (len(x), shape[1] + length - 1, *shape[2:]), x, self.generator)
            x = x * ~gone.unfold(1, length, 1).any(-1)
        if self.input_noise:
            x = x + self.input_noise * standard_normal(x, self.generator)
        return x


def alone(terms: dict[str, Term]) -> dict[str, Term]:
    """The same terms; where only one has weight, it is "loss"."""
    weighty = [name for name, term in terms.items() if term.weight]
    if len(weighty) == 1 and terms[weighty[0]].weight == 1:
        return {"loss" if name == weighty[0] else name: term for name, term in terms.items()}
    return terms


def futures(x: Tensor, lengths: Tensor | None, y: Tensor) -> Tensor:
    """What follows each step (B, T, K, F) of x (B, T, F), whose future is y (B, K, F)."""
    (batch, steps, features), horizon = x.shape, y.shape[1]
    ends = x.new_full((batch,), steps, dtype=torch.int64) if lengths is None else lengths
    places = ends[:, None] + torch.arange(horizon, device=x.device)
    joined = torch.nn.functional.pad(x, (0, 0, 0, horizon))
    joined = joined.scatter(1, places[:, :, None].expand(-1, -1, features), y)
    after = 1 + torch.arange(steps, device=x.device)[:, None]
    return joined[:, after + torch.arange(horizon, device=x.device)]
