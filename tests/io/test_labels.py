"""Labels are found by their names and values, and other labels beside them are no features."""

import numpy as np
import pytest

from unspool import read_file

N = 20
FEW = [0] * 15 + [1] * 3 + [0] * 2


def read(folder, columns, **options):
    path = folder / "a.csv"
    columns = {"a": [f"{i % 7}.5" for i in range(N)], **columns}
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows, ""]))
    return read_file(path, window=2, **options)


@pytest.mark.parametrize(
    ("label", "other", "values"),
    [
        ("attack", "attack_P2", [0] * N),
        ("attack_P1", "attack_P2", [0] * N),
        ("fault", "fault_type", [3 * one for one in FEW]),
        ("label", "label_fine", [i // 4 for i in range(N)]),
        ("Label", "label.name", ["leak" if one else "none" for one in FEW]),
        ("anomaly", "anomaly type", [2 * one for one in FEW]),
    ],
)
def test_a_column_with_the_name_of_a_label_and_more_is_no_feature(tmp_path, label, other, values):
    data = read(tmp_path, {label: FEW, other: values})
    assert list(data.source.feature_names) == ["a"]
    assert data.steps["label"][0].tolist() == FEW
    data = read(tmp_path, {other: values, label: FEW}, label=label)
    assert list(data.source.feature_names) == ["a"]


@pytest.mark.parametrize(
    ("label", "other", "values"),
    [
        ("fault", "fault_current", [f"{i}.25" for i in range(N)]),
        ("label", "labelled", FEW),
        ("fault", "pump_fault_count", FEW),
        ("target", "target_level", FEW),
    ],
)
def test_a_quantity_with_a_similar_name_is_a_feature(tmp_path, label, other, values):
    data = read(tmp_path, {label: FEW, other: values})
    assert list(data.source.feature_names) == ["a", other]


@pytest.mark.parametrize("name", ["attack", "fault", "Attack LABLE (1:No Attack, -1:Attack)"])
def test_labels_that_are_zero_everywhere_are_labels(tmp_path, name):
    name = name.replace(",", " ")
    data = read(tmp_path, {name: [0] * N})
    assert list(data.source.feature_names) == ["a"]
    np.testing.assert_array_equal(data.steps["label"][0], np.zeros(N))


@pytest.mark.parametrize("name", ["target", "event", "y", "load"])
def test_zeros_of_another_name_are_a_feature(tmp_path, name):
    assert list(read(tmp_path, {name: [0] * N}).source.feature_names) == ["a", name]


def test_of_several_labels_one_that_varies_is_taken(tmp_path):
    data = read(tmp_path, {"attack_P1": [0] * N, "attack_P2": FEW})
    assert data.steps["label"][0].tolist() == FEW
