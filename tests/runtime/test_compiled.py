"""The compiled kernels of the runtime compute what NumPy computes, and NumPy alone is possible."""

import copy
import pickle
import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.runtime.test_stream import NORMALISED, SERIES, STREAMED
from tests.trained import ALL
from unspool import AnomalyDetector, LSTMAutoencoder, model_file, runtime
from unspool.errors import InputError
from unspool.lstm.compiled import stream_step
from unspool.runtime import backends, compiled_steps

ENCODED = [
    "repeat, both ways, two layers",
    "relu, hard gates",
    "kernels",
    "state",
    "forecaster, repeat, narrowing",
    "forecaster, state_previous, patches",
]
KINDS = {
    "lstm, all statistics, kernels": {},
    "gru, all statistics, two layers": {"cell": "gru", "num_layers": 2, "n_kernels": 0},
    "clipped": {"clip": 1.0},
    "patches": {"patch_size": 3},
    "code through tanh": {"code_activation": "tanh"},
    "robust scaling": {"scaling": "robust"},
}


@pytest.fixture(scope="module")
def pairs():
    """Models by name, with compiled kernels and with NumPy."""
    made = {}

    def pair(name):
        if name not in made:
            if name in ALL:
                trained = ALL[name].fit()
            else:
                X = np.random.default_rng(1).normal(size=(40, 12, 3)) * [1, 10, 100] + 5
                trained = LSTMAutoencoder(
                    5, bidirectional=False, epochs=1, random_state=0, verbose=0, **KINDS[name]
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # it learns nothing
                    trained.fit(X)
            contents = trained.contents()
            made[name] = [runtime.Model(contents, backend=one) for one in ("compiled", "numpy")]
        return made[name]

    return pair


@pytest.mark.parametrize("name", [*STREAMED, *KINDS])
def test_a_compiled_stream_agrees_with_one_in_numpy_at_every_step(name, pairs):
    compiled, plain = (model.stream() for model in pairs(name))
    assert (compiled.backend, plain.backend) == ("compiled", "numpy")
    np.testing.assert_allclose(compiled.code, plain.code, atol=2e-6)
    for step in SERIES:
        np.testing.assert_allclose(compiled.push(step), plain.push(step), rtol=1e-5, atol=2e-6)
        np.testing.assert_allclose(compiled.code, plain.code, rtol=1e-5, atol=2e-6)
        for one, other in zip(compiled.state, plain.state, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)
    assert compiled.steps == plain.steps == len(SERIES)


@pytest.mark.parametrize("name", ["lstm, all statistics, kernels", "patches"])
def test_a_stream_that_is_reset_begins_again(name, pairs):
    stream = pairs(name)[0].stream()
    before = [stream.push(step) for step in SERIES]
    stream.reset()
    np.testing.assert_array_equal(before, [stream.push(step) for step in SERIES])


@pytest.mark.parametrize("name", ["lstm, all statistics, kernels", "patches"])
def test_copies_and_pickles_of_a_stream_are_independent_of_it(name, pairs):
    stream = pairs(name)[0].stream()
    for step in SERIES[:4]:
        stream.push(step)
    others = [copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))]
    for step in SERIES[4:]:
        code = stream.push(step)
    for other in others:
        assert other.backend == "compiled"
        for step in SERIES[4:]:
            again = other.push(step)
        np.testing.assert_array_equal(again, code)


@pytest.mark.parametrize("name", ["gru, all statistics, two layers", "patches"])
def test_a_pickled_stream_is_read_where_the_processor_has_wider_vectors(name, pairs, monkeypatch):
    stream = pairs(name)[0].stream()
    for step in SERIES[:4]:
        stream.push(step)
    data, state, code = pickle.dumps(stream), stream.state, stream.code
    with monkeypatch.context() as other_processor:
        other_processor.setattr(compiled_steps, "SIZE", 2 * compiled_steps.SIZE)
        other = pickle.loads(data)
        for one, many in zip(other.state, state, strict=True):
            np.testing.assert_array_equal(one, many)
        data = pickle.dumps(other)
    back = pickle.loads(data)
    np.testing.assert_array_equal(back.code, code)
    for step in SERIES[4:]:
        np.testing.assert_array_equal(back.push(step), stream.push(step))


