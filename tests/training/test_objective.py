"""The loss of an autoencoder, term by term, against formulas and loops."""

import math

import numpy as np
import pytest
import torch

from tests.close import assert_close
from unspool import Sequences
from unspool.blueprint import DECODERS
from unspool.data.scaling import Scaler
from unspool.nn import Autoencoder, DenseDecoder, LSTMDecoder, LSTMEncoder, TeacherForcing, fused
from unspool.nn.losses import LOSSES, masked_sum
from unspool.training import objective as objective_module
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import ScheduledSampling
from unspool.training.history import History
from unspool.training.loop import RunningMeans, evaluate, train, weighted
from unspool.training.objective import AutoencoderLoss, Term, futures

B, T, F, L, K = 5, 7, 3, 4, 2
LENGTHS = torch.tensor([7, 0, 3, 1, 5])
RAGGED = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "ragged"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def batch(lengths=None, shape=(B, T, F)):
    return Batch(normal(*shape), lengths, normal(len(normal(*shape)), K, F, seed=2))


def model(*names, decoder="repeat", variational=False, **options):
    """With decoders of these names, all of one kind."""
    encoder = LSTMEncoder(F, L, variational=variational, generator=generator())
    steps = {"reconstruction": T, "forecast": K}
    decoders = {}
    for seed, name in enumerate(names or ("reconstruction",)):
        given = {"output_activation": "linear", "generator": generator(seed + 1), **options}
        if decoder == "dense":
            decoders[name] = DenseDecoder(L, F, steps[name], **given)
        else:
            decoders[name] = LSTMDecoder(decoder, L, F, steps=steps[name], **given)
    return Autoencoder(encoder, decoders, K).double()


BOTH = ("reconstruction", "forecast")


def what_is_read(made):
    """A list that fills with what the encoder reads."""
    seen = []
    made.encoder.lstm.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    return seen


@RAGGED
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("decoder", [*DECODERS, "dense"])
def test_terms_are_the_losses_of_the_decoders(decoder, training, lengths):
    made = model(*BOTH, decoder=decoder).train(training)
    given = batch(lengths)
    x, y = given.x, given.y
    terms = AutoencoderLoss(made, "huber", {"forecast": 0.3})(given)
    code = made.encoder(x, lengths)
    guides = [TeacherForcing(x), TeacherForcing(y)] if training else [None, None]
    for name, target, own, teacher in zip(BOTH, (x, y), (lengths, None), guides, strict=True):
        output = made.decode(name, code, x, lengths, teacher)
        term = terms[f"{name}_loss"]
        assert_close(name, masked_sum(LOSSES["huber"](output, target), own), term.total)
    assert [tuple(term[1:]) for term in terms.values()] == [
        ((B * T if lengths is None else 16) * F, 1.0),
        (B * K * F, 0.3),
    ]


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["reconstruction"], {}, ["loss"]),
        (["forecast"], {}, ["loss"]),
        (["reconstruction"], {"metrics": ("mae",)}, ["loss", "mae"]),
        (["reconstruction"], {"code_l1": 0.1}, ["reconstruction_loss", "code_l1"]),
        (["reconstruction"], {"kl_weight": 0.1}, ["reconstruction_loss", "divergence"]),
        (["reconstruction"], {"kl_weight": 0.0}, ["loss", "divergence"]),
        (BOTH, {}, ["reconstruction_loss", "forecast_loss"]),
        (BOTH, {"weights": {"forecast": 0.0}}, ["loss", "forecast_loss"]),
        (BOTH, {"weights": {"reconstruction": 0.0}}, ["reconstruction_loss", "loss"]),
        (
            BOTH,
            {"weights": {"reconstruction": 2.0, "forecast": 0.0}},
            ["reconstruction_loss", "forecast_loss"],
        ),
        (
            BOTH,
            {"metrics": ("mae", "huber")},
            [
                "reconstruction_loss",
                "reconstruction_mae",
                "reconstruction_huber",
                "forecast_loss",
                "forecast_mae",
                "forecast_huber",
            ],
        ),
    ],
    ids=str,
)
def test_terms_have_the_names_of_decoders_losses_and_metrics(names, options, expected):
    terms = AutoencoderLoss(model(*names, variational="kl_weight" in options), **options)(batch())
    assert list(terms) == expected
    watched = [term.weight for name, term in terms.items() if name.endswith(("mae", "huber"))]
    assert not any(watched)


