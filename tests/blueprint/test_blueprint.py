"""A blueprint has the weights of the modules that are built from it, and a file gives it again."""

from itertools import product

import numpy as np
import pytest
import torch

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    Windows,
    _registry,
    model_file,
)
from unspool.blueprint import DECODERS, Facts, Head, blueprint
from unspool.errors import InputError
from unspool.nn.from_blueprint import build, build_head

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

MODELS = {
    model.__name__: model
    for model in (
        LSTMAutoencoder,
        LSTMForecaster,
        DenseAutoencoder,
        StackedAutoencoder,
        ConvAutoencoder,
    )
}
SEQUENCES = Facts(n_features=3, max_length=7, horizon=0)
FUTURES = Facts(n_features=3, max_length=7, horizon=4)
IMAGES = Facts(n_features=2, max_length=30, image_shape=(6, 5, 2))
WIDTHS = ({}, {"units": 4}, {"decoder_units": 6}, {"units": 4, "decoder_units": 6})
LAYERS = ({}, {"num_layers": 3})
UNITS = (
    {"units": (6, 4)},
    {"units": (4, 2, 3), "decoder_units": (2, 5)},
    {"decoder_units": (2, 5)},
)
HEADS = ({}, {"head_units": (4, 2)})
CODES = ({}, {"kl_weight": 0.5})


def plans():
    """Every kind of model with every option that its weights depend on."""
    decoders = [*DECODERS, "dense"]
    ways = ({"bidirectional": False}, {"bidirectional": True})
    for decoder, way, layers, width in product(decoders, ways, LAYERS, WIDTHS):
        given = {"latent_dim": 5, "decoder": decoder, **way, **layers, **width}
        yield "LSTMForecaster", given, FUTURES
        for facts, head, code in product((SEQUENCES, FUTURES), HEADS, CODES):
            yield "LSTMAutoencoder", {**given, **head, **code}, facts
    for decoder, reverse in product(("repeat", "previous", "state"), (True, False)):
        given = {"latent_dim": 5, "decoder": decoder, "reverse_target": reverse, "horizon": 4}
        for forecast in (*DECODERS, "dense"):
            yield "LSTMAutoencoder", {**given, "forecast_decoder": forecast}, FUTURES
    for way, layers in product(ways, LAYERS):
        whole = 2 * 4 * layers.get("num_layers", 1) * (1 + way["bidirectional"])
        given = {"latent_dim": whole, "units": 4, "decoder": "state", **way, **layers}
        yield "LSTMAutoencoder", given, SEQUENCES
    for decoder, way, size in product(decoders, ways, (2, 3, 7, 9)):
        given = {"latent_dim": 5, "decoder": decoder, "patch_size": size, **way, "units": 4}
        yield "LSTMForecaster", given, FUTURES
        for facts, head in product((SEQUENCES, FUTURES), HEADS):
            yield "LSTMAutoencoder", {**given, **head}, facts
    for decoder, way, units, code in product(DECODERS, ways, UNITS, CODES):
        given = {"latent_dim": 5, "decoder": decoder, **way, **units, **code}
        yield "LSTMAutoencoder", {**given, "patch_size": 2}, FUTURES
    yield "LSTMForecaster", {"latent_dim": 5, "decoder": "dense", "units": (6, 4)}, FUTURES
    for padding, decoder, filters in product(
        ("same", "causal", "valid"), ("repeat", "state", "reversed_input"), ((4,), (3, 2))
    ):
        given = {"conv_filters": filters, "conv_padding": padding, "decoder": decoder}
        for name in ("LSTMAutoencoder", "LSTMForecaster"):
            yield name, {"latent_dim": 5, "conv_kernel_size": 2, **given}, FUTURES
    bare = {"latent_dim": 4, "decoder_units": 3, "bidirectional": False, "head_units": None}
    yield "LSTMAutoencoder", bare, SEQUENCES
    yield "LSTMAutoencoder", {**bare, "decoder": "flat", "decoder_units": 21}, SEQUENCES
    for name, units, code in product(
        ("DenseAutoencoder", "StackedAutoencoder"), ((), (6,), (6, 4)), CODES
    ):
        yield name, {"latent_dim": 3, "hidden_units": units, **code}, SEQUENCES
    for facts, latent, filters, kernel, pool, code in product(
        (SEQUENCES, IMAGES), (None, 3, 8), ((4,), (2, 3, 4)), (2, 3), (1, 2, 3), CODES
    ):
        sizes = {"filters": filters, "kernel_size": kernel, "pool_size": pool}
        yield "ConvAutoencoder", {"latent_dim": latent, **sizes, **code}, facts
        more = {"strides": pool, "pool_size": 1, "upsampling": "transposed"}
        yield "ConvAutoencoder", {"latent_dim": latent, **sizes, **more}, facts
    for facts, upsampling in product((SEQUENCES, IMAGES), ("nearest", "transposed")):
        each = {"kernel_size": (2, 5, 3), "strides": (1, 2, 3), "pool_size": (2, 2, 1)}
        given = {"filters": (2, 3, 4), "upsampling": upsampling, **each}
        yield "ConvAutoencoder", {"latent_dim": 5, **given}, facts


def planned(name, given, facts):
    return blueprint(name, MODELS[name](**given).get_params(), facts)


def test_a_blueprint_has_the_weights_and_the_bounds_of_its_modules():
    count = 0
    for name, given, facts in plans():
        plan = planned(name, given, facts)
        with torch.device("meta"):
            module = build(plan)
        reported = name, given, facts
        weights = list(plan.weights())
        expected = {key: tuple(value.shape) for key, value in module.state_dict().items()}
        assert dict(weights) == expected, reported
        assert len(weights) == len(expected), reported
        assert plan.encoder.max_steps == module.encoder.max_steps, reported
        assert plan.encoder.latent_dim == module.encoder.latent_dim, reported
        assert list(plan.decoders) == list(module.decoders), reported
        for key, decoder in plan.decoders.items():
            assert decoder.max_steps == module.decoders[key].max_steps, reported
        count += 1
    assert count > 600


