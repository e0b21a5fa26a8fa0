"""The loggers of `unspool.callbacks`, with the real packages, and Python's `logging`."""

import json
import logging
import math
import sys
from functools import partial

import numpy as np
import pytest

from tests.estimators.quick import quick, sines
from tests.training.one_number import Number, batches
from unspool import DenseAutoencoder, EncoderClassifier, StackedAutoencoder
from unspool.callbacks import JSONLogger, MLflowLogger, TensorBoardLogger
from unspool.errors import DivergedError, InputError
from unspool.nn import LSTMLayer
from unspool.training.history import History
from unspool.training.reports import Reports

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

QUICK = {"epochs": 3, "random_state": 0, "verbose": 0, "batch_size": 10}
X = sines(40, 12, features=2)
LABELS = np.arange(40) % 2
SECOND = {"seconds", "sequences_per_second", "time_steps_per_second"}
NORMS = {"gradient_norm", "max_gradient_norm"}


def entries_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_json_file_has_a_line_for_the_start_each_epoch_and_the_end(tmp_path):
    path = tmp_path / "log.jsonl"
    model = DenseAutoencoder(3, validation_split=0.2, **QUICK)
    model.fit(X, callbacks=[JSONLogger(path)])
    start, *epochs, end = entries_of(path)
    history = model.history_
    assert [one["event"] for one in (start, *epochs, end)] == ["start", *["epoch"] * 3, "end"]
    assert start["parameters"]["latent_dim"] == 3
    assert start["estimator"] == "DenseAutoencoder"
    known = {name: start[name] for name in ("sequences", "validation_sequences", "max_length",
                                            "features", "batches", "epochs")}  # fmt: skip
    assert list(known.values()) == [32, 8, 12, 2, 4, 3]
    assert start["weights"] == sum(one.numel() for one in model.module_.parameters())
    for number, entry in enumerate(epochs, 1):
        assert entry["epoch"] == number
        for name in ("loss", "val_loss", "learning_rate"):
            assert entry[name] == history[name][number - 1]
        assert all(entry[name] > 0 for name in SECOND | NORMS)
        assert entry["max_gradient_norm"] >= entry["gradient_norm"]
        ratio = entry["time_steps_per_second"] / entry["sequences_per_second"]
        assert ratio == pytest.approx(12)
    best = end["best_epoch"] - 1
    assert best == history["best_epoch"]
    assert (end["loss"], end["val_loss"]) == (history["loss"][best], history["val_loss"][best])
    assert end["seconds"] >= sum(entry["seconds"] for entry in epochs)


def test_the_error_that_ends_a_fit_is_in_the_last_line(tmp_path):
    path = tmp_path / "log.jsonl"

    def fail(model, history):
        raise DivergedError("it diverged")

    model = DenseAutoencoder(3, **QUICK)
    with pytest.raises(DivergedError):
        model.fit(X, callbacks=[fail, JSONLogger(path)])
    end = entries_of(path)[-1]
    assert (end["event"], end["error"]) == ("end", "DivergedError: it diverged")


def test_numbers_that_json_cannot_represent_are_null(tmp_path):
    def infinite(mean, target):
        return (target - mean) ** 2

    path = tmp_path / "log.jsonl"
    model = DenseAutoencoder(3, loss=infinite, **QUICK)
    reports = Reports([partial(JSONLogger(path).on_log, model)], "DenseAutoencoder", "",
                      {"rate": np.inf, "loss": infinite, "size": np.int64(3)},
                      batches([[1, 1], [2, 2]]), None)  # fmt: skip
    reports.on_train_begin(Number(), 1, 1)
    reports.on_epoch_begin(Number())
    reports.on_epoch_end(Number(), History({"loss": [math.nan], "auc": [np.float32(0.5)]}))
    start, epoch = entries_of(path)
    assert start["parameters"] == {"rate": None, "loss": "infinite", "size": 3}
    assert (epoch["loss"], epoch["auc"]) == (None, 0.5)


def test_an_error_that_is_handled_around_a_fit_is_not_its_error(tmp_path):
    path = tmp_path / "log.jsonl"
    try:
        raise KeyError("before")
    except KeyError:
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[JSONLogger(path)])
    assert "error" not in entries_of(path)[-1]


