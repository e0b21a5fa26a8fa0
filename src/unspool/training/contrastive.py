"""Contrastive loss: two crops of a sequence should have similar codes, other crops should not."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

MIN_CROP = 0.5  # minimum length of a crop, relative to its sequence
TEMPERATURE = 0.2


def crops(
    x: Tensor, lengths: Tensor | None, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw a random crop, a run of consecutive steps, from every sequence.

    Parameters
    ----------
    x : tensor of shape (B, T, F)
        Sequences.
    lengths : int tensor of shape (B,), optional
        Number of real steps of each sequence. Default: all steps are real.
    generator : torch.Generator, optional
        Random number generator on the CPU. Default: PyTorch's global one.

    Returns
    -------
    crops : tensor of shape (B, T, F)
        Crops of at least half of each sequence, padded with zeros.
    lengths : tensor of shape (B,)
        Lengths of the crops.
    """
    (batch, steps, _), device = x.shape, x.device
    ends = torch.full((batch,), steps) if lengths is None else lengths.cpu()
    drawn = torch.rand(2, batch, generator=generator, dtype=torch.float32)
    kept = ((MIN_CROP + (1 - MIN_CROP) * drawn[0]) * ends).ceil().long()
    first = (drawn[1] * (ends - kept + 1)).long()
    indices = torch.arange(steps) + first[:, None]
    inside = (torch.arange(steps) < kept[:, None]).to(device)
    indices = indices.clamp(max=max(steps - 1, 0)).to(device)
    taken = x.gather(1, indices[..., None].expand_as(x))
    return taken.masked_fill(~inside[..., None], 0), kept.to(device)


def contrastive_sum(first: Tensor, second: Tensor, weights: Tensor | None = None) -> Tensor:
    """Sum the normalised temperature-scaled cross-entropy of codes (B, L) of two crops each.

    Each code must identify, by cosine similarity, the code of the other crop of its sequence among
    the codes of all other crops. The loss of a single sequence is 0. `weights` (B,) multiply the
    losses of both crops of a sequence.

    Chen, Kornblith, Norouzi & Hinton 2020, "A Simple Framework for Contrastive Learning of Visual
    Representations", equation 1. Crops are positive pairs as in Franceschi, Dieuleveut & Jaggi
    2019, "Unsupervised Scalable Representation Learning for Multivariate Time Series".
    """
    count = len(first)
    codes = functional.normalize(torch.cat([first, second]), dim=1)
    similarity = codes @ codes.T / TEMPERATURE
    similarity = similarity.masked_fill(
        torch.eye(2 * count, dtype=torch.bool, device=codes.device), -torch.inf
    )
    partner = torch.arange(2 * count, device=codes.device).roll(count)
    if weights is None:
        return functional.cross_entropy(similarity, partner, reduction="sum")
    losses = functional.cross_entropy(similarity, partner, reduction="none")
    return (losses * weights.repeat(2)).sum()
