"""Which models run a training step in one call, and that they compute what the modules compute."""

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool import blueprint as plan
from unspool.nn import (
    LSTM,
    Autoencoder,
    Cell,
    DenseDecoder,
    DenseEncoder,
    LSTMDecoder,
    LSTMEncoder,
    Skip,
    fused,
)
from unspool.nn.dropout import Dropout
from unspool.training.batches import Batch
from unspool.training.loop import weighted
from unspool.training.objective import AutoencoderLoss

T, F, L, K = 9, 3, 4, 5  # K forecast steps


def generator():
    return torch.Generator().manual_seed(0)


def encoder(**options):
    return LSTMEncoder(options.pop("F", F), L, generator=generator(), **options)


def decoder(name="repeat", **options):
    return LSTMDecoder(name, L, options.pop("features", F), generator=generator(), **options)


def default(cell="lstm", **options):
    """The autoencoder that the estimator makes with its default parameters."""
    cell = Cell(kind=cell)
    return Autoencoder(
        encoder(
            units=5, bidirectional=True, pooling="all", patch_size=2, cell=cell,
            kernels=plan.Kernels.of(6, F, T), **options,
        ),
        {"reconstruction": decoder(units=5, bidirectional=True, patch_size=2, cell=cell)},
    )  # fmt: skip


def reconstructing(read, *arguments, **options):
    return Autoencoder(read, {"reconstruction": decoder(*arguments, **options)})


def forecasting(written, skip=None, read=None, **options):
    read = encoder(units=6) if read is None else read
    return Autoencoder(read, {"forecast": written}, K, skip, **options)


def skip(normalization, missing=False):
    made = Skip(F, K, 4, normalization, missing)
    assert made.weight is not None
    made.weight.normal_(generator=generator())
    made.scale.uniform_(0.5, 2, generator=generator())
    return made


def composite(*names, **options):
    decoders = {"reconstruction": decoder(names[0]), "forecast": decoder(names[1])}
    return Autoencoder(encoder(units=6, **options), decoders, K)


SERVED = {
    "default": default(),
    "default of a GRU": default("gru"),
    "default with missing values": default(missing=True),
    "both directions": reconstructing(encoder(units=2, bidirectional=True), bidirectional=True),
    "a stack": reconstructing(encoder(units=[6, 3, L]), units=[5, 7]),
    "a stack of both directions": reconstructing(
        encoder(units=[5, 3], bidirectional=True, pooling="mean_max"),
        units=[4, 2], bidirectional=True, head_units=[6],
    ),
    "a stack of GRUs": reconstructing(
        encoder(units=[5, 3], bidirectional=True, cell=Cell(kind="gru")),
        units=[4, 2], bidirectional=True, cell=Cell(kind="gru"),
    ),
    "an activation of the code": reconstructing(encoder(units=6, code_activation="tanh")),
    "the whole state": reconstructing(encoder(units=[3, 2], whole_state=True), "state", units=6),
    "the whole state of a GRU": reconstructing(
        encoder(units=L, whole_state=True, cell=Cell(kind="gru")),
        "state", units=L, cell=Cell(kind="gru"),
    ),
    "state": reconstructing(encoder(units=6), "state", units=5),
    "state of both directions": reconstructing(
        encoder(units=6), "state_repeat", units=[5, 3], bidirectional=True
    ),
    "state without a layer": reconstructing(encoder(units=6), "state", units=2),
    "state and the input": reconstructing(encoder(units=6), "state_reversed_input", units=5),
    "reversed target": reconstructing(encoder(units=6), reverse_target=True),
    "reversed target in patches": reconstructing(
        encoder(units=6), reverse_target=True, patch_size=2
    ),
    "reversed input in patches": reconstructing(
        encoder(units=6, patch_size=2), "reversed_input", patch_size=2
    ),
    "reshape": reconstructing(encoder(units=6), "reshape", steps=2 * L, units=5, patch_size=2),
    "flat": reconstructing(encoder(units=6), "flat", steps=L, units=5),
    "normalization": reconstructing(encoder(units=6, normalization="standard")),
    "normalization with missing values": reconstructing(
        encoder(units=6, normalization="last", missing=True)
    ),
    "dense forecasts": forecasting(DenseDecoder(L, F, K, units=[6], generator=generator())),
    "forecasts with a skip": forecasting(
        DenseDecoder(L, F, K, generator=generator()), skip("last"), encoder(normalization="last")
    ),
    "forecasts with a skip and missing values": forecasting(
        decoder(), skip("standard", True), encoder(normalization="standard", missing=True)
    ),
    "forecasts of LSTM layers": forecasting(decoder("state_repeat", units=[6, 5])),
    "forecasts in patches": forecasting(decoder(patch_size=2), skip("last")),
    "forecasts of the input": forecasting(decoder("reversed_input")),
    "known features": forecasting(decoder(n_known=1), known=[1]),
    "targets": forecasting(decoder(features=2), targets=[2, 0]),
    "targets of a reconstruction": Autoencoder(
        encoder(), {"reconstruction": decoder(features=2)}, targets=[2, 0]
    ),
    "composite": composite("repeat", "repeat"),
    "composite with states": composite("state_repeat", "reversed_input", bidirectional=True),
}  # fmt: skip
SHORT = {"flat": 3, "reshape": 2 * L}  # decoders with a largest number of steps


