"""Modules of GRU layers: compared with torch.nn.GRU, converted from and to it, and described."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool.errors import InputError
from unspool.lstm import BACKENDS
from unspool.nn import LSTM, Cell, LSTMDecoder, LSTMEncoder, LSTMLayer, gate_weights, summary

GRU = Cell(kind="gru")
shapes = pytest.mark.parametrize(
    ("num_layers", "bidirectional"), [(1, False), (2, False), (1, True), (2, True)]
)


def theirs(num_layers=2, bidirectional=True, **more):
    torch.manual_seed(0)
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "batch_first": True}
    return torch.nn.GRU(3, 5, dtype=torch.float64, **options, **more)


def start(module):
    """A batch and an initial state."""
    layers = module.num_layers * (1 + module.bidirectional)
    x, h0 = (torch.randn(*shape, dtype=torch.float64) for shape in [(4, 7, 3), (layers, 4, 5)])
    return x.requires_grad_(), h0.requires_grad_()


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@shapes
def test_states_and_gradients_equal_those_of_torch(num_layers, bidirectional, backend):
    module = theirs(num_layers, bidirectional)
    layer = LSTM.from_torch(module, backend=backend)
    x, h0 = start(module)
    results = []
    for h, h_n in (module(x, h0), (lambda h, finals: (h, *finals))(*layer(x, state=(h0,)))):
        loss = (h**2).sum() + (h_n**3).sum()
        results.append([h, h_n, *torch.autograd.grad(loss, [x, h0])])
    for name, expected, got in zip(("h", "h_n", "x", "h0"), *results, strict=True):
        assert_close(name, expected, got)


@shapes
def test_lengths_have_the_effect_of_packed_sequences(num_layers, bidirectional):
    module = theirs(num_layers, bidirectional)
    x, h0 = start(module)
    lengths = torch.tensor([7, 5, 5, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
    h, h_n = module(packed, h0)
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(h, batch_first=True)
    got_h, (got_h_n,) = LSTM.from_torch(module)(x, lengths, state=(h0,))
    assert_close("h", h, got_h * (torch.arange(7)[:, None] < lengths[:, None, None]))
    assert_close("h_n", h_n, got_h_n)


@pytest.mark.parametrize("bias", [True, False])
@shapes
def test_a_module_converted_to_torch_and_back_has_the_same_weights(num_layers, bidirectional, bias):
    layer = LSTM.from_torch(theirs(num_layers, bidirectional, bias=bias))
    module = layer.to_torch()
    assert isinstance(module, torch.nn.GRU)
    x, h0 = start(module)
    assert_close("h", layer(x, state=(h0,))[0], module(x, h0)[0])
    back = LSTM.from_torch(module).state_dict()
    for name, weight in layer.state_dict().items():
        assert torch.equal(back[name], weight), name


def test_what_torch_nn_gru_cannot_compute_is_refused():
    with pytest.raises(InputError) as caught:
        LSTM(3, 5, cell=Cell("relu", kind="gru")).to_torch()
    assert str(caught.value) == (
        "torch.nn.GRU supports only tanh cells with sigmoid gates, but these are relu cells with "
        "sigmoid gates."
    )
    with pytest.raises(InputError, match=r"Expected a torch.nn.GRU with dropout=0, got"):
        LSTM.from_torch(torch.nn.GRU(3, 5, num_layers=2, dropout=0.5))
    with pytest.raises(InputError, match=r"unknown `kind` 'grru': did you mean 'gru'\?"):
        Cell(kind="grru")


def test_initial_weights_are_those_of_keras():
    layer = LSTMLayer(3, 8, cell=GRU)
    assert not layer.bias.any()
    assert layer.bias.shape == (32,)
    np.testing.assert_allclose((layer.weight_hh.T @ layer.weight_hh).detach(), np.eye(8), atol=1e-5)
    assert layer.weight_ih.abs().max() <= (6 / (3 + 3 * 8)) ** 0.5


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_whole_state_is_h_of_all_layers(bidirectional):
    options = {"units": (5, 3), "bidirectional": bidirectional, "cell": GRU}
    size = 8 * (1 + bidirectional)
    encoder = LSTMEncoder(2, size, whole_state=True, **options)
    x = torch.randn(4, 6, 2)
    _, (h_n,) = encoder.lstm(x)
    assert torch.equal(encoder(x), torch.cat(h_n, 1))
    decoder = LSTMDecoder("state", size, 2, **options)
    assert decoder.start is None
    states, _ = decoder.lstm(None, state=(h_n,), steps=6)
    assert_close("decoded", decoder.head(states), decoder(encoder(x), 6))


def test_summaries_and_gates_name_the_cell():
    encoder = LSTMEncoder(3, 8, bidirectional=True, cell=GRU)
    assert [row.kind for row in summary(encoder, steps=4).rows][1] == "GRU 2 × 8 tanh"
    weights = gate_weights(encoder)["lstm.layers.0.0"]
    assert {name: list(gates) for name, gates in weights.items()} == {
        "w_ih": ["z", "r", "n"],
        "w_hh": ["z", "r", "n"],
        "bias": ["z", "r", "n", "rn"],
    }
