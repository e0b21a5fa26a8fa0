"""Every damaged file is refused with a short message, and without allocating much memory."""

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
from unspool.model_file.upgrades import add_later_fields

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings(
        "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
    ),
]

MAX_MEMORY = 50 << 20  # bytes; the largest damaged file has some 200 KB
SHARE = 0.04  # share of all pairs of field and absurd value that are tested
MIN_FILES = 500


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A function that returns bytes, model and training data by name; each is made once."""
    made = {}

    def get(name):
        if name not in made:
            path = tmp_path_factory.mktemp("good") / "m"
            model, X = GOOD[name]()
            model.save(path)
            unspool.load(path)  # the modules that it imports are not the cost of damage
            made[name] = path.read_bytes(), model, X
        return made[name]

    return get


def spoilt(name, kind, blob):
    """Pairs of a description and a damaged file; the same in every run."""
    rng = np.random.default_rng([*map(ord, name + kind)])
    make = KINDS[kind]
    found = make(blob, rng, SHARE) if make is fields else make(blob, rng)
    return list(found)


def refused(read, path):
    """What `read` returns, or None after a ModelFileError, whose message is checked."""
    tracemalloc.start()
    given, error = None, None
    try:
        given = read(path)
    except ModelFileError as caught:
        error = caught
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MAX_MEMORY
    if error is not None:
        check_message(str(error), path)
        assert error.__context__ is None or error.__suppress_context__
    return given


def check_message(message, path):
    """The message is a few printable sentences that name the file."""
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
    """The header without checksum, versions and device."""
    header = json.loads(json.loads(apart(blob)[0])["__metadata__"]["unspool"])
    return without({k: v for k, v in header.items() if k not in ("crc32", "versions")}, "device")


def without(value, name):
    if isinstance(value, dict):
        return {k: without(v, name) for k, v in value.items() if k != name}
    return value


def check_same(model, original, blob, X):
    """The model has the header of the file and the weights of the original."""
    contents = model.contents()
    header = {
        "format_version": FORMAT_VERSION,
        "model": contents.model,
        "parameters": contents.parameters,
        "fitted": contents.fitted,
        "detector": contents.detector,
    }
    expected = header_of(blob)
    add_later_fields(expected)  # without them a file is older, and not damaged
    assert header_of(to_bytes(header, {})) == expected
    for name, tensor in original.contents().tensors.items():
        np.testing.assert_array_equal(contents.tensors[name], tensor)
    # A row of a table may have been shortened; other steps of a series are scored together.
    same = [
        getattr(model, name, None) == getattr(original, name, None)
        for name in ("n_features_in_", "dilation_", "max_gap_")
    ]
    if all(same):
        np.testing.assert_array_equal(outputs(model, X), outputs(original, X))


def outputs(model, X):
    """The main output of the model."""
    for name in ("anomaly_scores", "predict_proba", "transform", "forecast"):
        if hasattr(model, name):
            return getattr(model, name)(X)
    raise AssertionError(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", GOOD)
def test_a_damaged_file_is_refused_or_read_by_its_header(name, kind, good, tmp_path):
    blob, original, X = good(name)
    path = tmp_path / "m"
    for description, damaged in spoilt(name, kind, blob):
        path.write_bytes(damaged)
        try:
            contents, model = refused(model_file.read, path), refused(unspool.load, path)
            if contents is None:
                assert model is None
            if model is not None:
                check_same(model, original, damaged, X)
        except Exception as error:
            raise AssertionError(f"{description}: {error}") from error


def test_an_undamaged_file_is_read(good, tmp_path):
    for name in GOOD:
        blob, original, X = good(name)
        (tmp_path / "m").write_bytes(blob)
        assert refused(model_file.read, tmp_path / "m") is not None
        check_same(refused(unspool.load, tmp_path / "m"), original, blob, X)


def test_every_kind_of_damage_yields_files(good):
    each = {(name, kind): len(spoilt(name, kind, good(name)[0])) for name in GOOD for kind in KINDS}
    assert min(each.values()) > 10
    assert sum(each.values()) > MIN_FILES
