"""Tables written as texts or other files are read as the same numbers, times and ids."""

import gzip
import json
from dataclasses import dataclass, replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.io.test_excel import workbook
from tests.laws.strategies import cheap
from unspool import read_file
from unspool.io.write import write_table

NAMES = ("flow", "heat", "größe", "a b", "x", "X_2")
finite = st.floats(-1e12, 1e12, allow_subnormal=False).map(lambda x: float(f"{x:.6g}"))
columns_of_numbers = (
    finite,
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.floats(0, 100).map(lambda x: round(x, 2)),
)


@dataclass
class Table:
    """Columns of numbers of one series or several, with times of an hour's distance."""

    columns: dict[str, list]
    times: np.ndarray
    ids: list[str] | None

    @property
    def rows(self):
        return len(self.times)

    @property
    def series(self):
        """The rows of each series, in the order in which they first occur."""
        if self.ids is None:
            return {None: np.arange(self.rows)}
        ids = np.array(self.ids)
        return {name: np.flatnonzero(ids == name) for name in dict.fromkeys(self.ids)}

    def values(self, rows):
        return np.array([self.columns[name] for name in self.columns], np.float64).T[rows]


@st.composite
def tables(draw, least=3, columns_of_numbers=columns_of_numbers):
    rows = draw(st.integers(least, 12))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    columns = {
        name: draw(
            st.lists(draw(st.sampled_from(columns_of_numbers)), min_size=rows, max_size=rows)
        )
        for name in names
    }
    start = np.datetime64("2023-12-31T20:00:00") + draw(st.integers(0, 10**6))
    times = start + np.arange(rows) * np.timedelta64(3600, "s")
    ids = None
    if draw(st.booleans()):
        cut = draw(st.integers(1, rows - 1))
        ids = ["pump 1"] * cut + ["pump 2"] * (rows - cut)
    return Table(columns, times, ids)


@dataclass(frozen=True)
class Form:
    """How a text is written."""

    delimiter: str
    decimal: str
    encoding: str
    end: str
    quoted: bool
    header: bool
    last_end: bool
    time: str


FORMS = st.builds(
    Form,
    st.sampled_from((",", ";", "\t", "|")),
    st.sampled_from((".", ",")),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")),
    st.sampled_from(("\n", "\r\n")),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S")),
).filter(lambda form: form.delimiter != form.decimal)


def text_of(table, form):
    def cell(value, *, number):
        text = repr(value).replace(".", form.decimal) if number else str(value)
        return f'"{text}"' if form.quoted or form.delimiter in text else text

    times = [time.item().strftime(form.time) for time in table.times]
    columns = [[cell(time, number=False) for time in times]]
    names = ["time"]
    if table.ids is not None:
        columns.append([cell(one, number=False) for one in table.ids])
        names.append("id")
    for name, values in table.columns.items():
        columns.append([cell(one, number=True) for one in values])
        names.append(name)
    lines = [form.delimiter.join(row) for row in zip(*columns, strict=True)]
    if form.header:
        lines.insert(0, form.delimiter.join(cell(name, number=False) for name in names))
    return form.end.join(lines) + form.end * form.last_end, names


def assert_read(data, table, *, times=True):
    """Compare the series of windows of one step with the table."""
    assert len(data.source.series) == len(table.series)
    for number, (name, rows) in enumerate(table.series.items()):
        np.testing.assert_array_equal(data.source.series[number], table.values(rows))
        if name is not None:
            assert data.series_ids[number] == name
        if times:
            found = np.asarray(data.steps["time"][number])
            np.testing.assert_array_equal(found, table.times[rows].astype(found.dtype))


@cheap
@given(tables(), FORMS, st.booleans())
def test_a_text_is_read_as_the_table_that_was_written(folder, table, form, packed):
    """Everything that a table may leave open is said; the text is otherwise free."""
    text, names = text_of(table, form)
    path = folder / ("a.csv.gz" if packed else "a.csv")
    content = text.encode(form.encoding)
    path.write_bytes(gzip.compress(content) if packed else content)
    named = {"time": "time", "columns": list(table.columns)}
    if table.ids is not None:
        named["id"] = "id"
    if not form.header:
        named = {
            "time": "0",
            "columns": [str(names.index(name)) for name in table.columns],
            **({"id": "1"} if table.ids is not None else {}),
        }
    data = read_file(
        path,
        window=1,
        delimiter=form.delimiter,
        decimal=form.decimal,
        encoding=form.encoding,
        header=int(form.header),
        date_format=form.time,
        **named,
    )
    assert_read(data, table)


usual = tables(
    6, (st.integers(-9999, 9999).map(lambda i: i / 2 + 0.25), st.floats(0, 1).map(lambda x: x / 2))
)


@cheap
@given(usual, FORMS)
def test_the_form_of_a_text_is_found(folder, table, form):
    """Nothing is said but the features; columns have names."""
    text, _ = text_of(table, replace(form, header=True))
    path = folder / "b.csv"
    path.write_bytes(text.encode(form.encoding))
    data = read_file(path, window=1, columns=list(table.columns))
    assert_read(data, table)


