"""The benchmark suite builds what it times; it is not run here."""

import numpy as np
import pytest
import torch

from benchmarks import article, articles
from unspool.demos import DEMOS
from unspool.demos import sines as demo
from unspool.training.batches import Batch
from unspool.training.objective import AutoencoderLoss


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # one epoch
def test_the_model_that_is_timed_is_that_of_the_demo():
    model = article.build(seed=3)
    assert article.weights(model).keys() == article.NAMES.keys()
    X = np.sin(np.arange(12) / 3 + np.arange(20)[:, None])[:, :, None]
    fitted = demo.article(epochs=1, random_state=3, verbose=0).set_params(scaling="standard").fit(X)
    shapes = {name: weight.shape for name, weight in fitted.module_.state_dict().items()}
    assert {name: weight.shape for name, weight in model.state_dict().items()} == shapes
    terms = AutoencoderLoss(model)(Batch(torch.zeros(2, 5, 1), None))
    assert terms["loss"].size == 10


def test_every_demo_is_measured():
    assert sorted(articles.NAMES) == sorted(DEMOS)


def test_rows_of_an_experiment_replace_its_older_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(articles, "RESULTS", tmp_path / "articles.csv")

    def row(experiment, value):
        return dict(zip(articles.FIELDS, (experiment, 0, "loss", value, "c", "m"), strict=True))

    articles.keep("a", [row("a", 1)])
    articles.keep("b", [row("b", 2)])
    articles.keep("a", [row("a", 3)])
    lines = (tmp_path / "articles.csv").read_text().splitlines()
    assert lines == [",".join(articles.FIELDS), "b,0,loss,2,c,m", "a,0,loss,3,c,m"]