@RAGGED
def test_metrics_are_means_with_weight_0_in_the_loss(lengths):
    made = model(*BOTH, output_activation="softmax")
    given = batch(lengths)._replace(
        x=torch.softmax(normal(B, T, F), -1), y=torch.softmax(normal(B, K, F, seed=2), -1)
    )
    x, y = given.x, given.y
    names = ("accuracy", "mse", "categorical_crossentropy")
    terms = AutoencoderLoss(made, "categorical_crossentropy", metrics=names)(given)
    steps = B * T if lengths is None else 16
    for name, target, own, count in ((BOTH[0], x, lengths, steps), (BOTH[1], y, None, B * K)):
        output = made.decode(name, made.encoder(x, lengths), x, lengths)
        assert terms[f"{name}_loss"].size == count
        total, size, weight = terms[f"{name}_mse"]
        assert_close("mse", masked_sum((output - target) ** 2, own), total)
        assert (size, weight, total.requires_grad) == (count * F, 0, False)
        total, size, _ = terms[f"{name}_accuracy"]
        hits = (output.argmax(2) == target.argmax(2))[..., None]
        assert (total.item(), size) == (masked_sum(hits, own).item(), count)
        assert_close("loss", terms[f"{name}_loss"].total, terms[f"{name}_{names[2]}"].total)


@pytest.mark.parametrize("decoder", ["repeat", "reversed_input", "previous"])
def test_noise_is_added_to_the_input_and_not_to_the_target(decoder):
    made = model(decoder=decoder)
    seen, x = what_is_read(made), normal(400, T, F)
    given = Batch(x, LENGTHS.repeat(80))
    made.train()
    term = AutoencoderLoss(made, metrics=("mae",), input_noise=0.3, generator=generator())(given)[
        "loss"
    ]
    (read,) = seen
    noise = (read - x).flatten()
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(0.3, abs=0.01)
    teacher = TeacherForcing(x)
    code = made.encoder(read, given.lengths)
    output = made.decode("reconstruction", code, read, given.lengths, teacher)
    assert_close("clean target", masked_sum((output - x) ** 2, given.lengths), term.total)


def test_input_dropout_zeroes_whole_steps_and_does_not_rescale():
    made = model()
    seen, given = what_is_read(made), batch(None, (600, T, F))
    AutoencoderLoss(made, metrics=("mae",), input_dropout=0.25, generator=generator())(given)
    dropped = (seen[0] == 0).all(2)
    assert torch.equal(seen[0][~dropped], given.x[~dropped])
    assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.02)
    assert dropped.double().mean(0).max() < 0.32  # not the same steps of all sequences
    assert dropped.double().mean(1).max() < 1  # nor all steps of one


@pytest.mark.parametrize("every_step", [False, True])
@pytest.mark.parametrize("options", [{"input_noise": 0.5}, {"input_dropout": 0.5}], ids=str)
def test_only_training_is_disturbed_and_the_generator_decides(options, every_step):
    made = model("forecast" if every_step else "reconstruction")
    seen, given = what_is_read(made), batch(LENGTHS)
    options = {**options, "metrics": ("mae",)}  # with them, the modules are called
    made.eval()
    AutoencoderLoss(made, **options, every_step=every_step, generator=generator())(given)
    made.train()
    for seed in (0, 0, 1):
        AutoencoderLoss(made, **options, every_step=every_step, generator=generator(seed))(given)
    clean = [x for x in seen if torch.equal(x, given.x)]
    one, same, other = seen[-3:]
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(clean) == len(seen) - 3 == 1


