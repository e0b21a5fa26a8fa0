"""Formats other than text, Parquet and .npy: values, choice by key, and faults."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from unspool.errors import InputError
from unspool.io.files import read_file

h5py = pytest.importorskip("h5py")
VALUES = np.array([[20.5, 1.0], [21.5, 2.0], [22.5, 3.0], [23.5, 4.0]])
ROWS = [
    {"time": f"2024-01-01 0{i}:00:00", "heat": heat, "load": load}
    for i, (heat, load) in enumerate(VALUES)
]


def assert_is_log(loaded):
    """Assert that a file was read as the table ROWS."""
    assert loaded.source.feature_names == ("heat", "load")
    np.testing.assert_array_equal(loaded.source.series[0], VALUES)
    assert loaded.steps["time"][0][1] == np.datetime64("2024-01-01T01:00:00")


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {text}"):
        read_file(path, **arguments)


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_a_feather_file_is_a_table(tmp_path, compression):
    feather.write_feather(pa.Table.from_pylist(ROWS), tmp_path / "a.feather", compression)
    assert_is_log(read_file(tmp_path / "a.feather", window=2))


def test_a_stream_of_arrow_batches_is_a_table(tmp_path):
    table = pa.Table.from_pylist(ROWS)
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table, max_chunksize=3)
    assert_is_log(read_file(tmp_path / "a.arrow", window=2))


def columns_of(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


JSON = {
    "records": ROWS,
    "columns": columns_of(ROWS),
    "pandas by column": {
        n: {str(i): v for i, v in enumerate(c)} for n, c in columns_of(ROWS).items()
    },
    "pandas split": {
        "columns": list(ROWS[0]),
        "index": [0, 1, 2, 3],
        "data": [list(r.values()) for r in ROWS],
    },
    "inside": {"latitude": 52.5, "units": {"heat": "°C"}, "hourly": columns_of(ROWS)},
    "deep": {"status": "ok", "data": {"items": ROWS}},
}


@pytest.mark.parametrize("form", JSON)
def test_json_documents_of_usual_forms_are_tables(tmp_path, form):
    (tmp_path / "a.json").write_text(json.dumps(JSON[form], indent=1))
    assert_is_log(read_file(tmp_path / "a.json", window=2))


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".ndjson"])
def test_json_lines_are_a_table(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert_is_log(read_file(path, window=2))


def test_json_lines_with_nan_and_absent_fields_have_missing_values(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1.0, "b": 2}\n\n{"a": NaN}\n{"b": 4, "a": 3}\n')
    loaded = read_file(path, window=2, missing="mask")
    np.testing.assert_array_equal(loaded.source.series[0], [[1, 2], [np.nan, np.nan], [3, 4]])


def test_objects_in_json_records_are_columns_and_texts_of_numbers_are_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"m": {{"x": "{i}.50", "y": {i}}}}}\n' for i in range(5)))
    loaded = read_file(path, window=2)
    assert loaded.source.feature_names == ("m.x", "m.y")
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], np.arange(5) + 0.5)


def test_several_tables_in_a_document_are_named_and_selected_by_key(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"hourly": columns_of(ROWS), "daily": {"heat": [1.0, 2.0]}}))
    refused(path, "the document contains several tables: 'hourly', 'daily'; name one", window=2)
    assert_is_log(read_file(path, window=2, key="hourly"))
    refused(path, "`key`: unknown table 'hurly': did you mean 'hourly'", window=2, key="hurly")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1,\n"b": [2', "this is not valid JSON: "),
        ("[1, 2, 3]", "the document contains no table; "),
        ('{"a": 1}\n{"a": \n{"a": 3}\n', "line 2 is not valid JSON"),
        ('{"a": 1}\n{"a": NaN}\n7\n', "line 3: expected an object, got '7'"),
    ],
)
def test_faulty_json_is_refused_with_the_reason(tmp_path, text, told):
    (tmp_path / "a.json").write_text(text)
    refused(tmp_path / "a.json", told, window=2)


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values
    return path


def test_the_only_matrix_of_an_hdf5_file_is_read_with_its_labels(tmp_path):
    path = hdf5(tmp_path / "a.h5", run__data=np.arange(24.0).reshape(4, 3, 2), run__y=[0, 1, 0, 1])
    loaded = read_file(path, key="run/data")
    assert loaded.source.values.shape == (4, 3, 2)
    path = hdf5(tmp_path / "b.hdf5", X=np.arange(24.0).reshape(4, 3, 2), y=[0, 1, 0, 1])
    assert read_file(path).index["label"].tolist() == [0, 1, 0, 1]


def test_vectors_of_one_length_in_an_hdf5_file_are_columns(tmp_path):
    path = hdf5(tmp_path / "a.h5", heat=VALUES[:, 0], load=VALUES[:, 1])
    loaded = read_file(path, window=2)
    assert loaded.source.feature_names == ("heat", "load")
    np.testing.assert_array_equal(loaded.source.series[0], VALUES)


def test_several_data_sets_are_listed_with_their_shapes(tmp_path):
    path = hdf5(tmp_path / "a.h5", dev=np.ones((5, 2)), test=np.ones((3, 2)))
    refused(
        path, r"the file contains several arrays: 'dev' \(5x2\), 'test' \(3x2\); name one", window=2
    )
    assert len(read_file(path, window=2, key="test").source) == 2


def test_tables_of_pandas_and_damaged_hdf5_files_are_refused(tmp_path):
    path = hdf5(tmp_path / "a.h5", df__axis0=[b"a"], df__block0_values=np.ones((4, 1)))
    refused(path, "this is a table that pandas' HDFStore wrote", window=2)
    path.write_bytes(path.read_bytes()[:500])
    refused(path, "the file cannot be read as HDF5", window=2)


def test_hdf5_that_unpacks_to_far_too_much_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (10**9, 3), chunks=(1000, 3), compression="gzip", dtype="f4")
    refused(
        tmp_path / "a.h5", "'x' has 12,000,000,000 bytes in memory, more than 200 times", window=2
    )


def test_mat_files_contain_matrices_vectors_structs_and_cells(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "a.mat"
    savemat(path, {"data": VALUES, "fs": 100.0})
    np.testing.assert_array_equal(read_file(path, window=2).source.series[0], VALUES)
    savemat(path, {"heat": VALUES[:, 0], "load": VALUES[:, 1]})
    assert read_file(path, window=2).source.feature_names == ("heat", "load")
    savemat(path, {"run": {"signal": VALUES, "fs": 100.0}, "other": VALUES[:3]})
    refused(
        path, r"the file contains several arrays: 'run/signal' \(4x2\), 'other' \(3x2\)", window=2
    )
    assert len(read_file(path, window=2, key="signal").source) == 3
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = VALUES, VALUES[:3]
    savemat(path, {"trials": cells})
    source = read_file(path).source
    assert source.lengths.tolist() == [4, 3]
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "the MAT-file is damaged or cut off", window=2)


def test_mat_files_of_version_7_3_are_transposed(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["data"] = VALUES.T
        file["#refs#/a"] = np.ones((3, 3))
    blob = bytearray(path.read_bytes())
    blob[:19] = b"MATLAB 7.3 MAT-file"
    path.write_bytes(blob)
    np.testing.assert_array_equal(read_file(path, window=2).source.series[0], VALUES)


def test_arrays_of_npz_files_are_selected_by_key_with_their_labels(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(
        path, x_train=np.ones((4, 3)), y_train=[1, 2, 3, 4], x_test=np.zeros((2, 3)), y_test=[5, 6]
    )
    refused(path, r"the file contains several arrays: 'x_train' \(4x3\), ")
    loaded = read_file(path, key="x_test")
    assert loaded.source.values.shape == (2, 3, 1)
    assert loaded.index["label"].tolist() == [5, 6]
    np.savez(path, heat=VALUES[:, 0], load=VALUES[:, 1])
    assert read_file(path, window=2).source.feature_names == ("heat", "load")


def test_fields_of_structured_arrays_are_columns(tmp_path):
    values = np.zeros(4, [("time", "M8[s]"), ("heat", "f4"), ("load", "i2")])
    values["time"], values["heat"] = np.datetime64("2024-01-01", "h") + np.arange(4), VALUES[:, 0]
    values["load"] = VALUES[:, 1]
    np.save(tmp_path / "a.npy", values)
    assert_is_log(read_file(tmp_path / "a.npy", window=2))


ARFF = """% a comment
@RELATION log
@ATTRIBUTE time STRING
@attribute 'heat in' REAL
@attribute load numeric
@attribute class {ok, 'not ok'}
@DATA
'2024-01-01 00:00:00',20.5,1,ok
% another
'2024-01-01 01:00:00',?,2,'not ok'
'2024-01-01 02:00:00',22.5,3,ok
"""


def test_arff_files_are_tables(tmp_path):
    (tmp_path / "a.arff").write_text(ARFF)
    loaded = read_file(tmp_path / "a.arff", window=2, missing="mask")
    np.testing.assert_array_equal(loaded.source.series[0], [[20.5, 1], [np.nan, 2], [22.5, 3]])
    assert loaded.source.feature_names == ("heat in", "load")
    assert loaded.steps["label"][0].tolist() == ["ok", "not ok", "ok"]
    assert loaded.steps["time"][0][2] == np.datetime64("2024-01-01T02:00:00")


def test_relational_arff_files_are_sequences(tmp_path):
    head = "@relation r\n@attribute dims relational\n@attribute a numeric\n@end dims\n"
    text = head + "@attribute class {x,y}\n@data\n'1,2,3\\n4,5,6',x\n'7,8\\n9,10',y\n"
    (tmp_path / "a.arff").write_text(text)
    loaded = read_file(tmp_path / "a.arff")
    np.testing.assert_array_equal(loaded.source[0], [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(loaded.source[1], [[7, 9], [8, 10]])
    assert loaded.index["label"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("@DATA", "@dat", "line 7: expected `@attribute`"),
        ("numeric", "numric", "line 5: unknown type 'numric'"),
        ("load", "time", "two attributes have the same name"),
        (",1,ok", ",1", "the rows do not fit the attributes"),
        ("'2024-01-01 00:00:00',20.5,1,ok", "{0 1, 2 3}", "sparse rows"),
    ],
)
def test_faulty_arff_files_are_refused(tmp_path, old, new, told):
    (tmp_path / "a.arff").write_text(ARFF.replace(old, new))
    refused(tmp_path / "a.arff", told, window=2)


LISTS = {
    "id": ["007", "008"],
    "class": ["a", "b"],
    "x": [[1.0, 2.0, 3.0], [4.0, 5.0]],
    "y": [[1, 1, 1], [2, 2]],
}


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".jsonl"])
def test_lists_in_cells_are_sequences(tmp_path, ending):
    path, table = tmp_path / f"a{ending}", pa.table(LISTS)
    if ending == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif ending == ".feather":
        feather.write_feather(table, path)
    else:
        pq.write_table(table, path)
    loaded = read_file(path)
    assert loaded.source.feature_names == ("x", "y")
    assert loaded.source.lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(loaded.source[1], [[4, 2], [5, 2]])
    assert loaded.index["id"].tolist() == ["007", "008"]
    assert loaded.index["label"].tolist() == ["a", "b"]
    assert len(read_file(path, window=2).source) == 3


def test_faulty_lists_in_cells_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    for cells, told in [
        ([[1], [2, 2]], "the lists of data row 1 have 1 to 3 values"),
        ([[1, 1, 1], None], "column 'y' is empty in data row 2"),
    ]:
        pq.write_table(pa.table({**LISTS, "y": cells}), path)
        refused(path, told)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".arff", ".feather", ".arrow", ".h5"])
def test_a_file_damaged_at_any_byte_is_read_or_refused_with_a_message(tmp_path, ending):
    whole, path = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    if ending == ".h5":
        hdf5(whole, x=VALUES)
    elif ending == ".arff":
        whole.write_text(ARFF)
    elif ending in (".feather", ".arrow"):
        feather.write_feather(pa.Table.from_pylist(ROWS), whole)
    else:
        lines = [json.dumps(row) for row in ROWS]
        whole.write_text("\n".join(lines) if ending == ".jsonl" else f"[{','.join(lines)}]")
    rng, blob = np.random.default_rng(0), whole.read_bytes()
    for _ in range(40):
        damaged = bytearray(blob)
        for place in rng.integers(0, len(blob), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        told = f"{path}: "
        try:
            read_file(path, window=2)
        except InputError as error:
            told = str(error)
        assert told.startswith(f"{path}: ")


def test_times_of_json_lines_keep_their_zone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"time": "2023-05-04T10:0{i}:00Z", "v": {i}}}\n' for i in range(5)))
    data = read_file(path, window=2)
    form, first = data.time_format, data.steps["time"][0][:1]
    assert form.written(first, np.arange(1)).tolist() == ["2023-05-04T10:00:00Z"]
