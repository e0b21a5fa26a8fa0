"""torch.nn.LSTM or torch.nn.GRU, and the two-sines model with it and a plain loop."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.contestants import Job, Ready
from benchmarks.inputs import is_gru
from unspool.lstm.backends.torch_lstm import gru_parameters, reordered
from unspool.training.orders import stratified_batches

PACKAGES = ("torch", "numpy")

BATCH = 500


def prepare(job: Job) -> Ready:
    """Make the work of `job` callable; `job.how` selects how gradients are disabled."""
    torch.set_num_threads(job.threads)
    if job.case == "epoch":
        model = Article(job.inputs)
        losses = {"loss_before": model.loss(job.inputs["probe"])}
        losses["loss_of_first_epoch"] = model.epoch()
        return Ready(model.epoch, losses, "nn.LSTM")
    return _encode(job) if job.case.startswith("encode") else _train(job)


def layer(inputs: Mapping[str, npt.NDArray[Any]]) -> nn.LSTM | nn.GRU:
    """An nn.LSTM or nn.GRU with the weights of `inputs`, in their dtype."""
    if is_gru(inputs):
        return _gru(inputs)
    w_ih, w_hh, bias = (torch.from_numpy(inputs[name]) for name in ("w_ih", "w_hh", "bias"))
    lstm = nn.LSTM(w_ih.shape[1], w_hh.shape[1], batch_first=True, dtype=w_ih.dtype)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(w_ih)
        lstm.weight_hh_l0.copy_(w_hh)
        lstm.bias_ih_l0.copy_(bias)
        lstm.bias_hh_l0.zero_()
    return lstm


def _gru(inputs: Mapping[str, npt.NDArray[Any]]) -> nn.GRU:
    w_ih, w_hh, bias = (torch.from_numpy(inputs[name]) for name in ("w_ih", "w_hh", "bias"))
    gru = nn.GRU(w_ih.shape[1], w_hh.shape[1], batch_first=True, dtype=w_ih.dtype)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    gru.load_state_dict(dict(zip(names, gru_parameters(w_ih, w_hh, bias), strict=True)))
    return gru


def gradients(lstm: nn.LSTM | nn.GRU) -> dict[str, npt.NDArray[Any]]:
    """What the last backward pass left, by our names."""
    if isinstance(lstm, nn.GRU):
        _, _, recurrent_bias = lstm.bias_hh_l0.grad.chunk(3)
        return {
            "w_ih": reordered(lstm.weight_ih_l0.grad).numpy(),
            "w_hh": reordered(lstm.weight_hh_l0.grad).numpy(),
            "bias": torch.cat([reordered(lstm.bias_ih_l0.grad), recurrent_bias]).numpy(),
        }
    return {
        "w_ih": lstm.weight_ih_l0.grad.numpy(),
        "w_hh": lstm.weight_hh_l0.grad.numpy(),
        "bias": lstm.bias_ih_l0.grad.numpy(),
    }


def _train(job: Job) -> Ready:
    lstm = layer(job.inputs)
    x, d_h = torch.from_numpy(job.inputs["x"]), torch.from_numpy(job.inputs["d_h"])

    def call() -> torch.Tensor:
        lstm.zero_grad(set_to_none=True)
        h, _ = lstm(x)
        h.backward(d_h)
        return h

    numbers = {"h": call().detach().numpy(), **gradients(lstm)}
    return Ready(call, numbers, f"nn.{type(lstm).__name__}")


def _encode(job: Job) -> Ready:
    lstm = layer(job.inputs).eval()
    x = torch.from_numpy(job.inputs["x"])
    mode = torch.inference_mode if job.how == "inference_mode" else torch.enable_grad

    def call() -> torch.Tensor:
        with mode():
            _, final = lstm(x)
            return final[0] if isinstance(lstm, nn.GRU) else final[0][0]

    return Ready(call, {"h_n": call().detach().numpy()}, f"nn.{type(lstm).__name__}")


class Article(nn.Module):
    """The two-sines model and its training, as a user writes them in torch.

    Parameters
    ----------
    inputs : dict of arrays
        Weights and windows, all of one dtype; see `benchmarks.inputs.first_article`.
    """

    def __init__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> None:
        super().__init__()
        self.encoder = layer({name: inputs[f"encoder_{name}"] for name in ("w_ih", "w_hh", "bias")})
        self.decoder = layer(
            {
                "w_ih": np.concatenate([inputs["decoder_w_context"], inputs["decoder_w_ih"]], 1),
                "w_hh": inputs["decoder_w_hh"],
                "bias": inputs["decoder_bias"],
            }
        )
        self.windows = torch.from_numpy(inputs["windows"])
        dtype = self.windows.dtype
        self.head = nn.Sequential(
            nn.Linear(10, 10, dtype=dtype), nn.ReLU(), nn.Linear(10, 1, dtype=dtype), nn.Tanh()
        )
        with torch.no_grad():
            for number, name in ((0, "hidden"), (2, "out")):
                self.head[number].weight.copy_(torch.from_numpy(inputs[f"{name}_weight"]))
                self.head[number].bias.copy_(torch.from_numpy(inputs[f"{name}_bias"]))
        for lstm in (self.encoder, self.decoder):  # one bias, as everybody else has
            lstm.bias_hh_l0.requires_grad_(False)
        trained = [p for p in self.parameters() if p.requires_grad]
        self.optimizer = torch.optim.RMSprop(trained, lr=1e-3, alpha=0.9, eps=1e-7)
        self.rng = np.random.default_rng(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reconstruct x (B, T, 1)."""
        _, (code, _) = self.encoder(x)
        repeated = code[0][:, None].expand(-1, x.shape[1], -1)
        states, _ = self.decoder(torch.cat([repeated, x.flip(1)], 2))
        out: torch.Tensor = self.head(states)
        return out

    @torch.no_grad()
    def loss(self, windows: npt.NDArray[Any]) -> float:
        """Mean squared error of the reconstruction."""
        x = torch.from_numpy(windows)
        return nn.functional.mse_loss(self(x), x).item()

    def epoch(self) -> float:
        """Train for an epoch, on the batches that unspool sees; the mean loss on the way."""
        n, total = len(self.windows), 0.0
        for rows in stratified_batches(n, -(-n // BATCH), BATCH, self.rng):
            x = self.windows[torch.from_numpy(rows)]
            loss = nn.functional.mse_loss(self(x), x)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(rows)
        return total / n
