"""The table of a model: counts by hand, shapes of real outputs, and an unchanged model."""

import copy
import functools

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch import nn

import unspool
from tests.trained import LAST
from unspool import LSTMAutoencoder
from unspool.errors import InputError
from unspool.lstm.backends import compiled, torch_lstm
from unspool.nn import LSTM, LSTMEncoder, LSTMLayer, summary

# Models here are fitted for an epoch on a few numbers: no fit for anything but their shapes.
pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

STEPS = 9


@functools.cache
def fitted(features, **options):
    options = {"bidirectional": False, "backend": "stepwise", **LAST, **options}
    model = LSTMAutoencoder(
        **options, epochs=1, validation_split=0, scaling="none", random_state=0, verbose=0
    )
    return model.fit(np.random.default_rng(0).normal(size=(4, STEPS, features)))


SIMPLE = {"features": 1, "latent_dim": 100, "activation": "relu"}
STACKED = {"features": 3, "latent_dim": 12, "units": 8, "num_layers": 3, "head_units": (10, 5)}
BIDIRECTIONAL = {
    "features": 3, "latent_dim": 12, "units": 8, "num_layers": 2, "bidirectional": True,
    "decoder": "reversed_input", "head_units": (10,), "output_activation": "tanh",
}  # fmt: skip
REVERSED_INPUT = {"features": 3, "latent_dim": 10, "decoder": "reversed_input"}
MODELS = {
    "simple": SIMPLE,
    "stacked": STACKED,
    "bidirectional": BIDIRECTIONAL,
    "reversed input": REVERSED_INPUT,
}


def lstm_count(units, inputs, context=0):
    """Four gates, each with a weight for every input and every unit, and a bias."""
    return 4 * units * (context + inputs + units + 1)


def table(model, steps=None, **options):
    return [
        (row.part, row.name, row.kind, row.output_shape, row.parameters)
        for row in summary(model, steps, **options).rows
    ]


def test_rows_are_in_the_order_in_which_data_flows():
    assert table(fitted(**SIMPLE)) == [
        ("input", "input", "", ("N", 9, 1), 0),
        ("encoder", "lstm", "LSTM 100 relu", ("N", 100), lstm_count(100, 1)),
        ("code", "code", "", ("N", 100), 0),
        ("reconstruction", "lstm", "LSTM 100 relu", ("N", 9, 100), lstm_count(100, 0, 100)),
        ("reconstruction", "head", "Dense 1 linear", ("N", 9, 1), 101),
    ]


def test_layers_of_different_units_have_their_own_widths():
    assert table(fitted(2, latent_dim=3, units=(7, 5), decoder_units=(4,)), 6) == [
        ("input", "input", "", ("N", 6, 2), 0),
        ("encoder", "lstm_1", "LSTM 7 tanh", ("N", 6, 7), lstm_count(7, 2)),
        ("encoder", "lstm_2", "LSTM 5 tanh", ("N", 5), lstm_count(5, 7)),
        ("encoder", "projection", "Dense 3", ("N", 3), 5 * 3 + 3),
        ("code", "code", "", ("N", 3), 0),
        ("reconstruction", "lstm", "LSTM 4 tanh", ("N", 6, 4), lstm_count(4, 0, 3)),
        ("reconstruction", "head", "Dense 2 linear", ("N", 6, 2), 4 * 2 + 2),
    ]


def test_both_directions_are_one_layer_and_dense_layers_have_their_activation():
    assert table(fitted(**BIDIRECTIONAL), 7) == [
        ("input", "input", "", ("N", 7, 3), 0),
        ("encoder", "lstm_1", "LSTM 2 × 8 tanh", ("N", 7, 16), 2 * lstm_count(8, 3)),
        ("encoder", "lstm_2", "LSTM 2 × 8 tanh", ("N", 16), 2 * lstm_count(8, 16)),
        ("encoder", "projection", "Dense 12", ("N", 12), 16 * 12 + 12),
        ("code", "code", "", ("N", 12), 0),
        ("reconstruction", "lstm_1", "LSTM 2 × 8 tanh", ("N", 7, 16), 2 * lstm_count(8, 3, 12)),
        ("reconstruction", "lstm_2", "LSTM 2 × 8 tanh", ("N", 7, 16), 2 * lstm_count(8, 16)),
        ("reconstruction", "head_1", "Dense 10 relu", ("N", 7, 10), 170),
        ("reconstruction", "head_2", "Dense 3 tanh", ("N", 7, 3), 33),
    ]


