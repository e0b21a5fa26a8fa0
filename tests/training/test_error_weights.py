"""Weights of errors in the loss: a weight of 2 is two copies, a weight of 0 is none."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from tests.training.one_number import CPU, Number, batches, sgd
from unspool import Sequences, Windows
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.estimators.classifying import CrossEntropy
from unspool.estimators.sample_weight import windows_like
from unspool.nn import Autoencoder, LSTMDecoder, LSTMEncoder
from unspool.training.batches import Batch, Batches
from unspool.training.contrastive import contrastive_sum
from unspool.training.error_weights import ErrorWeights
from unspool.training.loop import train, weighted
from unspool.training.objective import AutoencoderLoss

N, T, F, K, L = 6, 7, 3, 2, 4
LENGTHS = np.array([7, 4, 3, 1, 5, 7])
COPIES = np.array([2, 1, 0, 3, 1, 2])
REPEATED = np.repeat(np.arange(N), COPIES)
PLAIN = Scaler(np.zeros(F), np.ones(F))


def normal(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def generator():
    return torch.Generator().manual_seed(0)


def model(*names, variational=False):
    encoder = LSTMEncoder(F, L, variational=variational, generator=generator())
    decoders = {
        name: LSTMDecoder("repeat", L, F, output_activation="softmax", generator=generator())
        for name in names
    }
    return Autoencoder(encoder, decoders, K).eval()


def in_one_batch(source, weights=None):
    (batch,) = Batches(source, PLAIN, np.arange(len(source)), 99, CPU, weights=weights)
    return batch


def sources(y, copies=None):
    """Sequences with what follows them; `copies` repeats the sequences."""
    rows = np.arange(N) if copies is None else np.repeat(np.arange(N), copies)
    values = normal(N, T, F)
    values = np.exp(values) / np.exp(values).sum(2, keepdims=True)
    if y == "none":
        return Sequences(values[rows], LENGTHS[rows])
    if y == "cut off":
        return Futures(Sequences(values[rows], np.maximum(LENGTHS, K + 1)[rows]), K)
    return Futures(Sequences(values[rows], LENGTHS[rows]), K, values[rows, :K])


@pytest.mark.parametrize(
    ("names", "y", "options"),
    [
        (["reconstruction"], "none", {}),
        (["reconstruction"], "none", {"metrics": ("mae",)}),
        (["reconstruction"], "none", {"code_l1": 0.3}),
        (["reconstruction"], "none", {"kl_weight": 0.3}),
        (["reconstruction", "forecast"], "given", {"code_l1": 0.3}),
        (["reconstruction", "forecast"], "cut off", {"kl_weight": 0.3}),
        (["forecast"], "cut off", {}),
        (["forecast"], "given", {"every_step": True}),
        (
            ["reconstruction"],
            "none",
            {"loss": "categorical_crossentropy", "metrics": ("mse", "accuracy")},
        ),
    ],
    ids=str,
)
def test_a_weight_of_n_is_n_copies_in_every_term(names, y, options):
    made = model(*names, variational="kl_weight" in options)
    objective = AutoencoderLoss(made, **options)
    copied = objective(in_one_batch(sources(y, COPIES)))
    everything, source = np.arange(N), sources(y)
    of = ErrorWeights(7.0 * COPIES)
    by_step = options.get("every_step")
    of = of.normalised_by_step(source, everything) if by_step else of.normalised(source, everything)
    terms = objective(in_one_batch(source, of))
    assert_close("loss", weighted(copied), weighted(terms))
    assert list(copied) == list(terms)
    for name, term in terms.items():
        assert_close(name, copied[name].total / copied[name].size, term.total / term.size)
    plain = weighted(objective(in_one_batch(source)))
    assert abs(plain - weighted(terms)) > 1e-4, "the weights make no difference"


@pytest.mark.parametrize("y", ["none", "cut off", "given"])
@pytest.mark.parametrize("kind", ["sequences", "steps"])
def test_normalised_weights_have_the_mean_1_over_steps_futures_and_sequences(kind, y):
    source, drawn = sources(y), np.random.default_rng(3).uniform(size=(N, T))
    of = ErrorWeights(5 * COPIES.astype(float))
    if kind == "steps":
        given = Sequences(drawn[..., None], (source if y == "none" else source.source).lengths)
        steps = given if y == "none" else Futures(given, K, drawn[:, :K, None])
        if y == "cut off":
            steps = Futures(given, K)
        of = ErrorWeights(steps=steps)
    some = np.array([0, 1, 3, 5])
    batch = in_one_batch(source, of.normalised(source, some))
    lengths = source.lengths_of(some)
    real = np.arange(batch.x.shape[1]) < lengths[:, None]
    weights = batch.weights.expand(-1, batch.x.shape[1], -1)[some, :, 0].numpy()
    assert weights[real].mean() == pytest.approx(1)
    assert batch.sequence_weights[some].mean().item() == pytest.approx(1)
    if y == "none":
        assert batch.y_weights is None
    else:
        assert batch.y_weights[some].mean().item() == pytest.approx(1)


def test_weights_of_steps_multiply_the_errors_of_their_steps_and_of_their_features():
    source, drawn = sources("none"), np.random.default_rng(3).uniform(size=(N, T))
    features = np.array([0.5, 2.5, 0.0])
    given = ErrorWeights(steps=Sequences(drawn[..., None], LENGTHS), features=features)
    made, batch = model("reconstruction"), in_one_batch(source, given)
    term = AutoencoderLoss(made, "mae")(batch)["loss"]
    errors = (made(batch.x, batch.lengths) - batch.x).abs().detach().numpy()
    expected = sum(
        drawn[i, step] * (errors[i, step] * features).sum()
        for i, length in enumerate(LENGTHS)
        for step in range(length)
    )
    assert (term.total.item(), term.size) == (pytest.approx(expected), LENGTHS.sum() * F)


def test_values_of_reconstructions_and_of_forecasts_have_the_weights_of_their_step_and_feature():
    lengths, features = np.maximum(LENGTHS, K + 1), np.array([0.5, 2.5, 0.0])
    drawn = np.random.default_rng(3).uniform(size=(N, T))
    source = Futures(Sequences(normal(N, T, F), lengths), K)
    given = ErrorWeights(steps=Futures(Sequences(drawn[..., None], lengths), K), features=features)
    given = given.normalised(source, np.arange(N))
    made, batch = model("reconstruction", "forecast"), in_one_batch(source, given)
    terms = AutoencoderLoss(made, "mae")(batch)
    outputs = {name: made.run_decoder(name, batch.x, batch.lengths) for name in made.decoders}
    past = [(i, step) for i, length in enumerate(lengths) for step in range(length - K)]
    future = [(i, length - K + k) for i, length in enumerate(lengths) for k in range(K)]
    for name, places in {"reconstruction": past, "forecast": future}.items():
        mean = np.mean([drawn[place] for place in places])
        expected = 0.0
        for i, step in places:
            k = step if name == "reconstruction" else step - (lengths[i] - K)
            difference = outputs[name][i, k].detach().numpy() - source.source.values[i, step]
            expected += drawn[i, step] / mean * (np.abs(difference) * features).sum()
        term = terms[f"{name}_loss"]
        assert term.total.item() == pytest.approx(expected, rel=1e-5)
        assert term.size == len(places) * F


@pytest.mark.parametrize("features", [None, np.array([0.5, 2.5, 0.0])])
@pytest.mark.parametrize("horizon", [1, 2])
def test_weights_of_steps_are_those_of_the_steps_that_follow_each_step(horizon, features):
    drawn = np.random.default_rng(3).uniform(size=(N, T))
    lengths = np.maximum(LENGTHS, horizon + 1)
    source = Futures(Sequences(normal(N, T, F), lengths), horizon)
    steps = Futures(Sequences(drawn[..., None], lengths), horizon)
    of = ErrorWeights(steps=steps, features=features)
    of = of.normalised_by_step(source, np.arange(N))
    made = Autoencoder(
        LSTMEncoder(F, L, generator=generator()),
        {"forecast": LSTMDecoder("repeat", L, F, generator=generator())},
        horizon,
    ).eval()
    batch = in_one_batch(source, of)
    term = AutoencoderLoss(made, every_step=True)(batch)["loss"]
    total, weight, count = 0.0, 0.0, 0
    output = made.decode_by_step("forecast", batch.x, batch.lengths)
    for i, length in enumerate(lengths):
        values = torch.from_numpy(source.source.values[i]).float()
        for step in range(length - horizon):
            for k in range(horizon):
                place = step + 1 + k
                squares = (output[i, step, k] - values[place]).square().detach().numpy()
                error = (squares * (1 if features is None else features)).sum()
                total += drawn[i, place] * error
                weight += drawn[i, place]
                count += 1
    assert (term.total / term.size).item() == pytest.approx(total / (weight * F), rel=1e-5)
    assert term.size == count * F


def test_weights_of_features_are_no_weights_of_sequences():
    source, features = sources("given"), np.array([0.5, 2.5, 0.0])
    of = ErrorWeights(features=features).normalised(source, np.arange(N))
    batch = in_one_batch(source, of)
    assert batch.sequence_weights is None
    for given in (batch.weights, batch.y_weights):
        assert given.flatten().tolist() == features.tolist()


def test_accuracy_of_a_step_is_not_weighted_by_features():
    source = sources("none")
    objective = AutoencoderLoss(
        model("reconstruction"), "categorical_crossentropy", metrics=("accuracy",)
    )
    terms = [
        objective(in_one_batch(source, of))
        for of in (None, ErrorWeights(features=np.array([0.0, 1.0, 2.0])))
    ]
    assert terms[0]["accuracy"].total > 0
    assert_close("accuracy", *(one["accuracy"].total for one in terms))
    assert abs(terms[0]["loss"].total - terms[1]["loss"].total) > 0.1


def test_the_weight_of_a_sequence_is_the_mean_of_its_real_steps_and_of_its_future():
    drawn = np.random.default_rng(3).uniform(size=(N, T))
    lengths = np.maximum(LENGTHS, K + 1)
    steps = Futures(Sequences(drawn[..., None], lengths), K)
    found = ErrorWeights(steps=steps).of_sequences().sequences
    expected = [drawn[i, :length].mean() for i, length in enumerate(lengths)]
    np.testing.assert_allclose(found, expected)


def test_steps_of_series_are_weighted_in_every_window_that_contains_them():
    series, drawn = [normal(9, F), normal(8, F)], [np.arange(9.0), 10 + np.arange(8.0)]
    windows = Windows(series, 4, 2)[[3, 0, 5]]
    of = ErrorWeights(steps=windows_like(windows, drawn))
    weights = in_one_batch(windows, of).weights[:, :, 0]
    assert weights.tolist() == [[10, 11, 12, 13], [0, 1, 2, 3], [14, 15, 16, 17]]


def test_a_batch_of_weight_0_changes_nothing_in_training():
    model = Number(1.0)
    data = [batch._replace(weights=torch.zeros(1, 1, 1)) for batch in batches([[0, 0]])]
    history = train(model, model.objective, data, optimizer=sgd(model), epochs=1)
    assert (model.value.item(), history.loss) == (1.0, [0.0])


def test_the_cross_entropy_of_classes_is_weighted_by_sequence():
    logits, y = torch.from_numpy(normal(4, 3)), torch.tensor([0, 2, 1, 1])
    copies = torch.tensor([0, 2, 1, 1])
    plain = CrossEntropy(lambda batch: logits.repeat_interleave(copies, 0))
    expected = plain(Batch(logits, None, y.repeat_interleave(copies)))
    given = Batch(logits, None, y, sequence_weights=copies.double())
    for name, term in CrossEntropy(lambda batch: logits)(given).items():
        assert_close(name, expected[name].total.double(), term.total.double())
        assert term.size == expected[name].size == 4


def test_the_contrastive_losses_of_a_sequence_are_multiplied_by_its_weight():
    first, second = (torch.from_numpy(normal(3, L, seed=seed)) for seed in (0, 1))
    parts = [contrastive_sum(first, second, torch.eye(3, dtype=torch.float64)[i]) for i in range(3)]
    assert_close("sum", contrastive_sum(first, second), sum(parts))
    weights = torch.tensor([2.0, 0.0, 1.0], dtype=torch.float64)
    assert_close("sum", 2 * parts[0] + parts[2], contrastive_sum(first, second, weights))
