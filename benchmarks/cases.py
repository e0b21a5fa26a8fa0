"""What is measured: cases, their shapes, who takes part, and how far numbers may differ."""

from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.machine import threads


class Shape(NamedTuple):
    """Sequences B, steps T, features F and hidden units H."""

    B: int
    T: int
    F: int
    H: int

    def __str__(self) -> str:
        return f"B {self.B}, H {self.H}"


def lstm(B: int, H: int) -> Shape:  # or a GRU
    """100 steps; one feature for the smallest layer, more for larger ones."""
    return Shape(B, 100, 1 if H == 10 else 16 if H >= 128 else 8, H)


class Turn(NamedTuple):
    """One contestant's go at a call, of which the median is kept.

    It warms up for `warm` seconds (0: not at all), then repeats the call for `seconds`, and at
    least `calls` times.
    """

    warm: float
    calls: int
    seconds: float


@dataclass(frozen=True)
class Contestant:
    """Who is timed.

    Parameters
    ----------
    module : str
        In `benchmarks.contestants`.
    how : str
        What sets it apart from the others of its module.
    peer : bool
        Whether it lives in the peers' environment, not in that of the project.
    checked : bool
        Whether its results are compared with the reference; one that does other work than the rest
        checks itself.
    tolerances : dict of float
        What it is allowed where that is not `TOLERANCES`.
    env : dict
        Environment variables it needs.
    """

    module: str
    how: str = ""
    peer: bool = False
    checked: bool = True
    tolerances: dict[str, float] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


# A contestant whose numbers are further off than this is not timed: the largest difference to the
# truth, as a share of the truth's largest entry. float32 gradients are sums over B·T terms; torch's
# own are off by up to 4e-5.
STATES, GRADIENTS = 1e-5, 1e-4
TOLERANCES = {
    "h": STATES,
    "h_n": STATES,
    "w_ih": GRADIENTS,
    "w_hh": GRADIENTS,
    "bias": GRADIENTS,
    # Of the two-sines model, from equal weights: the loss before training, which is only rounding
    # away, and that of the first epoch, in which rounding is carried on from step to step.
    "loss_before": 1e-5,
    "loss_of_first_epoch": 1e-3,
}
OWN_SHUFFLE = {"loss_of_first_epoch": 0.03}  # other batches, by seeds 0.005 away


CONTESTANTS = {
    "unspool": Contestant("ours"),  # `how` is its backend, an option of the command
    "torch": Contestant("torch_lstm", how="inference_mode"),
    "torch, gradients on": Contestant("torch_lstm", how="grad_mode"),
    "onnxruntime": Contestant("onnx_lstm", peer=True),
    "keras, tensorflow": Contestant(
        "keras_article",
        peer=True,
        tolerances=OWN_SHUFFLE,
        env={"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"},
    ),
    "keras, jax": Contestant(
        "keras_article", peer=True, tolerances=OWN_SHUFFLE, env={"KERAS_BACKEND": "jax"}
    ),
    "multiply-add": Contestant("multiply_add", checked=False),  # the machine itself, for `peak`
}


@dataclass(frozen=True)
class Case:
    """One kind of measurement.

    Parameters
    ----------
    about : str
        A sentence for the page.
    contestants : tuple of str
        The first is the one that the others are divided by.
    shapes : tuple of Shape
    rounds : int
        Unless the command says otherwise.
    turn : Turn, optional
        None where whole processes are timed.
    """

    about: str
    contestants: tuple[str, ...]
    shapes: tuple[Shape, ...]
    rounds: int
    turn: Turn | None = None


ARTICLE = Shape(500, 100, 1, 10)
SHORT = Turn(warm=0.03, calls=3, seconds=0.15)

CASES = {
    "train": Case(
        "One LSTM layer, forward and backward: the gradients of all weights, from a random "
        "gradient of every state. The input needs none.",
        ("unspool", "torch"),
        (
            lstm(512, 10),
            lstm(256, 32),
            lstm(256, 64),
            lstm(256, 128),
            lstm(64, 64),
            lstm(64, 128),
            lstm(64, 256),
            lstm(32, 32),
            lstm(32, 128),
        ),
        rounds=15,
        turn=SHORT,
    ),
    "encode": Case(
        "One LSTM layer forward, the last state alone wanted, no gradients. torch under "
        "`inference_mode`; its second row is what happens where that is forgotten.",
        ("unspool", "torch", "torch, gradients on", "onnxruntime"),
        (
            lstm(256, 10),
            lstm(256, 32),
            lstm(256, 64),
            lstm(256, 128),
            lstm(256, 256),
            lstm(64, 64),
            lstm(64, 128),
            lstm(8, 64),
            lstm(1, 10),
            lstm(1, 64),
        ),
        rounds=15,
        turn=SHORT,
    ),
    "train_gru": Case(
        "One GRU layer, forward and backward, as in `train`. On a CPU torch has no fused kernels "
        "for a GRU.",
        ("unspool", "torch"),
        (lstm(512, 10), lstm(256, 32), lstm(256, 64), lstm(256, 128), lstm(64, 64), lstm(32, 128)),
        rounds=15,
        turn=SHORT,
    ),
    "encode_gru": Case(
        "One GRU layer forward, as in `encode`.",
        ("unspool", "torch", "torch, gradients on"),
        (lstm(256, 10), lstm(256, 32), lstm(256, 64), lstm(256, 128), lstm(8, 64), lstm(1, 64)),
        rounds=15,
        turn=SHORT,
    ),
    "epoch": Case(
        "A training epoch of the two-sines model: 17,802 windows of 100 steps, batches of "
        "500, RMSprop. torch is the same model with `nn.LSTM` and a plain loop.",
        ("unspool", "torch", "keras, tensorflow", "keras, jax"),
        (ARTICLE,),
        rounds=7,
        turn=Turn(warm=0, calls=1, seconds=0),
    ),
    "process": Case(
        "The two-sines experiment as a separate process: start of the interpreter, "
        "imports, data, 30 epochs each followed by a validation pass, test error.",
        ("unspool", "keras, tensorflow", "keras, jax"),
        (ARTICLE,),
        rounds=3,
    ),
    "peak": Case(
        "The share of the machine that `train` uses: its products, counted by the formula, against "
        "the multiply-adds that the same threads reach in registers.",
        ("multiply-add", "unspool", "torch"),
        (lstm(256, 64), lstm(256, 128)),
        rounds=15,
        turn=SHORT,
    ),
    "compile": Case(
        "What a fresh process waits for: the import, and what the first training call takes "
        "longer than the second. unspool with an empty cache of compiled kernels, as after "
        "installation, and with a full one.",
        ("unspool", "torch"),
        (ARTICLE, lstm(64, 64)),
        rounds=3,
    ),
}

THREADS = threads()
PAUSE = 0.1  # seconds before a turn: idle threads of ONNX Runtime spin for about 0.05, torch's less


def flops(shape: Shape) -> int:
    """Multiplications and additions in the products of `train`.

    Forward, the gradients of the weights, and the gradient of the state.
    """
    B, T, F, H = shape
    return 2 * B * T * 4 * H * (2 * (F + H) + H)