@pytest.mark.parametrize("steps", [1, 2, 3, 9])  # 2 and 3 are as long as the batches are wide
@pytest.mark.parametrize("name", MODELS)
def test_shapes_are_those_of_real_outputs_and_counts_add_up(name, steps):
    model = fitted(**MODELS[name])
    result = summary(model, steps)
    assert result.total == sum(p.numel() for p in model.module_.parameters())
    x = torch.randn(5, steps, MODELS[name]["features"])
    states = []
    stack = model.module_.decoders["reconstruction"].lstm
    hook = stack.register_forward_hook(lambda _, given, output: states.append(output[0]))
    with torch.no_grad():
        code = model.module_.encoder(x)
        output = model.module_(x)
    hook.remove()
    shapes = {(row.part, row.name): row.output_shape for row in result.rows}
    assert shapes["input", "input"] == ("N", *x.shape[1:])
    assert shapes["code", "code"] == ("N", *code.shape[1:])
    *_, last = (row for row in result.rows if row.name.startswith("lstm"))
    assert last.output_shape == ("N", *states[0].shape[1:])
    assert result.rows[-1].output_shape == ("N", *output.shape[1:])


def test_a_forecast_decoder_is_a_part_with_as_many_steps_as_its_horizon():
    model = copy.deepcopy(fitted(features=2, latent_dim=4))
    model.module_.decoders["forecast"] = copy.deepcopy(model.module_.decoders["reconstruction"])
    model.module_.horizon = 6
    assert [(row[0], *row[3:]) for row in table(model)] == [
        ("input", ("N", 9, 2), 0),
        ("encoder", ("N", 4), lstm_count(4, 2)),
        ("code", ("N", 4), 0),
        ("reconstruction", ("N", 9, 4), lstm_count(4, 0, 4)),
        ("reconstruction", ("N", 9, 2), 10),
        ("forecast", ("N", 6, 4), lstm_count(4, 0, 4)),
        ("forecast", ("N", 6, 2), 10),
    ]


def test_a_forecast_alone_needs_no_reconstruction():
    model = copy.deepcopy(fitted(features=2, latent_dim=4))
    model.module_.decoders["forecast"] = model.module_.decoders["reconstruction"]
    del model.module_.decoders["reconstruction"]
    model.module_.horizon = 6
    assert table(model)[-1] == ("forecast", "head", "Dense 2 linear", ("N", 6, 2), 10)


def test_a_layer_that_runs_step_by_step_is_listed_with_all_steps():
    class StepByStep(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = LSTMLayer(2, 5)
            self.head = nn.Sequential(nn.Linear(5, 2), nn.Tanh())

        def forward(self, x):
            state, steps = None, []
            for step in range(x.shape[1]):
                h, state = self.lstm(x[:, step : step + 1], state=state)
                steps.append(self.head(h))
            return torch.cat(steps, 1)

    assert [row[2:4] for row in table(StepByStep(), 7)] == [
        ("", ("N", 7, 2)), ("LSTM 5 tanh", ("N", 7, 5)), ("Dense 2 tanh", ("N", 7, 2)),
    ]  # fmt: skip


def test_an_activation_that_several_layers_share_is_listed_with_each():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 2), relu)
    assert [row[2] for row in table(model)] == ["", "Dense 3 relu", "Dense 2 relu"]


def test_any_model_with_an_encoder_is_listed_by_parts():
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.softmax = nn.Sequential(nn.Linear(8, 3), nn.Softmax(1))
            self.encoder = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 8), nn.ReLU())

        def forward(self, x):
            return self.softmax(self.encoder(x))

    assert table(Classifier(), input_shape=(4,)) == [
        ("input", "input", "", ("N", 4), 0),
        ("encoder", "dense_1", "Dense 6 relu", ("N", 6), 30),
        ("encoder", "dense_2", "Dense 8 relu", ("N", 8), 56),
        ("code", "code", "", ("N", 8), 0),
        ("softmax", "dense", "Dense 3 softmax", ("N", 3), 27),
    ]