def test_each_stage_has_its_name_and_fits_are_appended(tmp_path):
    path = tmp_path / "log.jsonl"
    stack = StackedAutoencoder(2, hidden_units=(4,), fine_tune=True, **QUICK)
    stack.fit(X, callbacks=[JSONLogger(path)])
    encoder = DenseAutoencoder(3, **QUICK).fit(X)
    classifier = EncoderClassifier(encoder, fine_tune=True, **QUICK)
    classifier.fit(X, LABELS, callbacks=[JSONLogger(path)])
    starts = [one for one in entries_of(path) if one["event"] == "start"]
    names = [(one["estimator"][:7], one["stage"]) for one in starts]
    assert names == [("Stacked", "layer 0"), ("Stacked", "layer 1"), ("Stacked", ""),
                     ("Encoder", "head"), ("Encoder", "fine-tuning")]  # fmt: skip


@pytest.mark.parametrize("clip", [None, 1.0])
def test_loggers_change_no_weight(tmp_path, clip):
    plain = quick(epochs=2, global_clipnorm=clip).fit(X)
    logged = quick(epochs=2, global_clipnorm=clip)
    logged.fit(X, callbacks=[JSONLogger(tmp_path / "log.jsonl")])
    np.testing.assert_array_equal(plain.transform(X), logged.transform(X))
    assert plain.history_ == logged.history_
    assert entries_of(tmp_path / "log.jsonl")[1].keys() >= NORMS


def test_a_dash_writes_to_standard_output(capsys):
    DenseAutoencoder(3, **QUICK).fit(X, callbacks=[JSONLogger("-")])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", *["epoch"] * 3, "end"]


def test_a_path_that_cannot_be_written_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        JSONLogger(tmp_path / "none" / "log.jsonl")


def test_an_object_with_on_log_gets_the_same_entries_as_the_file(tmp_path):
    class Last:
        def on_log(self, model, entry):
            self.model, self.entry = model, entry

    last, path = Last(), tmp_path / "log.jsonl"
    model = DenseAutoencoder(3, **QUICK)
    model.fit(X, callbacks=[last, JSONLogger(path)])
    assert last.model is model
    assert last.entry == entries_of(path)[-1]


