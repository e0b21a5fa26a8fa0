"""Parameters of no sensible size, of NumPy's types, and things that are no parameters at all."""

import numpy as np
import pytest
import torch

from tests.estimators.quick import quick, sines
from unspool import ConvAutoencoder, DenseAutoencoder, EncoderClassifier, LSTMForecaster, load
from unspool.blueprint import memory
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

X = sines(20, 6)
SIZES = ("latent_dim", "units", "decoder_units", "num_layers", "n_kernels")
COUNTS = ("horizon", "batch_size", "epochs", "steps_per_epoch", "validation_steps", "patience")
COUNTS += ("verbose",)


class Unprintable:
    def __repr__(self):
        raise RuntimeError("it has no repr")


def refusal(make):
    with pytest.raises(InputError) as caught:
        make()
    return str(caught.value)


vast = pytest.mark.parametrize(
    ("value", "shown"),
    [(2**31, "2147483648"), (10**30, "1" + 30 * "0"), (10**5000, "<int>")],
    ids=["2**31", "10**30", "10**5000"],
)


@vast
@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_no_sensible_size(name, value, shown):
    message = refusal(lambda: quick(**{name: value}).fit(X))
    besides = {
        "batch_size": "",
        "verbose": "",
        "epochs": " or 'auto'",
        "patience": ", 'auto' or None",
    }
    none = besides.get(name, " or None")
    assert message == f"`{name}` must be a whole number of at most 2147483647{none}, got {shown}."


@vast
@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_which_no_memory_holds_the_weights(name, value, shown, monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 10**10)
    message = refusal(lambda: quick(**{name: value}).fit(X))
    assert message.startswith("Expected a model of at most 10,000 arrays of weights that can be ")
    assert f"; lower `{name}`, which is {shown}, " in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: quick(units=10**6), "`units`, which is 1000000,"),
        (lambda: quick(latent_dim=2**31 - 1), "`latent_dim`, which is 2147483647,"),
        (lambda: quick(head_units=(3, 10**9)), "`head_units`, which is (3, 1000000000),"),
        (lambda: quick(units=20_000, num_layers=1000), "`units`, which is 20000,"),
        (lambda: quick(units=(3, 10**6)), "`units`, which is (3, 1000000),"),
        (lambda: quick(decoder_units=(2,) * 9999), "`decoder_units`, which is (2, 2, "),
        (lambda: quick(num_layers=9999), "`num_layers`, which is 9999,"),
        (lambda: quick(conv_filters=(10**5, 10**5)), "`conv_filters`, which is (100000, 100000),"),
        (
            lambda: quick(conv_filters=(3,), conv_kernel_size=10**9),
            "`conv_kernel_size`, which is 1000000000,",
        ),
        (lambda: DenseAutoencoder(10**9), "`latent_dim`, which is 1000000000,"),
        (lambda: DenseAutoencoder(3, hidden_units=[10**6, 10**5]), "`hidden_units`, which is ["),
        (lambda: ConvAutoencoder(filters=(10**5, 10**6)), "`filters`, which is (100000, 1000000)"),
    ],
)
def test_a_model_that_no_memory_holds(make, named, monkeypatch):
    monkeypatch.setattr(memory, "memory", lambda: 10**10)
    message = refusal(lambda: make().set_params(verbose=0).fit(X))
    assert "trained in 10 GB of memory, got one of at least " in message
    assert f"; lower {named}" in message


def test_a_classifier_head_too_large_for_memory_is_refused():
    model = EncoderClassifier(quick(epochs=1), head_units=(10**6, 10**6), verbose=0)
    message = refusal(lambda: model.fit(X, np.arange(20) % 2))
    assert "lower `head_units`, which is (1000000, 1000000)" in message


def test_where_a_system_does_not_tell_of_its_memory(monkeypatch):
    assert memory.memory() > 1 << 28
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.memory() == memory.UNKNOWN


