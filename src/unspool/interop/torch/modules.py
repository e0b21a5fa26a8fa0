"""A model of standard PyTorch modules that `torch.fx` can trace.

`TraceableModel` computes what `unspool.nn` computes. It has no loop and no branch that depends on
data, and its leaves are `nn.LSTM`, `nn.GRU`, `nn.Linear`, `nn.Conv2d`,
`nn.ConvTranspose2d` and activations, so the
traced module does not refer to this file.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool._types import NormalizationName
from unspool.blueprint.parts import code_activation, projects
from unspool.interop.torch.layers import (
    Batch,
    Kernels,
    Layers,
    State,
    decoder_convolutions,
    encoder_convolutions,
    head,
    patched,
    positions,
    same_convolution,
    transposed_convolution,
    up_to,
)
from unspool.interop.torch.missing import filled, marked
from unspool.interop.torch.skip import Skip, level_of, normalized
from unspool.interop.torch.step_convolutions import StepConvolutions
from unspool.nn.dense import ACTIVATIONS, make_activation


class Encoder(nn.Module):
    """Base of the encoders: features, and a projection to the code."""

    fill: Tensor | None

    def __init__(self, part: plan.Encoder) -> None:
        super().__init__()
        self.projection = nn.Linear(part.features, part.latent_dim) if projects(part) else None
        self.code_activation = make_activation(code_activation(part))
        self.register_buffer("fill", torch.zeros(part.n_features) if part.missing else None)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """Return features (B, S) of sequences (B, T, F), which are zero in their padding."""
        raise NotImplementedError

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Return codes (B, L) of sequences (B, T, F), which are zero in their padding."""
        features = self.features(x, batch)
        codes = features if self.projection is None else self.projection(features)
        activated: Tensor = self.code_activation(codes)
        return activated


class LSTMEncoder(Encoder):
    """LSTM layers whose states are pooled, and random kernels."""

    def __init__(self, part: plan.LSTMEncoder) -> None:
        super().__init__(part)
        self.part, self.lstm = part, Layers(part.lstm, holds_state=part.whole_state)
        self.kernels = None if part.kernels is None else Kernels(part.kernels)
        self.convolutions = None
        if part.convolutions is not None:
            self.convolutions = StepConvolutions(part.convolutions)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the pooled states of the last layer, or h and c of all layers."""
        size = self.part.patch_size
        by_patch, fill = batch.in_patches(size), self.fill
        read = normalized(x, batch, self.part.normalization, fill)
        if fill is not None and self.part.normalization != "none":
            fill = torch.zeros_like(fill)
        read = patched(marked(read, fill), size)
        if self.convolutions is not None:
            read, by_patch = self.convolutions(read, by_patch)
        states, layers = self.lstm(read, by_patch)
        if self.part.whole_state:
            cells = [c for _, *rest in layers for c in rest]
            return torch.cat([by_patch.last(h) for h, *_ in layers] + cells, 1)
        last_layer = layers[-self.part.lstm.directions :]
        last = torch.cat([by_patch.last(h) for h, *_ in last_layer], 1)
        features = [
            last if name == "last" else by_patch.pooled(name, states)
            for name in self.part.statistics
        ]
        if self.kernels is not None:
            features.append(self.kernels(filled(x, self.fill), batch))
        return torch.cat(features, 1)


class DenseEncoder(Encoder):
    """Dense layers over a whole sequence."""

    def __init__(self, part: plan.DenseEncoder) -> None:
        super().__init__(part)
        self.steps, self.layers = part.steps, head(part.layers)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the outputs of the last layer."""
        whole = up_to(self.steps, marked(x, self.fill))
        features: Tensor = self.layers(whole.flatten(1))
        return features


