"""An LSTM or GRU layer with random arguments, run by a backend and by the NumPy reference.

Every run returns the three results and, for random gradients of these, the gradient of every
argument, as NumPy arrays by name. Values are drawn as float32, so that one reference, computed in
float64, holds for both dtypes.
"""

import functools
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import torch

from tests.close import assert_close
from unspool.blueprint import cells
from unspool.lstm import BACKENDS, Call, lstm, reference, reference_gru

FIRST = ("x", "w_ih", "w_hh", "bias")
RESULTS = ("h", "h_n", "c_n")
CELLS = [
    (phi, sigma, kind)
    for kind in cells.CELLS
    for phi in reference.ACTIVATIONS
    for sigma in reference.RECURRENT_ACTIVATIONS
]
GRU = ("tanh", "sigmoid", "gru")
SERVED = [
    (name, cell)
    for name, module in BACKENDS.items()
    for cell in CELLS
    if module.refusal(Call(*cell[:2], cell=cell[2])) is None
]


@dataclass(frozen=True)
class Case:
    """What to run: batch, steps, features, units and width of the context; `scale` multiplies x.

    With `ragged`, the first sequence has no step and the last one has all steps. With `masked`, the
    gates read a hidden state in which about a third of the units is 0.
    """

    B: int
    T: int
    F: int
    H: int
    C: int = 2
    ragged: bool = False
    reverse: bool = False
    cell: tuple[str, ...] = ("tanh", "sigmoid", "lstm")
    scale: float = 1.0
    left_out: tuple[str, ...] = ()
    masked: bool = False

    def __str__(self):
        sizes = f"B{self.B}-T{self.T}-F{self.F}-H{self.H}-C{self.C}"
        return (
            sizes
            + "-ragged" * self.ragged
            + "-masked" * self.masked
            + f"-x{self.scale:g}" * (self.scale != 1)
            + "-gru" * self.gru
        )

    @property
    def gru(self):
        return self.cell[-1] == "gru"

    @property
    def options(self):
        return {
            "activation": self.cell[0],
            "recurrent_activation": self.cell[1],
            "reverse": self.reverse,
        }

    @property
    def of_cell(self):
        """The options, and the kind of the cell."""
        return {**self.options, "cell": "gru" if self.gru else "lstm"}


@functools.cache
def draw(case):
    """Draw the arguments, a gradient for every result, and the lengths."""
    rng = np.random.default_rng([case.B, case.T, case.H])
    B, T, F, H, C = case.B, case.T, case.F, case.H, case.C
    rows, of_c = (3 * H, 0) if case.gru else (4 * H, H)
    small = 0.3 if "relu" in case.cell else 1.0  # the states of ReLU cells grow at every step

    def normal(*shape, scale=1.0):
        return (scale * rng.normal(size=shape)).astype(np.float32).astype(np.float64)

    arguments = {
        "x": normal(B, T, F, scale=case.scale),
        "w_ih": normal(rows, F, scale=small / max(F, 1) ** 0.5),
        "w_hh": normal(rows, H, scale=small / max(H, 1) ** 0.5),
        "bias": normal(4 * H, scale=small),
        "context": normal(B, C),
        "w_context": normal(rows, C, scale=small / max(C, 1) ** 0.5),
        "h0": normal(B, H),
        "c0": normal(B, of_c),
    }
    cotangents = {"grad_h": normal(B, T, H), "grad_h_n": normal(B, H), "grad_c_n": normal(B, of_c)}
    lengths = None
    if case.ragged:
        lengths = rng.integers(0, T + 1, B)
        lengths[:1], lengths[1:][-1:] = 0, T
    for name in case.left_out:
        del arguments[name]
    return arguments, cotangents, lengths


def mask(case, rows=slice(None)):
    """Return the mask of the hidden state of a case (B, H), or None."""
    if not case.masked:
        return None
    drawn = np.random.default_rng([case.B, case.H]).random((case.B, case.H))
    return np.where(drawn < 0.3, 0, 1.5)[rows]


