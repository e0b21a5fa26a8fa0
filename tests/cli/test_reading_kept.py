"""What `fit` and `detect --save` were given for reading is kept and used by later commands."""

from dataclasses import replace

import numpy as np
import pytest

from tests.cli.tables import read_csv, write_csv
from unspool import load, model_file
from unspool.errors import InputError

T = np.arange(30)
HOURS = [f"2024-01-01T{i % 24:02}:00" for i in [*range(15), *range(15)]]
OPTIONS = ["--id", "place", "--label", "mark", "--drop", "zone", "--drop", "w,x"]


@pytest.fixture
def log(tmp_path):
    return write_csv(
        tmp_path / "log.csv",
        {
            "when": HOURS,
            "place": np.where(T < 15, 4, 7),
            "zone": T % 5,
            "a": np.sin(T),
            "b": np.cos(T),
            "w,x": np.cos(T) * 2,
            "mark": T % 2,
        },
    )


@pytest.fixture
def trained(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    done = run("fit", log, "--window", 5, "-o", path, "--epochs", 1, *OPTIONS)
    assert done.code == 0, done.err
    return path


KEPT = {"drop": ["zone", "w,x"], "id": "place", "label": "mark"}
FLAGS = "--drop zone --drop w,x, --id place, --label mark"


@pytest.mark.parametrize("command", ["encode", "score", "reconstruct"])
def test_later_commands_read_as_in_training_and_say_so(run, log, trained, command):
    assert model_file.read(trained).fitted["reading"] == KEPT
    done = run(command, trained, log)
    assert done.code == 0, done.err
    assert f"log.csv: as in training: {FLAGS}\n" in done.err
    found = read_csv(done.out)
    assert set(found["id"]) == {"4", "7"}
    assert set(found["label"]) == {"0", "1"}
    assert done.out == run(command, trained, log, *OPTIONS).out
    assert "as in training" not in run(command, trained, log, *OPTIONS).err


def test_an_option_that_is_given_replaces_the_one_of_training(run, log, trained):
    done = run("score", trained, log, "--label", "zone")
    assert set(read_csv(done.out)["label"]) == set("01234")
    assert "as in training: --drop w,x, --id place\n" in done.err


def test_columns_that_a_later_file_lacks_are_said_and_not_named(run, log, trained, tmp_path):
    columns = read_csv(log.read_text())
    for name in ("place", "zone", "w,x", "mark"):
        del columns[name]
    columns["when"] = [f"2024-01-{1 + i:02}" for i in range(30)]
    done = run("score", trained, write_csv(tmp_path / "other.csv", columns))
    assert done.code == 0, done.err
    assert "there is no column 'place', the id in training: it is searched for\n" in done.err
    assert "there is no column 'mark', the label in training: no labels are read\n" in done.err
    assert list(read_csv(done.out)) == ["time", "error"]
    assert "as in training" not in done.err


def test_training_that_goes_on_inherits_these_options(run, log, trained, tmp_path):
    again = tmp_path / "again.unspool"
    done = run("fit", log, "--initial", trained, "-o", again, "--epochs", 1, "--label", "zone")
    assert done.code == 0, done.err
    expected = {"drop": ["w,x"], "id": "place", "label": "zone"}
    assert model_file.read(again).fitted["reading"] == expected


def test_an_id_that_was_found_by_the_times_is_kept(run, log, tmp_path):
    path = tmp_path / "m.unspool"
    done = run("fit", log, "--window", 5, "-o", path, "--epochs", 1)
    assert done.code == 0, done.err
    assert model_file.read(path).fitted["reading"] == {"id": "place"}


def test_inspect_shows_it_and_python_keeps_it(run, trained, tmp_path):
    assert FLAGS in run("inspect", trained).out
    load(trained).save(tmp_path / "copy.unspool")
    assert model_file.read(tmp_path / "copy.unspool").fitted["reading"] == KEPT
    model = load(trained)
    x = np.sin(np.arange(5) / 2 + np.arange(60)[:, None] / 9)
    model.set_params(verbose=0, epochs=60).fit(np.stack([x, x], axis=2))
    assert model.contents().fitted["reading"] is None  # it was given for another file


def test_a_detector_keeps_it_and_follow_uses_its_time(run, tiny, tmp_path):
    t = np.arange(200)
    columns = {"tick": t * 2, "q": np.sin(t / 4), "r": np.cos(t / 5), "zone": t % 7}
    log = write_csv(tmp_path / "log.csv", columns)
    path = tmp_path / "d.unspool"
    options = ["--time", "tick", "--drop", "zone", "--normal-until", 150, "--save", path]
    done = run("detect", log, *options, *tiny)
    assert done.code == 0, done.err
    assert model_file.read(path).fitted["reading"] == {"drop": ["zone"], "time": "tick"}
    done = run("detect", log, "--model", path)
    assert "log.csv: as in training: --drop zone, --time tick\n" in done.err
    done = run("detect", log, "--model", path, "--scores", tmp_path / "s.csv")
    assert read_csv((tmp_path / "s.csv").read_text())["time"][1] == "2"


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ([], "Expected `reading` to be an object or null"),
        ({"id": 3}, "Expected text in `reading.id`, got 3."),
        ({"drop": "a"}, "Expected a list of texts in `reading.drop`, got 'a'."),
        ({"skip": -1}, "`reading.skip` must be a whole number of at least 0, got -1."),
        ({"max_gap": 3}, "Expected null in `reading.max_gap`, got 3."),
        ({"ids": "a"}, "unknown field of `reading` 'ids'"),
    ],
)
def test_a_file_with_other_readings_is_refused(trained, tmp_path, reading, message):
    contents = model_file.read(trained)
    broken = replace(contents, fitted={**contents.fitted, "reading": reading})
    with pytest.raises(InputError) as caught:
        model_file.write(tmp_path / "x.unspool", broken)
    assert message in str(caught.value)