def test_decoders_that_read_the_input_are_listed():
    assert summary(fitted(**SIMPLE)).reads_input == ()
    assert summary(fitted(**REVERSED_INPUT)).reads_input == ("reconstruction",)


def test_an_encoder_or_a_decoder_alone_can_be_summarised():
    model = fitted(**REVERSED_INPUT).module_
    assert table(model.encoder, 7) == [
        ("input", "input", "", ("N", 7, 3), 0),
        ("", "lstm", "LSTM 10 tanh", ("N", 10), lstm_count(10, 3)),
    ]
    assert table(model.decoders["reconstruction"], 7) == [
        ("code", "code", "", ("N", 10), 0),
        ("", "lstm", "LSTM 10 tanh", ("N", 7, 10), lstm_count(10, 3, 10)),
        ("", "head", "Dense 3 linear", ("N", 7, 3), 33),
    ]
    dense = LSTMEncoder(3, 5, units=10)
    assert table(dense, 7)[1:] == [
        ("", "lstm", "LSTM 10 tanh", ("N", 10), lstm_count(10, 3)),
        ("", "projection", "Dense 5", ("N", 5), 55),
    ]
    plain = fitted(**SIMPLE).module_.decoders["reconstruction"]
    assert table(plain, 4)[1][3:] == (("N", 4, 100), lstm_count(100, 0, 100))


def test_a_decoder_with_an_unknown_code_length_needs_input_shape():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = LSTMLayer(3, 4)

        def forward(self, code, steps, lengths=None, x=None):
            return self.lstm(code.view(len(code), steps, 3))[0]

    with pytest.raises(InputError) as caught:
        summary(Decoder(), 5)
    assert str(caught.value) == (
        "The layers of Decoder do not determine the length of a code. Give `input_shape`, (L,)."
    )
    assert [row[3] for row in table(Decoder(), 5, input_shape=(15,))] == [("N", 15), ("N", 5, 4)]
    with pytest.raises(InputError) as caught:
        summary(Decoder())
    assert str(caught.value) == (
        "Decoder is a decoder. Give `steps`, the number of steps to decode."
    )


def test_convolutions_pooling_and_upsampling_of_other_models_are_listed():
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2),
        nn.Upsample(scale_factor=2), nn.Conv2d(32, 1, (3, 5), padding="same"), nn.Sigmoid(),
        nn.Flatten(),
    )  # fmt: skip
    assert table(model, input_shape=(1, 28, 28)) == [
        ("input", "input", "", ("N", 1, 28, 28), 0),
        ("", "conv2d_1", "Conv2D 32 3×3 relu", ("N", 32, 28, 28), 9 * 32 + 32),
        ("", "maxpool2d", "MaxPool2D 2×2", ("N", 32, 14, 14), 0),
        ("", "upsample", "Upsample ×2", ("N", 32, 28, 28), 0),
        ("", "conv2d_2", "Conv2D 1 3×5 sigmoid", ("N", 1, 28, 28), 15 * 32 + 1),
        ("", "flatten", "Flatten", ("N", 784), 0),
    ]
    assert table(nn.Conv1d(2, 4, 3), input_shape=(2, 9))[1][2:4] == (
        "Conv1D 4 3",
        ("N", 4, 7),
    )


def test_dense_layers_determine_the_shape_of_the_input():
    model = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 784), nn.Sigmoid())
    assert [row[3:] for row in table(model)] == [
        (("N", 784), 0), (("N", 32), 784 * 32 + 32), (("N", 784), 32 * 784 + 784),
    ]  # fmt: skip
    assert table(nn.Linear(2, 3), 5)[1][3] == ("N", 5, 3)


def test_an_activation_belongs_to_a_layer_only_if_it_directly_follows():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.act, self.pool = nn.Linear(4, 4), nn.ReLU(), nn.MaxPool1d(2)

        def forward(self, x):
            return self.act(self.pool(self.dense(x)))

    assert [row[2] for row in table(Model())] == ["", "Dense 4", "MaxPool1D 2", "ReLU"]
    twice = nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Tanh())
    assert [row[2] for row in table(twice)] == ["", "Dense 4 linear", "Tanh"]


