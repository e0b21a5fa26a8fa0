"""Generated data sets have the shapes and the numbers of the experiments they are from."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest

from unspool import datasets
from unspool.datasets import (
    make_moving_ones,
    make_noisy_sine,
    make_ramp,
    make_sine_classes,
    make_sine_forecasts,
)
from unspool.errors import InputError


def assert_refused(message, call, *arguments, **named):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call(*arguments, **named)


def test_sine_classes_have_the_shapes_of_the_article():
    data = make_sine_classes()
    assert data.X_train.shape == (17802, 100, 1)
    assert data.X_test.shape == (1800, 100, 1)
    assert np.bincount(data.y_train).tolist() == [3501, 14301]
    assert np.bincount(data.y_test).tolist() == [300, 1500]


def test_sine_classes_are_the_data_of_the_article_to_the_last_bit():
    legacy = np.random.RandomState(0)
    first = [np.sin(t * (2 * np.pi / 20) + legacy.uniform(-1, 1) * 0.05) for t in range(4001)]
    second = [np.sin(t * (2 * np.pi / 80) + legacy.uniform(-1, 1) * 0.05) for t in range(16001)]
    data = make_sine_classes()
    np.testing.assert_array_equal(data.X_train[0][:, 0], first[:100])
    np.testing.assert_array_equal(data.X_train[3500][:, 0], first[3500:3600])
    np.testing.assert_array_equal(data.X_train[3501][:, 0], second[:100])
    np.testing.assert_array_equal(data.X_test[0][:, 0], first[3601:3701])
    np.testing.assert_array_equal(data.X_test[1799][:, 0], second[15900:16000])


def test_phase_noise_stays_within_its_bounds():
    sine = make_noisy_sine(20, 50, phase_noise=0.05)
    clean = np.sin(2 * np.pi * np.arange(1001) / 20)
    assert sine.shape == (1001,)
    assert 0.01 < np.abs(sine - clean).max() <= 0.05
    assert not np.array_equal(sine, make_noisy_sine(20, 50, random_state=1))


def test_noise_is_drawn_from_a_random_state_or_anew():
    def sine(random_state):
        return make_noisy_sine(20, 2, random_state=random_state)

    np.testing.assert_array_equal(sine(3), sine(np.random.RandomState(3)))
    going_on = np.random.RandomState(3)
    assert not np.array_equal(sine(going_on), sine(going_on))
    assert not np.array_equal(sine(None), sine(None))


@pytest.mark.parametrize("faulty", [-1, 2**32, 0.5, "0", np.random.default_rng(0)])
def test_sines_refuse_what_is_no_seed(faulty):
    assert_refused(
        f"`random_state` must be a whole number from 0 to 4294967295, None or a numpy RandomState, "
        f"got {faulty!r}.",
        make_sine_classes,
        random_state=faulty,
    )


def test_the_ramp_rises_from_a_tenth_in_tenths():
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert make_ramp().shape == (1, 9, 1)
    assert make_ramp()[0, :, 0].tolist() == expected  # to the last bit
    assert make_ramp(12)[0, :, 0].tolist() == [*expected, 1.0, 1.1, 1.2]
    assert make_ramp(1).tolist() == [[[0.1]]]
    assert_refused("`n_steps` must be a whole number of at least 1, got 0.", make_ramp, 0)


def test_sine_forecasts_are_the_data_of_the_article():
    legacy = np.random.RandomState(0)
    series = []
    for t in range(4001):
        series.append(math.sin(t * (2 * math.pi / 80) + legacy.uniform(-1.0, 1.0) * 0.05))
    expected = []
    for part in (series[:3601], series[3601:]):
        expected.append([[[value] for value in part[i : i + 5]] for i in range(len(part) - 5)])
        expected.append([[part[i + 5]] for i in range(len(part) - 5)])
    data = make_sine_forecasts()
    shapes = [(3596, 5, 1), (3596, 1), (395, 5, 1), (395, 1)]
    for name, got, one, shape in zip(data._fields, data, expected, shapes, strict=True):
        assert got.shape == shape, name
        np.testing.assert_allclose(got, one, rtol=0, atol=1e-15, err_msg=name)


def test_sine_forecasts_of_another_sine():
    data = make_sine_forecasts(10, 4, window=3, phase_noise=0, test_size=0.5)
    series = [math.sin(t * 2 * math.pi / 10) for t in range(41)]
    assert data.X_train.shape == (17, 3, 1)  # round(20.5) is 20
    assert data.X_test.shape == (18, 3, 1)
    np.testing.assert_allclose(data.y_test[-1, 0], series[40], atol=1e-14)
    np.testing.assert_allclose(data.X_test[0, :, 0], series[20:23], atol=1e-14)
    other = make_sine_forecasts(random_state=1)
    assert not np.array_equal(other.X_train, make_sine_forecasts().X_train)


def test_sine_forecasts_refuse_parts_that_are_too_short_and_faulty_arguments():
    assert_refused(
        "Both parts need more than 5 steps (`window`), but one has 5; use more cycles, a shorter "
        "window or another `test_size`.",
        make_sine_forecasts,
        n_cycles=1,
        test_size=0.06,
    )
    assert make_sine_forecasts(n_cycles=1, test_size=0.07).X_test.shape == (1, 5, 1)
    assert_refused(
        "`samples_per_cycle` must be a whole number of at least 1, got 0.\n"
        "`n_cycles` must be a whole number of at least 1, got 0.5.\n"
        "`window` must be a whole number of at least 1, got 0.\n"
        "`phase_noise` must be a number of at least 0, got -1.",
        make_sine_forecasts,
        samples_per_cycle=0,
        n_cycles=0.5,
        window=0,
        phase_noise=-1,
    )
    assert_refused(
        "`samples_per_cycle` must be a whole number of at least 1, got 0.",
        make_sine_classes,
        samples_per_cycle=(20, 0),
    )


@pytest.mark.parametrize(("n_features", "max_length"), [(8, 10), (12, 5), (1, 3)])
def test_moving_ones_have_a_one_at_feature_t_of_step_t(n_features, max_length):
    sequences = make_moving_ones(300, n_features, max_length)
    assert sequences.shape == (300, max_length, n_features)
    assert sequences.values.dtype == np.float32
    assert sorted(set(sequences.lengths.tolist())) == list(range(max_length + 1))
    for values, length in zip(sequences.values, sequences.lengths, strict=True):
        expected = [[0] * n_features for _ in range(max_length)]
        for t in range(min(length, n_features)):
            expected[t][t] = 1
        assert values.tolist() == expected


def test_lengths_of_moving_ones_are_rounded_from_a_uniform_draw():
    counts = np.bincount(make_moving_ones(40_000).lengths)
    assert len(counts) == 11
    np.testing.assert_allclose(counts[1:-1], 4000, atol=5 * math.sqrt(3600))
    np.testing.assert_allclose(counts[[0, -1]], 2000, atol=5 * math.sqrt(1900))


def test_moving_ones_are_the_same_for_the_same_seed():
    lengths = make_moving_ones(50).lengths.tolist()
    assert lengths == make_moving_ones(50, random_state=0).lengths.tolist()
    generator = np.random.default_rng(0)
    assert lengths == make_moving_ones(50, random_state=generator).lengths.tolist()
    assert lengths != make_moving_ones(50, random_state=1).lengths.tolist()


def test_moving_ones_refuse_faulty_arguments_together():
    assert_refused(
        "`random_state` must be a whole number of at least 0, None or a numpy Generator, got -1.",
        make_moving_ones,
        random_state=-1,
    )
    assert_refused(
        "`n_sequences` must be a whole number of at least 1, got 0.\n"
        "`n_features` must be a whole number of at least 1, got 0.\n"
        "`max_length` must be a whole number of at least 1, got 0.",
        make_moving_ones,
        n_sequences=0,
        n_features=0,
        max_length=0,
    )


def test_the_package_lists_its_public_names_and_nothing_else():
    assert dir(datasets) == sorted(datasets.__all__)
    prefixes = ("make_", "load_", "fetch_")
    types = {"MachineTemperature", "TrainTest"}
    assert {name for name in dir(datasets) if not name.startswith(prefixes)} == types


def test_generated_data_needs_numpy_alone():
    script = (
        "import sys\n"
        "from unspool.datasets import *\n"
        "import numpy as np\n"
        "make_sine_classes(), make_sine_forecasts(), make_moving_ones(), make_ramp()\n"
        "make_moving_digits(np.ones((1, 4, 4)), 2, 3, frame_size=16)\n"
        "print(*({'torch', 'sklearn', 'pyarrow', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
