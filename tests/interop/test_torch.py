"""A plain PyTorch module gives what the estimator gives, also where there is no unspool."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from tests.trained import ALL, CLASSIFIERS, FEATURES, LONG, RAGGED, STEPS, Case, forecaster, lstm
from unspool import Sequences
from unspool.errors import InputError
from unspool.interop.torch import to_torch

# A reconstruction that reads its own output, and cells that nn.LSTM does not have.
REFUSED = {
    name
    for name in ALL
    if name.removeprefix("GRU, ").startswith(
        ("previous", "state_previous", "written backwards", "relu, ", "hard gates")
    )
    or name in ("relu", "GRU, relu")
}
MORE = {
    "repeat, written backwards": Case(lstm(decoder="repeat", reverse_target=True), RAGGED),
    "state, written backwards": Case(
        lstm(decoder="state", reverse_target=True, num_layers=2), RAGGED
    ),
    "forecaster, previous, two layers": Case(
        forecaster(decoder="state_previous", num_layers=2, units=4), LONG
    ),
    "forecaster, repeat, both ways": Case(forecaster(decoder="repeat", bidirectional=True), LONG),
}
CASES = {**{name: case for name, case in ALL.items() if name not in REFUSED}, **MORE}


@pytest.fixture(scope="module")
def pairs():
    """A function that returns a model and its plain module; each is made once."""
    made = {}

    def pair(name):
        if name not in made:
            model = {**ALL, **MORE}[name].fit()
            made[name] = model, to_torch(model)
        return made[name]

    return pair


def known(name, model):
    """The input of a model without the future, which a module does not cut off."""
    X = {**ALL, **MORE}[name].X
    return model._without_future(X) if getattr(model, "horizon_", 0) else X


def inputs(name, model):
    """x and lengths for a module, with NaN in the padding."""
    X = known(name, model)
    if isinstance(X, Sequences):
        values, lengths = X.values.copy(), X.lengths
        values[np.arange(values.shape[1]) >= lengths[:, None]] = np.nan
    else:
        values = X.reshape(len(X), -1, model.contents().facts.n_features)
        lengths = np.full(len(X), values.shape[1])
    future = {**ALL, **MORE}[name].future
    also = [] if future is None else [torch.from_numpy(future)]
    return torch.from_numpy(values), torch.from_numpy(lengths), *also


def outputs(name, model):
    """The outputs of the estimator, by the keys of the module."""
    X = known(name, model)
    found = {}
    if name in CLASSIFIERS:
        return {"probabilities": model.predict_proba(X)}
    if hasattr(model, "transform"):
        found["code"] = model.transform(X)
    if "reconstruction" in model.module_.decoders:
        found["reconstruction"] = np.nan_to_num(model.reconstruct(X))
    if model.horizon_:
        found["forecast"] = model.forecast(X, {**ALL, **MORE}[name].future)
    if "quantiles" in model.module_.decoders:
        found["quantiles"] = model.predict_quantiles(X, {**ALL, **MORE}[name].future).swapaxes(2, 3)
    return found


def assert_same(name, model, got):
    """Equal to 1e-5 of a feature's spread; "code" is not compared if the estimator has none."""
    expected = outputs(name, model)
    assert set(got) == {*expected, "code"}
    for what, one in expected.items():
        other = got[what].detach().numpy()
        other = other.swapaxes(2, 3) if what == "quantiles" else other.reshape(one.shape)
        if what in ("reconstruction", "forecast", "quantiles"):
            spread = model.target_scaler_.scale
            one, other = (each.reshape(-1, len(spread)) / spread for each in (one, other))
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5, err_msg=what)


@pytest.mark.parametrize("name", CASES)
def test_the_module_computes_the_outputs_of_the_estimator(name, pairs):
    model, module = pairs(name)
    assert_same(name, model, module(*inputs(name, model)))


@pytest.mark.parametrize("name", [*MORE, "composite that reads", "images", "classifier, lstm"])
def test_the_encoder_alone_returns_the_same_codes(name, pairs):
    model, module = pairs(name)
    encoder = to_torch(model, part="encoder")
    x, lengths = inputs(name, model)
    torch.testing.assert_close(encoder(x, lengths), module(x, lengths)["code"], rtol=0, atol=0)
    states = module.state_dict()
    ours = [n for n in states if n.startswith(("encoder.", "shift", "scale"))]
    assert list(encoder.state_dict()) == ours