class ConvEncoder(Encoder):
    """Convolutions, each followed by max pooling."""

    def __init__(self, part: plan.ConvEncoder) -> None:
        super().__init__(part)
        self.part, self.activation = part, ACTIVATIONS[part.activation]()
        self.convolutions = encoder_convolutions(part)
        self.pools = nn.ModuleList(nn.MaxPool2d(pool, ceil_mode=True) for pool in part.layers.pools)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """Return the last map of sequences, flattened as (H, W, filters)."""
        whole = up_to(self.part.max_steps, marked(x, self.fill))
        sizes = self.part.layers.sizes[:-1]
        images = whole.reshape(-1, *sizes[0], self.part.n_inputs)
        for convolution, pool, size in zip(self.convolutions, self.pools, sizes, strict=True):
            maps = self.activation(same_convolution(convolution, images, size))
            images = pool(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return images.flatten(1)


class LSTMDecoder(nn.Module):
    """LSTM layers, and dense layers applied to every step; see `unspool.nn.LSTMDecoder`."""

    def __init__(self, part: plan.LSTMDecoder) -> None:
        super().__init__()
        self.part, self.kind = part, part.kind
        self.lstm = Layers(part.lstm)
        state = part.lstm.whole_state
        self.start = nn.Linear(part.latent_dim, state) if part.starts else None
        self.head = head(part.head)

    def forward(
        self,
        code: Tensor,
        steps: int,
        batch: Batch | None,
        reversed_x: Tensor | None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Decode codes (B, L) to sequences (B, steps, F); without `batch`, all steps are real.

        `reversed_x` (B, T, F) is the encoder's input, reversed, and `known` (B, steps, n_known)
        has the features that are known ahead.
        """
        columns = None
        if self.part.n_known:
            assert known is not None
            columns = patched(known, self.part.patch_size)
        if self.kind.flat:
            states, _ = self.lstm(_joined(self._pieces(code), columns))
            sequences: Tensor = self.head(states[:, -1])
            return sequences[:, :steps]
        size = self.part.patch_size
        count = (steps + (size - 1)) // size
        if self.kind.reads == "previous":
            return self._autoregressive(code, count, columns)[:, :steps]
        by_patch = None if batch is None else batch.in_patches(size)
        inputs = self._inputs(code, count, reversed_x, columns)
        states, _ = self.lstm(inputs, by_patch, self._state(code))
        sequences = self.head(states)
        if size > 1:
            sequences = sequences.flatten(1, 2)[:, :steps]
        if self.part.reverse_target:
            assert batch is not None  # only a reconstruction has a reversed target
            return batch.reversed(sequences)
        return sequences

    def _autoregressive(self, code: Tensor, count: int, columns: Tensor | None) -> Tensor:
        """Write patches one by one, each of which is fed to the next; a trace unrolls the loop."""
        size, features = self.part.patch_size, self.part.n_features
        inputs = code.new_zeros(code.shape[0], 1, size * features)
        state, sequence = self._state(code), []
        for i in range(count):
            reads = _joined(inputs, None if columns is None else columns[:, i : i + 1])
            states, layers = self.lstm(self._with_context(code, reads, 1), None, state)
            cells = [c for _, *rest in layers for c in rest]
            state = ([h[:, -1] for h, *_ in layers], *([cells] if cells else []))
            written = self.head(states)
            sequence.append(written.flatten(1, 2) if size > 1 else written)
            inputs = written.flatten(1).unsqueeze(1)
        return torch.cat(sequence, 1)

    def _inputs(
        self, code: Tensor, count: int, reversed_x: Tensor | None, columns: Tensor | None
    ) -> Tensor:
        """Return the inputs of the LSTM, (B, count, ·), with `columns` after what it reads."""
        if self.kind.code == "steps":
            return _joined(self._pieces(code)[:, :count], columns)
        inputs = columns
        if self.kind.reads is not None:
            assert reversed_x is not None
            inputs = patched(reversed_x, self.part.patch_size)
            inputs = _joined(functional.pad(inputs, (0, 0, 0, count))[:, :count], columns)
        elif self.part.reads_place:
            inputs = _joined(positions(code[:, :1].expand(-1, count)).type_as(code), columns)
        return self._with_context(code, inputs, count)

    def _with_context(self, code: Tensor, inputs: Tensor | None, count: int) -> Tensor:
        """Concatenate inputs and the repeated code, if the decoder reads it."""
        columns = [] if inputs is None else [inputs]
        if self.kind.repeats:
            columns.append(code.unsqueeze(1).expand(-1, count, -1))
        if not columns:  # nn.LSTM needs an input
            columns.append(code.new_zeros(code.shape[0], count, 1))
        return torch.cat(columns, 2)

    def _state(self, code: Tensor) -> State | None:
        """Return the initial state, or None for zeros."""
        if not self.kind.starts:
            return None
        whole = code if self.start is None else self.start(code)
        sizes, count = self.part.lstm.state_sizes, len(self.part.lstm.kind.states)
        pieces = whole.split(count * sizes, 1)
        each = [pieces[i].contiguous() for i in range(count * len(sizes))]  # a trace cannot iterate
        return tuple(each[i : i + len(sizes)] for i in range(0, len(each), len(sizes)))

    def _pieces(self, code: Tensor) -> Tensor:
        """Split codes into one piece per step, padded with zeros at the end."""
        count, width = self.part.pieces, self.part.piece
        missing = count * width - self.part.latent_dim
        return functional.pad(code, (0, missing)).reshape(-1, count, width)


def _joined(inputs: Tensor, columns: Tensor | None) -> Tensor:
    """Return inputs (B, P, ·), followed by further columns."""
    return inputs if columns is None else torch.cat([inputs, columns], 2)


class DenseDecoder(nn.Module):
    """Dense layers that write all steps at once."""

    def __init__(self, part: plan.DenseDecoder) -> None:
        super().__init__()
        self.n_known, self.head = part.n_known, head(part.head)

    def forward(
        self,
        code: Tensor,
        steps: int,
        batch: Batch | None,
        reversed_x: Tensor | None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Decode codes (B, L) to sequences (B, steps, F)."""
        if self.n_known:
            assert known is not None
            code = torch.cat([code, known.flatten(1)], 1)
        sequences: Tensor = self.head(code)
        return sequences[:, :steps]


class ConvDecoder(nn.Module):
    """Convolutions that enlarge a feature map."""

    def __init__(self, part: plan.ConvDecoder) -> None:
        super().__init__()
        self.part = part
        self.start = nn.Linear(part.latent_dim, part.layers.flat) if part.starts else None
        self.convolutions = decoder_convolutions(part)
        self.upsample = nn.ModuleList(
            nn.Upsample(scale_factor=tuple(map(float, layer.up))) for layer in part.convolutions
        )
        self.activation = ACTIVATIONS[part.activation]()
        self.output_activation = make_activation(part.output_activation)

    def forward(
        self, code: Tensor, steps: int, batch: Batch | None, reversed_x: Tensor | None
    ) -> Tensor:
        """Decode codes (B, L) to sequences (B, steps, F)."""
        if self.start is not None:
            code = self.activation(self.start(code))
        images = code.reshape(-1, *self.part.map_shape)
        layers = zip(self.convolutions, self.upsample, self.part.convolutions, strict=True)
        for position, (convolution, upsample, layer) in enumerate(layers):
            if position:
                images = self.activation(images)
            height, width = layer.size
            if layer.transposed:
                images = transposed_convolution(convolution, images, layer.size)
            elif layer.up == (1, 1):
                images = same_convolution(convolution, images, layer.size)
            else:
                enlarged = upsample(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
                images = same_convolution(convolution, enlarged, layer.size)[:, :height, :width]
        sequences: Tensor = self.output_activation(images.flatten(1, 2))
        return sequences[:, :steps]


ENCODERS: dict[type, type[Encoder]] = {
    plan.LSTMEncoder: LSTMEncoder,
    plan.DenseEncoder: DenseEncoder,
    plan.ConvEncoder: ConvEncoder,
}
DECODERS: dict[type, type[nn.Module]] = {
    plan.LSTMDecoder: LSTMDecoder,
    plan.DenseDecoder: DenseDecoder,
    plan.ConvDecoder: ConvDecoder,
}


class TraceableModel(nn.Module):
    """An encoder with decoders or a classifier's head, and the scaling.

    Parameters
    ----------
    part : unspool.blueprint.Blueprint
        Layers and sizes of the model.
    clip : float or None
        Largest absolute value that the encoder reads, in scaled units.
    normalization : {"none", "last", "standard"}
        How each sequence is normalised before the encoder reads it.
    encoder_only : bool
        Whether the module returns codes only.
    n_outputs : int
        Number of features, or of quantities of ``y``, that the decoders write.
    """

    shift: Tensor
    scale: Tensor
    target_shift: Tensor
    target_scale: Tensor

    def __init__(
        self,
        part: plan.Blueprint,
        clip: float | None,
        normalization: NormalizationName,
        *,
        encoder_only: bool,
        n_outputs: int,
    ) -> None:
        super().__init__()
        self.clip, self.normalization = clip, normalization
        self.part, self.encoder_only = part, encoder_only
        features = part.encoder.n_features
        self.register_buffer("shift", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        # What the decoders write may have another scaling than what the encoder reads.
        self.has_targets = not encoder_only and (n_outputs, part.targets) != (features, None)
        if self.has_targets:
            self.register_buffer("target_shift", torch.zeros(n_outputs, dtype=torch.float64))
            self.register_buffer("target_scale", torch.ones(n_outputs, dtype=torch.float64))
        self.n_outputs = n_outputs
        self.encoder = ENCODERS[type(part.encoder)](part.encoder)
        decoders = {} if encoder_only else part.decoders
        self.decoders = nn.ModuleDict({n: DECODERS[type(p)](p) for n, p in decoders.items()})
        self.skip = None if encoder_only or part.skip is None else Skip(part.skip)
        self.head = None if encoder_only or part.head is None else head(part.head)

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        """Return codes, or a dict of codes and outputs; see `to_torch`."""
        return self.run(x, lengths, None)

    def run(self, x: Tensor, lengths: Tensor, future: Tensor | None) -> Any:
        """Return codes, or a dict; `future` (B, K, n_known) has the features known ahead."""
        self._check_steps(x.shape[1])
        batch = Batch.of(x, lengths)
        scaled = ((x - self.shift) / self.scale).type_as(next(self.encoder.parameters()))
        scaled = torch.where(batch.inside.unsqueeze(2), scaled, 0.0)
        if self.clip is not None:
            scaled = scaled.clamp(-self.clip, self.clip)
        fill = self.encoder.fill
        if self.normalization != "none" and fill is not None:
            fill = torch.zeros_like(fill)
        location, spread = level_of(scaled, batch, self.normalization, fill)
        scaled = normalized(scaled, batch, self.normalization, fill)
        code = self.encoder(scaled, batch)
        if self.encoder_only:
            return code
        reversed_x, outputs = batch.reversed(marked(scaled, self.encoder.fill)), {"code": code}
        known, past = self._known(future, code), scaled
        if self.part.targets is not None:
            past = scaled[:, :, list(self.part.targets)]
        for name, decoder in self.decoders.items():
            if name == "forecast":
                ahead = decoder(code, self.part.horizon, None, reversed_x, known)
                ahead = ahead if self.skip is None else self.skip(ahead, past, batch)
                outputs[name] = self._unscaled(ahead)
            elif name == "quantiles":
                ahead = decoder(code, self.part.horizon, None, None, known)
                ahead = ahead.unflatten(2, (self.n_outputs, -1)).sort(3)[0]
                if self.skip is not None:
                    ahead = self.skip.quantiles(ahead, past, batch)
                outputs[name] = self._unscaled(ahead.transpose(2, 3)).transpose(2, 3)
            else:
                sequences = decoder(code, x.shape[1], batch, reversed_x)
                if self.normalization != "none":
                    sequences = sequences * spread + location
                sequences = self._unscaled(sequences)
                outputs[name] = torch.where(batch.inside.unsqueeze(2), sequences, 0.0)
        if self.head is not None:
            outputs["probabilities"] = torch.softmax(self.head(code), -1)
        return outputs

    def _check_steps(self, steps: int) -> None:
        """Refuse sequences that are longer than the model allows."""
        parts: list[Any] = [self.part.encoder]
        if "reconstruction" in self.decoders:
            parts.append(self.part.decoders["reconstruction"])
        bounds = [part.max_steps for part in parts if part.max_steps is not None]
        if bounds:
            limit = min(bounds)
            message = f"This model accepts sequences of at most {limit} steps; shorten them."
            torch._assert(steps <= limit, message)  # type: ignore[no-untyped-call]

    def _known(self, future: Tensor | None, like: Tensor) -> Tensor | None:
        """Return the scaled features that are known ahead."""
        if future is None:
            return None
        places = list(self.part.known)
        known = ((future - self.shift[places]) / self.scale[places]).type_as(like)
        return known if self.clip is None else known.clamp(-self.clip, self.clip)

    def _unscaled(self, scaled: Tensor) -> Tensor:
        if self.has_targets:
            return scaled * self.target_scale + self.target_shift
        return scaled * self.scale + self.shift


class TraceableModelWithFuture(TraceableModel):
    """The same model, with one more argument: the features that are known ahead."""

    def forward(self, x: Tensor, lengths: Tensor, future: Tensor) -> Any:  # type: ignore[override]
        """Return a dict of codes and outputs; see `to_torch`."""
        return self.run(x, lengths, future)