FORMATS = (".parquet", ".feather", ".json", ".jsonl", ".xlsx", ".arff", ".h5")


@given(tables(), st.sampled_from(FORMATS))
def test_a_file_of_another_format_is_read_as_the_table_that_was_written(folder, table, ending):
    path = folder / f"c{ending}"
    columns = {"time": table.times.tolist(), **({"id": table.ids} if table.ids else {})}
    columns |= table.columns
    if ending == ".xlsx":
        days = (table.times - np.datetime64("1899-12-30")) / np.timedelta64(1, "D")
        columns["time"] = [("date", float(day)) for day in days]
        rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
        workbook(path, data=rows)
    elif ending == ".arff":
        columns["time"] = [f"'{time}'" for time in table.times]
        kinds = {"time": "date 'yyyy-MM-dd HH:mm:ss'", "id": "string"}
        lines = [f"@attribute '{name}' {kinds.get(name, 'numeric')}" for name in columns]
        quoted = [f"'{one}'" for one in table.ids or ()]
        rows = zip(*(columns | {"id": quoted} if quoted else columns).values(), strict=True)
        lines = ["@relation table", *lines, "@data", *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines))
    elif ending == ".h5":
        columns["time"] = [str(time) for time in table.times]
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values
    elif ending in (".json", ".jsonl"):
        columns["time"] = [str(time) for time in table.times]
        records = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        lines = [json.dumps(one) for one in records]
        path.write_text("\n".join(lines) if ending == ".jsonl" else f"[{','.join(lines)}]")
    else:
        write = pa.parquet.write_table if ending == ".parquet" else pa.feather.write_feather
        write(pa.table(columns), path)
    roles = {"id": "id"} if table.ids else {}
    data = read_file(path, window=1, columns=list(table.columns), time="time", **roles)
    assert_read(data, table, times=ending != ".xlsx")


ABSENT = ("", "NA", "nan", "?", "-")


@given(usual, st.data(), st.sampled_from((".csv", ".parquet", ".json", ".xlsx")))
def test_missing_cells_are_nan_where_they_were_written(folder, table, data, ending):
    """Labels and weights keep their rows; cells that are numbers keep their values."""
    path = folder / f"e{ending}"
    cells = [(name, row) for name in table.columns for row in range(table.rows)]
    gone = data.draw(st.sets(st.sampled_from(cells), max_size=table.rows // 2))
    labels = data.draw(
        st.lists(st.sampled_from(("ok", "bad")), min_size=table.rows, max_size=table.rows)
    )
    weights = [0.5 * (1 + i % 4) for i in range(table.rows)]
    columns = {"id": table.ids} if table.ids else {}
    columns |= {
        name: [None if (name, row) in gone else one for row, one in enumerate(values)]
        for name, values in table.columns.items()
    }
    columns |= {"label": labels, "weight": weights}
    rows = list(zip(*columns.values(), strict=True))
    if ending == ".parquet":
        pa.parquet.write_table(pa.table(columns), path)
    elif ending == ".json":
        path.write_text(json.dumps([dict(zip(columns, row, strict=True)) for row in rows]))
    elif ending == ".xlsx":
        workbook(path, data=[list(columns), *map(list, rows)])
    else:
        absent = data.draw(st.sampled_from(ABSENT))
        lines = [",".join(columns)]
        lines += [",".join(absent if one is None else str(one) for one in row) for row in rows]
        path.write_text("\n".join(lines))
    roles = {"label": "label", "weight": "weight", **({"id": "id"} if table.ids else {})}
    found = read_file(path, window=1, columns=list(table.columns), missing="mask", **roles)
    for number, places in enumerate(table.series.values()):
        expected = table.values(places)
        for column, name in enumerate(table.columns):
            expected[[(name, row) in gone for row in places], column] = np.nan
        np.testing.assert_array_equal(found.source.series[number], expected)
        assert found.steps["label"][number].tolist() == [labels[row] for row in places]
        assert found.steps["weight"][number].tolist() == [weights[row] for row in places]


@cheap
@given(
    st.lists(st.floats(), min_size=1, max_size=20),
    st.sampled_from((np.float64, np.float32)),
    st.sampled_from((".csv", ".parquet", ".npy")),
)
def test_numbers_that_are_written_are_read_back_to_the_bit(folder, numbers, dtype, ending):
    with np.errstate(over="ignore"):
        values = np.array(numbers, np.float64).astype(dtype)
    path = folder / f"d{ending}"
    write_table({"a": values, "b": values[::-1]}, path)
    if ending == ".npy":
        found = np.load(path)
    else:
        assume(np.isfinite(values).all())
        data = read_file(path, window=1, columns=["a", "b"])
        found = data.source.series[0].astype(dtype)
    np.testing.assert_array_equal(found, np.stack([values, values[::-1]], 1))
