"""What cannot be read is refused with an InputError, and with no other exception."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import Configuration, cheap, configurations, data_of, fitted
from unspool import EncoderClassifier, Sequences, Windows, as_sequences, load, read_file, runtime
from unspool.errors import DivergedError, InputError, ModelFileError

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.complex_numbers(max_magnitude=10),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.timedeltas(),
    st.just(np.datetime64("NaT")),
    st.just(pd.NA),
    st.just(...),
    st.just(len),
)
DTYPES = ("f8", "f4", "f2", "i8", "u1", "?", "c16", "U3", "S2", "M8[D]", "m8[s]", "O", "f4,i2")


@st.composite
def arrays(draw):
    shape = tuple(draw(st.lists(st.sampled_from((3, 1, 6, 0, 2, 5)), max_size=4)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(0, 3, shape)
    if dtype.kind in "OfiubcUS":
        values = values.astype(dtype)
    elif dtype.names:
        values = np.zeros(shape, dtype)
    else:
        values = values.astype("i8").astype(dtype)
    if dtype.kind in "fc" and values.size and draw(st.booleans()):
        values.reshape(-1)[draw(st.integers(0, values.size - 1))] = draw(
            st.sampled_from((np.nan, np.inf, -np.inf, 6e4))
        )
    if dtype.kind == "O" and values.size:
        values.reshape(-1)[draw(st.integers(0, values.size - 1))] = draw(scalars)
    return values


def frames(values):
    """The frame of an array, if there is one."""
    kinds = [pd.DataFrame]
    if values.dtype.kind in "fiu?":
        kinds.append(lambda one: pl.DataFrame({str(i): one[:, i] for i in range(one.shape[1])}))
    return kinds if values.ndim == 2 and values.dtype.kind in "fiubO" else []


@st.composite
def anything(draw):
    """Data that may be sequences, or nothing of the kind."""
    kind = draw(st.sampled_from(("array", "array", "list", "nested", "frame", "masked", "scalar")))
    if kind == "scalar":
        return draw(scalars)
    if kind == "nested":
        return draw(st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=9))
    values = draw(arrays())
    if kind == "list":
        return [values, *draw(st.lists(arrays(), max_size=2))]
    if kind == "masked":
        return np.ma.MaskedArray(values, draw(st.booleans()))
    if kind == "frame" and frames(values):
        return draw(st.sampled_from(frames(values)))(values)
    return values


def refused_or_done(compute, *arguments, **options):
    """Return whether it works; an error must be an InputError with a message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compute(*arguments, **options)
        except (InputError, DivergedError) as error:
            message = str(error)
        else:
            return True
    assert message.strip()
    return False


@cheap
@given(anything(), st.sampled_from(("raise", "mask")))
def test_sequences_are_made_or_refused(X, missing):
    refused_or_done(as_sequences, X, missing)


@cheap
@given(anything(), anything() | st.none(), st.sampled_from(("raise", "mask")))
def test_padded_sequences_are_made_or_refused(values, lengths, missing):
    refused_or_done(Sequences, values, lengths, missing=missing)


@cheap
@given(
    anything(),
    st.integers(-1, 7) | st.sampled_from(("2h", "x", 1.5, None, 10**30)),
    st.integers(0, 3) | st.sampled_from(("1d", "")),
    anything() | st.none(),
    anything() | st.none(),
)
def test_windows_are_made_or_refused(series, size, stride, times, breaks):
    refused_or_done(Windows, series, size, stride, times=times, breaks=breaks)


@given(configurations(classifiers=True), anything())
def test_a_fitted_model_reads_or_refuses(configuration, X):
    model = fitted(configuration)
    light = runtime.Model(model.contents())
    for one, names in (
        (model, ("transform", "reconstruct", "forecast", "predict", "predict_proba")),
        (light, ("encode", "reconstruct", "reconstruction_error", "forecast", "predict_proba")),
    ):
        for name in names:
            if hasattr(one, name):
                refused_or_done(getattr(one, name), X)


