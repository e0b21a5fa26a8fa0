"""Files of other format versions: older ones are upgraded step by step, newer ones refused."""

import numpy as np
import pytest

import unspool
from tests.model_file.files import changed, rewrite
from tests.trained import LAST
from unspool import AnomalyDetector, EncoderClassifier, LSTMAutoencoder, model_file
from unspool.errors import ModelFileError
from unspool.model_file.format import FORMAT_VERSION, UPGRADES

X = np.sin(np.arange(12) / 2.1 + np.arange(40)[:, None])

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def model():
    return LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0, **LAST).fit(X)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


NEWER = {"9.0": "9.0", "x" * 1000: f"{'x' * 200} … {'x' * 90}", None: "unknown", 5: "5"}


@pytest.mark.parametrize(("written_by", "shown"), NEWER.items(), ids=["9.0", "long", "none", "5"])
def test_a_newer_format_is_refused_with_both_versions(path, written_by, shown):
    rewrite(path, changed(format_version=FORMAT_VERSION + 1, versions={"unspool": written_by}, x=1))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} has format version {FORMAT_VERSION + 1} (written by unspool {shown}), but "
        f"unspool {unspool.__version__} reads versions 1 and 2; install a newer unspool."
    )


@pytest.mark.parametrize("version", [0, -1, True, 1.0, "1", None, [1]], ids=str)
def test_a_version_that_never_existed_is_refused(path, version):
    rewrite(path, changed(format_version=version))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} is damaged: its format version is {version!r}, but unspool "
        f"{unspool.__version__} reads versions 1 and 2; get a good copy."
    )


def damaged(path):
    return (
        f"{path} is damaged: its checksum does not match its content; get a good copy, or train "
        "and save the model again."
    )


def older(monkeypatch):
    """Register upgrades from two older versions: 0 renamed a tensor, -1 also a field."""
    ran = []

    def from_minus_one(header, tensors):
        ran.append((header["format_version"], sorted(tensors)[-1]))
        header["fitted"] = header.pop("learned")

    def from_zero(header, tensors):
        ran.append((header["format_version"], sorted(tensors)[-1]))
        tensors["scaler.shift"] = tensors.pop("shift")
        header["parameters"]["patience"] = 20

    monkeypatch.setitem(UPGRADES, 0, from_zero)
    monkeypatch.setitem(UPGRADES, -1, from_minus_one)
    return ran


def to_older(version):
    def change(header, tensors):
        header["format_version"] = version
        if version < 0:
            header["learned"] = header.pop("fitted")
        tensors["shift"] = tensors.pop("scaler.shift")
        del header["parameters"]["patience"]

    return change


@pytest.mark.parametrize("version", [0, -1])
def test_an_older_format_is_upgraded_one_version_at_a_time(path, model, monkeypatch, version):
    ran = older(monkeypatch)
    rewrite(path, to_older(version))
    loaded = unspool.load(path)
    assert loaded.patience == 20
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert ran == [(v, "shift") for v in (-1, 0) if v >= version]


def test_a_long_model_of_version_1_still_reads_one_step_at_a_time(tmp_path):
    """300 steps are so many that patch_size="auto" would read patches."""
    long = np.sin(np.arange(300) / 2.1 + np.arange(10)[:, None])
    made = LSTMAutoencoder(3, patch_size=1, epochs=1, random_state=0, verbose=0, **LAST).fit(long)
    made.save(tmp_path / "m.unspool")

    def to_1(header, tensors):
        header["format_version"] = 1
        for name in ("patch_size", "pooling", "n_kernels", "mask_length", "validation_steps"):
            del header["parameters"][name]

    rewrite(tmp_path / "m.unspool", to_1)
    loaded = unspool.load(tmp_path / "m.unspool")
    assert loaded.get_params()["patch_size"] == 1
    np.testing.assert_array_equal(loaded.transform(long), made.transform(long))