def test_missing_values_and_what_happens_to_them_are_kept(run, tmp_path):
    gaps = np.where(T == 7, -200, np.sin(T))
    log = write_csv(tmp_path / "log.csv", {"t": T, "a": gaps, "b": np.cos(T)})
    path = tmp_path / "m.unspool"
    options = ["--missing", "-200,none", "--on-missing", "interpolate", "--interpolate-limit", 3]
    done = run("fit", log, "--window", 5, "-o", path, "--epochs", 1, *options)
    assert done.code == 0, done.err
    kept = {"missing_values": [-200, "none"], "interpolate_limit": 3, "missing": "interpolate"}
    assert model_file.read(path).fitted["reading"] == kept
    done = run("score", path, log)
    assert done.code == 0, done.err
    assert "--on-missing interpolate" in done.err
    assert run("score", path, log, "--on-missing", "raise").code == 1


@pytest.fixture
def pauses_in_hours(tmp_path):
    """Hourly values with a pause of a day, at which series are cut by default."""
    t = np.arange(80)
    hours = np.datetime64("2024-03-01T00") + (t + 24 * (t > 50)).astype("timedelta64[h]")
    columns = {"time": hours.astype(str), "a": np.sin(t / 3), "b": np.cos(t / 4)}
    return write_csv(tmp_path / "hours.csv", columns)


def test_a_model_keeps_that_gaps_do_not_matter(run, pauses_in_hours, tmp_path):
    path = tmp_path / "m.unspool"
    call = ["fit", pauses_in_hours, "--window", 5, "-o", path, "--epochs", 1]
    assert run(*call).code == 0
    assert run("encode", path, pauses_in_hours).out.count("\n") == 73
    assert run(*call, "--max-gap", "none").code == 0
    assert model_file.read(path).fitted["reading"] == {"max_gap": None}
    done = run("encode", path, pauses_in_hours)
    assert "hours.csv: as in training: --max-gap none\n" in done.err
    assert done.out.count("\n") == 77
    done = run("encode", path, pauses_in_hours, "--max-gap", "2h")
    assert done.out.count("\n") == 73
    assert "--max-gap none" in run("inspect", path).out


@pytest.mark.parametrize("gap", ["none", "30h"])
def test_a_detector_keeps_the_gaps_of_its_training(run, pauses_in_hours, tiny, tmp_path, gap):
    path, one, two = (tmp_path / name for name in ("d.unspool", "1.csv", "2.csv"))
    call = ["detect", pauses_in_hours, "--normal", pauses_in_hours, *tiny, "--max-gap", gap]
    assert run(*call, "--save", path, "--scores", one).code == 0
    assert run("detect", pauses_in_hours, "--model", path, "--scores", two).code == 0
    assert one.read_text() == two.read_text()