@pytest.mark.parametrize("name", ["reversed_input, both ways, two layers", "state", "variational"])
def test_any_number_of_steps_is_accepted_and_padding_is_ignored(name, pairs):
    _, module = pairs(name)
    x, lengths = torch.from_numpy(RAGGED.values), torch.from_numpy(RAGGED.lengths)
    longer = torch.cat([x, torch.full((len(x), 4, FEATURES), torch.inf)], 1)
    expected, got = module(x, lengths), module(longer, lengths.int())
    torch.testing.assert_close(got["code"], expected["code"], rtol=1e-6, atol=1e-6)
    sequences, target = got["reconstruction"], expected["reconstruction"]
    torch.testing.assert_close(sequences[:, :STEPS], target, rtol=1e-5, atol=1e-5)
    assert not sequences[:, STEPS:].any()
    assert not sequences[0].any()  # an empty sequence
    one = module(x[1:2], lengths[1:2])["code"]
    torch.testing.assert_close(one, expected["code"][1:2], rtol=1e-5, atol=1e-6)


SAVED = ["reshape", "state, both ways, two layers", "forecaster, previous", "dense sequences"]
SAVED += ["convolved sequences", "classifier, images"]

WITHOUT_UNSPOOL = """
import json, sys
sys.modules["unspool"] = None
import torch
found = []
for path in sys.argv[1:]:
    module, x, lengths = torch.load(path, weights_only=False)
    made = {name: tensor.tolist() for name, tensor in module(x, lengths).items()}
    found.append([made, list(module.state_dict())])
print(json.dumps(found))
"""


def test_a_pickled_module_runs_without_unspool(pairs, tmp_path):
    paths = []
    for i, name in enumerate(SAVED):
        model, module = pairs(name)
        paths.append(str(tmp_path / f"{i}.pt"))
        torch.save((module, *inputs(name, model)), paths[-1])
    command = [sys.executable, "-c", WITHOUT_UNSPOOL, *paths]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, (made, names) in zip(SAVED, json.loads(done.stdout), strict=True):
        model, module = pairs(name)
        assert_same(name, model, {what: torch.tensor(each) for what, each in made.items()})
        assert names == list(module.state_dict())


def layer(prefix):
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [f"{prefix}{name}" for name in names]


def linear(*prefixes):
    return [f"{prefix}.{name}" for prefix in prefixes for name in ("weight", "bias")]


STATES = {
    "state, both ways, two layers": [
        *linear("encoder.projection"),
        *(n for i in (0, 1) for d in (0, 1) for n in layer(f"encoder.lstm.{i}.{d}.")),
        *(
            n
            for i in (0, 1)
            for d in (0, 1)
            for n in layer(f"decoders.reconstruction.lstm.{i}.{d}.")
        ),
        *linear("decoders.reconstruction.start", "decoders.reconstruction.head.0"),
    ],
    "tanh head": [
        *layer("encoder.lstm.0.0."),
        *layer("decoders.reconstruction.lstm.0.0."),
        *linear(*(f"decoders.reconstruction.head.{i}" for i in (0, 2, 4))),
    ],
    "forecaster, repeat": [
        *layer("encoder.lstm.0.0."),
        *layer("decoders.forecast.lstm.0.0."),
        *linear("decoders.forecast.head.0"),
    ],
    "stacked": [
        *linear(*(f"encoder.layers.{i}" for i in (0, 2, 4))),
        *linear(*(f"decoders.reconstruction.head.{i}" for i in (0, 2, 4))),
    ],
    "images": [
        *linear("encoder.projection", "encoder.convolutions.0", "encoder.convolutions.1"),
        *linear("decoders.reconstruction.start"),
        *linear(*(f"decoders.reconstruction.convolutions.{i}" for i in range(3))),
    ],
    "classifier, dense": linear("encoder.layers.0", "head.0", "head.2"),
}


@pytest.mark.parametrize("name", STATES)
def test_state_dicts_have_the_documented_names(name, pairs):
    _, module = pairs(name)
    assert sorted(module.state_dict()) == sorted(["shift", "scale", *STATES[name]])