def test_the_same_seed_makes_the_same_loss():
    given = batch(LENGTHS)

    def total(seed):
        made = model(decoder="previous", variational=True).train()
        options = {
            "input_noise": 0.5,
            "input_dropout": 0.5,
            "teacher_forcing": 0.5,
            "kl_weight": 1.0,
        }
        terms = AutoencoderLoss(made, **options, generator=generator(seed))(given)
        return weighted(terms).item()

    assert total(0) == total(0) != total(1)


def test_code_l1_is_the_mean_sum_of_absolute_codes():
    made = model()
    given = batch(LENGTHS)
    term = AutoencoderLoss(made, code_l1=0.7)(given)["code_l1"]
    codes = made.encoder(given.x, LENGTHS).detach().numpy()
    assert_close("l1", np.abs(codes).sum(), term.total)
    assert (term.size, term.weight) == (B, 0.7)


@RAGGED
@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy"])
@pytest.mark.parametrize("metrics", [(), ("mse",), ("mae", "accuracy")], ids=str)
def test_the_divergence_is_weighted_against_the_summed_loss(lengths, loss, metrics):
    if loss == "mse" and "accuracy" in metrics:
        metrics = ("mae",)
    made = model(variational=True, output_activation="softmax").eval()
    given = batch(lengths)._replace(x=torch.softmax(normal(B, T, F), -1))
    terms = AutoencoderLoss(made, loss, metrics=metrics, kl_weight=0.6)(given)
    _, divergence = made.encoder.sample(given.x, lengths)
    assert_close("divergence", divergence.sum(), terms["divergence"].total)
    main = terms["reconstruction_loss"]
    bound = main.total + 0.6 * divergence.sum()
    assert_close("bound", bound / main.size, weighted(terms))


def test_codes_are_sampled_only_in_training():
    made = model(variational=True)
    codes, decode = [], made.decode
    made.decode = lambda name, code, *rest: codes.append(code) or decode(name, code, *rest)
    given = batch(LENGTHS)
    for training in (True, False):
        made.train(training)
        AutoencoderLoss(made, kl_weight=1.0, generator=generator())(given)
    drawn, mean = codes
    assert_close("drawn", made.train().encoder.sample(given.x, LENGTHS, generator())[0], drawn)
    assert torch.equal(made.encoder(given.x, LENGTHS), mean)
    assert (drawn != mean).all()


@pytest.mark.parametrize("decoder", ["previous", "state_previous"])
@pytest.mark.parametrize("name", BOTH)
def test_the_teacher_forcing_ratio_reaches_the_decoder_in_training(decoder, name):
    made = model(name, decoder=decoder)
    given = batch(LENGTHS)
    target = given.x if name == "reconstruction" else given.y
    own = LENGTHS if name == "reconstruction" else None
    code = made.encoder(given.x, LENGTHS)
    totals = []
    for share in (1.0, 0.5, 0.0):
        term = AutoencoderLoss(made, teacher_forcing=share, generator=generator())(given)["loss"]
        teacher = TeacherForcing(target, share, generator())
        output = made.decode(name, code, given.x, LENGTHS, teacher)
        assert_close("loss", masked_sum((output - target) ** 2, own), term.total)
        totals.append(term.total.item())
    assert len(set(totals)) == 3
    alone = AutoencoderLoss(made.eval())(given)["loss"].total
    assert alone.item() == pytest.approx(totals[-1])


def expected_futures(x, lengths, y):
    """(B, T, K, F), NaN after the end, one step at a time."""
    target = torch.full((*x.shape[:2], K, F), torch.nan, dtype=x.dtype)
    for i, length in enumerate([x.shape[1]] * len(x) if lengths is None else lengths):
        whole_one = torch.cat([x[i, :length], y[i]])
        for step in range(length):
            target[i, step] = whole_one[step + 1 : step + 1 + K]
    return target