@given(configurations(), anything(), anything() | st.none(), anything() | st.none())
def test_a_fit_works_or_refuses(configuration, X, y, weights):
    check_fit(configuration.make(), X, y=y, sample_weight=weights)


@given(configurations(), anything() | st.none(), anything() | st.none(), anything() | st.none())
def test_a_fit_of_good_data_works_or_refuses_what_belongs_to_them(
    configuration, y, weights, groups
):
    X = data_of(configuration, np.random.default_rng(0), 6)
    split = 0.4 if groups is not None else 0.0
    model = configuration.make(validation_split=split)
    check_fit(model, X, y=y, sample_weight=weights, groups=groups)


def check_fit(model, X, **arguments):
    """A fit that is refused leaves nothing behind."""
    assert refused_or_done(model.fit, X, **arguments) == hasattr(model, "module_")


labels = anything() | st.lists(scalars, min_size=6, max_size=6)


@cheap
@given(labels, labels | st.none(), st.sampled_from((None, "balanced")))
def test_a_classifier_works_or_refuses_labels(y, weights, class_weight):
    X = np.random.default_rng(0).normal(size=(6, 5, 2))
    inner = Configuration("DenseAutoencoder", (), "sequences", 2).make()
    model = EncoderClassifier(inner, class_weight=class_weight, epochs=1, verbose=0, random_state=0)
    check_fit(model, X, y=y, sample_weight=weights)


texts = st.text(st.sampled_from("0123456789.,;:-+eE \t\n\r\"'#aT/|nN\x00é"), max_size=80)
ENDINGS = (
    *(".csv", ".txt", ".tsv", ".json", ".jsonl", ".parquet", ".feather", ".npy", ".npz", ".arff"),
    *(".ts", ".h5", ".mat", ".idx", ".xlsx", ".gz", ".zip", ".csv.gz", ".png"),
)


@cheap
@given(texts.map(str.encode) | st.binary(max_size=80), st.sampled_from(ENDINGS), st.booleans())
def test_a_file_of_any_bytes_is_read_or_refused(folder, content, ending, rows):
    path = folder / f"any{ending}"
    path.write_bytes(content)
    refused_or_done(read_file, path, **({"rows": True} if rows else {"window": 1}))


@cheap
@given(texts, st.sampled_from((".csv", ".json", ".arff", ".ts")), st.data())
def test_a_file_is_read_or_refused_with_any_options(folder, text, ending, data):
    path = folder / f"options{ending}"
    path.write_text("time,a,b\n" * data.draw(st.booleans()) + text, newline="")
    options = data.draw(
        st.fixed_dictionaries(
            {"window": st.sampled_from((1, 2, None, "1h"))},
            optional={
                "columns": st.sampled_from((["a"], ["a", "b"], ["0"], [])),
                "time": st.sampled_from(("time", "0", "a")),
                "id": st.sampled_from(("a", "0")),
                "label": st.sampled_from(("b", "1")),
                "rows": st.booleans(),
                "skip": st.integers(0, 3),
                "header": st.integers(0, 2),
                "delimiter": st.sampled_from((",", ";", " ", "\t", "x")),
                "decimal": st.sampled_from((".", ",")),
                "thousands": st.sampled_from((".", ",", "'")),
                "encoding": st.sampled_from(("utf-8", "latin-1", "utf-16", "none")),
                "missing": st.sampled_from(("mask", "drop", "interpolate")),
                "missing_values": st.sampled_from(([-1], ["?"], [0, "a"])),
            },
        )
    )
    refused_or_done(read_file, path, **options)


@given(configurations(classifiers=True), st.data())
def test_a_damaged_model_file_is_refused(folder, configuration, data):
    path = folder / "damaged.unspool"
    fitted(configuration).save(path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    change = data.draw(st.sampled_from(("cut", "flip", "insert", "remove")))
    if change == "cut":
        del content[place:]
    elif change == "flip":
        content[place] ^= data.draw(st.integers(1, 255))
    elif change == "insert":
        content.insert(place, data.draw(st.integers(0, 255)))
    else:
        del content[place]
    path.write_bytes(content)
    for read in (load, runtime.load):
        with pytest.raises(ModelFileError) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
