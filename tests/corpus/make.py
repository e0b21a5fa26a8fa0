"""Write the files of this folder that are no plain text: `python -m tests.corpus.make`.

The expected tables beside them are written by hand; this script does not write them.
"""

import gzip
import io
import zipfile
from datetime import datetime, timedelta

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import scipy.io

from tests.corpus.cases import FOLDER

DAY = (1980, 1, 1, 0, 0, 0)  # the date of every member of an archive

PERFMON = """\
"(PDH-CSV 4.0) (Pacific Standard Time)(480)","\\\\SRV\\Processor(_Total)\\% Processor Time"
"05/04/2023 10:00:00.123","12.5"
"05/04/2023 10:00:15.130","13.25"
"05/04/2023 10:00:30.118","11.75"
"05/04/2023 10:00:45.125","12"
"05/04/2023 10:01:00.121","14.5"
"05/04/2023 10:01:15.127","13"
"""
LINE = """\
Zeit;Temperatur [°C];Druck [µbar]
04.05.2023 10:00;21,5;1013,25
04.05.2023 10:10;21,6;1013,5
04.05.2023 10:20;21,8;1013,75
04.05.2023 10:30;22;1013
04.05.2023 10:40;22,1;1012,75
04.05.2023 10:50;22,4;1012,5
"""
RIG = """\
Time\tForce [N]\tWeg [mm]
0.00\t1.5\t0.01
0.01\t1.75\t0.02
0.02\t2.25\t0.02
0.03\t2.5\t0.03
0.04\t2.5\t0.05
0.05\t2.75\t0.06
"""
HOURS = """\
time,load
2022-10-30T00:00:00+02:00,41.5
2022-10-30T01:00:00+02:00,40.25
2022-10-30T02:00:00+02:00,39.75
2022-10-30T02:00:00+01:00,39.5
2022-10-30T03:00:00+01:00,39.25
2022-10-30T04:00:00+01:00,40.5
"""
MAC = "date,rain,snow\r" + "".join(f"2020-01-0{i},{i / 4},0\r" for i in range(1, 7))
START = datetime(2023, 5, 4, 10)


def zipped(members: dict[str, str | bytes]) -> bytes:
    """Return an archive with fixed dates."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name, DAY), text)
    return stream.getvalue()


def workbook() -> bytes:
    """Return an Excel file with one sheet, the least that the format requires."""
    days = [45050 + i for i in range(6)]  # 4 May 2023 and later, as Excel counts days
    rows = [(day, 20.5 + i / 4, 300 - i) for i, day in enumerate(days)]
    cells = "".join(
        f'<row r="{i}"><c r="A{i}" s="1"><v>{day}</v></c><c r="B{i}"><v>{heat}</v></c>'
        f'<c r="C{i}"><v>{speed}</v></c></row>'
        for i, (day, heat, speed) in enumerate(rows, 2)
    )
    head = "".join(
        f'<c r="{column}1" t="inlineStr"><is><t>{name}</t></is></c>'
        for column, name in zip("ABC", ("Date", "Heat", "Speed"), strict=True)
    )
    top = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return zipped(
        {
            "[Content_Types].xml": f'{top}<Types xmlns="{package}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
            f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/></Types>',
            "_rels/.rels": f'{top}<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="rId1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'{top}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="Machine" sheetId="1" r:id="rId1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'{top}<Relationships xmlns="{package}/relationships">'
            f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{office}/styles" Target="styles.xml"/>'
            "</Relationships>",
            "xl/styles.xml": f'{top}<styleSheet xmlns="{main}"><fonts count="1"><font/></fonts>'
            '<fills count="1"><fill/></fills><borders count="1"><border/></borders>'
            '<cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0"/>'
            '<xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
            "xl/worksheets/sheet1.xml": f'{top}<worksheet xmlns="{main}"><sheetData>'
            f'<row r="1">{head}</row>{cells}</sheetData></worksheet>',
        }
    )


def main() -> None:
    """Write all files."""
    (FOLDER / "servers/perfmon.csv").write_bytes(PERFMON.encode("utf-8-sig"))
    (FOLDER / "plc/latin1.csv").write_bytes(LINE.replace("\n", "\r\n").encode("cp1252"))
    (FOLDER / "plc/utf16.txt").write_bytes(RIG.replace("\n", "\r\n").encode("utf-16"))
    (FOLDER / "weather/mac_lines.csv").write_bytes(MAC.encode())
    (FOLDER / "energy/clock_change.csv.gz").write_bytes(gzip.compress(HOURS.encode(), mtime=0))
    (FOLDER / "energy/archive.zip").write_bytes(zipped({"load.csv": HOURS}))
    (FOLDER / "industry/workbook.xlsx").write_bytes(workbook())
    times = [START + timedelta(seconds=10 * i) for i in range(6)]
    numbers = np.arange(6)
    telemetry = pa.table(
        {
            "channel": pa.array(
                ["CADC0872", "CADC0872", "CADC0872"] + ["CADC0873"] * 3
            ).dictionary_encode(),
            "timestamp": pa.array(times[:3] * 2, pa.timestamp("ms", "UTC")),
            "value": pa.array(numbers / 4),
            "label": pa.array([0, 0, 1, 0, 0, 0], pa.int8()),
        }
    )
    pq.write_table(telemetry, FOLDER / "satellites/telemetry.parquet")
    beats = pa.table(
        {
            "beat": pa.array((numbers[:, None] + np.arange(4) / 4).tolist()),
            "label": pa.array(["N", "N", "V", "N", "V", "N"]),
        }
    )
    pq.write_table(beats, FOLDER / "heart/beats_in_lists.parquet")
    metrics = pa.table({"time": pa.array(times), "cpu": numbers / 8, "mem": numbers + 512})
    pyarrow.feather.write_feather(metrics, str(FOLDER / "servers/metrics.feather"))
    steps = np.stack([numbers / 2, 10 - numbers], axis=1)
    np.save(FOLDER / "satellites/smap.npy", steps)
    np.savez(FOLDER / "heart/signal.npz", signal=steps, noise=steps[::-1])
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"X097_DE_time": steps[:, :1]})
    header = b"MATLAB 5.0 MAT-file".ljust(116)  # in place of one with the time of day
    (FOLDER / "industry/bearing.mat").write_bytes(header + stream.getvalue()[116:])
    with h5py.File(FOLDER / "satellites/channel.h5", "w") as file:
        file.create_dataset("telemetry/values", data=steps, track_times=False)


if __name__ == "__main__":
    main()
