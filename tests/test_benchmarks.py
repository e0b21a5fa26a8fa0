"""The benchmark suite builds what it times; it is not run here."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import article, articles, classifiers, codes, encoding, forecasts, rows, turns
from benchmarks.cases import STATES, Shape
from benchmarks.contestants import Job
from benchmarks.inputs import one_layer
from benchmarks.truth import encode, errors
from benchmarks.worker import Desk
from unspool import demos
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_the_model_that_is_timed_is_that_of_the_demo():
    model = article.build(seed=3)
    assert article.weights(model).keys() == article.NAMES.keys()
    X = np.sin(np.arange(12) / 3 + np.arange(20)[:, None])[:, :, None]
    fitted = (
        demos.load("two_sines")
        .make_model(epochs=1, random_state=3)
        .set_params(scaling="standard")
        .fit(X)
    )
    shapes = {name: weight.shape for name, weight in fitted.module_.state_dict().items()}
    assert {name: weight.shape for name, weight in model.state_dict().items()} == shapes
    terms = AutoencoderLoss(model)(Batch(torch.zeros(2, 5, 1), None))
    assert terms["loss"].size == 10


def test_every_demo_is_measured():
    assert {*articles.NAMES, "machine_temperature"} == set(
        demos.DEMOS
    )  # `benchmarks.anomaly` measures that one


def test_rows_of_an_experiment_replace_its_older_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(articles, "RESULTS", tmp_path / "articles.csv")

    def row(experiment, value):
        return dict(zip(articles.FIELDS, (experiment, 0, "loss", value, "c", "m"), strict=True))

    articles.keep("a", [row("a", 1)])
    articles.keep("b", [row("b", 2)])
    articles.keep("a", [row("a", 3)])
    lines = (tmp_path / "articles.csv").read_text().splitlines()
    assert lines == [",".join(articles.FIELDS), "b,0,loss,2,c,m", "a,0,loss,3,c,m"]


@pytest.mark.parametrize("way", [*encoding.ENCODERS.values(), *encoding.STEPPERS.values()])
def test_everybody_who_encodes_does_the_same_work(way):
    pytest.importorskip("onnxruntime")
    from benchmarks.contestants import encoders

    inputs = one_layer(Shape(1 if way in encoding.STEPPERS.values() else 3, 7, 2, 5))
    ready = encoders.prepare(Job("encode", f"{way} 1", 1, inputs))
    assert errors(encode(inputs), ready.numbers)["h_n"] <= STATES
    ready.call()


class Near:
    """A contestant in this process, where the suite gives it one of its own."""

    versions = "some"

    def __init__(self, contestant, peers, log):
        self.desk = Desk(contestant.module, contestant.how)

    def ask(self, do, **request):
        return getattr(self.desk, do)(**request)

    def close(self):
        pass


def test_rows_of_encoding_have_times_and_no_complaints(monkeypatch, tmp_path):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(turns, "Worker", Near)
    monkeypatch.setattr(turns, "PAUSE", 0)
    found = list(encoding.encoding((3,), (2,), (1,), rounds=1))
    assert [(row["case"], row["B"], row["T"], row["contestant"]) for row in found] == [
        *(("encode", 2, 100, name) for name in encoding.ENCODERS),
        *(("step", 1, 1, name) for name in encoding.STEPPERS),
    ]
    for row in found:
        assert (row["threads"], row["rounds"], row["note"]) == (1, 1, "")
        rate = 1e6 * row["B"] / float(row["us_median"])
        assert float(row["per_second"]) == pytest.approx(rate, rel=1e-2)
        base = found[0 if row["case"] == "encode" else len(encoding.ENCODERS)]
        ratio = float(row["us_median"]) / float(base["us_median"])
        assert float(row["ratio_median"]) == pytest.approx(ratio, rel=1e-2)
    rows.write("encoding", found, tmp_path)
    assert len(rows.read("encoding", tmp_path)) == len(found)


def test_a_single_sequence_gets_one_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(encoding, "_by_turns", lambda *given: asked.append(given) or ())
    list(encoding.encoding((3, 4), (256, 1), (1, 2), rounds=1))
    assert [
        (case, count, {shape.B for shape in shapes}) for case, _, count, shapes, _ in asked
    ] == [
        ("encode", 1, {256, 1}),
        ("encode", 2, {256}),
        ("step", 1, {1}),
    ]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_fresh_process_is_weighed(monkeypatch):
    ways = {name: encoding.WAYS[name] for name in ("numpy alone", "unspool.runtime")}
    monkeypatch.setattr(encoding, "WAYS", ways)
    alone, runtime = encoding.loading(1, units=3)
    assert alone["note"] == runtime["note"] == ""
    assert float(runtime["import_ms_median"]) > float(alone["import_ms_median"])
    assert 5 < float(alone["resident_mb_median"]) < float(runtime["resident_mb_median"]) < 100


def test_the_linear_map_that_forecasts_are_compared_with_continues_a_line():
    rise = np.arange(300.0)[:, None] * [1, -2] + [5, 100]
    X, y = forecasts.pairs(rise, 24)
    assert (X.shape, y.shape) == ((181, 96, 2), (181, 24, 2))
    np.testing.assert_array_equal(y[:, 0], X[:, -1] + [1, -2])
    np.testing.assert_allclose(forecasts.linear(X, y, X[:5] + 1000), y[:5] + 1000, rtol=1e-4)
    row = forecasts.score("two", y + np.array([1, 3]), y, coverage=0.5)
    assert (row.mse, row.mae, row.coverage, row.seconds) == (5, 2, 0.5, None)


def test_few_labels_have_one_of_each_class_and_are_as_many_as_asked_for():
    y = np.repeat([3, 1, 2], [90, 8, 2])
    for draw in range(20):
        chosen = codes.one_of_each(y, 12, np.random.default_rng(draw))
        assert len({*chosen}) == 12
        assert {*y[chosen]} == {1, 2, 3}
    assert sorted(codes.one_of_each(y, 100, np.random.default_rng(0))) == list(range(100))


def test_classifiers_tell_two_heaps_apart_and_noise_from_nothing():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    apart, noise = rng.normal(size=(60, 3)) + 9 * y[:, None], rng.normal(size=(60, 3))
    for judge in (classifiers.svm, classifiers.logistic, classifiers.ridge, classifiers.nearest):
        assert judge(apart[:40], y[:40], apart[40:], y[40:]) == 1
        assert judge(noise[:40], y[:40], noise[40:], y[40:]) < 0.9


def test_a_large_test_part_is_drawn_from_and_labels_are_the_first_column(tmp_path, monkeypatch):
    monkeypatch.setattr(codes, "MOST", 5)
    folder = tmp_path / "Some"
    folder.mkdir()
    table = np.arange(24.0).reshape(8, 3)
    np.savetxt(folder / "Some_TRAIN.tsv", table, delimiter="\t")
    np.save(folder / "Some_TEST.npy", table)
    X, y, test, truth = codes.read(folder)
    np.testing.assert_array_equal(X, table[:, 1:])
    np.testing.assert_array_equal(y, table[:, 0])
    assert len(test) == len({*truth}) == 5
    np.testing.assert_array_equal(test[:, 0], truth + 1)