def test_shared_weights_count_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    model = nn.Sequential(first, second, first)
    assert [row[4] for row in table(model)] == [0, 20, 4]
    assert summary(model).total == sum(p.numel() for p in model.parameters()) == 24


def test_weights_outside_of_layers_and_layers_that_do_not_run_are_counted():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.shift, self.dense = nn.Parameter(torch.zeros(3)), nn.Linear(3, 3)
            self.unused = nn.Linear(3, 7)

        def forward(self, x):
            return self.dense(x) + self.shift

    rows = table(Model(), input_shape=(3,))
    assert rows[1:] == [
        ("", "dense", "Dense 3", ("N", 3), 12),
        ("", "model", "Model", ("N", 3), 3),
        ("", "unused", "Dense 7", (), 28),
    ]
    assert "not run" in str(summary(Model(), input_shape=(3,)))


def test_batch_and_steps_that_share_an_axis_are_separated():
    class Merged(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(2, 3)

        def forward(self, x):
            return self.dense(x.reshape(-1, 2)).reshape(len(x), -1, 3)

    assert table(Merged(), 5)[1][3] == ("N", 5, 3)


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x + torch.randn_like(x))


def test_the_model_is_not_changed():
    model = nn.Sequential(LSTMEncoder(1, 4), Noisy(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    model.train()
    model[3].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    summary(model, 9)
    assert torch.equal(random, torch.get_rng_state())
    assert [module.training for module in model] == [True, True, True, False]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    layer = model[0].lstm.stack()[0][0]
    assert layer.ran is None
    assert layer.cell.backend == "auto"
    assert all(p.grad is None for p in model.parameters())


def test_steps_default_to_the_longest_sequence_of_fit():
    model = clone(fitted(features=2, latent_dim=3))
    with pytest.raises(NotFittedError):
        summary(model)
    model.fit([np.ones((length, 2)) * length for length in (4, 7, 5)])
    assert table(model)[0][3] == ("N", 7, 2)
    assert summary(model).model == "LSTMAutoencoder"
    assert table(model, 30)[-1][3] == ("N", 30, 2)


def test_a_summary_compiles_nothing(monkeypatch):
    for backend in (compiled, torch_lstm):
        monkeypatch.setattr(backend, "run", None)
    assert summary(LSTMEncoder(1, 4), 9).total == lstm_count(4, 1)


def test_the_table_is_aligned_and_ends_with_the_total():
    result = summary(fitted(**REVERSED_INPUT))
    assert repr(result) == str(result)
    assert str(result).split("\n") == [
        "LSTMAutoencoder",
        "───────────────────────────────────────────────────────────────",
        "part            layer  kind            output shape  parameters",
        "───────────────────────────────────────────────────────────────",
        "input                                  (N, 9, 3)",
        "encoder         lstm   LSTM 10 tanh    (N, 10)              560",
        "code                                   (N, 10)",
        "reconstruction  lstm   LSTM 10 tanh    (N, 9, 10)           960",
        "                head   Dense 3 linear  (N, 9, 3)             33",
        "───────────────────────────────────────────────────────────────",
        "total                                                     1,553",
    ]


class Unfit:
    pass


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            Unfit(), {},
            "Expected a fitted estimator with the attribute `module_`, or a torch module, got "
            "Unfit.",
        ),
        (LSTM(1, 3), {"steps": 0}, "`steps` must be a whole number of at least 1 or None, got 0."),
        (
            LSTM(1, 3), {"input_shape": (0, 1)},
            "`input_shape` must be a whole number of at least 1, got 0.",
        ),
        (
            LSTM(1, 3), {},
            "The layers of LSTM do not determine the number of steps. Give `steps`, the number of "
            "steps of a sequence.",
        ),
        (
            LSTM(1, 3), {"steps": 3, "input_shape": (3, 1)},
            "Expected `steps` or `input_shape`, got both. Leave one of them out.",
        ),
        (
            nn.Conv1d(1, 1, 3), {"steps": 9},
            "The layers of Conv1d do not determine the shape of its input. Give `input_shape`, the "
            "shape of one input.",
        ),
    ],
)  # fmt: skip
def test_invalid_arguments_are_refused(model, options, message):
    with pytest.raises(InputError) as caught:
        summary(model, **options)
    assert str(caught.value) == message


