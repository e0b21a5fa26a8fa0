"""Spreadsheets: .xlsx files made of their parts, since the library that reads them writes none."""
# ruff: noqa: E501

import re
import zipfile

import numpy as np
import pytest

from unspool import _optional
from unspool.errors import InputError
from unspool.io import excel
from unspool.io.files import read_file

pytest.importorskip("python_calamine")
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
LOG = [["time", "heat", "load"], *([("date", 45292 + i / 24), 20.5 + i, i] for i in range(5))]


def cell(column, row, value):
    place = f"{'ABCDEFGH'[column]}{row}"
    if isinstance(value, str):
        return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
    if isinstance(value, tuple):
        return f'<c r="{place}" s="1"><v>{value[1]!r}</v></c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'


def workbook(path, extra="", **sheets):
    """Write sheets, lists of rows of texts, numbers and dates ("date", days), as .xlsx."""
    names = list(sheets)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{LINKS}"><sheets>'
        + "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, n in enumerate(names, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        + "".join(
            f'<Relationship Id="r{i}" Type="{LINKS}/worksheet" Target="worksheets/s{i}.xml"/>'
            for i in range(1, len(names) + 1)
        )
        + f'<Relationship Id="st" Type="{LINKS}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for i, rows in enumerate(sheets.values(), 1):
        lines = (
            f'<row r="{n}">{"".join(cell(c, n, value) for c, value in enumerate(row))}</row>'
            for n, row in enumerate(rows, 1)
        )
        body = f"<sheetData>{''.join(lines)}{extra}</sheetData>"
        parts[f"xl/worksheets/s{i}.xml"] = f'<worksheet xmlns="{MAIN}">{body}</worksheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {text}"):
        read_file(path, **arguments)


def test_a_sheet_is_a_table_with_its_dates(tmp_path):
    loaded = read_file(workbook(tmp_path / "a.xlsx", Log=LOG, Empty=[]), window=2)
    assert loaded.source.feature_names == ("heat", "load")
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], 20.5 + np.arange(5))
    assert loaded.steps["time"][0][3] == np.datetime64("2024-01-01T03:00:00")
    assert loaded.notes[0] == "sheet 'Log' is read"


def test_one_of_several_sheets_is_selected_by_key(tmp_path):
    path = workbook(tmp_path / "a.xlsx", May=LOG, June=LOG[:4])
    refused(path, "the file has 2 sheets: 'May', 'June'; name one of them with `key`", window=2)
    assert len(read_file(path, window=2, key="June").source) == 2
    refused(path, "`key`: unknown sheet 'Juni': did you mean 'June'", window=2, key="Juni")


def test_damaged_and_empty_workbooks_are_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", Log=[])
    refused(path, "the file has no cell with a value", window=2)
    path.write_bytes(workbook(tmp_path / "b.xlsx", Log=LOG).read_bytes()[:300])
    refused(path, "the file cannot be read as a spreadsheet", window=2)


def test_a_cell_far_from_the_table_does_not_fill_the_memory(tmp_path):
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    path = workbook(tmp_path / "a.xlsx", far, Log=LOG)
    message = (
        "the cells of 'xl/worksheets/s1.xml' extend to row 1,048,576 and column 16,384; delete "
        r"what is far from the table, or save it as \.csv\."
    )
    refused(path, message, window=2)


def test_workbooks_that_unpack_to_far_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "HARMLESS", 1 << 20)
    path = workbook(tmp_path / "a.xlsx", " " * 5_000_000, Log=LOG)
    refused(path, r"the archive has .* bytes and would unpack to 5,", window=2)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(_optional.importlib, "import_module", absent)
    path = workbook(tmp_path / "a.xlsx", Log=LOG)
    refused(path, r'This needs python_calamine: pip install "unspool\[excel\]"', window=2)
