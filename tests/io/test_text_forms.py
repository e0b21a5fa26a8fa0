"""Texts in the forms that people have are read as the tables that they are."""

import pytest

from tests.io.text_forms import FORMS
from unspool.io.delimited import read_delimited


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_text_in_this_form_is_read_as_its_table(tmp_path, form):
    path = tmp_path / f"a{form.ending}"
    path.write_bytes(form.text if isinstance(form.text, bytes) else form.text.encode())
    table, _ = read_delimited(path)
    assert table.column_names == form.names
    assert table.num_rows == form.rows
    assert {name: table[name][-1].as_py() for name in form.values} == form.values


def test_numbers_of_sensors_above_a_column_of_times_without_a_name_are_the_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",773,767,541\n" + "".join(f"2012-03-0{i},6{i},{i}.5,3\n" for i in range(1, 7)))
    table, _ = read_delimited(path)
    assert table.column_names == ["", "773", "767", "541"]
    assert table.num_rows == 6


def test_fields_between_tabs_may_have_blanks(tmp_path):
    path = tmp_path / "a.txt"
    rows = "".join(f"USGS\t2023-05-0{i} 00:15\tEDT\t98{i}\tA\n" for i in range(1, 7))
    path.write_text("agency\tdatetime\tzone\tflow\tcode\n" + rows)
    table, _ = read_delimited(path)
    assert table.column_names == ["agency", "datetime", "zone", "flow", "code"]
    assert table.num_rows == 6
