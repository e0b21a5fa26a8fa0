"""A model of one number, for which every step of training can be worked out by hand."""

import numpy as np
import torch
from torch import nn

from unspool import Sequences
from unspool.data.scaling import Scaler
from unspool.training.batches import Batches
from unspool.training.objective import Term

CPU = torch.device("cpu")


class Number(nn.Module):
    """Predicts the same number everywhere; the loss is the squared distance from it."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))

    def objective(self, batch):
        distance = (batch.x - self.value) ** 2
        if batch.lengths is not None:
            distance = distance[torch.arange(batch.x.shape[1]) < batch.lengths[:, None]]
        return {"loss": Term(distance.sum(), distance.numel())}


def batches(values, size=2, rng=None, lengths=None):
    source = Sequences(np.asarray(values, np.float64)[:, :, None], lengths)
    plain = Scaler(np.zeros(1), np.ones(1))
    return Batches(source, plain, np.arange(len(source)), size, CPU, rng)


def sgd(model, rate=0.1):
    return torch.optim.SGD(model.parameters(), rate)
