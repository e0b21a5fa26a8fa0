"""The contrastive loss: crops step by step, the loss against loops, and where it appears."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from tests.estimators.quick import quick, sines
from unspool import Sequences
from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
from unspool.training.batches import Batch
from unspool.training.contrastive import TEMPERATURE, contrastive_sum, crops
from unspool.training.loop import weighted
from unspool.training.objective import AutoencoderLoss

T = 12


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def counted(n, steps=T):
    """Sequences whose values say which sequence and which step they are of; no value is 0."""
    return (1000 * torch.arange(1, n + 1)[:, None] + torch.arange(1, steps + 1)).float()[..., None]


def model():
    encoder = LSTMEncoder(1, 3, generator=generator())
    return Autoencoder(encoder, {"reconstruction": LSTMDecoder("repeat", 3, 1)}).train()


@pytest.mark.parametrize("lengths", [None, torch.arange(600) % (T + 1)], ids=["full", "ragged"])
def test_a_crop_is_a_run_of_at_least_half_of_the_steps_of_its_sequence(lengths):
    x = counted(600)
    cropped, kept = crops(x, lengths, generator())
    ends = torch.full((600,), T) if lengths is None else lengths
    assert cropped.shape == x.shape
    assert ((2 * kept >= ends) & (kept <= ends)).all()
    for own, crop, length, end in zip(x, cropped, kept.tolist(), ends.tolist(), strict=True):
        first = int(crop[0] % 1000) - 1 if length else 0
        assert first + length <= end
        assert torch.equal(crop[:length], own[first : first + length])
        assert not crop[length:].any()


def test_crops_of_every_length_from_the_first_step_to_the_last():
    cropped, kept = crops(counted(600), None, generator())
    firsts = (cropped[:, 0, 0] % 1000).long()
    assert set(kept.tolist()) == set(range(T // 2 + 1, T + 1))
    assert (firsts == 1).any()
    assert ((firsts + kept == T + 1) & (firsts > 1)).any()
    assert len(set(firsts.tolist())) == T - T // 2


def test_sequences_of_at_most_one_step_are_their_own_crops():
    x = counted(2)
    cropped, kept = crops(x, torch.tensor([0, 1]), generator())
    assert kept.tolist() == [0, 1]
    assert torch.equal(cropped[1, 0], x[1, 0])
    assert cropped.count_nonzero() == 1
    cropped, kept = crops(torch.zeros(3, 0, 1), None, generator())
    assert (cropped.shape, kept.tolist()) == ((3, 0, 1), [0, 0, 0])


def test_the_same_seed_draws_the_same_crops():
    one, same, other = (crops(counted(9), None, generator(seed)) for seed in (0, 0, 1))
    assert all(map(torch.equal, one, same))
    assert not torch.equal(one[0], other[0])


def by_hand(first, second):
    """For each code, less the log of the share that its partner has of all others."""
    codes = np.concatenate([first, second])
    total, n = 0.0, len(first)
    for i, code in enumerate(codes):
        alike = {
            j: np.exp(code @ other / np.linalg.norm(code) / np.linalg.norm(other) / TEMPERATURE)
            for j, other in enumerate(codes)
            if j != i
        }
        total -= np.log(alike[(i + n) % (2 * n)] / sum(alike.values()))
    return total


@pytest.mark.parametrize("n", [2, 7])
def test_the_loss_equals_equation_1_of_the_paper(n):
    first, second = np.random.default_rng(n).normal(size=(2, n, 5)) * [1, 2, 3, 4, 5]
    got = contrastive_sum(torch.from_numpy(first), torch.from_numpy(second))
    assert_close("contrastive", by_hand(first, second), got)


def test_the_loss_of_a_single_sequence_is_0():
    codes = torch.randn(2, 1, 5, generator=generator(), requires_grad=True)
    loss = contrastive_sum(*codes)
    loss.backward()
    assert loss.item() == 0
    assert not codes.grad.any()


def test_the_term_is_the_loss_of_two_crops_of_the_sequences_that_have_steps():
    made, x = model(), torch.sin(counted(5))
    lengths = torch.tensor([12, 0, 1, 7, 3])
    objective = AutoencoderLoss(made, contrastive_weight=0.5, generator=generator(3))
    term = objective(Batch(x, lengths))["contrastive_loss"]
    same, real = generator(3), lengths > 0
    codes = [made.encoder(*crops(x[real], lengths[real], same)) for _ in range(2)]
    assert not torch.equal(*codes)
    assert_close("term", by_hand(*(code.detach().numpy() for code in codes)), term.total)
    assert tuple(term[1:]) == (8, 0.5)


@pytest.mark.parametrize("lengths", [[0, 0, 0], [0, 6, 0]], ids=str)
def test_fewer_than_two_sequences_with_steps_do_not_count(lengths):
    batch = Batch(torch.sin(counted(3)), torch.tensor(lengths))
    made = model()
    terms = AutoencoderLoss(made, contrastive_weight=1.0, generator=generator())(batch)
    assert terms["contrastive_loss"].size == 0
    loss, plain = weighted(terms), weighted(AutoencoderLoss(made)(batch))
    assert loss == plain is None or loss.item() == pytest.approx(plain.item())


def test_evaluation_has_no_contrastive_term():
    made = model().eval()
    terms = AutoencoderLoss(made, contrastive_weight=1.0)(Batch(counted(4), None))
    assert set(terms) == {"reconstruction_loss"}


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # few epochs
def test_the_history_has_the_contrastive_loss_of_training_as_part_of_the_loss():
    lengths = np.arange(60) % 31
    X = Sequences(sines(), lengths)
    history = quick(contrastive_weight=0.5, epochs=4).fit(X).history_
    assert {name for name in history if "loss" in name} == {
        "loss", "reconstruction_loss", "contrastive_loss", "val_loss", "val_reconstruction_loss"
    }  # fmt: skip
    parts = np.array(history["reconstruction_loss"]) + 0.5 * np.array(history["contrastive_loss"])
    np.testing.assert_allclose(history["loss"], parts)
    assert history["val_loss"] == history["val_reconstruction_loss"]
    assert history["contrastive_loss"][-1] < history["contrastive_loss"][0]
    assert quick(contrastive_weight=0.5, epochs=4).fit(X).history_ == history
