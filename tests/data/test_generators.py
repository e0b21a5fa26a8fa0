"""The articles' data, shape for shape and number for number."""

import math
import re
import subprocess
import sys

import numpy as np
import pytest

from unspool.data.generators import moving_ones, next_values, noisy_sine, ramp, sines
from unspool.errors import InputError


def refused(told, call, *arguments, **named):
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        call(*arguments, **named)


def test_shapes_of_row_0_1():
    data = sines()
    assert data.train.shape == (17802, 100, 1)
    assert data.test.shape == (1800, 100, 1)
    assert np.bincount(data.y_train).tolist() == [3501, 14301]
    assert np.bincount(data.y_test).tolist() == [300, 1500]


def test_it_is_the_article_s_data():
    legacy = np.random.RandomState(0)
    first = [np.sin(t * (2 * np.pi / 20) + legacy.uniform(-1, 1) * 0.05) for t in range(4001)]
    second = [np.sin(t * (2 * np.pi / 80) + legacy.uniform(-1, 1) * 0.05) for t in range(16001)]
    data = sines()
    np.testing.assert_array_equal(data.train[0][:, 0], first[:100])
    np.testing.assert_array_equal(data.train[3500][:, 0], first[3500:3600])
    np.testing.assert_array_equal(data.train[3501][:, 0], second[:100])
    np.testing.assert_array_equal(data.test[0][:, 0], first[3601:3701])
    np.testing.assert_array_equal(data.test[1799][:, 0], second[15900:16000])


def test_noise_stays_within_its_bounds():
    sine = noisy_sine(20, 50, phase_noise=0.05)
    clean = np.sin(2 * np.pi * np.arange(1001) / 20)
    assert sine.shape == (1001,)
    assert 0.01 < np.abs(sine - clean).max() <= 0.05
    assert not np.array_equal(sine, noisy_sine(20, 50, random_state=1))


def test_the_ramp_is_the_second_article_s_sequence():
    expected = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert ramp().shape == (1, 9, 1)
    assert ramp()[0, :, 0].tolist() == expected  # to the bit
    assert ramp(12)[0, :, 0].tolist() == [*expected, 1.0, 1.1, 1.2]
    assert ramp(1).tolist() == [[[0.1]]]
    refused("`steps` must be a whole number of at least 1, got 0.", ramp, 0)


def test_next_values_are_the_fourth_article_s_data():
    legacy = np.random.RandomState(0)
    series = []
    for t in range(4001):
        series.append(math.sin(t * (2 * math.pi / 80) + legacy.uniform(-1.0, 1.0) * 0.05))
    expected = []
    for part in (series[:3601], series[3601:]):
        expected.append([[[value] for value in part[i : i + 5]] for i in range(len(part) - 5)])
        expected.append([[part[i + 5]] for i in range(len(part) - 5)])
    data = next_values()
    shapes = [(3596, 5, 1), (3596, 1), (395, 5, 1), (395, 1)]
    for name, got, one, shape in zip(data._fields, data, expected, shapes, strict=True):
        assert got.shape == shape, name
        np.testing.assert_allclose(got, one, rtol=0, atol=1e-15, err_msg=name)


def test_next_values_of_another_sine():
    data = next_values(10, 4, timesteps=3, phase_noise=0, test_size=0.5)
    series = [math.sin(t * 2 * math.pi / 10) for t in range(41)]
    assert data.train.shape == (17, 3, 1)  # round(20.5) is 20
    assert data.test.shape == (18, 3, 1)
    np.testing.assert_allclose(data.y_test[-1, 0], series[40], atol=1e-14)
    np.testing.assert_allclose(data.test[0, :, 0], series[20:23], atol=1e-14)
    assert not np.array_equal(next_values(random_state=1).train, next_values().train)


def test_next_values_that_cannot_be_made_are_told():
    refused(
        "Expected more than 5 steps (`timesteps`) before and after the cut, got 5; take more "
        "cycles, shorter windows or another `test_size`.",
        next_values,
        cycles=1,
        test_size=0.06,
    )
    assert next_values(cycles=1, test_size=0.07).test.shape == (1, 5, 1)
    refused(
        "`samples_per_cycle` must be a whole number of at least 1, got 0.\n"
        "`cycles` must be a whole number of at least 1, got 0.5.\n"
        "`timesteps` must be a whole number of at least 1, got 0.\n"
        "`phase_noise` must be a number of at least 0, got -1.",
        next_values,
        samples_per_cycle=0,
        cycles=0.5,
        timesteps=0,
        phase_noise=-1,
    )


@pytest.mark.parametrize(("rows", "longest"), [(8, 10), (12, 5), (1, 3)])
def test_moving_ones_are_the_question_s_rows(rows, longest):
    sequences = moving_ones(300, rows, longest)
    assert sequences.shape == (300, longest, rows)
    assert sequences.values.dtype == np.float32
    assert sorted(set(sequences.lengths.tolist())) == list(range(longest + 1))
    for values, length in zip(sequences.values, sequences.lengths, strict=True):
        expected = [[0] * rows for _ in range(longest)]
        for t in range(min(length, rows)):
            expected[t][t] = 1
        assert values.tolist() == expected


def test_lengths_of_moving_ones_are_rounded_from_a_uniform_draw():
    counts = np.bincount(moving_ones(40_000).lengths)
    assert len(counts) == 11
    np.testing.assert_allclose(counts[1:-1], 4000, atol=5 * math.sqrt(3600))
    np.testing.assert_allclose(counts[[0, -1]], 2000, atol=5 * math.sqrt(1900))


def test_moving_ones_have_a_seed():
    lengths = moving_ones(50).lengths.tolist()
    assert lengths == moving_ones(50, seed=0).lengths.tolist()
    assert lengths == moving_ones(50, seed=np.random.default_rng(0)).lengths.tolist()
    assert lengths != moving_ones(50, seed=1).lengths.tolist()
    told = "`seed` must be a whole number of at least 0, None or a numpy Generator, got -1."
    refused(told, moving_ones, seed=-1)
    refused(
        "`n` must be a whole number of at least 1, got 0.\n"
        "`rows` must be a whole number of at least 1, got 0.\n"
        "`longest` must be a whole number of at least 1, got 0.",
        moving_ones,
        n=0,
        rows=0,
        longest=0,
    )


def test_data_is_made_without_torch():
    script = (
        "import sys\n"
        "from unspool.data import generators, idx, images, moving_digits\n"
        "moving = moving_digits.moving_digits(images.digits().train, 2, 3, size=16)\n"
        "generators.sines(), generators.next_values()\n"
        "generators.moving_ones(), generators.ramp()\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