@pytest.mark.parametrize("units", [(), (4,), (4, 2)], ids=str)
def test_the_weights_of_a_head_are_those_of_its_module(units):
    plan = Head(5, 3, units)
    expected = {key: tuple(value.shape) for key, value in build_head(plan).state_dict().items()}
    assert dict(plan.weights()) == expected
    assert len(plan.widths) == len(plan.activations) + 1


def test_every_kind_of_model_is_here():
    assert {name for name, _, _ in plans()} == set(_registry.MODELS)


def test_a_state_of_another_width_than_the_output_is_an_error():
    given = {"latent_dim": 4, "head_units": None, "bidirectional": False}
    with pytest.raises(InputError) as caught:
        planned("LSTMAutoencoder", given, SEQUENCES)
    assert str(caught.value) == (
        "`head_units` None makes the decoder's state the output, which needs 3 numbers, got 4; "
        "set `decoder_units`, or head_units=() for a dense layer."
    )


QUICK = {"latent_dim": 3, "epochs": 1, "random_state": 0, "verbose": 0}
X = np.sin(np.arange(8) / 2.1 + np.arange(20)[:, None])
PIXELS = np.random.default_rng(0).uniform(size=(20, 4, 3))

FITTED = {
    "lstm": lambda: LSTMAutoencoder(**QUICK).fit(X),
    "lengths": lambda: LSTMAutoencoder(**QUICK, decoder="flat").fit(
        [one[:steps] for one, steps in zip(X, (5, 3, 5) * 99, strict=False)]
    ),
    "composite": lambda: LSTMAutoencoder(
        **QUICK, horizon=2, num_layers=2, decoder="reshape", forecast_decoder="previous"
    ).fit(Windows(X.ravel(), 5)),
    "reversed": lambda: LSTMAutoencoder(**QUICK, decoder="state", reverse_target=True).fit(X),
    "forecaster": lambda: LSTMForecaster(**QUICK).fit(X[:, :5], X[:, 5:]),
    "dense": lambda: DenseAutoencoder(**QUICK, hidden_units=[4], kl_weight=1.0).fit(X),
    "steps": lambda: DenseAutoencoder(**QUICK).fit(X[:, :, None]),
    "stacked": lambda: StackedAutoencoder(**QUICK, hidden_units=(4,)).fit(X),
    "conv": lambda: ConvAutoencoder(**QUICK, filters=[2, 2]).fit(X[:, :, None]),
    "images": lambda: ConvAutoencoder(**QUICK, filters=(2,)).fit(PIXELS[..., None]),
    "table of images": lambda: ConvAutoencoder(**QUICK, filters=(2,), image_shape=(4, 3)).fit(
        PIXELS.reshape(20, 12)
    ),
}


@pytest.fixture
def built(monkeypatch):
    """The blueprints that modules are built from."""
    seen = []

    def watched(plan, *arguments):
        seen.append(plan)
        return build(plan, *arguments)

    monkeypatch.setattr("unspool.estimators.base.build", watched)
    return seen


@pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED)
def test_the_blueprint_from_a_file_is_the_one_that_its_model_was_built_from(fit, built, tmp_path):
    model = fit()
    (plan,) = built
    model.save(tmp_path / "m")
    assert model.contents().blueprint == plan
    assert model_file.read(tmp_path / "m").blueprint == plan


@pytest.mark.parametrize("fit", FITTED.values(), ids=FITTED)
def test_the_encoder_alone_has_the_blueprint_of_the_encoder(fit, built):
    found = fit().contents("encoder").blueprint
    (plan,) = built
    assert (found.encoder, found.decoders, found.head) == (plan.encoder, {}, None)
    assert {name.split(".")[0] for name, _ in found.weights()} == {"encoder"}


def test_a_classifier_has_the_blueprint_of_the_encoder_and_a_head(built):
    labels = np.array(["a", "b", "c"])[np.arange(20) % 3]
    model = EncoderClassifier(
        LSTMAutoencoder(**QUICK), head_units=(4,), head_activation="tanh", epochs=1, verbose=0
    )
    found = model.fit(X, labels).contents().blueprint
    (plan,) = built
    assert found.encoder == plan.encoder
    assert found.head == Head(3, 3, (4,), None, "tanh", "linear")
    weights = {name: tuple(value.shape) for name, value in model.module_.state_dict().items()}
    assert dict(found.weights()) == weights


def test_dense_layers_of_a_decoder_are_those_of_the_encoder_in_reverse():
    plan = planned("DenseAutoencoder", {"latent_dim": 3, "hidden_units": (6, 4)}, SEQUENCES)
    assert plan.encoder.layers.widths == [21, 6, 4, 3]
    assert plan.decoders["reconstruction"].head.widths == [3, 4, 6, 21]


@pytest.mark.parametrize(
    ("given", "both"),
    [
        ({"decoder": "repeat"}, True),
        ({"decoder": "repeat", "reverse_target": True}, False),
        ({"decoder": "previous"}, False),
        ({"decoder": "flat"}, False),
        ({"decoder": "repeat", "bidirectional": False}, False),
    ],
    ids=str,
)
def test_a_decoder_runs_both_ways_unless_its_steps_depend_on_one_another(given, both):
    plan = planned("LSTMAutoencoder", {"latent_dim": 3, **given}, SEQUENCES)
    assert plan.decoders["reconstruction"].lstm.bidirectional == both