def test_pools_and_kernels_larger_than_what_they_read():
    assert refusal(lambda: ConvAutoencoder(pool_size=17, verbose=0).fit(X)) == (
        "`pool_size` must be at most 16 for images or sequences of up to 6 pixels or steps per "
        "side, got 17."
    )
    images = np.zeros((9, 20, 30, 1))
    assert refusal(lambda: ConvAutoencoder(pool_size=10**9, verbose=0).fit(images)) == (
        "`pool_size` must be at most 30 for images or sequences of up to 30 pixels or steps per "
        "side, got 1000000000."
    )
    assert refusal(lambda: ConvAutoencoder(strides=(2, 31), filters=(2, 2)).fit(images)) == (
        "`strides` must be at most 30 for images or sequences of up to 30 pixels or steps per "
        "side, got (2, 31)."
    )
    assert refusal(lambda: ConvAutoencoder(kernel_size=2**31, verbose=0).fit(images)) == (
        "`kernel_size` must be at most 60 for images or sequences of up to 30 pixels or steps per "
        "side, got 2147483648."
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf"), 1e39, 10**400])
@pytest.mark.parametrize(
    "name", ["learning_rate", "global_clipnorm", "kl_weight", "code_l1", "input_noise"]
)
def test_numbers_that_are_not_finite_or_leave_float32(name, value):
    message = refusal(lambda: quick(**{name: value}).fit(X))
    assert message.startswith(f"`{name}` must be a number ")
    if value == 1e39:
        assert message.endswith("at most 3.4e+38, which is all that float32 can hold, got 1e+39.")


ARRAYS = {
    "array of names": np.array(["mse", "mae"]),
    "one name": np.array("mse"),
    "numbers": np.array([1.0, 2.0]),
    "nothing": np.array([]),
    "tensor": torch.tensor([1.0, 2.0]),
    "list": ["mse", "mae"],
    "unprintable": Unprintable(),
    "long": ["x" * 10**6],
}
STRINGS = ("loss", "scaling", "optimizer", "decoder", "head_activation", "output_activation")
STRINGS += ("activation", "recurrent_activation", "backend", "device", "forecast_decoder")


@pytest.mark.parametrize("what", ARRAYS)
@pytest.mark.parametrize("name", STRINGS)
def test_arrays_lists_and_other_things_for_names(name, what):
    more = {"horizon": 2} if name == "forecast_decoder" else {}
    message = refusal(lambda: quick(**{name: ARRAYS[what]}, **more).fit(X))
    assert f"`{name}`" in message
    assert len(message) < 600


@pytest.mark.parametrize("what", ["array of names", "numbers", "tensor", "unprintable"])
def test_every_odd_value_is_reported_at_once(what):
    model = quick()
    odd = dict.fromkeys(model.get_params(deep=False), ARRAYS[what])
    if what in ("numbers", "tensor"):
        del odd["feature_weight"]  # it may be an array of numbers
    message = refusal(lambda: quick(**odd).fit(X))
    for name in odd:
        assert f"`{name}`" in message, name


@pytest.mark.parametrize("value", [-1, 2**32, 0.5, "0", np.random.default_rng(0)])
def test_a_random_state_that_is_none(value):
    message = refusal(lambda: quick(random_state=value).fit(X))
    assert message.startswith(
        "`random_state` must be a whole number from 0 to 4294967295, a numpy.random.RandomState "
        "or None, got "
    )


NUMPY = [
    {"batch_size": np.uint8(200)},
    {"batch_size": np.int8(100), "steps_per_epoch": np.int8(100)},
    {"units": np.int8(40)},
    {"units": np.uint8(100), "decoder_units": np.uint8(90)},
    {"latent_dim": np.int8(33), "head_units": [np.int8(60), np.int64(3)]},
    {"horizon": np.int8(2), "decoder": "dense", "head_units": (np.uint8(70),)},
    {"bidirectional": np.False_},
    {"learning_rate": np.float16(0.01), "global_clipnorm": np.float32(1), "code_l1": np.int8(0)},
    {"epochs": np.int8(2), "patience": np.uint8(1), "random_state": np.int64(7)},
    {"kl_weight": np.longdouble(0.5)},
    {"decoder": np.str_("state")},
]


@pytest.mark.parametrize("given", NUMPY, ids=str)
def test_numbers_of_numpy_are_as_good_as_pythons(given, tmp_path):
    python = {
        name: [int(one) for one in value] if isinstance(value, (list, tuple)) else value.item()
        for name, value in given.items()
        if not isinstance(value, str)
    }
    if "kl_weight" in python:
        python["kl_weight"] = 0.5
    model, expected = (quick(epochs=1).set_params(**p).fit(X) for p in (given, given | python))
    assert model.history_ == expected.history_
    np.testing.assert_array_equal(model.transform(X), expected.transform(X))
    for name, value in given.items():
        assert model.get_params()[name] is value
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").transform(X), model.transform(X))


def test_truth_values_of_numpy_count():
    message = refusal(lambda: quick(decoder="flat", reverse_target=np.True_).fit(X))
    assert message.startswith("decoder='flat' emits all steps at once")
    message = refusal(lambda: LSTMForecaster(every_step=np.True_, bidirectional=np.True_).fit(X))
    assert message.startswith("`every_step` needs bidirectional=False, pooling='last'")
