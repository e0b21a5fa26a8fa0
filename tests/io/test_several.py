"""Compressed files, zip archives, folders and patterns."""

import bz2
import gzip
import lzma
import re
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from unspool.errors import InputError
from unspool.io import compressed
from unspool.io.files import read_file

LOG = "time,heat\n" + "".join(f"2024-01-01 {i:02}:00:00,{20 + i}\n" for i in range(12))


def zst(blob):
    return pa.Codec("zstd").compress(blob, asbytes=True)


def lz4(blob):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(blob)
    return sink.getvalue().to_pybytes()


PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zst,
    ".lz4": lz4,
}


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), text)
    return path


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: {text}"):
        read_file(path, **arguments)


def log(start, n=4, names="time,heat"):
    lines = (f"2024-01-0{start} {i:02}:00:00,{10 * start + i}" for i in range(n))
    return "\n".join([names, *lines, ""])


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("inner", ["log.csv", "log"])
def test_compressed_text_is_read_like_the_text(tmp_path, ending, inner):
    path = tmp_path / f"{inner}{ending}"
    path.write_bytes(PACK[ending](LOG.encode()))
    loaded = read_file(path, window=3)
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], 20 + np.arange(12))
    assert loaded.steps["time"][0][1] == np.datetime64("2024-01-01T01:00:00")


def test_a_compressed_array_is_read_with_and_without_windows(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24.0).reshape(12, 2))
    path = tmp_path / "a.npy.gz"
    path.write_bytes(gzip.compress((tmp_path / "a.npy").read_bytes()))
    assert read_file(path).source.values.shape == (12, 2, 1)
    assert read_file(path, window=3).source.take(np.arange(2))[0][1, 0, 1] == 3