def batch(made, name, ragged, count=21):
    drawn = generator()
    steps = SHORT.get(name, T)
    x = torch.randn(count, steps, F, dtype=torch.float64, generator=drawn)
    lengths = torch.arange(count) % (steps + 1) if ragged else None
    features = F if made.targets is None else len(made.targets)
    y = torch.randn(count, K, features, dtype=torch.float64, generator=drawn)
    if made.encoder.fill is not None:
        for values in (x, y):
            values[torch.rand(values.shape, generator=drawn) < 0.2] = torch.nan
    future = torch.randn(count, K, len(made.known), dtype=torch.float64, generator=drawn)
    return Batch(x, lengths, y if made.horizon else None, future if made.known else None)


def loss_and_gradients(made, given, *, slow, **options):
    """The loss of a batch, in one call or layer by layer, and its gradients."""
    options |= {"metrics": ("mae",)} if slow else {}
    terms = AutoencoderLoss(made, **options)(given)
    assert (made.whole_step == fused.RAN.reason) == (not slow), made.whole_step
    loss = weighted(terms)
    return terms, loss, torch.autograd.grad(loss, list(made.parameters()), allow_unused=True)


def assert_same_step(made, given, dtype, nonzero=True, **options):
    made.whole_step = None
    made.double()
    terms, loss, gradients = loss_and_gradients(made, given, slow=True, **options)
    made.to(dtype)
    given = Batch(*(v.to(dtype) if v is not None and v.is_floating_point() else v for v in given))
    fast, total, found = loss_and_gradients(made, given, slow=False, **options)
    made.double()
    kept = {name: terms[name][1:] for name in terms if not name.endswith("mae")}
    assert {name: term[1:] for name, term in fast.items()} == kept
    assert_close("loss", loss.to(dtype), total)
    for (name, _), one, other in zip(made.named_parameters(), gradients, found, strict=True):
        if one is not None:
            assert_close(name, one.to(dtype), other)
            assert one.abs().max() > 0 or not nonzero, (
                f"{name} has no gradient: nothing was compared"
            )


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("name", SERVED)
def test_models_compute_the_same_in_one_call(name, ragged):
    made = SERVED[name]
    assert_same_step(made, batch(made, name, ragged), torch.float64)


