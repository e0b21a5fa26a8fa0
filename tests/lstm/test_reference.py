"""The reference compared with equations gate by gate, finite differences and torch.nn.LSTM."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.lstm import reference

B, T, F, C, H = 4, 6, 2, 3, 3
RAGGED = np.array([T, 0, 4, 1])
# Central differences over 1e-5 are accurate to about 1e-9, limited by the third derivative and by
# the rounding of a loss of about 10. The tolerance is then 1e-8.
STEP, DIFFERENCES = 1e-5, 1e4

cells = pytest.mark.parametrize(
    "cell",
    [
        pytest.param({"activation": phi, "recurrent_activation": sigma}, id=f"{phi}-{sigma}")
        for phi in reference.ACTIVATIONS
        for sigma in reference.RECURRENT_ACTIVATIONS
    ],
)
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def test_one_step_is_the_equations_with_gates_in_the_order_i_f_c_o():
    rng = np.random.default_rng(0)
    w_ih, w_hh, bias = rng.normal(size=(4, 1)), rng.normal(size=(4, 1)), rng.normal(size=4)
    x, h0, c0 = 0.7, 0.2, -0.4
    sigma = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    i, f, g, o = (w_ih[k, 0] * x + w_hh[k, 0] * h0 + bias[k] for k in range(4))
    c = sigma(f) * c0 + sigma(i) * np.tanh(g)
    _, h_n, c_n = reference.forward(
        np.array([[[x]]]), w_ih, w_hh, bias, h0=np.array([[h0]]), c0=np.array([[c0]])
    )
    assert_close("c", c, c_n[0, 0])
    assert_close("h", sigma(o) * np.tanh(c), h_n[0, 0])


def test_results_equal_those_of_torch_nn_lstm():
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    x = torch.randn(4, 9, 3, dtype=torch.float64)
    h, (h_n, c_n) = module(x)
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    got = reference.forward(
        x.numpy(),
        weights["weight_ih_l0"],
        weights["weight_hh_l0"],
        weights["bias_ih_l0"] + weights["bias_hh_l0"],
    )
    for label, one, other in zip(("h", "h_n", "c_n"), (h, h_n[0], c_n[0]), got, strict=True):
        assert_close(label, one, other)


def test_split_gates_names_the_four_blocks():
    split = reference.split_gates(np.arange(8.0).reshape(8, 1))
    assert {name: block[:, 0].tolist() for name, block in split.items()} == {
        "i": [0, 1],
        "f": [2, 3],
        "c": [4, 5],
        "o": [6, 7],
    }


def test_reverse_within_leaves_padding_in_place():
    x = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])
    assert reference.reverse_within(x, np.array([3, 2])).tolist() == [[3, 2, 1, 0], [5, 4, 0, 0]]


@pytest.mark.parametrize("x", [-1e30, -1e4, -50.0, 0.0, 50.0, 1e4, 1e30])
def test_sigmoid_never_overflows(x):
    with np.errstate(all="raise", under="ignore"):
        value = reference.sigmoid(np.array([x], np.float32))
    assert 0 <= value[0] <= 1
    assert_close("sigmoid", torch.sigmoid(torch.tensor([x])), value)


def draw(T=T, seed=0):
    """Draw all arguments, and a gradient for each result."""
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (B, T, F),
        "w_ih": (4 * H, F),
        "w_hh": (4 * H, H),
        "bias": (4 * H,),
        "context": (B, C),
        "w_context": (4 * H, C),
        "h0": (B, H),
        "c0": (B, H),
    }
    results = {"grad_h": (B, T, H), "grad_h_n": (B, H), "grad_c_n": (B, H)}
    return tuple(
        {name: rng.normal(size=shape) for name, shape in these.items()}
        for these in (shapes, results)
    )


def call(function, arguments, **more):
    positional = [arguments.get(name) for name in ("x", "w_ih", "w_hh", "bias")]
    named = {name: arguments[name] for name in arguments.keys() - {"x", "w_ih", "w_hh", "bias"}}
    return function(*positional, **named, **more)


def differences(arguments, cotangents, **options):
    """Compute central differences of Σ results × cotangents for each number of each argument."""

    def loss():
        results = call(reference.forward, arguments, **options)
        return sum((r * g).sum() for r, g in zip(results, cotangents.values(), strict=True))

    gradients = {}
    for name, array in arguments.items():
        gradients[name] = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept, at = array[index], []
            for array[index] in (kept + STEP, kept - STEP):
                at.append(loss())
            array[index] = kept
            gradients[name][index] = (at[0] - at[1]) / (2 * STEP)
    return gradients


def assert_gradients_close(expected, got, scale=1.0):
    assert got.keys() == expected.keys()
    for name in expected:
        assert_close(f"gradient of {name}", expected[name], got[name], scale)


@directions
@cells
def test_lengths_equal_running_each_sequence_alone_and_the_context_is_one_more_input(cell, reverse):
    arguments, _ = draw()
    h, h_n, c_n = call(reference.forward, arguments, **cell, lengths=RAGGED, reverse=reverse)
    w_ih = np.concatenate([arguments["w_ih"], arguments["w_context"]], axis=1)
    for row, length in enumerate(RAGGED):
        context = np.tile(arguments["context"][row], (length, 1))
        x = np.concatenate([arguments["x"][row, :length], context], axis=1)
        alone, alone_h_n, alone_c_n = reference.forward(
            (x[::-1] if reverse else x)[None],
            w_ih,
            arguments["w_hh"],
            arguments["bias"],
            h0=arguments["h0"][[row]],
            c0=arguments["c0"][[row]],
            **cell,
        )
        assert_close("h", alone[0, ::-1] if reverse else alone[0], h[row, :length])
        assert_close("h past the end", np.tile(h_n[row], (T - length, 1)), h[row, length:])
        assert_close("h_n", alone_h_n[0], h_n[row])
        assert_close("c_n", alone_c_n[0], c_n[row])
    assert_close("h_n of length 0", arguments["h0"][1], h_n[1])
    assert_close("c_n of length 0", arguments["c0"][1], c_n[1])


@pytest.mark.parametrize("lengths", [None, RAGGED], ids=["full", "ragged"])
@directions
@cells
def test_gradients_are_those_of_finite_differences(cell, reverse, lengths):
    arguments, cotangents = draw()
    options = {**cell, "reverse": reverse, "lengths": lengths}
    expected = differences(arguments, cotangents, **options)
    got = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


@directions
@cells
def test_gradients_through_a_mask_are_those_of_finite_differences(cell, reverse):
    arguments, cotangents = draw()
    h_mask = np.random.default_rng(1).choice([0, 2.0], (B, H))
    options = {**cell, "reverse": reverse, "lengths": RAGGED, "h_mask": h_mask}
    expected = differences(arguments, cotangents, **options)
    got = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


@directions
@pytest.mark.parametrize(
    "left_out",
    [("x", "w_ih"), ("context", "w_context"), ("x", "w_ih", "context", "w_context")],
    ids="+".join,
)
def test_parts_left_out_have_no_gradient_and_change_no_other(left_out, reverse):
    arguments, cotangents = draw()
    for name in left_out:
        del arguments[name]
    options = {"lengths": RAGGED, "steps": T, "reverse": reverse}
    expected = differences(arguments, cotangents, **options)
    got = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


@cells
def test_an_initial_state_left_out_is_zeros_and_has_its_gradient(cell):
    arguments, cotangents = draw()
    options = {**cell, "lengths": RAGGED}
    arguments["h0"], arguments["c0"] = np.zeros((B, H)), np.zeros((B, H))
    expected = call(reference.backward, arguments, **cotangents, **options)
    del arguments["h0"], arguments["c0"]
    got = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got)


@directions
@pytest.mark.parametrize("lengths", [None, np.array([1, 0, 1, 0])], ids=["full", "ragged"])
def test_gradients_of_a_single_step(lengths, reverse):
    arguments, cotangents = draw(T=1)
    options = {"lengths": lengths, "reverse": reverse}
    expected = differences(arguments, cotangents, **options)
    got = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got, scale=DIFFERENCES)


def test_without_steps_the_gradients_of_the_final_state_are_those_of_the_initial_one():
    arguments, cotangents = draw(T=0)
    got = call(reference.backward, arguments, **cotangents)
    expected = {name: np.zeros_like(array) for name, array in arguments.items()}
    expected |= {"h0": cotangents["grad_h_n"], "c0": cotangents["grad_c_n"]}
    assert_gradients_close(expected, got)


def test_gradients_equal_those_of_torch_nn_lstm():
    arguments, cotangents = draw()
    del arguments["context"], arguments["w_context"]
    inputs = {name: torch.tensor(array, requires_grad=True) for name, array in arguments.items()}
    module = torch.nn.LSTM(F, H, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        module.weight_ih_l0.copy_(inputs["w_ih"])
        module.weight_hh_l0.copy_(inputs["w_hh"])
        module.bias_ih_l0.copy_(inputs["bias"])
        module.bias_hh_l0.zero_()
    h, (h_n, c_n) = module(inputs["x"], (inputs["h0"][None], inputs["c0"][None]))
    torch.autograd.backward((h, h_n[0], c_n[0]), [torch.tensor(g) for g in cotangents.values()])
    expected = {
        "x": inputs["x"].grad,
        "w_ih": module.weight_ih_l0.grad,
        "w_hh": module.weight_hh_l0.grad,
        "bias": module.bias_ih_l0.grad,
        "h0": inputs["h0"].grad,
        "c0": inputs["c0"].grad,
    }
    assert_gradients_close(expected, call(reference.backward, arguments, **cotangents))


@directions
@pytest.mark.parametrize("filling", [np.nan, np.inf, 1e300])
def test_values_in_the_padding_are_never_read(filling, reverse):
    arguments, cotangents = draw()
    options = {"lengths": RAGGED, "reverse": reverse}
    padding = np.arange(T) >= RAGGED[:, None]
    poisoned = dict(arguments, x=np.where(padding[:, :, None], filling, arguments["x"]))

    results = [call(reference.forward, one, **options) for one in (arguments, poisoned)]
    for label, one, other in zip(("h", "h_n", "c_n"), *results, strict=True):
        np.testing.assert_array_equal(other, one, err_msg=label)

    gradients = [
        call(reference.backward, one, **cotangents, **options) for one in (arguments, poisoned)
    ]
    for name in arguments:
        np.testing.assert_array_equal(gradients[1][name], gradients[0][name], err_msg=name)
    assert not gradients[1]["x"][padding].any()


@directions
@cells
def test_the_amount_of_padding_changes_no_gradient(cell, reverse):
    """A gradient of `h` past the end of a sequence adds to that of its final state."""
    arguments, cotangents = draw()
    options = {**cell, "reverse": reverse, "lengths": RAGGED}
    more = np.random.default_rng(1).normal(size=(B, 3, H))
    longer = dict(arguments, x=np.pad(arguments["x"], ((0, 0), (0, 3), (0, 0))))
    got = call(
        reference.backward,
        longer,
        **cotangents | {"grad_h": np.concatenate([cotangents["grad_h"], more], 1)},
        **options,
    )
    got["x"] = got["x"][:, :T]
    cotangents["grad_h_n"] = cotangents["grad_h_n"] + more.sum(1)
    expected = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close(expected, got)


@pytest.mark.parametrize(
    "absent",
    [("grad_h",), ("grad_h_n",), ("grad_c_n",), ("grad_h", "grad_h_n", "grad_c_n")],
    ids="+".join,
)
def test_gradients_of_results_left_out_are_zeros(absent):
    arguments, cotangents = draw()
    zeros = {name: np.zeros_like(cotangents[name]) for name in absent}
    expected = call(reference.backward, arguments, **cotangents | zeros, lengths=RAGGED)
    nones = dict.fromkeys(absent)
    got = call(reference.backward, arguments, **cotangents | nones, lengths=RAGGED)
    assert_gradients_close(expected, got)


@pytest.mark.parametrize(
    "left_out",
    [(), ("x", "w_ih"), ("context", "w_context"), ("h0", "c0"), ("x", "w_ih", "h0", "c0")],
    ids=lambda names: "+".join(names) or "nothing",
)
@cells
def test_float32_stays_float32(cell, left_out):
    arguments, cotangents = (
        {name: array.astype(np.float32) for name, array in one.items() if name not in left_out}
        for one in draw()
    )
    del cotangents["grad_h"]
    options = {**cell, "lengths": RAGGED, "steps": T}
    results = call(reference.forward, arguments, **options)
    assert [array.dtype for array in results] == [np.float32] * 3
    got = call(reference.backward, arguments, **cotangents, **options)
    assert {array.dtype for array in got.values()} == {np.dtype(np.float32)}

    arguments, cotangents = (
        {name: array.astype(np.float64) for name, array in one.items()}
        for one in (arguments, cotangents)
    )
    expected = call(reference.backward, arguments, **cotangents, **options)
    assert_gradients_close({name: array.astype("f4") for name, array in expected.items()}, got)


@pytest.mark.parametrize(
    ("name", "torch_function"),
    [
        ("tanh", torch.tanh),
        ("relu", torch.relu),
        ("sigmoid", torch.sigmoid),
        # not hardsigmoid, whose gradient is 1/6 in float32 whatever the dtype
        ("hard_sigmoid", lambda x: torch.nn.functional.relu6(x + 3) / 6),
    ],
)
def test_slopes_are_those_of_autograd_and_are_zero_at_a_kink(name, torch_function):
    x = torch.tensor([-50, -3, -1, 0, 0.5, 3, 50], dtype=torch.float64, requires_grad=True)
    y = torch_function(x)
    y.sum().backward()
    functions = {**reference.ACTIVATIONS, **reference.RECURRENT_ACTIVATIONS}
    got = functions[name](x.detach().numpy())
    assert_close(name, y, got)
    assert_close(f"slope of {name}", x.grad, reference.SLOPES[name](got))


def test_backward_does_not_modify_its_arguments():
    arguments, cotangents = draw()
    everything = arguments | cotangents
    before = {name: array.copy() for name, array in everything.items()}
    call(reference.backward, arguments, **cotangents, lengths=RAGGED)
    for name in everything:
        np.testing.assert_array_equal(everything[name], before[name], err_msg=name)
