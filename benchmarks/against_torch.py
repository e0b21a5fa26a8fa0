"""A training epoch of the first article's model, beside torch.nn.LSTM and a plain loop.

Both start from the same weights and see the same batches, interleaved epoch by epoch in one
process; times are told only if their losses agree over the first epoch. (Later on RMSprop makes
the last bit of a gradient count, and they drift apart.)
"""

import statistics
import time

import numpy as np
import torch
from machine import describe
from torch import nn

from unspool.data.generators import sines
from unspool.data.scaling import Scaler
from unspool.demos.sines import article
from unspool.nn.losses import LOSSES, masked_sum
from unspool.training.batches import Batches, spread
from unspool.training.loop import train
from unspool.training.optimizers import make_optimizer

EPOCHS = 13


class Plain(nn.Module):
    """The article's model as one writes it in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(1, 10, batch_first=True)
        self.decoder = nn.LSTM(11, 10, batch_first=True)
        self.head = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 1), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct x (B, T, 1)."""
        _, (code, _) = self.encoder(x)
        repeated = code[0][:, None].expand(-1, x.shape[1], -1)
        states, _ = self.decoder(torch.cat([repeated, x.flip(1)], 2))
        out: torch.Tensor = self.head(states)
        return out


def copy_weights(ours: nn.Module, plain: Plain) -> None:
    """Give both the same weights; the plain model has a second bias, which stays zero."""
    parts = [ours.encoder.lstm.layers[0][0], ours.reconstruction.lstm.layers[0][0]]
    with torch.no_grad():
        for layer, lstm in zip(parts, (plain.encoder, plain.decoder), strict=True):
            kernel = [w for w in (layer.weight_context, layer.weight_ih) if w is not None]
            lstm.weight_ih_l0.copy_(torch.cat(kernel, 1))
            lstm.weight_hh_l0.copy_(layer.weight_hh)
            lstm.bias_ih_l0.copy_(layer.bias)
            lstm.bias_hh_l0.zero_().requires_grad_(False)
        plain.head.load_state_dict(ours.reconstruction.head.state_dict())


def main() -> None:
    """Print the median epoch of both, and their ratio."""
    print(describe())
    data = sines()
    ours = article()._build(1, torch.Generator().manual_seed(0))
    plain = Plain()
    copy_weights(ours, plain)
    X = torch.from_numpy(
        np.stack([data.train[i] for i in range(len(data.train))]).astype(np.float32)
    )
    rng, order = np.random.default_rng(0), np.random.default_rng(0)
    cpu, nothing = torch.device("cpu"), Scaler(np.zeros(1), np.ones(1))
    batches = Batches(data.train, nothing, np.arange(len(X)), 500, cpu, rng)
    our_optimizer = make_optimizer("rmsprop", ours.parameters())
    optimizer = make_optimizer("rmsprop", [p for p in plain.parameters() if p.requires_grad])

    def our_epoch() -> float:
        def objective(batch):
            return masked_sum(LOSSES["mse"](ours(batch.x, batch.lengths), batch.x), batch.lengths)

        return train(ours, objective, batches, optimizer=our_optimizer, epochs=1).loss[0]

    def plain_epoch() -> float:
        total = 0.0
        for rows in spread(len(X), len(batches), 500, order):
            x = X[torch.from_numpy(rows)]
            loss = nn.functional.mse_loss(plain(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        return total / len(X)

    times: dict[str, list[float]] = {"unspool": [], "torch": []}
    for epoch in range(EPOCHS):
        losses = {}
        turns = [("unspool", our_epoch), ("torch", plain_epoch)]
        for name, run in turns if epoch % 2 else reversed(turns):  # neither is always the first
            start = time.perf_counter()
            losses[name] = run()
            times[name].append(time.perf_counter() - start)
        if epoch == 0 and abs(losses["unspool"] - losses["torch"]) > 1e-3:
            raise SystemExit(f"no times: the losses of the first epoch differ: {losses}")
    ratios = [b / a for a, b in zip(times["unspool"][1:], times["torch"][1:], strict=True)]
    low, middle, high = np.percentile(ratios, [20, 50, 80])
    for name, seconds in times.items():
        print(f"{name}: median epoch {statistics.median(seconds[1:]):.2f} s")
    print(f"torch / unspool: {middle:.2f} (20-80 %: {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