@RAGGED
def test_the_target_of_a_step_is_the_future_that_follows_it(lengths):
    given = batch(lengths)
    x, y = given.x, given.y
    expected = expected_futures(x, lengths, y)
    got = futures(x, lengths, y).view(expected.shape)
    real = ~expected.isnan()
    assert torch.equal(got[real], expected[real])
    assert real.sum() == (B * T if lengths is None else 16) * K * F


def test_sequences_without_steps_have_no_futures():
    assert futures(normal(B, 0, F), torch.zeros(B, dtype=torch.int64), normal(B, K, F)).numel() == 0


@RAGGED
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("decoder", ["dense", "repeat", "previous", "reshape", "flat"])
def test_the_loss_of_every_step_is_that_of_all_the_sequences_cut_there(decoder, training, lengths):
    made = model("forecast", decoder=decoder).train(training)
    given = batch(lengths)
    x, y = given.x, given.y
    term = AutoencoderLoss(made, "mae", every_step=True)(given)["loss"]
    target, total, size = expected_futures(x, lengths, y), 0.0, 0
    for i, length in enumerate([T] * B if lengths is None else lengths):
        for step in range(length):
            code = made.encoder(x[i : i + 1, : step + 1])
            teacher = TeacherForcing(target[i, step][None]) if training else None
            output = made.decode("forecast", code, x[i : i + 1], None, teacher)
            total = total + (output - target[i, step]).abs().sum()
            size += K * F
    assert_close("loss", total, term.total)
    assert term.size == size


@RAGGED
def test_the_accuracy_of_every_step_is_of_every_step_of_its_forecast(lengths):
    made = model("forecast", decoder="repeat", output_activation="softmax")
    hot = torch.eye(F, dtype=torch.float64)
    x, _, y = (hot[normal(*shape).argmax(2)] for shape in ((B, T, F), (1, 1, F), (B, K, F)))
    loss = "categorical_crossentropy"
    terms = AutoencoderLoss(made, loss, metrics=("accuracy",), every_step=True)(
        Batch(x, lengths, y)
    )
    target, output = expected_futures(x, lengths, y), made.decode_by_step("forecast", x, lengths)
    real = ~target.isnan().any((2, 3))
    hits = (target[real].argmax(2) == output[real].argmax(2)).double()
    assert 0 < hits.mean() < 1
    assert terms["accuracy"].size == terms["loss"].size == hits.numel()
    assert terms["accuracy"].total.item() == hits.sum().item()
    assert_close("loss", -(target[real] * output[real].log()).sum(), terms["loss"].total)


@pytest.fixture
def calls(monkeypatch):
    """The losses that the fused training step returned."""
    made, losses = [], fused.losses

    def spy(*args, **options):
        found = losses(*args, **options)
        if found is not None:
            made.append(found["reconstruction"])
        return found

    monkeypatch.setattr(objective_module.fused, "losses", spy)
    return made


@RAGGED
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("decoder", ["repeat", "reversed_input"])
def test_the_fused_training_step_computes_the_same_loss(calls, decoder, loss, training, lengths):
    made = model(decoder=decoder).train(training)
    given = batch(lengths)
    fast = AutoencoderLoss(made, loss)(given)
    slow = AutoencoderLoss(made, loss, metrics=("mae",))(given)
    assert len(calls) == 1
    assert fast["loss"].total is calls[0]
    assert fast["loss"][1:] == slow["loss"][1:]
    assert_close("loss", slow["loss"].total, fast["loss"].total)


@pytest.mark.parametrize(
    ("options", "in_training", "in_evaluation"),
    [
        ({}, 1, 1),
        ({"teacher_forcing": 0.5}, 1, 1),
        ({"input_noise": 0.1}, 1, 1),
        ({"input_dropout": 0.1}, 1, 1),
        ({"code_l1": 0.1}, 0, 0),
        ({"kl_weight": 0.0}, 0, 0),
        ({"metrics": ("mae",)}, 0, 0),
        ({"loss": "binary_crossentropy"}, 1, 1),
        ({"weights": {"reconstruction": 2.0}}, 1, 1),
    ],
    ids=str,
)
def test_the_fused_training_step_is_used_if_the_loss_has_no_other_terms(
    calls, options, in_training, in_evaluation
):
    made = model().train()
    AutoencoderLoss(made, **options)(batch(LENGTHS))
    assert len(calls) == in_training
    made.eval()
    AutoencoderLoss(made, **options)(batch(LENGTHS))
    assert len(calls) - in_training == in_evaluation


