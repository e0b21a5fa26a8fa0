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