def test_the_weights_load_into_a_torch_lstm(pairs):
    model, module = pairs("reversed_input, both ways, two layers")
    trained = copy.deepcopy(model.module_).cpu()
    state, ours = module.state_dict(), trained.state_dict()
    shapes = {
        "encoder.lstm.0.1.weight_ih_l0": (12, FEATURES),
        "encoder.lstm.1.0.weight_ih_l0": (12, 6),
        "decoders.reconstruction.lstm.0.0.weight_ih_l0": (12, FEATURES + 5),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    encoder = nn.LSTM(FEATURES, 3, bidirectional=True, batch_first=True)
    for direction, end in enumerate(["", "_reverse"]):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(encoder, f"{name}_l0{end}").data = state[
                f"encoder.lstm.0.{direction}.{name}_l0"
            ]
    x = torch.from_numpy(RAGGED.values[1:2])  # without padding
    scaled = ((x - state["shift"]) / state["scale"]).float()
    states, _ = trained.encoder.lstm.stack()[0][0](scaled)
    torch.testing.assert_close(encoder(scaled)[0][..., :3], states, rtol=1e-5, atol=1e-6)
    prefix = "decoders.reconstruction.lstm."
    read = torch.cat([ours[f"{prefix}layers.0.0.weight_{n}"] for n in ("ih", "context")], 1)
    torch.testing.assert_close(state[f"{prefix}0.0.weight_ih_l0"], read, rtol=0, atol=0)
    assert not state["encoder.lstm.0.0.bias_hh_l0"].any()


def test_all_submodules_are_classes_of_torch(pairs):
    for name in SAVED:
        kinds = {type(module).__module__ for module in pairs(name)[1].modules()}
        assert {kind.partition(".")[0] for kind in kinds} == {"torch"}


def test_gradients_reach_all_weights(pairs):
    _, module = pairs("state")
    x, lengths = torch.from_numpy(RAGGED.values), torch.from_numpy(RAGGED.lengths)
    inside = torch.arange(STEPS) < lengths[:, None]
    missed = (module(x, lengths)["reconstruction"] - x)[inside] / module.scale
    missed.square().mean().backward()
    gradients = {name: weight.grad for name, weight in module.named_parameters()}
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert gradients["encoder.lstm.0.0.weight_ih_l0"][:, :FEATURES].any()
    module.zero_grad()


def test_the_module_runs_in_double_precision():
    model = ALL["state"].fit()
    x, lengths = inputs("state", model)
    codes = to_torch(model, part="encoder").double()(x, lengths)
    assert codes.dtype == torch.float64
    np.testing.assert_allclose(codes.detach(), model.transform(RAGGED), rtol=1e-5, atol=1e-6)


def test_contents_are_converted_like_their_estimator(pairs):
    model, module = pairs("composite")
    x, lengths = inputs("composite", model)
    for contents, part, names in [
        (model.contents(), "model", {"code", "reconstruction", "forecast"}),
        (model.contents("encoder"), "model", {"code"}),
    ]:
        found = to_torch(contents, part=part)(x, lengths)
        assert set(found) == names
        torch.testing.assert_close(found["code"], module(x, lengths)["code"], rtol=0, atol=0)
    codes = to_torch(model.contents(), part="encoder")(x, lengths)
    torch.testing.assert_close(codes, found["code"], rtol=0, atol=0)


PREVIOUS = (
    "decoder={!r} reads its own output step by step, but a traced module needs a fixed number of "
    "steps; part='encoder' converts the encoder alone. Use the estimator, unspool.runtime or ONNX."
)
CELLS = (
    "torch.nn.{} supports activation='tanh' and recurrent_activation='sigmoid' only, but this "
    "model has {!r} and {!r}. Use the estimator, unspool.runtime or ONNX."
)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("previous", PREVIOUS.format("previous")),
        ("state_previous", PREVIOUS.format("state_previous")),
        ("relu", CELLS.format("LSTM", "relu", "sigmoid")),
        ("GRU, relu", CELLS.format("GRU", "relu", "sigmoid")),
        ("hard gates", CELLS.format("LSTM", "tanh", "hard_sigmoid")),
    ],
)
def test_unsupported_decoders_and_cells_are_refused(name, message):
    with pytest.raises(InputError) as caught:
        to_torch(ALL[name].fit())
    assert str(caught.value) == message


def test_the_encoder_of_an_autoregressive_model_is_converted():
    model = ALL["previous"].fit()
    for of in (model, model.contents()):
        codes = to_torch(of, part="encoder")(*inputs("previous", model))
        np.testing.assert_allclose(codes.detach(), model.transform(RAGGED), rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match=r"torch.nn.LSTM supports activation='tanh'"):
        to_torch(ALL["relu"].fit(), part="encoder")


def test_too_long_sequences_and_unknown_parts_are_refused(pairs):
    model, module = pairs("dense sequences")
    x = torch.zeros(2, STEPS + 1, FEATURES)
    with pytest.raises(AssertionError) as caught:
        module(x, torch.tensor([1, 2]))
    assert str(caught.value) == "This model accepts sequences of at most 9 steps; shorten them."
    with pytest.raises(InputError, match=r"unknown `part` 'decoder'"):
        to_torch(model, part="decoder")
    short = module(x[:, :2] + 1, torch.tensor([1, 2]))["reconstruction"]
    assert short.shape == (2, 2, FEATURES)
