"""Masked blocks of the input: how long they are, how much they cover, and where."""

from itertools import groupby

import pytest
import torch

from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
from unspool.training.objective import AutoencoderLoss

N, F = 3000, 2


def disturbed(steps, dropout=0.15, length=8, seed=0):
    """What is read of sequences of ones, (N, T, F)."""
    encoder, decoder = LSTMEncoder(F, 3), LSTMDecoder("repeat", 3, F)
    objective = AutoencoderLoss(
        Autoencoder(encoder, {"reconstruction": decoder}),
        input_dropout=dropout,
        mask_length=length,
        generator=torch.Generator().manual_seed(seed),
    )
    return objective._disturbed(torch.ones(N, steps, F))


def runs_inside(masked):
    """Lengths of the runs of masked steps that touch neither end of their sequence."""
    found = []
    for row in masked.tolist():
        runs = [(gone, len(list(run))) for gone, run in groupby(row)]
        found += [length for gone, length in runs[1:-1] if gone]
    return found


@pytest.mark.parametrize(
    ("steps", "length", "shortest"),
    [(40, 8, 8), (32, 8, 8), (31, 8, 7), (12, 8, 3), (7, 8, 1), (3, 8, 1), (40, 1, 1), (40, 3, 3)],
)
def test_masked_blocks_have_mask_length_but_at_most_a_quarter_of_the_steps(steps, length, shortest):
    read = disturbed(steps, length=length)
    masked = (read == 0).all(2)
    assert ((read == 0) == masked[..., None]).all()
    assert min(runs_inside(masked)) == shortest


@pytest.mark.parametrize("dropout", [0.15, 0.5])
@pytest.mark.parametrize("steps", [2, 12, 40])
def test_every_step_is_masked_equally_often(steps, dropout):
    shares = (disturbed(steps, dropout) == 0)[..., 0].double().mean(0)
    assert shares.mean().item() == pytest.approx(dropout, abs=0.02)
    assert (shares - dropout).abs().max() < 0.04


def test_single_values_of_a_table_row_are_masked():
    read = disturbed(1)
    assert torch.equal(read, disturbed(1, length=1))
    gone = (read == 0)[:, 0].double()
    assert gone.mean().item() == pytest.approx(0.15, abs=0.02)
    assert (gone.sum(1) == 1).any()


def test_the_same_seed_draws_the_same_masks():
    assert torch.equal(disturbed(40), disturbed(40))
    assert not torch.equal(disturbed(40), disturbed(40, seed=1))


def test_a_batch_of_empty_sequences_is_not_masked():
    assert disturbed(0).shape == (N, 0, F)
