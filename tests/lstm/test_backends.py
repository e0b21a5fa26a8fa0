"""Every backend of the recurrence against the NumPy reference and against torch.nn.LSTM."""

import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.lstm import BACKENDS, Call, choose, lstm, reference

CELLS = [("tanh", "sigmoid"), ("relu", "sigmoid"), ("tanh", "hard_sigmoid")]
SHAPES = [(4, 1, 1, 1), (5, 63, 3, 10), (257, 7, 2, 33), (1, 20, 3, 5)]  # B, T, F, H

served = [
    pytest.param(name, cell, id=f"{name}-{'-'.join(cell)}")
    for name, module in BACKENDS.items()
    for cell in CELLS
    if module.refusal(Call(*cell)) is None
]


def draw(B, T, F, H, C=2, dtype=torch.float64, ragged=False, scale=1.0):
    generator = torch.Generator().manual_seed(B * T + H)

    def normal(*shape):
        values = torch.randn(*shape, dtype=torch.float64, generator=generator)
        return values.to(dtype).requires_grad_()

    inputs = {
        "x": (normal(B, T, F).detach() * scale).requires_grad_(),
        "w_ih": normal(4 * H, F),
        "w_hh": (normal(4 * H, H).detach() / H**0.5).requires_grad_(),
        "bias": normal(4 * H),
        "context": normal(B, C),
        "w_context": normal(4 * H, C),
        "h0": normal(B, H),
        "c0": normal(B, H),
    }
    lengths = None
    if ragged:
        lengths = torch.randint(0, T + 1, (B,), generator=generator)
        lengths[0], lengths[-1] = 0, T
    return inputs, lengths


def run(backend, inputs, lengths, cell, reverse=False):
    named = dict(inputs)
    first = [named.pop(name, None) for name in ("x", "w_ih", "w_hh", "bias")]
    return lstm(
        *first,
        **named,
        lengths=lengths,
        steps=None if first[0] is not None else 9,
        activation=cell[0],
        recurrent_activation=cell[1],
        reverse=reverse,
        backend=backend,
    )


def run_reference(inputs, lengths, cell, reverse=False):
    named = {name: tensor.detach().numpy() for name, tensor in inputs.items()}
    first = [named.pop(name, None) for name in ("x", "w_ih", "w_hh", "bias")]
    return reference.forward(
        *first,
        **named,
        lengths=None if lengths is None else lengths.numpy(),
        steps=9,
        activation=cell[0],
        recurrent_activation=cell[1],
        reverse=reverse,
    )


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "B{}-T{}-F{}-H{}".format(*s))
@pytest.mark.parametrize(("backend", "cell"), served)
def test_outputs_equal_the_reference(backend, cell, shape, reverse, ragged):
    for dtype in (torch.float64, torch.float32):
        inputs, lengths = draw(*shape, dtype=dtype, ragged=ragged)
        if "relu" in cell:  # random ReLU cells explode over 63 steps, and rounding with them
            inputs = {name: tensor * 0.3 for name, tensor in inputs.items()}
        expected = run_reference(inputs, lengths, cell, reverse)
        got = run(backend, inputs, lengths, cell, reverse)
        for label, one, other in zip(("h", "h_n", "c_n"), expected, got, strict=True):
            assert_close(f"{label} {dtype}", one, other)