@functools.cache
def expected(case):
    """Results and gradients of the reference."""
    arguments, cotangents, lengths = draw(case)
    first, named = split(arguments)
    more = {"lengths": lengths, "steps": case.T, "h_mask": mask(case), **case.options}
    results, gradients = truth(case, *first, **named, **cotangents, **more)
    return labelled(results, {name: gradients[name] for name in arguments})


def truth(case, *first, grad_h=None, grad_h_n=None, grad_c_n=None, **named):
    """Results and gradients of the reference of this kind of cell; without c, as arrays (B, 0)."""
    grads = {"grad_h": grad_h, "grad_h_n": grad_h_n}
    if not case.gru:
        grads["grad_c_n"] = grad_c_n
        return reference.forward(*first, **named), reference.backward(*first, **named, **grads)
    named.pop("c0", None)
    nothing = np.zeros((case.B, 0))
    gradients = reference_gru.backward(*first, **named, **grads)
    return (*reference_gru.forward(*first, **named), nothing), gradients | {"c0": nothing}


def tensors(case, dtype=torch.float64):
    """Return the arguments, the gradients of the results and the lengths of a case as tensors."""
    arguments, cotangents, lengths = draw(case)
    return (
        {n: torch.tensor(a, dtype=dtype, requires_grad=True) for n, a in arguments.items()},
        [torch.tensor(array, dtype=dtype) for array in cotangents.values()],
        None if lengths is None else torch.tensor(lengths),
    )


def call(backend, inputs, lengths, case, **more):
    """Run the backend, and make sure that no other backend ran."""
    first, named = split(inputs)
    if case.masked:
        more = {"h_mask": torch.tensor(mask(case), dtype=inputs["w_hh"].dtype), **more}
    module = BACKENDS[backend]
    with patch.object(module, "run", wraps=module.run) as ran:
        results = lstm(
            *first, **named, lengths=lengths, steps=case.T, **case.of_cell, backend=backend, **more
        )
    assert ran.call_count == 1, f"{backend} was requested and did not run"
    return results


def run(backend, case, dtype=torch.float64, **replaced):
    """Return results and gradients of a backend; `replaced` are used instead of drawn arguments."""
    inputs, cotangents, lengths = tensors(case, dtype)
    inputs |= replaced
    results = call(backend, inputs, lengths, case)
    reached = [k for k, one in enumerate(results) if one.requires_grad]
    gradients = torch.autograd.grad(
        [results[k] for k in reached],
        list(inputs.values()),
        [cotangents[k] for k in reached],
        materialize_grads=True,
    )
    return labelled(results, dict(zip(inputs, gradients, strict=True)))


def check(backend, case, dtype=torch.float64, scale=1.0):
    """Compare a backend with the reference, and "compiled" also with itself without gradients."""
    got = run(backend, case, dtype)
    if backend == "compiled":
        inputs, _, lengths = tensors(case, dtype)
        with torch.no_grad():
            without = labelled(call(backend, inputs, lengths, case), {})
        assert_same({name: got[name] for name in RESULTS}, without)
    for label, one in expected(case).items():
        if case.gru and label in ("c_n", "gradient of c0"):
            assert got[label].shape == (case.B, 0)
            continue
        assert_close(label, one.astype(str(dtype).removeprefix("torch.")), got[label], scale)


def assert_same(one, other):
    """Assert that two runs are equal to the last bit."""
    assert one.keys() == other.keys()
    for label in one:
        np.testing.assert_array_equal(other[label], one[label], err_msg=label)


def split(arguments):
    named = dict(arguments)
    return [named.pop(name, None) for name in FIRST], named


def labelled(results, gradients):
    named = dict(zip(RESULTS, results, strict=True))
    named |= {f"gradient of {name}": array for name, array in gradients.items()}
    return {
        name: array.detach().numpy() if isinstance(array, torch.Tensor) else array
        for name, array in named.items()
    }
