"""A contrastive loss: codes of two crops of a sequence are alike, those of others are not."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

MIN_CROP = 0.5  # share of its sequence that a crop has at least
TEMPERATURE = 0.2


def crops(
    x: Tensor, lengths: Tensor | None, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw a run of consecutive steps of every sequence.

    Parameters
    ----------
    x : tensor of shape (B, T, F)
    lengths : whole-number tensor of shape (B,), optional

    Returns
    -------
    tensor of shape (B, T, F), tensor of shape (B,)
        Crops of at least half of a sequence, zeros past their ends; and their lengths.
    """
    (batch, steps, _), device = x.shape, x.device
    ends = torch.full((batch,), steps) if lengths is None else lengths.cpu()
    drawn = torch.rand(2, batch, generator=generator, dtype=torch.float32)
    kept = ((MIN_CROP + (1 - MIN_CROP) * drawn[0]) * ends).ceil().long()
    first = (drawn[1] * (ends - kept + 1)).long()
    places = torch.arange(steps) + first[:, None]
    inside = (torch.arange(steps) < kept[:, None]).to(device)
    places = places.clamp(max=max(steps - 1, 0)).to(device)
    taken = x.gather(1, places[..., None].expand_as(x))
    return taken.masked_fill(~inside[..., None], 0), kept.to(device)


def contrastive_sum(first: Tensor, second: Tensor) -> Tensor:
    """The normalised temperature-scaled cross-entropy of codes (B, L), added up over 2 B codes.

    The code of the other crop of a sequence is to be told from the codes of both crops of all
    other sequences, by the cosine of the angle between them. With a single sequence it is 0.

    Source: Chen, Kornblith, Norouzi & Hinton 2020, "A Simple Framework for Contrastive Learning of
    Visual Representations", equation 1; crops as positives as in Franceschi, Dieuleveut & Jaggi
    2019, "Unsupervised Scalable Representation Learning for Multivariate Time Series".
    """
    count = len(first)
    codes = functional.normalize(torch.cat([first, second]), dim=1)
    alike = codes @ codes.T / TEMPERATURE
    alike = alike.masked_fill(
        torch.eye(2 * count, dtype=torch.bool, device=codes.device), -torch.inf
    )
    partner = torch.arange(2 * count, device=codes.device).roll(count)
    return functional.cross_entropy(alike, partner, reduction="sum")
