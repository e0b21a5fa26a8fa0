"""Every damaged file is refused in a few words, and without the memory that it asks for."""

import json
import tracemalloc

import numpy as np
import pytest

import unspool
from tests.model_file.damage import KINDS, fields
from tests.model_file.files import apart
from tests.model_file.good import GOOD
from unspool import model_file
from unspool.errors import ModelFileError
from unspool.model_file.format import FORMAT_VERSION, to_bytes

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings(
        "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
    ),
]

MOST_MEMORY = 50 << 20  # bytes; files of the largest damage are some 200 KB
SHARE = 0.04  # of all absurd values in all fields
LEAST = 500  # damaged files in all


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Bytes, model, and what it was fitted on, by name; each made once."""
    made = {}

    def get(name):
        if name not in made:
            path = tmp_path_factory.mktemp("good") / "m"
            model, X = GOOD[name]()
            model.save(path)
            made[name] = path.read_bytes(), model, X
        return made[name]

    return get


def spoilt(name, kind, blob):
    """Damaged files, the same every time, each with what was done to it."""
    rng = np.random.default_rng([*map(ord, name + kind)])
    make = KINDS[kind]
    found = make(blob, rng, SHARE) if make is fields else make(blob, rng)
    return list(found)


def refused(read, path):
    """The complaint of `read` about the file, or what it gave; not much memory was taken."""
    tracemalloc.start()
    given, error = None, None
    try:
        given = read(path)
    except ModelFileError as told:
        error = told
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_MEMORY
    if error is not None:
        check_message(str(error), path)
        assert error.__context__ is None or error.__suppress_context__
    return given


def check_message(message, path):
    """A few sentences about the file."""
    lines = message.splitlines()
    assert 1 <= len(lines) <= 4
    for line in lines:
        assert line.isprintable(), line
        assert line.endswith("."), line
    assert len(message) < 1600
    assert lines[0].startswith((f"{path} is", f"{path} does not hold", f"{path} has"))
    assert "Traceback" not in message
    assert "rust" not in message.lower()
    assert lines[0].count(str(path)) == 1


def header_of(blob):
    """Our header, less what is not the model's: who made it, and where it runs."""
    header = json.loads(json.loads(apart(blob)[0])["__metadata__"]["unspool"])
    return without({k: v for k, v in header.items() if k not in ("crc32", "versions")}, "device")


def without(value, name):
    if isinstance(value, dict):
        return {k: without(v, name) for k, v in value.items() if k != name}
    return value


def check_same(model, original, blob, X):
    """The file means what it says, and the weights are the original's."""
    contents = model.contents()
    header = {
        "format_version": FORMAT_VERSION,
        "model": contents.model,
        "parameters": contents.parameters,
        "fitted": contents.fitted,
        "detector": contents.detector,
    }
    assert header_of(to_bytes(header, {})) == header_of(blob)
    for name, tensor in original.contents().tensors.items():
        np.testing.assert_array_equal(contents.tensors[name], tensor)
    if model.n_features_in_ == original.n_features_in_:  # of a table with rows that end early
        np.testing.assert_array_equal(outputs(model, X), outputs(original, X))


def outputs(model, X):
    """What the model is for, of the parts that a file of it always has."""
    for name in ("anomaly_scores", "predict_proba", "transform", "forecast"):
        if hasattr(model, name):
            return getattr(model, name)(X)
    raise AssertionError(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GOOD)
def test_damage_is_told(name, kind, good, tmp_path):
    blob, original, X = good(name)
    path = tmp_path / "m"
    for told, damaged in spoilt(name, kind, blob):
        path.write_bytes(damaged)
        try:
            contents, model = refused(model_file.read, path), refused(unspool.load, path)
            if contents is None:
                assert model is None
            if model is not None:
                check_same(model, original, damaged, X)
        except Exception as error:
            raise AssertionError(f"{told}: {error}") from error


def test_a_file_that_is_not_damaged_is_read(good, tmp_path):
    for name in GOOD:
        blob, original, X = good(name)
        (tmp_path / "m").write_bytes(blob)
        assert refused(model_file.read, tmp_path / "m") is not None
        check_same(refused(unspool.load, tmp_path / "m"), original, blob, X)


def test_there_are_enough_of_them(good):
    each = {(name, kind): len(spoilt(name, kind, good(name)[0])) for name in GOOD for kind in KINDS}
    assert min(each.values()) > 10
    assert sum(each.values()) > LEAST
