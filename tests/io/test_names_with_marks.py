"""Columns whose names or numbers are written with marks, zeros or prefixes have the usual roles."""

from pathlib import Path

from unspool import read_file
from unspool.io.file_data import FileData


def read(folder: Path, header: str, rows: list[str]) -> FileData:
    path = folder / "data.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_file(path, window=4)


def names(data: FileData) -> list[str]:
    return [name for role in data.roles if role.role == "feature" for name in role.columns]


def test_a_date_in_parts_with_leading_zeros_is_the_time(tmp_path: Path) -> None:
    rows = [f"2023,01,{30 + i // 24:02d},{i % 24:02d},00,{5 + i % 3}.5" for i in range(30)]
    data = read(tmp_path, "yr,mo,dy,hr,mn,speed", rows)
    assert names(data) == ["speed"]
    assert str(data.steps["time"][0][-1]) == "2023-01-31T05:00:00"
    assert not any("named by the user" in role.reason for role in data.roles if role.role == "time")


def test_marks_around_a_name_do_not_hide_its_role(tmp_path: Path) -> None:
    data = read(tmp_path, "<DATE>,<CLOSE>", [f"202301{i:02d},{i % 3}.5" for i in range(1, 20)])
    assert names(data) == ["<CLOSE>"]


def test_a_second_column_of_instants_is_no_feature(tmp_path: Path) -> None:
    rows = [f"20230130{i:02d}00,20230130{i + 1:02d}00,{i % 3}.5" for i in range(20)]
    data = read(tmp_path, "TIMESTAMP_START,TIMESTAMP_END,FC", rows)
    assert names(data) == ["FC"]


def test_labels_of_parts_of_a_plant_are_no_features(tmp_path: Path) -> None:
    rows = [f"{i % 3}.5,{int(i > 15)},{int(i > 17)}" for i in range(20)]
    assert names(read(tmp_path, "level,attack,attack_P1", rows)) == ["level"]


def test_samples_of_several_runs_are_times_of_series(tmp_path: Path) -> None:
    rows = [f"{run},{i},{i % 3}.5" for run in (1, 2) for i in range(1, 12)]
    data = read(tmp_path, "simulationRun,sample,xmeas_1", rows)
    assert names(data) == ["xmeas_1"]


def test_a_measured_column_of_the_name_of_a_part_does_not_hide_the_date(tmp_path: Path) -> None:
    rows = [f"2023,01,30,{i:02d},00,{5 + i % 3}.5" for i in range(20)]
    data = read(tmp_path, "yr,mo,dy,hr,mn,sec", rows)
    assert names(data) == ["sec"]
    assert str(data.steps["time"][0][-1]) == "2023-01-30T19:00:00"
