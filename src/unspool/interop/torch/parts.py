"""A model in parts that PyTorch has, written so that `torch.fx` can trace it.

`Whole` runs an encoder and decoders, as `unspool.nn` does. It has no loop and no branch that
depends on data, and its leaves are `nn.LSTM`, `nn.Linear`, `nn.Conv2d` and activations: what a
trace leaves over knows nothing of this file.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.blueprint.layers import sizes
from unspool.blueprint.parts import projects
from unspool.interop.torch.layers import (
    Batch,
    Kernels,
    Layers,
    State,
    convolutions,
    head,
    patched,
    places,
    same,
    up_to,
)
from unspool.interop.torch.skip import Skip, normalised
from unspool.nn.dense import ACTIVATIONS


class Encoder(nn.Module):
    """What leads from features to the code, as in `unspool.nn.Encoder`."""

    def __init__(self, part: plan.Encoder) -> None:
        super().__init__()
        self.projection = nn.Linear(part.features, part.latent_dim) if projects(part) else None

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """Features (B, S) of sequences (B, T, F), zeros in their padding."""
        raise NotImplementedError

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Codes (B, L) of sequences (B, T, F), zeros in their padding."""
        features = self.features(x, batch)
        return features if self.projection is None else self.projection(features)


class LSTMEncoder(Encoder):
    """LSTM layers whose states are pooled, with random kernels beside them."""

    def __init__(self, part: plan.LSTMEncoder) -> None:
        super().__init__(part)
        self.part, self.lstm = part, Layers(part.lstm, holds=part.whole_state)
        self.kernels = None if part.kernels is None else Kernels(part.kernels)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """The pooled states of the last layer, or h and c of all."""
        size, given = self.part.patch_size, batch
        x = normalised(x, given, self.part.normalization)
        batch = given.in_patches(size)
        states, every = self.lstm(patched(x, size), batch)
        if self.part.whole_state:
            return torch.cat([batch.last(h) for h, _ in every] + [c for _, c in every], 1)
        last = torch.cat([batch.last(h) for h, _ in every[-self.part.lstm.directions :]], 1)
        found = [
            last if name == "last" else batch.over(name, states) for name in self.part.statistics
        ]
        if self.kernels is not None:
            found.append(self.kernels(x, given))
        return torch.cat(found, 1)


class DenseEncoder(Encoder):
    """Dense layers on a whole sequence."""

    def __init__(self, part: plan.DenseEncoder) -> None:
        super().__init__(part)
        self.steps, self.layers = part.steps, head(part.layers)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """What the last layer makes of sequences."""
        features: Tensor = self.layers(up_to(self.steps, x).flatten(1))
        return features


