"""Convolutions over the steps of sequences, in front of an LSTM."""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool._padding import without_padding
from unspool.lstm import dense
from unspool.nn.dense import make_activation

LOWEST = -3e38  # lower than every value that is pooled


class StepConvolution(nn.Module):
    """A convolution over the steps that are given, without padding.

    In inference mode the output does not depend on the other sequences of the batch, to the last
    bit.

    Parameters
    ----------
    inputs, outputs : int
        Numbers per step.
    kernel : int
        Width of the kernel in steps.
    generator : torch.Generator, optional
        Random number generator for the initial weights, which are Glorot-uniform as in Keras.
        Default: PyTorch's global one.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, generator: Generator | None = None
    ) -> None:
        super().__init__()
        self.out_channels, self.kernel_size = outputs, (kernel,)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (B, T, inputs) to sequences (B, T - kernel + 1, outputs)."""
        if torch.is_inference_mode_enabled():
            pieces = x.unfold(1, self.kernel_size[0], 1).flatten(2)
            return dense.linear(pieces, self.weight.flatten(1), self.bias)
        read = x.transpose(1, 2)
        return functional.conv1d(read, self.weight, self.bias).transpose(1, 2)


class StepPool(nn.Module):
    """Max pooling of blocks of steps, the last of which may be incomplete.

    Parameters
    ----------
    kernel_size : int
        Number of steps of a block.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (B, T, F) to the maxima (B, P, F) of their blocks."""
        x = functional.pad(x, (0, 0, 0, -x.shape[1] % self.kernel_size), value=LOWEST)
        return x.reshape(len(x), -1, self.kernel_size, x.shape[2]).amax(2)


class StepConvolutions(nn.ModuleList):
    """Convolutions, each followed by an activation and by max pooling.

    Steps past the end of a sequence are zeros before each convolution, and no pooling reads them,
    so that padding changes nothing.

    Parameters
    ----------
    part : unspool.blueprint.StepConvolutions
        Sizes, padding and activation.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.
    """

    def __init__(self, part: plan.StepConvolutions, generator: Generator | None = None) -> None:
        channels = [part.inputs, *part.filters]
        super().__init__(
            StepConvolution(wide, narrow, kernel, generator)
            for wide, narrow, kernel in zip(channels, part.filters, part.kernels, strict=False)
        )
        self.part = part
        self.activation = make_activation(part.activation)
        self.pools = nn.ModuleList(map(StepPool, part.pools))

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the outputs (B, P, filters) for sequences (B, T, F), and the new lengths (B,).

        `lengths` None means that all steps are real.
        """
        part = self.part
        if not x.shape[1]:
            return x.new_zeros(len(x), 0, part.filters[-1]), lengths
        if part.shortens and lengths is None:
            lengths = torch.full((len(x),), x.shape[1], device=x.device)
        for depth, convolution in zip(range(len(part.filters)), self, strict=False):
            before, after = part.edges(depth)
            x = functional.pad(without_padding(x, lengths), (0, 0, before, after))
            x = self.activation(convolution(x))
            if lengths is not None and part.shortens:
                lengths = (lengths - part.surplus(depth)).clamp(min=0)
            size = part.pools[depth]
            if size > 1:
                x = without_padding(x, lengths, LOWEST)
                x = self.pools[depth](x)
                if lengths is not None:
                    total = lengths + part.rounding(depth)
                    lengths = total.div(size, rounding_mode="floor")
        return without_padding(x, lengths), lengths
