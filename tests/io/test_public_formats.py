"""Small made files in the exact form of public data sets, each with its oddities."""

import gzip
import mmap
import re

import numpy as np
import pytest

from tests.io.idx_files import idx_bytes
from unspool.errors import InputError
from unspool.io.files import read_file


def written(path, lines):
    path.write_text("\n".join(lines) + "\n")
    return path


def times(start, minutes, count):
    moments = np.datetime64(start) + np.arange(count) * np.timedelta64(minutes, "m")
    return [str(moment).replace("T", " ") for moment in moments]


def test_etth1_has_hourly_dates_and_seven_features(tmp_path):
    rows = [
        ",".join([time, *(f"{i + k / 7:.15f}" for k in range(7))])
        for i, time in enumerate(times("2016-07-01T00:00:00", 60, 120))
    ]
    path = written(tmp_path / "ETTh1.csv", ["date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT", *rows])
    loaded = read_file(path, window=96)
    assert loaded.source.shape == (120 - 95, 96, 7)
    assert loaded.index["start"][1] == np.datetime64("2016-07-01T01:00:00")
    assert loaded.notes == (
        "column 'date' taken as time, set aside",
        "7 columns as features: HUFL, HULL, MUFL, MULL, LUFL, LULL, OT",
    )
    message = (
        f"{path}: the table is one series of 120 steps; cut it into windows, for example with "
        "`window=96`"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        read_file(path)


def test_occupancy_has_a_header_that_lacks_the_name_of_the_row_numbers(tmp_path):
    names = ("Temperature", "Humidity", "Light", "CO2", "HumidityRatio")
    header = ",".join(f'"{name}"' for name in ("date", *names, "Occupancy"))
    rows = [
        f'"{i + 1}","{time}",23.18,27.2{i},426,721.25,0.00479298817650529,{i % 2}'
        for i, time in enumerate(times("2015-02-04T17:51:00", 1, 90))
    ]
    path = written(tmp_path / "datatraining.txt", [header, *rows])
    loaded = read_file(path, window=60, label="Occupancy")
    assert loaded.source.feature_names == names
    assert loaded.source.series[0].shape == (90, 5)
    assert loaded.steps["time"][0][0] == np.datetime64("2015-02-04T17:51:00")
    assert loaded.steps["label"][0].sum() == 45


def test_cmapss_has_no_header_and_blanks_at_the_ends_of_lines(tmp_path):
    rows = [
        " ".join([str(unit), str(cycle), *(f"{unit + cycle / 10 + k:.4f}" for k in range(24))])
        + "  "
        for unit, cycles in ((1, 4), (2, 6), (3, 5))
        for cycle in range(1, cycles + 1)
    ]
    path = written(tmp_path / "train_FD001.txt", rows)
    loaded = read_file(path, id="0", time="1")
    assert loaded.source.n_features == 24
    assert loaded.source.lengths.tolist() == [4, 6, 5]
    assert loaded.index["id"].tolist() == [1, 2, 3]


def test_nab_has_a_time_and_one_value(tmp_path):
    moments = times("2014-07-01T00:00:00", 30, 100)
    rows = [f"{time},{10844 - i}" for i, time in enumerate(moments)]
    path = written(tmp_path / "nyc_taxi.csv", ["timestamp,value", *rows])
    loaded = read_file(path, window=48, stride=48)
    assert loaded.source.shape == (2, 48, 1)
    assert loaded.index["start"][1] == np.datetime64("2014-07-02T00:00:00")


def test_japanese_vowels_has_channels_of_unequal_lengths(tmp_path):
    header = [
        "#A dataset of the UCI Archive.",
        "@problemName JapaneseVowels",
        "@timeStamps false",
        "@missing false",
        "@univariate false",
        "@dimensions 12",
        "@equalLength false",
        "@classLabel true 1 2 3 4 5 6 7 8 9",
        "@data",
    ]
    channel = {n: ",".join(f"{i / 10 - 1}" for i in range(n)) for n in (20, 7, 26)}
    rows = [":".join([channel[n]] * 12 + [label]) for n, label in ((20, "1"), (7, "1"), (26, "9"))]
    loaded = read_file(written(tmp_path / "JapaneseVowels_TRAIN.ts", [*header, *rows]))
    assert loaded.source.shape == (3, 26, 12)
    assert loaded.source.lengths.tolist() == [20, 7, 26]
    assert loaded.index["label"].tolist() == ["1", "1", "9"]


def test_the_equal_length_form_of_japanese_vowels_has_no_number_of_dimensions(tmp_path):
    header = [
        "@problemName JapaneseVowels_TRAIN_eq.ts",
        "@timestamps false",
        "@univariate false",
        "@equalLength true",
        "@seriesLength 25",
        "@classLabel true 1 2 3 4 5 6 7 8 9",
        "@data",
    ]
    row = ":".join([",".join(["0.5"] * 25)] * 12 + ["3"])
    loaded = read_file(written(tmp_path / "JapaneseVowels_eq_TRAIN.ts", [*header, row, row]))
    assert loaded.source.shape == (2, 25, 12)


def test_pickup_gesture_has_one_channel_of_unequal_lengths(tmp_path):
    header = [
        "#",
        "#- Number of classes: 10",
        "@problemName PickupGestureWiimoteZ",
        "@timeStamps false",
        "@missing false",
        "@univariate true",
        "@equalLength false",
        "@classLabel true 1 2 3 4 5 6 7 8 9 10",
        "@data",
    ]
    rows = [",".join(["-0.25"] * length) + ":10" for length in (29, 361)]
    loaded = read_file(written(tmp_path / "PickupGestureWiimoteZ_TRAIN.ts", [*header, *rows]))
    assert loaded.source.shape == (2, 361, 1)
    assert loaded.source.lengths.tolist() == [29, 361]


def test_ecg5000_has_a_label_and_140_values_in_each_row(tmp_path):
    rows = ["\t".join([str(label), *["-0.11252183"] * 140]) for label in (1, 1, 2, 5)]
    loaded = read_file(written(tmp_path / "ECG5000_TRAIN.tsv", rows))
    assert loaded.source.shape == (4, 140, 1)
    assert np.bincount(loaded.index["label"]).tolist() == [0, 2, 1, 0, 0, 1]


def test_an_array_with_labels_in_its_first_column_is_an_array_like_any_other(tmp_path):
    np.save(tmp_path / "ECG5000_TEST.npy", np.ones((9, 141), np.float32))
    loaded = read_file(tmp_path / "ECG5000_TEST.npy")
    assert loaded.source.shape == (9, 141, 1)
    assert loaded.index == {}


def test_a_long_array_of_smd_is_mapped_and_not_copied(tmp_path):
    np.save(tmp_path / "machine-1-2_train.npy", np.ones((500, 38)))
    (series,) = read_file(tmp_path / "machine-1-2_train.npy", window=100).source.series
    assert series.shape == (500, 38)
    owner = series
    while isinstance(owner, np.ndarray):
        owner = owner.base
    assert isinstance(owner, mmap.mmap)


def test_images_of_mnist_are_sequences_of_their_rows(tmp_path):
    images = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(idx_bytes(images, gzipped=True))
    assert gzip.decompress(path.read_bytes())[:4] == b"\0\0\x08\x03"
    loaded = read_file(path)
    assert loaded.source.shape == (3, 28, 28)
    np.testing.assert_array_equal(loaded.source.values, images)