def test_loss_weights_apply_to_a_single_decoder_too():
    given = batch(LENGTHS)
    one, three = (
        weighted(AutoencoderLoss(model(), weights=weights)(given))
        for weights in ({}, {"reconstruction": 3.0})
    )
    assert_close("weight", 3 * one, three)


@pytest.mark.parametrize(
    ("epochs", "last", "expected"),
    [(5, 0.2, [1, 0.8, 0.6, 0.4, 0.2]), (3, 0.0, [1, 0.5, 0]), (3, 1.0, [1, 1, 1]), (1, 0.0, [1])],
)
def test_the_teacher_forcing_ratio_decreases_linearly(epochs, last, expected):
    objective, seen = AutoencoderLoss(model(), teacher_forcing=0.7), []

    def record(given):
        if objective.model.training:
            seen.append(objective.teacher_forcing)
        return objective(given)

    source = Sequences(normal(4, T, F).numpy())
    batches = Batches(source, Scaler(np.zeros(F), np.ones(F)), np.arange(4), 4, torch.device("cpu"))
    train(
        objective.model.float(), record, batches, epochs=epochs,
        optimizer=torch.optim.SGD(objective.model.parameters(), 0.0),
        callbacks=[ScheduledSampling(objective, last)],
    )  # fmt: skip
    assert seen == pytest.approx(expected)


def test_the_loss_of_a_batch_is_the_weighted_sum_of_means():
    one, two = torch.tensor(6.0, requires_grad=True), torch.tensor(5.0, requires_grad=True)
    terms = {"a": Term(one, 3, 0.5), "b": Term(two, 2), "c": Term(one, 1, 0), "d": Term(two, 0)}
    loss = weighted(terms)
    assert loss.item() == 6 / 3 * 0.5 + 5 / 2
    loss.backward()
    assert (one.grad.item(), two.grad.item()) == (pytest.approx(0.5 / 3), 0.5)
    assert weighted({"c": Term(one, 1, 0), "d": Term(two, 0)}) is None


def test_the_means_of_an_epoch_are_over_all_its_batches():
    means_of_epoch = RunningMeans()
    means_of_epoch.add({"a": Term(torch.tensor(6.0), 3, 2.0), "m": Term(torch.tensor(1.0), 4, 0)})
    means_of_epoch.add({"a": Term(torch.tensor(4.0), 1, 2.0), "m": Term(torch.tensor(3.0), 4, 0)})
    assert means_of_epoch.means() == {"loss": 5.0, "a": 2.5, "m": 0.5}


def test_an_infinite_metric_does_not_change_the_loss():
    means_of_epoch = RunningMeans()
    means_of_epoch.add(
        {"loss": Term(torch.tensor(6.0), 3), "m": Term(torch.tensor(math.inf), 3, 0)}
    )
    assert means_of_epoch.means() == {"loss": 2.0, "m": math.inf}


def test_an_epoch_of_empty_sequences_has_the_loss_0():
    assert isinstance(RunningMeans().means()["loss"], float)


def test_evaluate_returns_every_term_and_the_loss():
    made = model(*BOTH).eval()
    source = [batch(LENGTHS), batch(LENGTHS)]
    means = evaluate(made, AutoencoderLoss(made, weights={"forecast": 0.5}), source)
    assert list(means) == ["loss", "reconstruction_loss", "forecast_loss"]
    assert means["loss"] == pytest.approx(
        means["reconstruction_loss"] + 0.5 * means["forecast_loss"]
    )
    history = History()
    history.add({f"val_{name}": mean for name, mean in means.items()})
    assert history.monitored == [means["loss"]]