def test_tensorboard_reads_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = DenseAutoencoder(3, validation_split=0.2, **QUICK)
    model.fit(X, callbacks=[TensorBoardLogger(tmp_path / "run")])
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    for name in ("loss", "val_loss", "learning_rate"):
        found = events.Scalars(name)
        assert [one.step for one in found] == [1, 2, 3]
        np.testing.assert_allclose([one.value for one in found], model.history_[name], rtol=1e-6)
    tags = set(events.Tags()["scalars"])
    assert SECOND | NORMS | {"best_epoch", "best_loss", "best_val_loss"} <= tags
    best = model.history_["best_epoch"]
    assert events.Scalars("best_epoch")[0].value == best + 1
    text = events.Tensors("parameters/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| latent_dim | 3 |" in text
    assert {"_hparams_/experiment", "_hparams_/session_start_info", "_hparams_/session_end_info"} \
        <= events.summary_metadata.keys()  # fmt: skip


def test_tensorboard_has_the_curves_of_each_stage(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = StackedAutoencoder(2, hidden_units=(4,), **QUICK)
    model.fit(X, callbacks=[TensorBoardLogger(tmp_path)])
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for depth, layer in enumerate(model.history_["layers"]):
        found = [one.value for one in events.Scalars(f"layer_{depth}/loss")]
        np.testing.assert_allclose(found, layer["loss"], rtol=1e-6)


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with its runs in a folder."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield mlflow
    assert mlflow.active_run() is None
    mlflow.set_tracking_uri(before)


def values(mlflow, run_id, name):
    found = mlflow.MlflowClient().get_metric_history(run_id, name)
    return [one.value for one in found], [one.step for one in found]


def test_mlflow_has_a_run_with_parameters_and_metrics(mlflow):
    model = DenseAutoencoder(3, validation_split=0.2, **QUICK)
    logger = MLflowLogger("fits", run_name="first")
    model.fit(X, callbacks=[logger])
    run = mlflow.get_run(logger.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "first"
    assert mlflow.get_experiment(run.info.experiment_id).name == "fits"
    assert run.data.params["latent_dim"] == "3"
    assert run.data.params["estimator"] == "DenseAutoencoder"
    for name in ("loss", "val_loss", "learning_rate"):
        assert values(mlflow, logger.run_id, name) == (model.history_[name], [1, 2, 3])
    assert run.data.metrics.keys() >= SECOND | NORMS
    best = model.history_["best_epoch"]
    assert run.data.metrics["best_val_loss"] == model.history_["val_loss"][best]
    first = logger.run_id
    model.fit(X, callbacks=[logger])  # another fit is another run
    assert logger.run_id != first


def test_mlflow_keeps_the_stages_of_a_fit_in_one_run(mlflow):
    logger = MLflowLogger()
    model = StackedAutoencoder(2, hidden_units=(4,), fine_tune=True, **QUICK)
    model.fit(X, callbacks=[logger])
    run = mlflow.get_run(logger.run_id)
    assert {"layer_0/loss", "layer_1/loss", "loss"} <= run.data.metrics.keys()
    assert run.info.status == "FINISHED"
    assert len(mlflow.search_runs(output_format="list")) == 1


def test_mlflow_uses_the_active_run_and_leaves_it_open(mlflow):
    logger = MLflowLogger()
    with mlflow.start_run() as active:
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[logger])
        assert mlflow.active_run().info.run_id == active.info.run_id == logger.run_id
        mlflow.log_metric("after", 1.0)
    assert {"loss", "after"} <= mlflow.get_run(logger.run_id).data.metrics.keys()


def test_the_run_of_a_failed_fit_has_failed(mlflow):
    def fail(model, history):
        raise RuntimeError

    logger = MLflowLogger()
    with pytest.raises(RuntimeError):
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[fail, logger])
    assert mlflow.get_run(logger.run_id).info.status == "FAILED"


@pytest.mark.parametrize(
    ("package", "make"),
    [("tensorboard", lambda: TensorBoardLogger("logs")), ("mlflow", MLflowLogger)],
)
def test_a_missing_package_names_the_extra(monkeypatch, package, make):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == f'This needs {package}: pip install "unspool[{package}]"'


def test_logging_shows_start_and_end_as_info_and_epochs_as_debug(caplog):
    model = quick(epochs=2)
    with caplog.at_level(logging.DEBUG, "unspool"):
        model.fit(X)
    records = [one for one in caplog.records if one.name == "unspool.training"]
    assert [one.levelname for one in records] == ["INFO", "DEBUG", "DEBUG", "INFO"]
    start, first, _, end = [one.getMessage() for one in records]
    weights = sum(one.numel() for one in model.module_.parameters())
    assert start == (
        "LSTMAutoencoder: training begins on 36 sequences and 4 to validate on (at most 12 steps, "
        f"2 features) with {weights:,} weights on cpu, for at most 2 epochs of 4 batches"
    )
    loss, val_loss = (model.history_[name][0] for name in ("loss", "val_loss"))
    assert first.startswith("LSTMAutoencoder: Epoch 1/2 - ")
    assert f" sequences/s - loss: {loss:.4f} - val_loss: {val_loss:.4f} - " in first
    assert end.startswith("LSTMAutoencoder: trained for 2 epochs in ")
    assert records[-1].entry["best_epoch"] == model.history_["best_epoch"] + 1
    layers = [one.getMessage() for one in caplog.records if one.name == "unspool.lstm"]
    modules = dict(model.module_.named_modules())
    recurrent = [name for name, one in modules.items() if isinstance(one, LSTMLayer)]
    assert layers == [  # once, not after each epoch
        f"{name} runs on {modules[name].backend.name}: {modules[name].backend.reason}"
        for name in recurrent
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, "unspool"):
        model.fit(X)
    assert len(caplog.records) == 2


def test_epochs_of_partial_fit_go_on_from_those_before(caplog):
    model = quick()
    with caplog.at_level(logging.DEBUG, "unspool.training"):
        for _ in range(3):
            model.partial_fit(X)
    entries = [one.entry for one in caplog.records]
    assert [one["event"] for one in entries] == ["start", "epoch", "end"] * 3
    numbers = [(one.get("epoch"), one["epochs"], one.get("best_epoch")) for one in entries]
    assert numbers == [
        row for n in (1, 2, 3) for row in ((None, n, None), (n, n, None), (None, n, n))
    ]
    losses = [one["loss"] for one in entries if one["event"] == "epoch"]
    assert losses == model.history_["loss"]


def test_a_fit_that_fails_is_logged_as_an_error(caplog):
    def fail(model, history):
        raise RuntimeError("mine")

    with caplog.at_level(logging.INFO, "unspool"), pytest.raises(RuntimeError):
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[fail])
    assert caplog.records[-1].levelname == "ERROR"
    assert caplog.records[-1].getMessage().endswith("; failed with RuntimeError: mine")


def test_without_configuration_nothing_is_logged(monkeypatch, capsys):
    def fail(model, history):
        raise RuntimeError

    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(RuntimeError):  # an error that is logged, which Python prints by default
        DenseAutoencoder(3, **QUICK).fit(X, callbacks=[fail])
    assert capsys.readouterr().err == ""
