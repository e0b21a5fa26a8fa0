"""The training objective: losses of the decoders, penalties and metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from unspool._loss_parameter import Loss, LossByFeature, is_by_step
from unspool.nn import fused
from unspool.nn.autoencoder import Autoencoder
from unspool.nn.decoder import TeacherForcing
from unspool.nn.dropout import Dropout
from unspool.nn.losses import (
    count_values,
    loss_values,
    masked_sum,
    metric,
    pinball,
    present_in,
)
from unspool.nn.lstm_encoder import LSTMEncoder
from unspool.nn.lstm_stack import LSTM
from unspool.nn.missing import filled
from unspool.nn.sampling import bernoulli, standard_normal
from unspool.training.batches import Batch
from unspool.training.contrastive import contrastive_sum, crops


class Term(NamedTuple):
    """A term of the loss of a batch, or a metric.

    Parameters
    ----------
    total : scalar tensor
        Sum of the values.
    size : float
        Number of values; the term is ``total / size``.
    weight : float, default 1.0
        Weight of the term in the loss; 0 for a metric.
    """

    total: Tensor
    size: float
    weight: float = 1.0


# Returns the terms of a batch by name. If there is only one, its name is "loss".
Objective = Callable[[Batch], Mapping[str, Term]]


@dataclass
class AutoencoderLoss:
    """The loss of an `Autoencoder` on a batch, with optional penalties and metrics.

    In training mode noise and dropout are applied to the input, codes are sampled, and decoders
    that read the previous step get the true one. In evaluation mode none of this happens.

    Parameters
    ----------
    model : Autoencoder
        Model that is trained.
    loss : str, LossByFeature or LossFunction
        Loss of the reconstruction and the forecast. A loss by feature has a term for each of its
        losses, such as "mse_loss", in addition.
    weights : dict of str to float
        Weights of the losses by decoder; 1 by default.
    metrics : sequence of str
        Metrics, names for `unspool.nn.losses.metric`.
    input_noise : float
        Standard deviation of normal noise on the input, in scaled units.
    input_dropout : float
        Proportion of the input's steps that are set to 0; of its values if it is a single step.
        If the encoder accepts missing values, the input is missing there; in half of the
        sequences, features are dropped independently of each other.
    mask_length : int
        Number of consecutive steps that are set to 0 together; at most a quarter of all steps.
    contrastive_weight : float
        Weight of the contrastive loss (see `contrastive`), which is computed only in training.
    code_l1 : float
        Weight of the sum of a code's absolute values (Keras's `activity_regularizer`).
    kl_weight : float or None
        Weight of the Kullback-Leibler divergence of a variational code from the standard normal
        distribution, in nats per sequence, relative to the loss summed over a sequence's values.
    every_step : bool
        Forecast after every step of a sequence, instead of after the last only.
    dropout : Dropout
        Shares of the outputs of layers, of the hidden units and of the code's values that are set
        to 0 in training.
    quantiles : sequence of float
        Quantiles that the decoder "quantiles" returns.
    teacher_forcing : float
        Probability of reading the true previous step, see `TeacherForcing`.
    generator : torch.Generator, optional
        Random number generator on the CPU. Default: PyTorch's global one.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol (2008). Extracting and Composing
       Robust Features with Denoising Autoencoders. ICML. (Noise and dropout on the input.)
    .. [2] D. P. Kingma, M. Welling (2014). Auto-Encoding Variational Bayes. ICLR. Equation 10.
    """

    model: Autoencoder
    loss: Loss = "mse"
    weights: Mapping[str, float] = field(default_factory=dict)
    metrics: Sequence[str] = ()
    input_noise: float = 0.0
    input_dropout: float = 0.0
    mask_length: int = 1
    contrastive_weight: float = 0.0
    code_l1: float = 0.0
    kl_weight: float | None = None
    every_step: bool = False
    dropout: Dropout = field(default_factory=Dropout)
    quantiles: Sequence[float] = ()
    teacher_forcing: float = 1.0
    generator: Generator | None = None

    def __call__(self, batch: Batch) -> dict[str, Term]:
        """Compute the terms of the batch's loss, and the metrics, by name."""
        if not (self.model.training and (self.dropout.layers or self.dropout.recurrent)):
            return self._compute(batch)
        with dropping(self.model, self.dropout):
            return self._compute(batch)

    def _compute(self, batch: Batch) -> dict[str, Term]:
        x, lengths = batch.x, batch.lengths
        read = self._disturbed(x) if self.model.training else x
        terms: dict[str, Term] = self._in_one_call(batch, read) or {}
        if terms:
            return name_single_loss(terms)
        if self.every_step:
            for name in self.model.decoders:
                terms |= self._terms(name, *self._by_step(name, batch, read))
            return name_single_loss(terms)
        code, divergence = self.model.encoder.sample(read, lengths, self.generator)
        decoded = self.dropout.of_code(code) if self.model.training else code
        for name in self.model.decoders:
            target, ends, weights = batch.target(name, self.model.of_targets)
            teacher = (
                TeacherForcing(self._filled(target), self.teacher_forcing, self.generator)
                if self.model.training
                else None
            )
            output = self.model.decode(name, decoded, read, lengths, teacher, batch.future)
            terms |= self._terms(name, output, target, ends, weights)
        by_sequence = batch.sequence_weights
        if self.contrastive_weight and self.model.training:
            terms["contrastive_loss"] = self._contrast(x, lengths, by_sequence)
        if self.code_l1:
            sizes = code.abs() if by_sequence is None else code.abs() * by_sequence[:, None]
            terms["code_l1"] = Term(sizes.sum(), len(x), self.code_l1)
        if self.kl_weight is not None:
            values = max(terms[f"{name}_loss"].size for name in self.model.decoders)
            if by_sequence is not None:
                divergence = divergence * by_sequence
                values *= self._mean_weight(batch, by_sequence)
            terms["divergence"] = Term(divergence.sum(), values, self.kl_weight)
        return terms if self.contrastive_weight else name_single_loss(terms)

    def _in_one_call(self, batch: Batch, read: Tensor) -> dict[str, Term] | None:
        """Compute the losses of the decoders and their gradients in one call, if it can be."""
        masks, loss = self.model.encoder.fill is not None, self.loss
        other = self._other_terms
        if other is not None or not isinstance(loss, str):
            reason = other or "the loss has no name"
            self.model.whole_step = f"layer by layer, since {reason}"
            return None
        targets: dict[str, fused.Target] = {}
        terms: dict[str, tuple[int, float]] = {}
        share = 0.0  # of an error of the first decoder in the loss
        for name in self.model.decoders:
            if name != "reconstruction" and batch.y is None:
                return None
            target, ends, weights = batch.target(name, self.model.of_targets)
            present = present_in(target, loss) if masks else None
            size, weight = count_values(target, ends, loss, present), self.weights.get(name, 1.0)
            if weight and size:
                share = share or weight / size
            factor = weight / size / share if weight and size else 0.0
            targets[name] = fused.Target(target, weights, factor)
            terms[f"{name}_loss"] = size, weight
        if not share:
            return None
        dropout = self.dropout if self.model.training else None
        totals = fused.losses(
            self.model,
            read,
            batch.lengths,
            targets,
            loss,
            dropout=dropout,
            future=batch.future,
        )
        if totals is None:
            return None
        return {
            name: Term(total, *term)
            for total, (name, term) in zip(totals.values(), terms.items(), strict=True)
        }

    def _mean_weight(self, batch: Batch, by_sequence: Tensor) -> float:
        """Return the mean weight (B,) of sequences over the values that are decoded of them."""
        if batch.lengths is None or "reconstruction" not in self.model.decoders:
            return float(by_sequence.mean())
        return float((by_sequence * batch.lengths).sum() / batch.lengths.sum().clamp(min=1))

    def _contrast(
        self, x: Tensor, lengths: Tensor | None, by_sequence: Tensor | None = None
    ) -> Term:
        """Compute the contrastive loss of two crops of every sequence that has steps."""
        if lengths is not None:
            by_sequence = None if by_sequence is None else by_sequence[lengths > 0]
            x, lengths = x[lengths > 0], lengths[lengths > 0]
        first, second = (
            self.model.encoder.sample(*crops(x, lengths, self.generator), self.generator)[0]
            for _ in range(2)
        )
        count = 2 * len(x) if len(x) > 1 else 0
        return Term(contrastive_sum(first, second, by_sequence), count, self.contrastive_weight)

    def _by_step(
        self, name: str, batch: Batch, read: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Compute outputs and targets after every step, (B, T · K, F), lengths and weights."""
        assert batch.y is not None
        target = futures(self.model.of_targets(batch.x), batch.lengths, batch.y)
        teacher = None
        if self.model.training:
            known = self._filled(target)
            teacher = TeacherForcing(known, self.teacher_forcing, self.generator)
        change = self.dropout.of_code if self.dropout.code and self.model.training else None
        output = self.model.decode_by_step(name, read, batch.lengths, teacher, change)
        lengths = None if batch.lengths is None else batch.lengths * target.shape[2]
        return output.flatten(1, 2), target.flatten(1, 2), lengths, weights_by_step(batch)

    def _terms(
        self,
        name: str,
        output: Tensor,
        target: Tensor,
        lengths: Tensor | None,
        weights: Tensor | None,
    ) -> dict[str, Term]:
        """Compute loss and metrics of one decoder's output (B, T, F).

        `weights` broadcast to the output. They weigh the metrics too. Missing values do not count.
        """
        known, masks = self._filled(target), self.model.encoder.fill is not None

        def term(errors: Tensor, of: Loss, weights: Tensor | None, weight: float) -> Term:
            present = present_in(target, of) if masks else None
            if present is not None:
                weights = present.to(errors) if weights is None else weights * present
            total = masked_sum(errors, lengths, weights)
            return Term(total, count_values(errors, lengths, of, present), weight)

        if name == "quantiles":
            errors = pinball(output, known, self.quantiles)
            return {f"{name}_loss": term(errors, "mse", weights, 1.0)}
        values = loss_values(output, known, self.loss, lengths)
        of_loss = term(values, self.loss, weights, self.weights.get(name, 1.0))
        terms = {f"{name}_loss": of_loss}
        prefix = f"{name}_" if len({*self.model.decoders} - {"quantiles"}) > 1 else ""
        if isinstance(self.loss, LossByFeature):
            for part, columns in self.loss.columns_by_loss.items():
                of_part = weights
                if weights is not None and weights.shape[-1] > 1:
                    of_part = weights[..., list(columns)]
                total = masked_sum(values.detach()[..., list(columns)], lengths, of_part)
                share = of_loss.size // self.loss.values_per_step * self.loss.values_of(part)
                terms[f"{prefix}{part}_loss"] = Term(total, share, 0)
        for metric_name in self.metrics:
            of_metric = weights
            if weights is not None and metric_name == "accuracy" and is_by_step(self.loss):
                of_metric = weights.mean(-1, keepdim=True)  # a step is right or wrong as a whole
            with torch.no_grad():
                errors = metric(metric_name, self.loss)(output, known)
                of = self.loss if metric_name == "accuracy" else metric_name
                terms[prefix + metric_name] = term(errors, of, of_metric, 0)
        return terms

    def _filled(self, target: Tensor) -> Tensor:
        """Replace missing values of a target (B, …, F); their losses are not counted."""
        fill = self.model.encoder.fill
        if fill is None:
            return target
        fill = self.model.of_targets(fill)
        if len(fill) != target.shape[-1]:  # the target has other quantities
            fill = fill.new_zeros(target.shape[-1])
        return filled(target, fill)

    @property
    def _other_terms(self) -> str | None:
        """What there is besides one loss of each decoder, as the end of a sentence."""
        if self.code_l1 or self.contrastive_weight or self.kl_weight is not None:
            return "the loss has terms of the code"
        if self.metrics:
            return "there are metrics"
        return "forecasts are made after every step" if self.every_step else None

    def _disturbed(self, x: Tensor) -> Tensor:
        """Apply dropout and noise to the input."""
        if self.input_dropout and x.shape[1]:
            if self.model.encoder.fill is None:
                # A table row is one step, so drop single features.
                x = x * ~self._runs(x, x.shape[2] if x.shape[1] == 1 else 1)
            else:
                x = torch.where(self._hidden(x), torch.nan, x)
        if self.input_noise:
            x = x + self.input_noise * standard_normal(x, self.generator)
        return x

    def _runs(self, x: Tensor, features: int) -> Tensor:
        """Draw the steps to drop, in runs of `mask_length`: (B, T, features), 1 or F features."""
        length = min(self.mask_length, max(1, x.shape[1] // 4))
        start_probability = 1 - (1 - self.input_dropout) ** (1 / length)
        shape = len(x), x.shape[1] + length - 1, features
        starts = bernoulli(start_probability, shape, x, self.generator)
        return starts.unfold(1, length, 1).any(-1)

    def _hidden(self, x: Tensor) -> Tensor:
        """Draw the values (B, T, F) to hide from a model that accepts missing values.

        In half of the sequences they are whole steps, in the others runs of each feature alone.
        """
        alone = self._runs(x, x.shape[2])
        if x.shape[1] == 1:
            return alone
        together = bernoulli(0.5, (len(x), 1, 1), x, self.generator)
        return torch.where(together, self._runs(x, 1), alone)


def name_single_loss(terms: dict[str, Term]) -> dict[str, Term]:
    """Rename the term with weight to "loss" if it is the only one and its weight is 1."""
    in_loss = [name for name, term in terms.items() if term.weight]
    if len(in_loss) == 1 and terms[in_loss[0]].weight == 1:
        return {"loss" if name == in_loss[0] else name: term for name, term in terms.items()}
    return terms


def weights_by_step(batch: Batch) -> Tensor | None:
    """Return the weights of the K steps after each step of a batch, which broadcast to them."""
    assert batch.y is not None
    weights, y_weights = batch.weights, batch.y_weights
    if weights is None and y_weights is None:
        return None
    one = batch.x.new_ones(1, 1, 1)
    weights, y_weights = (one if given is None else given for given in (weights, y_weights))
    if weights.shape[1] == y_weights.shape[1] == 1 and weights.shape == y_weights.shape:
        return y_weights  # of sequences or features
    features = max(weights.shape[2], y_weights.shape[2])
    weights = weights.expand(*batch.x.shape[:2], features)
    y_weights = y_weights.expand(*batch.y.shape[:2], features)
    return futures(weights, batch.lengths, y_weights).flatten(1, 2)


def futures(x: Tensor, lengths: Tensor | None, y: Tensor) -> Tensor:
    """Return the K steps (B, T, K, F) after each step of x (B, T, F) with future y (B, K, F)."""
    (batch, steps, features), horizon = x.shape, y.shape[1]
    ends = x.new_full((batch,), steps, dtype=torch.int64) if lengths is None else lengths
    indices = ends[:, None] + torch.arange(horizon, device=x.device)
    joined = torch.nn.functional.pad(x, (0, 0, 0, horizon))
    joined = joined.scatter(1, indices[:, :, None].expand(-1, -1, features), y)
    after = 1 + torch.arange(steps, device=x.device)[:, None]
    return joined[:, after + torch.arange(horizon, device=x.device)]


@contextmanager
def dropping(model: Autoencoder, dropout: Dropout) -> Iterator[None]:
    """Apply dropout in the layers of a model while the context is active.

    In a model whose encoder is an LSTM, dropout acts in LSTM layers only. The share of the code has
    no effect here.
    """
    parts: list[Any] = [module for module in model.modules() if hasattr(module, "dropout")]
    if isinstance(model.encoder, LSTMEncoder):
        parts = [part for part in parts if isinstance(part, LSTM)]
    for part in parts:
        part.dropout = dropout
    try:
        yield
    finally:
        for part in parts:
            part.dropout = None