@pytest.mark.parametrize(("former", "backend"), [("cpu", "compiled"), ("library", "torch")])
@pytest.mark.parametrize("kind", ["model", "classifier", "detector"])
def test_former_names_of_backends_are_read(tmp_path, kind, former, backend):
    quick = {"epochs": 1, "random_state": 0, "verbose": 0}
    made = LSTMAutoencoder(latent_dim=3, **quick, **LAST)
    if kind == "classifier":
        made = EncoderClassifier(made, **quick).fit(X, np.arange(40) % 2)
    elif kind == "detector":
        made = AnomalyDetector(made, random_state=0, verbose=0).fit(X)
    else:
        made.fit(X)
    path = tmp_path / "m.unspool"
    made.save(path)
    methods = {"model": "transform", "classifier": "predict_proba", "detector": "score_samples"}
    renamed = []

    def rename(mapping):
        for name, value in mapping.items():
            if name == "backend":
                mapping[name] = former
                renamed.append(name)
            elif isinstance(value, dict):
                rename(value)

    rewrite(path, lambda header, tensors: rename(header))
    loaded = unspool.load(path)
    names = [v for name, v in loaded.get_params().items() if name.endswith("backend")]
    assert names == [backend]
    assert len(renamed) == (1 if kind == "model" else 2)
    found, expected = (getattr(one, methods[kind])(X) for one in (loaded, made))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    load = unspool.runtime.load_detector if kind == "detector" else unspool.runtime.load
    load(path)


def test_the_checksum_of_an_older_format_is_checked_before_the_upgrade(path, monkeypatch):
    ran = older(monkeypatch)
    rewrite(path, to_older(0))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == damaged(path)
    assert ran == []


def test_a_field_that_an_upgrade_misses_is_named(path, monkeypatch):
    older(monkeypatch)
    rewrite(path, changed(format_version=0))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} does not hold a usable model: The field 'shift' is missing."
    )


def test_the_message_about_a_newer_format_lists_all_readable_versions(path, monkeypatch):
    older(monkeypatch)
    rewrite(path, changed(format_version=7))
    with pytest.raises(ModelFileError) as caught:
        model_file.read(path)
    assert str(caught.value) == (
        f"{path} has format version 7 (written by unspool {unspool.__version__}), but "
        f"unspool {unspool.__version__} reads versions -1 and 0 and 1 and 2; install a newer "
        "unspool."
    )


@pytest.mark.parametrize("kind", ["model", "classifier", "detector"])
def test_files_of_version_2_from_before_a_parameter_get_its_value(tmp_path, kind):
    quick = {"epochs": 1, "random_state": 0, "verbose": 0}
    made = LSTMAutoencoder(latent_dim=3, **quick, **LAST)
    if kind == "classifier":
        made = EncoderClassifier(made, **quick).fit(X, np.arange(40) % 2)
    elif kind == "detector":
        made = AnomalyDetector(made, random_state=0, verbose=0).fit(X)
    else:
        made.fit(X)
    later = {"warm_start": False, "plateau_factor": 0.1, "plateau_patience": 10}
    removed = []

    def remove(mapping):
        for name in list(mapping):
            if name in later:
                removed.append(mapping.pop(name))
            elif isinstance(mapping[name], dict):
                remove(mapping[name])

    made.save(tmp_path / "m.unspool")
    rewrite(tmp_path / "m.unspool", lambda header, tensors: remove(header))
    loaded = unspool.load(tmp_path / "m.unspool")
    assert len(removed) == len(later) * {"model": 1, "classifier": 3, "detector": 2}[kind]
    found = loaded.get_params()
    for name, value in later.items():
        assert [v for n, v in found.items() if n.endswith(name)]
        assert all(v == value for n, v in found.items() if n.endswith(name))


def test_a_file_of_version_2_without_later_fields_describes_the_model_of_its_time(tmp_path):
    """Patches followed the longest sequence, and no file held whether training was interrupted."""
    made = LSTMAutoencoder(3, epochs=1, random_state=0, verbose=0).fit(np.zeros((9, 80, 1)))

    def remove(header, tensors):
        assert header["fitted"].pop("typical_length") == 80
        assert header["fitted"].pop("interrupted") is False

    made.save(tmp_path / "m.unspool")
    rewrite(tmp_path / "m.unspool", remove)
    loaded = unspool.load(tmp_path / "m.unspool")
    assert (loaded.patch_size_, loaded.interrupted_) == (3, False)
    assert loaded.contents().fitted["typical_length"] == 80
