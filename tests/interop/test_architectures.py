"""The table of docs/guides/architectures.md: both columns of a row are the same architecture."""

import math
import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest

from tests.documents import ROOT, blocks
from unspool.blueprint import definition
from unspool.interop.keras import from_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

PAGE = "docs/guides/architectures.md"
DROPOUT = ("dropout", "recurrent_dropout", "code_dropout")


class Row(NamedTuple):
    """A row of the table: the code of both columns, and whether the model can be imported."""

    keras: str
    unspool: str
    imported: bool


def rows():
    """Return the rows of the first table of the page by their names."""
    table = Path(ROOT, PAGE).read_text().partition("|---|---|---|---|\n")[2].partition("\n\n")[0]
    found = {}
    for line in table.splitlines():
        name, *codes, mark = (cell.strip() for cell in line.strip("|").split(" |"))
        first = [re.match("`(.+?)`", code)[1] for code in codes]
        found[name] = Row(*first, mark == "✓")
    return found


ROWS = rows()


@pytest.fixture(scope="module")
def names():
    """Return what the blocks of the page define before its table is used."""
    defined = {}
    for block in blocks(PAGE)[:2]:
        exec(block.code, defined)
    return defined


def built(row, names):
    """Return the Keras model and the estimator of a row."""
    theirs = eval(f"[{row.keras}]", names)
    if not isinstance(theirs[0], keras.Model):
        theirs = [keras.Sequential([keras.Input((names["T"], names["F"])), *theirs])]
    return theirs[0], eval(row.unspool, names)


def count(model):
    """Return the number of weights of a Keras model, with one row of biases for gates of a GRU."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.GRU)]
    return sum(math.prod(w.shape) for w in model.trainable_weights) - sum(
        2 * layer.units for layer in layers
    )


def trained(ours, theirs, names):
    """Fit an estimator for an epoch on a few sequences whose last two features are one-hot."""
    rng, params = np.random.default_rng(0), ours.get_params()
    horizon = 0 if params.get("targets") == "y" else params.get("horizon") or 0
    X = rng.normal(size=(6, names["T"] + horizon, names["F"]))
    X[..., 2:] = np.eye(2)[rng.integers(2, size=X.shape[:2])]
    y = None
    if params.get("targets") == "y":
        y = rng.normal(size=(6, *theirs.output_shape[1:]))
    elif "autoencoder" in params:
        y = np.arange(6) % 3
    quick = {"epochs": 1, "verbose": 0, "random_state": 0, "validation_split": 0}
    nested = {f"autoencoder__{name}": value for name, value in quick.items()}
    ours.set_params(**quick, **(nested if "autoencoder" in params else {}))
    return ours.fit(X, y)


def architecture(model):
    """Return the parameters of an estimator that its layers and its dropout depend on."""
    if hasattr(model, "autoencoder"):
        return [*map(architecture, (model.autoencoder,)), model.head_units, model.head_activation]
    params, name = model.get_params(), type(model).__name__
    chosen = [*definition(name).structure, *(one for one in DROPOUT if one in params)]
    return {"model": name} | {one: params[one] for one in chosen}


def test_the_table_has_many_rows_most_of_which_are_imported():
    assert len(ROWS) >= 30
    assert sum(row.imported for row in ROWS.values()) >= 25


@pytest.mark.parametrize("name", ROWS)
def test_both_columns_have_the_same_number_of_weights(name, names):
    theirs, ours = built(ROWS[name], names)
    weights = trained(ours, theirs, names).contents().weights
    assert sum(weight.size for weight in weights.values()) == count(theirs)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.imported])
def test_the_imported_model_has_the_parameters_of_the_row(name, names):
    theirs, ours = built(ROWS[name], names)
    reads_previous = "previous" in ROWS[name].unspool
    imported = from_keras(theirs, **{"second_input": "previous"} if reads_previous else {})
    assert architecture(imported) == architecture(ours)