@pytest.mark.parametrize("left_out", [("context", "w_context"), ("x", "w_ih"), ("h0", "c0")])
@pytest.mark.parametrize("backend", BACKENDS)
def test_parts_may_be_left_out(backend, left_out):
    inputs, _ = draw(4, 9, 3, 5)
    lengths = torch.tensor([9, 0, 3, 1])
    for name in left_out:
        del inputs[name]
    expected = run_reference(inputs, lengths, CELLS[0])
    got = run(backend, inputs, lengths, CELLS[0])
    for label, one, other in zip(("h", "h_n", "c_n"), expected, got, strict=True):
        assert_close(label, one, other)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_lstm_that_reads_nothing_but_its_initial_state(backend):
    inputs, _ = draw(4, 9, 3, 5)
    for name in ("x", "w_ih", "context", "w_context"):
        del inputs[name]
    expected = run_reference(inputs, None, CELLS[0])
    got = run(backend, inputs, None, CELLS[0])
    assert_close("h", expected[0], got[0])


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("backend", "cell"), served)
def test_gradients_are_those_of_finite_differences(backend, cell, reverse, ragged):
    inputs, lengths = draw(3, 5, 2, 3, ragged=ragged)
    if "relu" in cell:  # keep away from the kink, where differences mean nothing
        inputs = {
            k: (v.detach() + 0.3 * v.detach().sign()).requires_grad_() for k, v in inputs.items()
        }

    def function(*tensors):
        return run(backend, dict(zip(inputs, tensors, strict=True)), lengths, cell, reverse)

    assert torch.autograd.gradcheck(function, tuple(inputs.values()), atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_equals_torch_nn_lstm_with_the_same_weights(backend):
    B, T, F, H = 6, 11, 3, 4
    inputs, _ = draw(B, T, F, H)
    module = torch.nn.LSTM(F, H, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.weight_ih_l0.copy_(inputs["w_ih"])
        module.weight_hh_l0.copy_(inputs["w_hh"])
        module.bias_ih_l0.copy_(inputs["bias"])
        module.bias_hh_l0.zero_()
    h, (h_n, c_n) = module(inputs["x"], (inputs["h0"][None], inputs["c0"][None]))
    del inputs["context"], inputs["w_context"]
    got = run(backend, inputs, None, CELLS[0])
    for label, one, other in zip(("h", "h_n", "c_n"), (h, h_n[0], c_n[0]), got, strict=True):
        assert_close(label, one, other)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_lengths_equal_running_each_sequence_alone(backend, reverse):
    inputs, lengths = draw(6, 9, 3, 5, ragged=True)
    h, h_n, c_n = run(backend, inputs, lengths, CELLS[0], reverse)
    for row, length in enumerate(lengths.tolist()):
        alone = {
            name: tensor[row : row + 1] if name in ("context", "h0", "c0") else tensor
            for name, tensor in inputs.items()
        }
        alone["x"] = inputs["x"][row : row + 1, :length]
        expected = run(backend, alone, None, CELLS[0], reverse)
        assert_close("h", expected[0][0], h[row, :length])
        assert_close("h_n", expected[1][0] if length else inputs["h0"][row], h_n[row])
        assert_close("c_n", expected[2][0] if length else inputs["c0"][row], c_n[row])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_huge_inputs_give_finite_outputs_equal_to_the_reference(backend, dtype):
    inputs, lengths = draw(5, 30, 3, 7, dtype=dtype, ragged=True, scale=100.0)
    expected = run_reference(inputs, lengths, CELLS[0])
    got = run(backend, inputs, lengths, CELLS[0])
    assert torch.isfinite(got[0]).all()
    assert_close("h", expected[0], got[0], scale=10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_stands_in_the_padding_changes_nothing(backend):
    inputs, lengths = draw(5, 12, 3, 7, ragged=True)
    other = dict(inputs)
    noise = torch.where(torch.arange(12)[:, None] >= lengths[:, None, None], 1e15, 0.0)
    other["x"] = (inputs["x"].detach() + noise).requires_grad_()
    gradients = []
    for these in (inputs, other):
        h, h_n, c_n = run(backend, these, lengths, CELLS[0])
        loss = (h * torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view_as(h)).sum()
        loss = loss + h_n.sum() + (c_n**2).sum()
        gradients.append([loss, *torch.autograd.grad(loss, list(these.values()))])
    for label, one, two in zip(["loss", *inputs], *gradients, strict=True):
        assert_close(label, one, two)


def test_a_backend_asked_for_by_name_really_runs(monkeypatch):
    inputs, _ = draw(2, 3, 1, 2)
    for name, module in BACKENDS.items():
        calls = []
        real = module.run
        monkeypatch.setattr(
            module, "run", lambda *a, real=real, calls=calls: calls.append(1) or real(*a)
        )
        run(name, inputs, None, CELLS[0])
        assert calls == [1], f"{name} was asked for and did not run"


def test_auto_says_what_runs_and_why():
    assert choose(Call()) == ("cpu", "first choice for this cell")
    assert choose(Call("relu", device="cuda")) == (
        "stepwise",
        "cpu runs on the CPU, not on cuda; "
        "library runs tanh cells with sigmoid gates only, not relu with sigmoid",
    )
    assert choose(Call(dtype=torch.float16)).reason == (
        "cpu computes in float32 or float64, not in float16"
    )


def test_auto_leaves_a_small_batch_of_a_wide_layer_to_the_library():
    few = Call(batch=1, hidden=256, training=False)
    assert choose(few) == (
        "library",
        "cpu is slower on fewer than 48 sequences in layers of 256 units",
    )
    assert choose(few, "cpu").name == "cpu"
    assert choose(Call("relu", batch=1, hidden=256)).name == "cpu"  # the library has no such cell
    assert choose(Call(batch=256, hidden=256)).name == "cpu"


def test_a_backend_that_cannot_serve_refuses_instead_of_giving_way():
    with pytest.raises(InputError) as caught:
        choose(Call("relu"), "library")
    assert str(caught.value) == (
        "`backend` 'library' runs tanh cells with sigmoid gates only, not relu with sigmoid; "
        "take 'auto' or another one."
    )


def test_unknown_names_are_told_with_the_nearest_known_one():
    inputs, _ = draw(2, 3, 1, 2)
    with pytest.raises(InputError, match=r"unknown `backend` 'librari': did you mean 'library'\?"):
        run("librari", inputs, None, CELLS[0])
    with pytest.raises(InputError, match=r"unknown `activation` 'tan': did you mean 'tanh'\?"):
        run("auto", inputs, None, ("tan", "sigmoid"))


def test_an_lstm_without_input_steps_or_batch_is_refused():
    inputs, _ = draw(2, 3, 1, 2)
    with pytest.raises(InputError) as caught:
        lstm(None, None, inputs["w_hh"], inputs["bias"], context=inputs["context"])
    assert str(caught.value) == "Expected `x`, or `steps` with a `context` or an initial state."
