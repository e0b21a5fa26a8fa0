"""Convolutions over the steps of a sequence, which an LSTM reads instead of the steps."""

from dataclasses import dataclass
from itertools import pairwise

from unspool._types import ActivationName, ConvPaddingName
from unspool.blueprint.layers import Weights


@dataclass(frozen=True)
class StepConvolutions:
    """Convolutions, each followed by an activation and by max pooling.

    Steps past the end of a sequence are zeros before each convolution, and no pooling reads them.

    Parameters
    ----------
    inputs : int
        Numbers per step that the first one reads.
    filters, kernels, pools : tuple of int
        Number of channels after each convolution, width of its kernel and of its pooling, in steps.
    activation : str
    padding : {"same", "causal", "valid"}
        Zeros on both sides of a sequence, zeros before it, or none.
    """

    inputs: int
    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    pools: tuple[int, ...]
    activation: ActivationName = "relu"
    padding: ConvPaddingName = "same"

    @property
    def by_step(self) -> bool:
        """Whether there is an output for each step, which no later step changes."""
        return self.padding == "causal" and set(self.pools) == {1}

    @property
    def shortens(self) -> bool:
        """Whether only kernels and pools within a sequence count.

        A sequence of n steps then has n - kernel + 1 steps after a convolution, and a pooling
        leaves out an incomplete block. Otherwise it keeps n steps, and poolings round up.
        """
        return self.padding == "valid"

    def edges(self, depth: int) -> tuple[int, int]:
        """Return the numbers of zeros before and after the steps of a batch.

        The number of steps of the batch stays the same. If the convolution shortens sequences, its
        last outputs are past their ends.
        """
        missing = self.kernels[depth] - 1
        before = {"same": missing // 2, "causal": missing, "valid": 0}[self.padding]
        return before, missing - before

    def surplus(self, depth: int) -> int:
        """Return the number of steps by which a convolution shortens a sequence."""
        return self.kernels[depth] - 1 if self.shortens else 0

    def rounding(self, depth: int) -> int:
        """Return what is added to a number of steps before it is divided by the pool."""
        return 0 if self.shortens else self.pools[depth] - 1

    def weights(self) -> Weights:
        """Yield the names and shapes of the weights."""
        channels = pairwise([self.inputs, *self.filters])
        for depth, ((wide, narrow), kernel) in enumerate(zip(channels, self.kernels, strict=True)):
            yield f"{depth}.weight", (narrow, wide, kernel)
            yield f"{depth}.bias", (narrow,)
