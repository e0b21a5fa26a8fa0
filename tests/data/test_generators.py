"""The first article's data, shape for shape and number for number."""

import numpy as np

from unspool.data.generators import noisy_sine, sines


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
