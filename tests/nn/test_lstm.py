"""Stacks of LSTM layers, compared with `torch.nn.LSTM` and converted from and to it."""

import pytest
import torch
from torch import nn

from tests.close import assert_close
from unspool.errors import InputError
from unspool.lstm import BACKENDS
from unspool.nn import LSTM, Cell

SHAPES = [(1, False), (2, False), (1, True), (2, True)]
shapes = pytest.mark.parametrize(("num_layers", "bidirectional"), SHAPES)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def theirs(num_layers=2, bidirectional=True, dtype=torch.float64, **more):
    torch.manual_seed(0)
    options = {"batch_first": True, **more}
    return torch.nn.LSTM(
        3, 5, num_layers=num_layers, bidirectional=bidirectional, dtype=dtype, **options
    )


def ours(num_layers=2, bidirectional=True, **more):
    generator = torch.Generator().manual_seed(0)
    return LSTM(
        3, 5, num_layers=num_layers, bidirectional=bidirectional, generator=generator, **more
    )


def start(module, dtype=torch.float64):
    """A batch and an initial state."""
    layers = module.num_layers * (1 + module.bidirectional)
    x, *state = (torch.randn(*shape, dtype=dtype) for shape in [(4, 7, 3), *[(layers, 4, 5)] * 2])
    return x.requires_grad_(), tuple(one.requires_grad_() for one in state)


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@dtypes
@shapes
def test_states_and_gradients_equal_those_of_torch(num_layers, bidirectional, dtype, backend):
    module = theirs(num_layers, bidirectional, dtype)
    layer = LSTM.from_torch(module, backend=backend)
    x, state = start(module, dtype)
    results = []
    for one in (module, layer):
        h, (h_n, c_n) = one(x, state) if one is module else one(x, state=state)
        loss = (h**2).sum() + (h_n**3).sum() + c_n.sum()
        results.append([h, h_n, c_n, *torch.autograd.grad(loss, [x, *state])])
    names = ("h", "h_n", "c_n", "gradient of x", "gradient of h0", "gradient of c0")
    for name, expected, got in zip(names, *results, strict=True):
        assert_close(name, expected, got)
    if backend != "auto":
        assert {each.ran.name for each, _ in layer._with_suffixes()} == {backend}


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_layers_of_different_units_equal_a_chain_of_torch_modules(bidirectional, backend):
    torch.manual_seed(0)
    layer = LSTM(3, (5, 2, 4), bidirectional=bidirectional, cell=Cell(backend=backend)).double()
    directions = 1 + bidirectional
    x = torch.randn(4, 7, 3, dtype=torch.float64, requires_grad=True)
    h0, c0 = (
        [torch.randn(4, n, dtype=torch.float64, requires_grad=True) for n in layer.state_sizes]
        for _ in range(2)
    )
    chain = nn.ModuleList(
        nn.LSTM(
            inputs * (directions if depth else 1),
            units,
            bidirectional=bidirectional,
            batch_first=True,
            dtype=torch.float64,
        )
        for depth, (inputs, units) in enumerate([(3, 5), (5, 2), (2, 4)])
    )
    h, finals = x, []
    for depth, module in enumerate(chain):
        for direction, each in enumerate(layer.stack()[depth]):
            suffix = "l0" + "_reverse" * direction
            with torch.no_grad():
                getattr(module, f"weight_ih_{suffix}").copy_(each.weight_ih)
                getattr(module, f"weight_hh_{suffix}").copy_(each.weight_hh)
                getattr(module, f"bias_ih_{suffix}").copy_(each.bias)
                getattr(module, f"bias_hh_{suffix}").zero_()
        own = slice(depth * directions, (depth + 1) * directions)
        h, state = module(h, (torch.stack(h0[own]), torch.stack(c0[own])))
        finals.append(state)
    expected = [h, *(one for pair in finals for half in pair for one in half)]
    got, (h_n, c_n) = layer(x, state=(tuple(h0), tuple(c0)))
    results = [got]
    for depth in range(3):
        own = slice(depth * directions, (depth + 1) * directions)
        results += [*h_n[own], *c_n[own]]
    for outputs in (expected, results):
        loss = sum((one**3).sum() for one in outputs)
        outputs += torch.autograd.grad(loss, [x, *h0, *c0])
    for place, (one, other) in enumerate(zip(expected, results, strict=True)):
        assert_close(f"result {place}", one, other)


def test_numbers_of_layers_that_disagree_are_refused():
    assert len(LSTM(3, (5, 2), num_layers=2).layers) == 2
    with pytest.raises(InputError) as caught:
        LSTM(3, (5, 2), num_layers=3)
    assert str(caught.value) == (
        "`units` (5, 2) is 2 layers, but `num_layers` is 3; leave num_layers=1, or make both the "
        "same number."
    )


def test_torch_has_no_stack_of_different_units():
    with pytest.raises(InputError) as caught:
        LSTM(3, (5, 2)).to_torch()
    assert str(caught.value) == (
        "The layers of a torch.nn.LSTM have the same number of units, but these have 5, 2. Convert "
        "a whole model with `unspool.interop.torch.to_torch`, which makes an nn.LSTM of each layer."
    )
    assert LSTM(3, (5, 5)).to_torch().num_layers == 2


