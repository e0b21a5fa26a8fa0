"""Files in the forms of public ones are read as a person reads them (see `corpus/cases.py`)."""

import re

import numpy as np
import pytest

from tests.cli.tables import read_csv
from tests.corpus.cases import Case, all_cases, instant
from unspool import read_file
from unspool.errors import InputError

CASES = all_cases()
TABLES = [case for case in CASES if case.has_table]
REFUSED = [case for case in CASES if "refused" in case.about]
WARNED = [case for case in CASES if "warned" in case.about]
FIT = ["--epochs", 1, "--latent-dim", 2, "--set", "units=2", "--seed", 0, "--quiet"]

# Files that are not read yet as they should be, with the reason.
NOT_YET: dict[str, str] = {}


def cases(which, *, test):
    return [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.xfail(reason=NOT_YET[key], strict=True)] if key in NOT_YET else [],
        )
        for case in which
        for key in [f"{test}:{case.name}"]
    ]


def same(got, expected):
    """Whether labels or ids are equal, as numbers if both are numbers."""
    try:
        return [float(one) for one in got] == [float(one) for one in expected]
    except ValueError:
        return [str(one) for one in got] == expected


def points(texts):
    """Numbers with decimal points, as `pandas.read_csv(decimal=",")` reads them."""
    return [re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", one) for one in texts]


def parts(case):
    """The rows of each series, by the first appearance of its id."""
    ids = case.columns().get("@id")
    if ids is None:
        return {None: slice(None)}
    return {one: np.flatnonzero(np.array(ids) == one) for one in dict.fromkeys(ids)}


def check_series(case: Case, data):
    names, values = case.features()
    columns = {name: np.array(column) for name, column in case.columns().items()}
    rows = parts(case)
    if "@id" in columns:
        assert [str(one) for one in data.series_ids] == list(rows)
    if not case.about.get("anynames"):
        assert list(data.source.feature_names) == names
    assert len(data.source.series) == len(rows)
    for i, part in enumerate(rows.values()):
        np.testing.assert_allclose(data.source.series[i], values[part], rtol=1e-6)
        if "@label" in columns:
            assert same(data.steps["label"][i].tolist(), columns["@label"][part].tolist())
        if "@time" in columns:
            times = data.steps["time"][i]
            expected = np.array([instant(one) for one in columns["@time"][part]])
            assert times.dtype.kind == expected.dtype.kind or expected.dtype.kind == "f"
            np.testing.assert_array_equal(times, expected)
    firsts = [0] if None in rows else [int(part[0]) for part in rows.values()]
    found = {name: [str(one) for one in values] for name, values in data.id_parts.items()}
    assert found == parts_of_ids(columns, firsts)
    if "@label" not in columns:
        assert "label" not in data.steps
    if not {"@time", "@raw"} & set(columns):
        assert "time" not in data.steps


def parts_of_ids(columns, rows):
    """The columns that are joined to the id, in some rows."""
    names = [name for name in columns if name.startswith("@part.")]
    return {name.removeprefix("@part."): [str(columns[name][i]) for i in rows] for name in names}


def check_sequences(case: Case, data):
    _, values = case.features()
    real = ~np.isnan(values)
    np.testing.assert_allclose(data.source.values[:, :, 0][real], values[real], rtol=1e-6)
    assert data.source.lengths.tolist() == real.sum(axis=1).tolist()
    columns = case.columns()
    for role in ("id", "label"):
        assert (role in data.index) == (f"@{role}" in columns)
        if role in data.index:
            assert same(data.index[role].tolist(), columns[f"@{role}"])
    for times in data.steps.get("time", []):
        assert times.tolist() == np.array(case.about["steps"], times.dtype).tolist()


@pytest.mark.parametrize("case", cases(TABLES, test="read"))
def test_every_time_id_label_and_value_is_the_one_in_the_file(case):
    data = read_file(case.path, **case.options)
    (check_sequences if "rows" in case.about else check_series)(case, data)
    notes = "\n".join(data.notes)
    for part in case.about.get("said", ()):
        assert re.search(part, notes), f"{part!r} is not in {notes}"


@pytest.mark.parametrize("case", cases(REFUSED, test="refused"))
def test_a_file_that_cannot_be_read_without_options_is_refused_with_the_reason(case, run, tmp_path):
    with pytest.raises(InputError) as caught:
        read_file(case.path, **case.shape)
    assert case.path.name in str(caught.value)
    shape = [word for name, value in case.shape.items() for word in (f"--{name}", value)]
    done = run("fit", case.path, *shape, *FIT, "-o", tmp_path / "m.unspool")
    assert done.code == 1
    assert "Traceback" not in done.err
    for part in case.about["refused"]:
        assert part in " ".join(done.err.split())


@pytest.mark.parametrize("case", cases(WARNED, test="warned"))
def test_values_that_may_be_wrong_are_reported_with_the_option(case):
    notes = "\n".join(read_file(case.path, **case.shape).notes)
    for part in case.about["warned"]:
        assert part in notes


@pytest.mark.parametrize("case", cases(TABLES, test="commands"))
def test_scores_join_with_the_file_on_time_and_id_with_the_options_of_fit_alone(
    case, run, tmp_path
):
    model = tmp_path / "m.unspool"
    done = run("fit", case.path, *case.arguments, *FIT, "-o", model)
    assert done.code == 0, done.err
    done = run("score", model, case.path)
    assert done.code == 0, done.err
    table, columns = read_csv(done.out), case.columns(as_in_file=True)
    assert np.isfinite(np.array(table["error"], float)).all()
    assert len(table["error"]) == len(case.features()[1])
    written = case.written()
    if written is not None:
        times = [one.strip() for one in table["time"]]
        assert times == written or same(times, points(written))
    assert table.get("id") == columns.get("@id")
    for name, values in parts_of_ids(columns, range(len(table["error"]))).items():
        assert same(table[name], values)
    assert ("label" in table) == ("@label" in columns)
    if "label" in table:
        assert same(table["label"], columns["@label"])
    done = run("encode", model, case.path)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "case", [case for case in TABLES if case.is_text], ids=lambda one: one.name
)
def test_the_expected_table_is_written_from_the_file(case):
    """A slip of the pen in a table is found here and not taken for a fault of the reader."""
    text = case.path.read_text()
    for name in ("@written", "@text", "@id"):
        for one in case.columns().get(name, ()):
            assert all(part in text for part in re.split(r"[\s/|]+", one))


def test_the_corpus_is_large():
    assert len(CASES) >= 80
    assert sum(case.written() is not None for case in TABLES) >= 30