class ConvEncoder(Encoder):
    """Convolutions, each followed by a pool."""

    def __init__(self, part: plan.ConvEncoder) -> None:
        super().__init__(part)
        self.part, self.activation = part, ACTIVATIONS[part.activation]()
        self.convolutions = convolutions([part.n_features, *part.filters], part.kernel)
        self.pool = nn.MaxPool2d(part.pool, ceil_mode=True)

    def features(self, x: Tensor, batch: Batch) -> Tensor:
        """The last map of sequences, flattened as (H, W, filters)."""
        images = up_to(self.part.max_steps, x).reshape(-1, *self.part.shape, self.part.n_features)
        for convolution in self.convolutions:
            maps = self.activation(same(convolution, images, self.part.kernel))
            images = self.pool(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return images.flatten(1)


class LSTMDecoder(nn.Module):
    """LSTM layers with dense layers on every step; see `unspool.nn.LSTMDecoder`."""

    def __init__(self, part: plan.LSTMDecoder) -> None:
        super().__init__()
        self.part, self.kind = part, part.kind
        self.lstm = Layers(part.lstm)
        state = part.lstm.whole_state
        self.start = nn.Linear(part.latent_dim, state) if part.starts else None
        self.head = head(part.head)

    def forward(
        self, code: Tensor, steps: int, batch: Batch | None, backwards: Tensor | None
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L); without a `batch` all steps are real ones.

        `backwards` (B, T, F) is the encoder's input turned round.
        """
        if self.kind.flat:
            states, _ = self.lstm(self._pieces(code))
            sequences: Tensor = self.head(states[:, -1])
            return sequences[:, :steps]
        size = self.part.patch_size
        count = (steps + (size - 1)) // size
        if self.kind.reads == "previous":
            return self._one_by_one(code, count)[:, :steps]
        by_patch = None if batch is None else batch.in_patches(size)
        states, _ = self.lstm(self._read(code, count, backwards), by_patch, self._state(code))
        sequences = self.head(states)
        if size > 1:
            sequences = sequences.flatten(1, 2)[:, :steps]
        if self.part.reverse_target:
            assert batch is not None  # only a reconstruction is written backwards
            return batch.reversed(sequences)
        return sequences

    def _one_by_one(self, code: Tensor, count: int) -> Tensor:
        """Each patch is fed to the next: a trace has as many calls as there are patches."""
        size, features = self.part.patch_size, self.part.n_features
        read = code.new_zeros(code.shape[0], 1, size * features)
        state, sequence = self._state(code), []
        for _ in range(count):
            states, every = self.lstm(self._beside_context(code, read, 1), None, state)
            state = torch.stack([h[:, -1] for h, _ in every]), torch.stack([c for _, c in every])
            written = self.head(states)
            sequence.append(written.flatten(1, 2) if size > 1 else written)
            read = written.flatten(1).unsqueeze(1)
        return torch.cat(sequence, 1)

    def _read(self, code: Tensor, count: int, backwards: Tensor | None) -> Tensor:
        """What the LSTM reads at its steps, (B, count, ·)."""
        if self.kind.code == "steps":
            return self._pieces(code)[:, :count]
        read = None
        if self.kind.reads is not None:
            assert backwards is not None
            read = patched(backwards, self.part.patch_size)
            read = functional.pad(read, (0, 0, 0, count))[:, :count]
        elif self.part.reads_place:
            read = places(code[:, :1].expand(-1, count)).type_as(code)
        return self._beside_context(code, read, count)

    def _beside_context(self, code: Tensor, read: Tensor | None, count: int) -> Tensor:
        columns = [] if read is None else [read]
        if self.kind.code == "context":
            columns.append(code.unsqueeze(1).expand(-1, count, -1))
        if not columns:  # nothing is read, which is here a column of zeros
            columns.append(code.new_zeros(code.shape[0], count, 1))
        return torch.cat(columns, 2)

    def _state(self, code: Tensor) -> State | None:
        if self.kind.code != "state":
            return None
        whole = code if self.start is None else self.start(code)
        lstm = self.part.lstm
        halves = whole.reshape(-1, 2, lstm.num_layers * lstm.directions, lstm.units)
        turned = halves.permute(1, 2, 0, 3).contiguous()
        return turned[0], turned[1]

    def _pieces(self, code: Tensor) -> Tensor:
        count, width = self.part.pieces, self.part.lstm.inputs
        missing = count * width - self.part.latent_dim
        return functional.pad(code, (0, missing)).reshape(-1, count, width)


class DenseDecoder(nn.Module):
    """Dense layers that give all steps at once."""

    def __init__(self, part: plan.DenseDecoder) -> None:
        super().__init__()
        self.head = head(part.head)

    def forward(
        self, code: Tensor, steps: int, batch: Batch | None, backwards: Tensor | None
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L)."""
        sequences: Tensor = self.head(code)
        return sequences[:, :steps]


class ConvDecoder(nn.Module):
    """Convolutions, before all but the first an enlargement."""

    def __init__(self, part: plan.ConvDecoder) -> None:
        super().__init__()
        self.part = part
        height, width, filters = part.map_shape
        flat = height * width * filters
        self.start = nn.Linear(part.latent_dim, flat) if part.starts else None
        self.convolutions = convolutions(part.channels, part.kernel)
        self.enlarge = nn.Upsample(scale_factor=tuple(map(float, part.pool)))
        self.activation = ACTIVATIONS[part.activation]()
        self.output_activation = ACTIVATIONS[part.output_activation]()

    def forward(
        self, code: Tensor, steps: int, batch: Batch | None, backwards: Tensor | None
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L)."""
        if self.start is not None:
            code = self.activation(self.start(code))
        first, *others = self.convolutions
        *larger, _ = sizes(self.part.shape, self.part.pool, len(self.part.filters))
        images = same(first, code.reshape(-1, *self.part.map_shape), self.part.kernel)
        for convolution, (height, width) in zip(others, reversed(larger), strict=True):
            maps = self.activation(images).permute(0, 3, 1, 2)
            images = same(convolution, self.enlarge(maps).permute(0, 2, 3, 1), self.part.kernel)
            images = images[:, :height, :width]
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


class Whole(nn.Module):
    """An encoder with its decoders or classes, in the units of the data.

    Parameters
    ----------
    part : Blueprint
    bare : bool
        Give codes and nothing else.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, part: plan.Blueprint, *, bare: bool) -> None:
        super().__init__()
        self.part, self.bare = part, bare
        features = part.encoder.n_features
        self.register_buffer("shift", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(features, dtype=torch.float64))
        self.encoder = ENCODERS[type(part.encoder)](part.encoder)
        decoders = {} if bare else part.decoders
        self.decoders = nn.ModuleDict({n: DECODERS[type(p)](p) for n, p in decoders.items()})
        self.skip = None if bare or part.skip is None else Skip(part.skip)
        self.head = None if bare or part.head is None else head(part.head)

    def forward(self, x: Tensor, lengths: Tensor) -> Any:
        """Codes, or a dict of them and what is made of them; see `unspool.interop.torch`."""
        self._check(x.shape[1])
        batch = Batch.of(x, lengths)
        scaled = ((x - self.shift) / self.scale).type_as(next(self.encoder.parameters()))
        scaled = torch.where(batch.inside.unsqueeze(2), scaled, 0.0)
        code = self.encoder(scaled, batch)
        if self.bare:
            return code
        backwards, found = batch.reversed(scaled), {"code": code}
        for name, decoder in self.decoders.items():
            if name == "forecast":
                ahead = decoder(code, self.part.horizon, None, backwards)
                ahead = ahead if self.skip is None else self.skip(ahead, scaled, batch)
                found[name] = self._undo(ahead)
            elif name == "quantiles":
                ahead = decoder(code, self.part.horizon, None, None)
                ahead = ahead.unflatten(2, (self.part.encoder.n_features, -1)).sort(3)[0]
                if self.skip is not None:
                    ahead = self.skip.quantiles(ahead, scaled, batch)
                found[name] = self._undo(ahead.transpose(2, 3)).transpose(2, 3)
            else:
                again = self._undo(decoder(code, x.shape[1], batch, backwards))
                found[name] = torch.where(batch.inside.unsqueeze(2), again, 0.0)
        if self.head is not None:
            found["probabilities"] = torch.softmax(self.head(code), -1)
        return found

    def _check(self, steps: int) -> None:
        parts: list[Any] = [self.part.encoder]
        if "reconstruction" in self.decoders:
            parts.append(self.part.decoders["reconstruction"])
        bounds = [part.max_steps for part in parts if part.max_steps is not None]
        if bounds:
            most = min(bounds)
            complaint = f"Expected sequences of at most {most} steps, got more."
            torch._assert(steps <= most, complaint)  # type: ignore[no-untyped-call]

    def _undo(self, scaled: Tensor) -> Tensor:
        return scaled * self.scale + self.shift