def test_gradients_of_the_weights_equal_those_of_torch():
    module = theirs()
    layer = LSTM.from_torch(module)
    x, _ = start(module)
    for one in (module, layer):
        (one(x)[0] ** 2).sum().backward()
    for each, suffix in layer._with_suffixes():
        for name, got in (("weight_ih", each.weight_ih), ("weight_hh", each.weight_hh)):
            assert_close(suffix, getattr(module, f"{name}_{suffix}").grad, got.grad)
        assert_close(suffix, getattr(module, f"bias_ih_{suffix}").grad, each.bias.grad)


@shapes
def test_lengths_have_the_effect_of_packed_sequences(num_layers, bidirectional):
    module = theirs(num_layers, bidirectional)
    x, state = start(module)
    lengths = torch.tensor([7, 5, 5, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    h, (h_n, c_n) = module(packed, state)
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(h, batch_first=True)
    got_h, (got_h_n, got_c_n) = LSTM.from_torch(module)(x, lengths, state=state)
    real = torch.arange(7)[:, None] < lengths[:, None, None]
    assert_close("h", h, got_h * real)
    assert_close("h_n", h_n, got_h_n)
    assert_close("c_n", c_n, got_c_n)


@shapes
def test_without_sequences_the_final_states_are_the_same(num_layers, bidirectional):
    layer = ours(num_layers, bidirectional)
    x, lengths = torch.randn(4, 7, 3), torch.tensor([7, 0, 3, 1])
    h, finals = layer(x, lengths)
    empty, same = layer(x, lengths, return_sequences=False)
    assert empty.shape == (4, 0, h.shape[2])
    for name, one, other in zip(("h_n", "c_n"), finals, same, strict=True):
        assert_close(name, one, other)


@dtypes
@shapes
def test_from_torch_restores_the_weights_of_to_torch(num_layers, bidirectional, dtype):
    layer = ours(num_layers, bidirectional).to(dtype)
    restored = LSTM.from_torch(layer.to_torch())
    assert restored.state_dict().keys() == layer.state_dict().keys()
    for name, weight in layer.state_dict().items():
        assert restored.state_dict()[name].dtype == dtype
        assert torch.equal(restored.state_dict()[name], weight), name


@shapes
def test_to_torch_computes_the_same(num_layers, bidirectional):
    layer = ours(num_layers, bidirectional)
    x = torch.randn(4, 7, 3)
    h, (h_n, c_n) = layer(x)
    module = layer.to_torch()
    got, (got_h_n, got_c_n) = module(x)
    assert_close("h", h, got)
    assert_close("h_n", h_n, got_h_n)
    assert_close("c_n", c_n, got_c_n)


def test_weights_are_copies():
    layer = ours()
    module = layer.to_torch()
    restored = LSTM.from_torch(module)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert all(weight.any() for weight in restored.parameters())
    assert all(weight.any() for weight in layer.parameters())


def test_two_biases_become_their_sum():
    module = theirs(1, False)
    (layer, _), *_ = LSTM.from_torch(module)._with_suffixes()
    assert torch.equal(layer.bias, module.bias_ih_l0 + module.bias_hh_l0)
    back = LSTM.from_torch(module).to_torch()
    assert torch.equal(back.bias_ih_l0, layer.bias)
    assert not back.bias_hh_l0.any()


def test_a_module_without_biases_becomes_one_with_zero_biases():
    module = theirs(bias=False)
    layer = LSTM.from_torch(module)
    x, state = start(module)
    assert not any(each.bias.any() for each, _ in layer._with_suffixes())
    assert_close("h", module(x, state)[0], layer(x, state=state)[0])


def test_from_torch_expects_the_batch_axis_first_even_if_the_module_does_not():
    module = theirs(batch_first=False)
    x, state = start(module)
    expected, _ = module(x.transpose(0, 1), state)
    assert_close("h", expected.transpose(0, 1), LSTM.from_torch(module)(x, state=state)[0])


@pytest.mark.parametrize(("name", "value"), [("proj_size", 2), ("dropout", 0.5)])
def test_from_torch_refuses_projections_and_dropout(name, value):
    with pytest.raises(InputError) as caught:
        LSTM.from_torch(theirs(**{name: value}))
    assert str(caught.value) == (
        f"Expected a torch.nn.LSTM with {name}=0, got {name}={value}, which `unspool.nn.LSTM` "
        "does not support."
    )


def test_to_torch_refuses_cells_and_inputs_that_torch_does_not_support():
    with pytest.raises(InputError) as caught:
        ours(cell=Cell("relu", "hard_sigmoid")).to_torch()
    assert str(caught.value) == (
        "torch.nn.LSTM supports only tanh cells with sigmoid gates, but these are relu cells with "
        "hard_sigmoid gates."
    )
    for stack, reason in (
        (ours(context_size=2), "have a context"),
        (LSTM(0, 5, context_size=2), "have a context"),
        (LSTM(0, 5), "read no input at their steps"),
    ):
        with pytest.raises(InputError) as caught:
            stack.to_torch()
        assert str(caught.value) == (
            f"torch.nn.LSTM reads one input sequence, but these layers {reason}."
        )
