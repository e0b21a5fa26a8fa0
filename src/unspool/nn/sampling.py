"""Random numbers, and samples from outputs that are probabilities."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from unspool._loss_parameter import CROSSENTROPIES, Loss, LossByFeature
from unspool._losses import MIN_PROBABILITY
from unspool.errors import InputError


def standard_normal(like: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw standard normal numbers with shape, dtype and device of `like`.

    All random numbers are drawn on the CPU in float32, so that they are the same on all devices.
    """
    drawn = torch.empty(like.shape, dtype=torch.float32, device="cpu")
    return drawn.normal_(generator=generator).to(like)


def bernoulli(
    probability: float, shape: Sequence[int], like: Tensor, generator: Generator | None = None
) -> Tensor:
    """Draw booleans of `shape`, each True with `probability`, on the device of `like`."""
    drawn = torch.rand(*shape, generator=generator, dtype=torch.float32, device="cpu")
    return (drawn < probability).to(like.device)


def bernoulli_of_many(
    probability: float, shape: Sequence[int], like: Tensor, generator: Generator | None = None
) -> Tensor:
    """Draw booleans like `bernoulli`, but faster, with a probability rounded to 1 / 65,536.

    Each 64 random bits decide four values.
    """
    count = math.prod(shape)
    bits = torch.empty(-(-count // 4), dtype=torch.int64, device="cpu")
    bits.random_(-(2**63), None, generator=generator)
    limit = round(probability * 2**16) - 2**15
    return (bits.view(torch.int16)[:count] < limit).view(*shape).to(like.device)


def sampler(
    loss: Loss, temperature: float, generator: Generator | None = None
) -> Callable[[Tensor], Tensor]:
    """Create a function that draws values (…, F) from probabilities (…, F).

    Parameters
    ----------
    loss : {"binary_crossentropy", "categorical_crossentropy"}, LossByFeature or LossFunction
        Loss of the outputs: with the first, each feature is drawn as 0 or 1; with the second, one
        of the features is drawn as 1.
    temperature : float
        Divisor of the log-odds: 1 samples from the probabilities, smaller values prefer the most
        likely outcome, and 0 always returns it.
    generator : torch.Generator, optional
        Random number generator on the CPU. Default: PyTorch's global one.

    Raises
    ------
    InputError
        If `loss` is another loss, whose outputs are not probabilities.
    """
    if loss not in CROSSENTROPIES:
        trained = "a loss by feature" if isinstance(loss, LossByFeature) else f"loss={loss!r}"
        raise InputError(
            "`temperature` needs outputs that are probabilities (a cross-entropy loss), but this "
            f"model was trained with {trained}. Leave `temperature` out, or decode codes with "
            "`inverse_transform`."
        )
    categorical = loss == "categorical_crossentropy"

    def draw(probability: Tensor) -> Tensor:
        logs = probability.clamp(MIN_PROBABILITY, 1).log()
        if categorical:
            if temperature:
                probabilities = functional.softmax(logs / temperature, -1).cpu()
                probabilities = probabilities.reshape(-1, logs.shape[-1])
                picked = torch.multinomial(probabilities, 1, generator=generator).to(logs.device)
                picked = picked.view(logs.shape[:-1])
            else:
                picked = logs.argmax(-1)
            return functional.one_hot(picked, logs.shape[-1]).to(probability)
        if not temperature:
            return (probability > 0.5).to(probability)
        odds = logs - (1 - probability).clamp(MIN_PROBABILITY, 1).log()
        adjusted = torch.sigmoid(odds / temperature).cpu()
        return torch.bernoulli(adjusted, generator=generator).to(probability)

    return draw