@pytest.mark.parametrize("ending", PACK)
def test_cut_off_compressed_files_are_refused(tmp_path, ending):
    blob = PACK[ending](np.random.default_rng(0).bytes(20_000))
    (tmp_path / f"a.csv{ending}").write_bytes(blob[: len(blob) // 2])
    refused(tmp_path / f"a.csv{ending}", f"its {ending[1:]} data are damaged or cut off", window=2)


@pytest.mark.parametrize("ending", PACK)
def test_files_that_unpack_to_far_too_much_are_refused(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(compressed, "HARMLESS", 1 << 20)
    path = tmp_path / f"a.csv{ending}"
    path.write_bytes(PACK[ending](b"1,2\n" * 8_000_000))
    limit = max(1 << 20, 200 * path.stat().st_size)
    assert limit < 32_000_000
    message = (
        f"the file unpacks to more than {limit:,} bytes; if that is intended, unpack it, and read "
        r"the result\."
    )
    refused(path, message, window=2)


def test_the_only_data_in_a_zip_archive_is_read(tmp_path):
    members = {"README_dot_txt": "about", "_MAC__x_dot_csv": "?", "data__a_dot_csv": LOG}
    path = zipped(tmp_path / "a.zip", **members)
    loaded = read_file(path, window=3)
    assert len(loaded.source) == 10
    assert loaded.notes[0] == "file 'data/a.csv' of the archive is read"


def test_several_files_in_a_zip_archive_are_series_or_selected_by_key(tmp_path):
    path = zipped(tmp_path / "a.zip", a_dot_csv=log(1), b_dot_csv=log(2), c_dot_npy="x")
    refused(path, "the archive contains 3 files of several formats: 'a.csv', 'b.csv', 'c.npy'")
    assert len(read_file(path, window=3, key="b.csv").source) == 2
    refused(path, "`key`: unknown file 'd.csv'", key="d.csv")
    path = zipped(tmp_path / "b.zip", a_dot_csv=log(1), b_dot_csv=log(2))
    assert read_file(path, window=3).series_ids == ["a", "b"]


def test_paths_in_a_zip_archive_cannot_leave_the_folder(tmp_path):
    path = zipped(tmp_path / "a.zip", **{"x__..__..__..__evil_dot_csv": LOG})
    with pytest.raises(InputError, match="the archive contains no file of data"):
        read_file(path, window=3)


def test_zip_archives_that_lie_or_unpack_to_too_much_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(compressed, "HARMLESS", 1 << 20)
    path = zipped(tmp_path / "a.zip", a_dot_csv="1,2\n" * 8_000_000)
    refused(path, r"the archive has .* bytes and would unpack to 32,000,000", window=2)
    path.write_bytes(path.read_bytes()[:200])
    refused(path, "the archive is damaged", window=2)


def test_files_of_a_folder_are_series_with_their_names_as_ids(tmp_path):
    folder = write(tmp_path / "logs", m10_dot_csv=log(3), m2_dot_csv=log(1, 5), m3_dot_csv=log(2))
    write(folder, _dot_hidden_dot_csv="x", notes_dot_md="about")
    for path in (folder, folder / "m*.csv", f"{folder}/*.csv"):
        loaded = read_file(path, window=3)
        assert loaded.series_ids == ["m2", "m3", "m10"]
        assert [len(one) for one in loaded.source.series] == [5, 4, 4]
        assert loaded.index["id"].tolist() == ["m2"] * 3 + ["m3"] * 2 + ["m10"] * 2
    assert "notes.md" in " ".join(read_file(folder, window=3).notes)
    assert read_file(folder).source.lengths.tolist() == [5, 4, 4]


def test_files_of_a_folder_are_rows_of_one_series_if_wanted(tmp_path):
    folder = write(tmp_path / "logs", b_dot_csv=log(2), a_dot_csv=log(1))
    loaded = read_file(folder, window=6, files="rows")
    assert loaded.series_ids is None
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], [10, 11, 12, 13, 20, 21, 22, 23])


def test_ids_in_files_are_joined_with_the_names_of_the_files(tmp_path):
    text = "id,heat\n1,5\n1,6\n2,7\n2,8\n"
    folder = write(tmp_path / "logs", a_dot_csv=text, b_dot_csv=text)
    assert read_file(folder).index["id"].tolist() == ["a/1", "a/2", "b/1", "b/2"]


def test_the_folder_of_a_file_is_its_label(tmp_path):
    folder = write(
        tmp_path / "x", walk__a_dot_csv=log(1), run__a_dot_csv=log(2), run__b_dot_csv=log(3)
    )
    loaded = read_file(folder)
    assert loaded.index["label"].tolist() == ["run", "run", "walk"]
    assert loaded.index["id"].tolist() == ["run/a", "run/b", "walk/a"]


def test_arrays_of_a_folder_are_series(tmp_path):
    for name, n in (("a", 5), ("b", 3)):
        np.save(tmp_path / f"{name}.npy", np.ones((n, 2)))
    loaded = read_file(tmp_path)
    assert loaded.source.lengths.tolist() == [5, 3]
    assert loaded.index["id"].tolist() == ["a", "b"]
    np.save(tmp_path / "c.npy", np.ones((4, 3)))
    refused(tmp_path, "c.npy has 3 features, but a.npy has 2")


def test_files_that_do_not_fit_together_are_named(tmp_path):
    folder = write(tmp_path / "logs", a_dot_csv=log(1), b_dot_csv=log(2, names="time,load"))
    refused(folder, r"b.csv and a.csv have different columns \(heat, load only", window=2)
    write(folder, c_dot_json="[]")
    refused(folder, r"there are files that end in .csv, .json; select those of one", window=2)
    refused(folder / "*.xlsx", "no file matches the pattern", window=2)
    write(tmp_path / "bad", a_dot_csv=log(1), b_dot_csv=log(2) + "1,2,3\n")
    refused(tmp_path / "bad", "b.csv: ", window=2)


def test_pictures_of_a_folder_are_images_with_the_folder_as_label(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    for name, one in (("cats/a", pixels[0]), ("dogs/b", pixels[1])):
        (tmp_path / name).parent.mkdir()
        image.fromarray(one).save(tmp_path / f"{name}.png")
    loaded = read_file(tmp_path, images=True)
    np.testing.assert_array_equal(loaded.X[..., 0], pixels)
    assert loaded.index["label"].tolist() == ["cats", "dogs"]
    np.testing.assert_array_equal(read_file(tmp_path).source.values, pixels)
    image.fromarray(np.ones((3, 4, 3), np.uint8)).save(tmp_path / "dogs" / "c.png")
    assert read_file(tmp_path, images=True).X.shape == (3, 3, 4, 3)
    refused(tmp_path, "pictures with colours are read for --kind conv only")
    image.fromarray(np.ones((5, 4), np.uint8)).save(tmp_path / "dogs" / "d.png")
    refused(tmp_path, "d.png: the picture has 5x4 pixels, but a.png has 3x4")
    (tmp_path / "dogs" / "d.png").write_bytes(b"no picture")
    refused(tmp_path, "d.png: the picture cannot be read", images=True)
    refused(tmp_path / "dogs" / "b.png", "this is one picture; give the folder")