def test_lists_float32_and_integers_are_read_as_arrays_of_float64(pairs):
    streams = [pairs("kernels")[0].stream() for _ in range(5)]
    for step in np.round(SERIES):
        codes = [
            streams[0].push(step),
            streams[1].push(step.tolist()),
            streams[2].push(tuple(step)),
            streams[3].push(step.astype(np.float32)),
            streams[4].push(step.astype(int)),
        ]
        for code in codes[1:]:
            np.testing.assert_array_equal(code, codes[0])


def test_steps_that_are_read_only_or_have_gaps_in_memory_compile_nothing(pairs):
    plain, stream = (pairs("kernels")[0].stream() for _ in range(2))
    codes = [plain.push(step) for step in SERIES[:4]]
    before = list(stream_step.advance.run.signatures)
    read_only = np.broadcast_to(SERIES[0], SERIES[0].shape)
    shifted = np.frombuffer(b"." + SERIES[3].tobytes(), np.uint8)[1:].view(np.float64)
    steps = [read_only, np.repeat(SERIES[1], 2)[::2], pd.Series(SERIES[2]), shifted]
    np.testing.assert_array_equal([stream.push(step) for step in steps], codes)
    assert list(stream_step.advance.run.signatures) == before


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            [1.0, np.inf, 2.0],
            "The step holds inf at feature 1; leave it out, or push the last value again.",
        ),
        (
            [1.0, 1e300, 2.0],
            "Expected values below 3.4e+38 after scaling, the largest number of float32, got up to "
            "1.0e+300 before scaling; remove outliers, or divide the data.",
        ),
        ([1.0, 2.0], "Expected a step of shape (3,), got (2,)."),
    ],
    ids=["infinity", "too large", "another shape"],
)
def test_a_compiled_stream_does_not_read_a_bad_step(step, message, pairs):
    stream = pairs("kernels")[0].stream()
    stream.push(SERIES[0])
    before, state = stream.code, copy.deepcopy(stream)
    for given in (step, np.array(step)):
        with pytest.raises(InputError) as caught:
            stream.push(given)
        assert str(caught.value) == message
    assert stream.steps == 1
    np.testing.assert_array_equal(stream.code, before)
    np.testing.assert_array_equal(stream.push(SERIES[1]), state.push(SERIES[1]))


def test_numpy_computes_the_steps_of_several_series_and_of_models_that_normalise(pairs):
    assert pairs("repeat")[0].stream(series=2).backend == "numpy"
    assert pairs(NORMALISED[0])[0].stream().backend == "numpy"


@pytest.mark.parametrize("name", [*ENCODED, *KINDS])
def test_compiled_layers_agree_with_numpy(name, pairs):
    compiled, plain = pairs(name)
    assert (compiled.backend, plain.backend) == ("compiled", "numpy")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(11, 13, 3)) * [1, 10, 100] + 5
    lengths = np.array([13, 0, 1, 12, 13, 7, 7, 3, 13, 2, 5])
    np.testing.assert_allclose(
        compiled.encode(X, lengths), plain.encode(X, lengths), rtol=1e-5, atol=2e-6
    )
    if "reconstruction" in compiled._network.decoders:
        one, other = (model.reconstruct(X, lengths) for model in (compiled, plain))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)
    if compiled.horizon:
        one, other = (model.forecast(X, lengths) for model in (compiled, plain))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("name", ["repeat, both ways, two layers", *KINDS])