@pytest.mark.parametrize("name", ["default", "default of a GRU", "composite with states"])
def test_models_compute_the_same_in_float32(name):
    made = SERVED[name]
    assert_same_step(made, batch(made, name, True, count=70), torch.float32)


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ("mse", "linear"),
        ("mae", "linear"),
        ("huber", "relu"),
        ("binary_crossentropy", "sigmoid"),
        ("binary_crossentropy", "linear"),
        ("categorical_crossentropy", "softmax"),
        ("categorical_crossentropy", "sigmoid"),
    ],
)
@pytest.mark.parametrize("patch_size", [1, 2])
@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_losses_are_the_same_in_one_call(loss, activation, patch_size, ragged):
    made = reconstructing(encoder(units=6), output_activation=activation, patch_size=patch_size)
    given = batch(made, "", ragged)
    given = given._replace(x=given.x.softmax(2), weights=given.x[:, :, :1].abs())
    assert_same_step(made, given, torch.float64, loss=loss)
    if not loss.endswith("crossentropy"):
        assert_same_step(made, given, torch.float32, loss=loss)


@pytest.mark.parametrize("value", [-0.5, 0.0, 1e-9, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_crossentropies_of_extreme_probabilities_are_the_same(loss, value, dtype):
    made = reconstructing(encoder(units=6))
    with torch.no_grad():
        made.decoder().head[0].weight.mul_(1e-12)
        made.decoder().head[0].bias.fill_(value)
    given = batch(made, "", False)
    given = given._replace(x=given.x.softmax(2).to(dtype))
    made.to(dtype)
    made.whole_step = None
    slow, fast = (loss_and_gradients(made, given, slow=slow, loss=loss) for slow in (True, False))
    assert_close("loss", slow[1], fast[1])
    bias = [name for name, _ in made.named_parameters()].index(
        "decoders.reconstruction.head.0.bias"
    )
    assert_close("gradient", slow[2][bias], fast[2][bias])


@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy"])
@pytest.mark.parametrize("place", ["projection.bias", "head.0.bias"])
def test_a_weight_that_is_nan_makes_the_loss_nan(place, loss):
    made = reconstructing(encoder(units=6, code_activation="relu"), head_units=[5]).float()
    given = batch(made, "", False)
    given = given._replace(x=given.x.softmax(2).float())
    weights = [w for name, w in made.named_parameters() if name.endswith(place)]
    assert len(weights) == 1
    with torch.no_grad():
        weights[0][0] = torch.nan
    for slow in (True, False):
        made.whole_step = None
        _, total, _ = loss_and_gradients(made, given, slow=slow, loss=loss)
        assert total.isnan()


@pytest.mark.parametrize("weights", [{}, {"forecast": 0.3}, {"reconstruction": 0.0}], ids=str)
def test_weights_of_decoders_are_the_same_in_one_call(weights):
    made = composite("repeat", "state")
    given = batch(made, "", True)
    weighted_ = given._replace(weights=given.x[:, :1].abs(), y_weights=given.y.abs())
    made.whole_step = None
    _, loss, expected = loss_and_gradients(made.double(), weighted_, slow=True, weights=weights)
    _, total, found = loss_and_gradients(made, weighted_, slow=False, weights=weights)
    assert_close("loss", loss, total)
    for one, other in zip(expected, found, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close("gradient", one, other)


@pytest.mark.parametrize("name", ["default", "a stack of both directions", "composite"])
@pytest.mark.parametrize(("recurrent", "code"), [(0.4, 0.0), (0.4, 0.3)])
def test_dropout_and_noise_are_the_same_in_one_call(name, recurrent, code):
    made = SERVED[name].double().train()
    given, options = batch(made, name, True), {"input_dropout": 0.2, "input_noise": 0.1}
    results = []
    for slow in (True, False):
        drawn = generator()
        dropout = Dropout(0, recurrent, code, drawn)
        results.append(
            loss_and_gradients(made, given, slow=slow, dropout=dropout, generator=drawn, **options)
        )
    made.eval()
    assert_close("loss", results[0][1], results[1][1])
    for one, other in zip(results[0][2], results[1][2], strict=True):
        assert_close("gradient", one, other)


@pytest.mark.parametrize("count", [2, 16, 31, 32, 65, 257])
@pytest.mark.parametrize("used", [2, 5])
def test_the_number_of_threads_changes_no_bit_of_both_directions(used, count):
    made = default().float()
    given = batch(made, "", True, count=count)
    given, results = given._replace(x=given.x.float()), []
    for threads in (1, used):
        torch.set_num_threads(threads)
        try:
            _, loss, gradients = loss_and_gradients(made, given, slow=False)
        finally:
            torch.set_num_threads(1)
        results.append([loss, *gradients])
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_uninitialised_arrays_change_no_bit_of_both_directions(monkeypatch):
    made = composite("state_repeat", "reversed_input", bidirectional=True).float()
    given = batch(made, "", True, count=70)
    given = given._replace(x=given.x.float(), y=given.y.float())

    def both():
        fused._kept.clear()
        _, loss, gradients = loss_and_gradients(made, given, slow=False)
        return [loss, *gradients]

    clean, rng = both(), np.random.default_rng(0)
    monkeypatch.setattr(
        "unspool.lstm.program_memory.allocate",
        lambda count, kind: rng.integers(0, 1 << 32, count, dtype=np.uint32).view(kind),
    )
    monkeypatch.setattr("unspool.lstm.threads.count", lambda: 8)
    for _ in range(10):
        for one, other in zip(clean, both(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("H", [1, 10, 33, 128])
@pytest.mark.parametrize("steps", [1, 63])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_sizes_that_fill_no_vector_compute_the_same(cell, steps, H):
    cell = Cell(kind=cell, backend="compiled")
    made = reconstructing(
        encoder(units=H, bidirectional=True, pooling="all", cell=cell),
        units=H, bidirectional=True, cell=cell,
    ).double()  # fmt: skip
    x = torch.randn(3, steps, F, dtype=torch.float64, generator=generator())
    lengths = torch.tensor([steps, 0, min(2, steps)])
    # With one step, no gradient flows through the recurrent weights.
    assert_same_step(made, Batch(x, lengths), torch.float64, nonzero=steps > 1)


class Another(LSTMDecoder):
    """A decoder that somebody has derived."""


def with_layer(layer):
    made = reconstructing(encoder())
    made.decoder().head[0] = layer
    return made


@pytest.mark.parametrize(
    ("made", "loss", "reason"),
    [
        (
            Autoencoder(encoder(), {"reconstruction": Another("repeat", L, F)}),
            "mse",
            "a decoder is no LSTMDecoder but of Another",
        ),
        (reconstructing(encoder(), "previous"), "mse", "a decoder reads its outputs"),
        (
            reconstructing(encoder(variational=True)),
            "mse",
            "codes are drawn from distributions",
        ),
        (
            reconstructing(encoder(code_activation="relu")),
            "mse",
            "the code has an activation, but is no projection",
        ),
        (reconstructing(encoder(), output_activation="elu"), "mse", "an activation is ELU"),
        (reconstructing(encoder(), head_units=None), "mse", "a decoder has no output layer"),
        (
            reconstructing(encoder(), "reshape", steps=T),
            "mse",
            "the code is padded before it is cut into pieces",
        ),
        (
            reconstructing(encoder(cell=Cell(backend="torch"))),
            "mse",
            "a layer runs on 'torch': requested by name",
        ),
        (
            Autoencoder(DenseEncoder(F, L, T), {"reconstruction": decoder()}),
            "mse",
            "the encoder is no LSTMEncoder but of DenseEncoder",
        ),
        (
            reconstructing(encoder(convolutions=plan.StepConvolutions(F, (2,), (3,), (1,)))),
            "mse",
            "the encoder begins with convolutions",
        ),
        (Autoencoder(encoder(), {}), "mse", "there is no decoder"),
        (
            reconstructing(encoder(units=6, code_activation="softmax")),
            "mse",
            "the code is a softmax",
        ),
        (
            Autoencoder(encoder(), {"quantiles": DenseDecoder(L, 2 * F, K)}, K),
            "mse",
            "quantiles have a loss of their own",
        ),
        (
            forecasting(DenseDecoder(L, F, K, n_known=1), known=[1]),
            "mse",
            "a dense decoder reads known features",
        ),
        (
            forecasting(decoder("reshape", steps=K, n_known=1), known=[1]),
            "mse",
            "a decoder reads pieces of the code and known features",
        ),
        (
            reconstructing(encoder(), "flat", steps=2 * L, patch_size=2, units=5),
            "mse",
            "a flat decoder reads patches or both directions",
        ),
        (
            reconstructing(encoder(), head_units=[3], head_activation="softmax"),
            "mse",
            "a layer of a head is a softmax",
        ),
        (with_layer(torch.nn.Flatten()), "mse", "a layer of a head is of Flatten"),
        (
            reconstructing(encoder()),
            "poisson",
            "the loss 'poisson' is none of mse, mae, huber, binary_crossentropy, "
            "categorical_crossentropy",
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_other_models_run_layer_by_layer_and_say_why(made, loss, reason):
    x = torch.zeros(4, T, F)
    targets = {name: fused.Target(x) for name in made.decoders}
    assert fused.losses(made, x, None, targets, loss) is None
    assert made.whole_step == f"layer by layer, since {reason}"
    assert not any(layer.ran == fused.RAN for _, layer in made._lstm())


def test_dropout_between_layers_runs_layer_by_layer():
    made, x = SERVED["a stack"].float(), torch.zeros(4, T, F)
    targets, dropout = {"reconstruction": fused.Target(x)}, Dropout(layers=0.5)
    assert fused.losses(made, x, None, targets, "mse") is not None  # whose program is kept
    assert fused.losses(made, x, None, targets, "mse", dropout=dropout) is None
    assert made.whole_step == "layer by layer, since there is dropout between layers"


def test_another_number_of_threads_has_another_program(monkeypatch):
    made, x = default().float(), torch.zeros(40, T, F)
    used = []
    for count in (1, 2):
        monkeypatch.setattr("unspool.lstm.threads.count", lambda count=count: count)
        assert fused.losses(made, x, None, {"reconstruction": fused.Target(x)}, "mse") is not None
        used.append([kept.program.threads for kept in fused._kept[made].values()])
    assert used == [[1], [1, 2]]


def test_an_input_with_a_gradient_and_empty_batches_run_layer_by_layer():
    made = reconstructing(encoder())
    for x in (torch.zeros(4, T, F, requires_grad=True), torch.zeros(0, T, F), torch.zeros(4, 0, F)):
        assert fused.losses(made, x, None, {"reconstruction": fused.Target(x)}, "mse") is None


def test_replaced_parts_and_weights_are_used_in_the_next_step():
    """A program is prepared once for a model; it must not keep what the model has no more."""
    made, other = reconstructing(encoder(units=6)).float(), encoder(units=6).float()
    given = Batch(torch.randn(4, T, F, generator=generator()), None)
    loss_and_gradients(made, given, slow=False)

    def check():
        assert_close(
            "loss",
            loss_and_gradients(made, given, slow=True)[1],
            loss_and_gradients(made, given, slow=False)[1],
        )
        made.whole_step = None

    made.whole_step = None
    with torch.no_grad():
        made.decoder().head[0].weight = torch.nn.Parameter(torch.ones(F, L))
    check()
    made.encoder.lstm = LSTM(F, 6, generator=torch.Generator().manual_seed(5))
    check()
    with torch.no_grad():
        for weight in made.parameters():
            weight.data = weight.data * 2
    check()
    made.encoder.projection = other.projection
    made.encoder.projection.standardize(torch.randn(20, 6, generator=generator()))
    check()
    made.encoder.projection.scale.mul_(2)
    check()
