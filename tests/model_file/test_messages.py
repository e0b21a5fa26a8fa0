"""Whole messages about model files whose fields do not fit each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unspool
from tests.model_file.files import changed, parts, rewrite
from tests.model_file.good import GOOD, IMAGES, QUICK
from unspool import AnomalyDetector, ConvAutoencoder, LSTMForecaster, Windows, model_file
from unspool.errors import InputError, ModelFileError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
SERIES = np.sin(np.arange(60)[:, None] / np.array([3, 5, 7]))
V1 = Path(__file__).parent.parent / "golden" / "v1"


def forecaster(**parameters):
    given = {**QUICK, "epochs": 1, "horizon": 2, **parameters}
    return LSTMForecaster(**given).fit(Windows(SERIES, 8))


MODELS = {
    "composite": lambda: GOOD["composite"]()[0],
    "detector": lambda: GOOD["detector"]()[0],
    "detector of a forecaster": lambda: AnomalyDetector(
        LSTMForecaster(**QUICK, horizon=2), window=6, verbose=0, random_state=0
    ).fit(SERIES),
    "classifier": lambda: GOOD["classifier"]()[0],
    "conv": lambda: ConvAutoencoder(**QUICK, filters=(2,)).fit(IMAGES),
    "targets": lambda: forecaster(targets=(0, 2), known=(1,)),
    "responses": lambda: LSTMForecaster(**QUICK, targets="y").fit(
        Windows(SERIES, 8), np.ones((53, 2, 1))
    ),
    "of version 1": lambda: None,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A function that returns the bytes of a file by name; each is made once."""
    made = {}

    def get(name):
        if name == "of version 1":
            return (V1 / "classifier.unspool").read_bytes()
        if name not in made:
            path = tmp_path_factory.mktemp("messages") / "m"
            MODELS[name]().save(path)
            made[name] = path.read_bytes()
        return made[name]

    return get


HEADERS = [
    (
        "targets",
        changed(fitted__typical_length=9),
        "Expected `typical_length` of at most `max_length` (6), got 9.",
    ),
    (
        "targets",
        changed(fitted__targets=[]),
        "Expected `targets` and `known` to be different places below 3, got [] and [1].",
    ),
    (
        "targets",
        changed(fitted__known=[2]),
        "Expected `targets` and `known` to be different places below 3, got [0, 2] and [2].",
    ),
    (
        "targets",
        changed(fitted__known=[3]),
        "Expected `targets` and `known` to be different places below 3, got [0, 2] and [3].",
    ),
    (
        "targets",
        changed(fitted__targets=[0]),
        "The fitted `targets`, [0], do not match the parameter, [0, 2].",
    ),
    (
        "targets",
        changed(fitted__known=[]),
        "The fitted `known`, [], do not match the parameter, [1].",
    ),
    (
        "conv",
        changed(fitted__n_responses=1),
        "Expected `n_responses` 0, because ConvAutoencoder predicts no quantities that are not in "
        "X, got 1 with targets=None.",
    ),
    (
        "responses",
        changed(fitted__targets=[0]),
        "Expected a model of quantities that are not in X to have `n_responses` of at least 1, "
        "`y_ndim`, and neither `targets` nor `known`, got 1, 3, [0] and [].",
    ),
    (
        "responses",
        changed(fitted__n_responses=0),
        "Expected a model of quantities that are not in X to have `n_responses` of at least 1, "
        "`y_ndim`, and neither `targets` nor `known`, got 0, 3, None and [].",
    ),
    (
        "conv",
        changed(parameters__image_shape=[5, 4, 2], fitted__axes=[2, 4, 5]),
        "Expected `axes` in which images of shape (5, 4, 2) can be given, got [2, 4, 5].",
    ),
    (
        "classifier",
        changed(parameters__class_weight={"a": 1.0}),
        "Expected `class_weight` to be a list of pairs of a label and its weight, got an object "
        "with named values.",
    ),
    (
        "composite",
        changed(parameters__loss={"by_features": []}),
        "Expected `loss` to be a name, a function or a loss by feature, got {'by_features': []}.",
    ),
    (
        "composite",
        changed(fitted__reading={"missing_values": [None]}),
        "Expected a list of texts and numbers in `reading.missing_values`, got [None].",
    ),
    (
        "composite",
        changed(fitted__reading={"drop": [1]}),
        "Expected a list of texts in `reading.drop`, got [1].",
    ),
    (
        "detector",
        changed(detector__feature_names_in=["a"]),
        "Expected 2 strings in `feature_names_in` of the detector, got ['a'].",
    ),
    (
        "detector",
        lambda _, tensors: tensors.update({"detector.more": np.ones(2)}),
        "Unknown tensor 'detector.more': this detector has no such part.",
    ),
    (
        "of version 1",
        changed(parameters__autoencoder=-1),
        "a part is missing or has an unexpected type (TypeError: 'int' object is not "
        "subscriptable); train and save the model again.",
    ),
]


@pytest.mark.parametrize(("name", "change", "reason"), HEADERS, ids=str)
def test_a_file_whose_fields_do_not_fit_is_refused_with_the_reason(
    saved, name, change, reason, tmp_path
):
    path = tmp_path / "m"
    path.write_bytes(saved(name))
    rewrite(path, change)
    for read in (model_file.read, unspool.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value) == f"{path} does not hold a usable model: {reason}"


def test_a_part_that_only_load_reads_is_named_if_it_has_another_type(saved, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(saved("classifier"))
    rewrite(path, changed(parameters__autoencoder__model=[]))
    model_file.read(path)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable model: a part is missing or has an unexpected type "
        "(TypeError: unhashable type: 'list'); train and save the model again."
    )


@pytest.mark.parametrize(
    ("name", "window", "got"), [("targets", 6, "0 and [1]"), ("responses", 8, "1 and []")]
)
def test_a_detector_over_a_forecaster_that_cannot_be_scored_is_refused(
    saved, name, window, got, tmp_path
):
    path, other = tmp_path / "m", tmp_path / "detector"
    path.write_bytes(saved(name))
    other.write_bytes(saved("detector of a forecaster"))
    detector, _ = parts(other)
    rewrite(path, changed(detector={**detector["detector"], "window": window}))
    with pytest.raises(ModelFileError) as caught:
        model_file.read(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable model: Expected a detector whose model has `n_responses` 0 "
        f"and no `known`, got {got}."
    )


def test_a_value_that_a_header_cannot_hold_is_refused_when_it_is_written(saved, tmp_path):
    path = tmp_path / "m"
    path.write_bytes(saved("conv"))
    contents = model_file.read(path)
    with pytest.raises(InputError) as caught:
        model_file.write(path, replace(contents, parameters={**contents.parameters, "epochs": {1}}))
    assert str(caught.value) == (
        "This model cannot be saved: its value {1} is none of text, number, list or object with "
        "names."
    )
    assert path.read_bytes() == saved("conv")