def test_compiled_layers_compute_the_same_bits_for_a_sequence_alone_and_in_a_batch(name, pairs):
    lstm = pairs(name)[0]._network.encoder.lstm.compiled()
    x = np.random.default_rng(0).normal(size=(9, lstm.layers[0][0].features, 40))
    x, lengths = x.astype(np.float32), np.repeat([9, 6, 1, 0], 10)
    states, finals = lstm(x, lengths, 40, 9)
    for row in (0, 9, 10, 25, 39):
        columns = slice(row, row + 1)
        alone, ends = lstm(x[:, :, columns], lengths[columns], 1, 9)
        np.testing.assert_array_equal(alone, states[:, :, columns])
        for one, many in zip(ends, finals, strict=True):
            for each, of_many in zip(one, many, strict=True):
                np.testing.assert_array_equal(each, of_many[:, columns])


def test_a_model_without_recurrent_layers_runs_in_numpy():
    assert runtime.Model(ALL["images"].fit().contents()).backend == "numpy"


def test_the_backend_numpy_does_not_import_numba(tmp_path):
    ALL["repeat"].fit().save(tmp_path / "model.unspool")
    code = """
import sys
import numpy as np
from unspool import runtime
model = runtime.load(sys.argv[1], backend="numpy")
model.encode(np.zeros((2, 5, 3)))
model.reconstruct(np.zeros((2, 5, 3)))
model.stream().push(np.zeros(3))
print(model.backend, model.stream().backend, "numba" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.unspool")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["numpy", "numpy", "False"]


@pytest.fixture
def without_numba(monkeypatch, pairs):
    pairs("repeat")  # training needs Numba
    backends._with_numba.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "numba"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it raises ImportError
    yield
    backends._with_numba.cache_clear()


def test_where_numba_cannot_be_imported_numpy_computes(pairs, without_numba):
    contents, plain = pairs("repeat")[1].contents, pairs("repeat")[1]
    model = runtime.Model(contents)
    assert (model.backend, model.stream().backend) == ("numpy", "numpy")
    np.testing.assert_array_equal(model.encode(SERIES[None]), plain.encode(SERIES[None]))
    with pytest.raises(InputError) as caught:
        runtime.Model(contents, backend="compiled")
    assert str(caught.value) == (
        "`backend` 'compiled' needs numba, which cannot be used here; use backend='numpy', or pip "
        'install "unspool[train]".'
    )


def test_where_the_library_of_llvmlite_cannot_be_loaded_numpy_computes(pairs, monkeypatch):
    def fail(name):
        raise OSError("Could not find/load shared object file 'libllvmlite.so'")

    contents = pairs("repeat")[1].contents
    backends._with_numba.cache_clear()
    monkeypatch.setattr(backends, "importlib", SimpleNamespace(import_module=fail))
    try:
        assert runtime.Model(contents).backend == "numpy"
    finally:
        backends._with_numba.cache_clear()


def test_an_unknown_backend_is_refused(pairs, tmp_path):
    contents = pairs("repeat")[0].contents
    model_file.write(tmp_path / "model.unspool", contents)
    for use, given in [
        (runtime.Model, contents),
        (runtime.load, tmp_path / "model.unspool"),
        (runtime.load_detector, tmp_path / "model.unspool"),
    ]:
        with pytest.raises(InputError) as caught:
            use(given, backend="torch")
        assert str(caught.value) == (
            "unknown `backend` 'torch': known are 'auto', 'compiled', 'numpy'."
        )


def test_detectors_run_in_either_backend():
    series = np.random.default_rng(0).normal(size=(200, 2))
    model = LSTMAutoencoder(4, epochs=1, random_state=0, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it learns nothing
        contents = AnomalyDetector(model, window=20).fit(series).contents()
    scores = []
    for backend in ("compiled", "numpy"):
        detector = runtime.Detector(contents, backend=backend)
        assert detector.model.backend == backend
        scores.append(detector.anomaly_scores(series))
    np.testing.assert_allclose(*scores, rtol=1e-4)


def test_a_pickled_model_has_no_compiled_layers_in_it(pairs):
    model = pairs("repeat")[0]
    codes = model.encode(SERIES[None])
    assert b"compiled.few" not in pickle.dumps(model)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).encode(SERIES[None]), codes)