def test_an_input_that_the_model_cannot_read_is_named_with_its_shape():
    with pytest.raises(InputError) as caught:
        summary(nn.Linear(3, 2), input_shape=(9, 4))
    message = str(caught.value)
    assert message.startswith("Linear cannot run on inputs of shape (N, 9, 4): mat1 and mat2 ")
    assert message.endswith(". Set `steps` or `input_shape` to what the model expects.")


def kinds(model):
    return [(row.kind, row.output_shape) for row in summary(model).rows if row.is_layer]


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_convolutions_pools_and_upsampling_are_listed_with_their_sizes():
    X = np.random.default_rng(0).random((12, 6, 5, 1))
    model = unspool.ConvAutoencoder(None, filters=(3,), epochs=1, verbose=0, random_state=0).fit(X)
    assert kinds(model) == [
        ("Convolution 3 3×3", ("N", 6, 5, 3)),
        ("Pool 2×2 relu", ("N", 3, 3, 3)),
        ("Convolution 3 3×3 relu", ("N", 3, 3, 3)),
        ("Up 2×2 Convolution 1 3×3", ("N", 6, 6, 1)),
    ]
    assert summary(model).total == sum(p.numel() for p in model.module_.parameters())


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_strided_and_transposed_convolutions_are_listed_with_their_strides():
    X = np.random.default_rng(0).random((12, 7, 2))
    model = unspool.ConvAutoencoder(
        None, filters=(3,), strides=2, pool_size=1, upsampling="transposed", epochs=1, verbose=0
    ).fit(X)
    assert kinds(model) == [
        ("Convolution 3 3×1 stride 2×1 relu", ("N", 4, 1, 3)),
        ("Transposed Convolution 3 3×1 stride 2×1 relu", ("N", 8, 1, 3)),
        ("Convolution 2 3×1", ("N", 7, 1, 2)),
    ]


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_a_dense_layer_that_returns_all_steps_is_one_layer(tmp_path):
    X = np.random.default_rng(0).random((12, 7))
    model = unspool.LSTMAutoencoder(
        latent_dim=3, bidirectional=False, decoder="dense", epochs=1, verbose=0, **LAST
    ).fit(X)  # fmt: skip
    assert kinds(model) == [("LSTM 3 tanh", ("N", 3)), ("Dense 7 linear", ("N", 7, 1))]
    model.save(tmp_path / "encoder", part="encoder")
    alone = unspool.load(tmp_path / "encoder")
    assert kinds(alone) == [("LSTM 3 tanh", ("N", 3))]
    classifier = unspool.EncoderClassifier(model, epochs=1, verbose=0).fit(X, np.arange(12) % 3)
    assert kinds(classifier) == [("LSTM 3 tanh", ("N", 3)), ("Dense 3 linear", ("N", 3))]


def test_a_default_model_pools_states_and_has_random_kernels():
    X = np.random.default_rng(0).normal(size=(6, 9, 2))
    model = LSTMAutoencoder(4, units=3, epochs=1, verbose=0).fit(X)
    encoder = [
        ("lstm", "LSTM 2 × 3 tanh", ("N", 5, 6), 2 * lstm_count(3, 2)),
        ("kernels", "RandomKernels", ("N", 512), 0),
        ("projection", "Dense 4", ("N", 4), (5 * 6 + 512) * 4 + 4),
    ]
    assert [row[1:] for row in table(model) if row[0] == "encoder"] == encoder
    assert [row[1:] for row in table(model.encoder_, 9)][1:] == encoder


def test_a_model_with_patches_is_listed_with_patches_as_steps():
    X = np.random.default_rng(0).normal(size=(6, 9, 2))
    patches = {"patch_size": 4, "decoder": "reversed_input", "epochs": 1, "verbose": 0, **LAST}
    model = LSTMAutoencoder(8, units=4, **patches)
    shapes = [row.output_shape for row in summary(model.fit(X)).rows]
    assert shapes == [("N", 9, 2), ("N", 8), ("N", 8), ("N", 3, 8), ("N", 3, 4, 2)]
    assert summary(model.encoder_, steps=5).rows[0].output_shape == ("N", 5, 2)
    assert summary(model.decoder_, steps=5).rows[-1].output_shape == ("N", 2, 4, 2)
