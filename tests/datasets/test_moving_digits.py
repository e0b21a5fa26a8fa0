"""Moving digits are compared with a simulation that moves them one step at a time."""

import math
import re

import numpy as np
import pytest

from unspool.datasets import load_digits, make_moving_digits
from unspool.datasets._moving_digits import bounce
from unspool.errors import InputError

BLOCK = np.ones((1, 3, 5))


def walked(start, velocity, steps, room):
    """Return the positions of one coordinate, reflected as often as a step needs it."""
    place, places = start, []
    for _ in range(steps):
        places.append(place)
        place += velocity
        while not 0 <= place <= room:
            place = -place if place < 0 else 2 * room - place
            velocity = -velocity
    return places


def boxes_of(frames, size):
    """Return top, left, bottom and right of the bright pixels of each frame."""
    lit = frames.reshape(*frames.shape[:2], size, size) > 0
    rows, columns = lit.any(axis=3), lit.any(axis=2)
    ends = [
        (side.argmax(axis=2), size - side[..., ::-1].argmax(axis=2)) for side in (rows, columns)
    ]
    (top, bottom), (left, right) = ends
    return top, left, bottom, right


@pytest.mark.parametrize("speed", [0, 0.7, 3.6, 36, 100.3])
def test_bounce_equals_a_walk_with_reflections(speed):
    rng = np.random.default_rng(0)
    room = np.array([36, 11])
    start = rng.uniform(0, 1, (4, 3, 2)) * room
    velocity = rng.uniform(-speed, speed, (4, 3, 2))
    got = bounce(start, velocity, 200, room)
    assert got.shape == (4, 3, 200, 2)
    assert got.min() >= 0
    assert (got <= room).all()
    for i, j, axis in np.ndindex(4, 3, 2):
        expected = walked(start[i, j, axis], velocity[i, j, axis], 200, room[axis])
        np.testing.assert_allclose(got[i, j, :, axis], expected, atol=1e-9)


def test_a_point_without_room_stays_at_zero():
    got = bounce(np.zeros(2), np.array([0.3, 1.0]), 9, np.array([0, 2]))
    assert got[:, 0].tolist() == [0] * 9
    assert got[:, 1].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0]


def test_a_video_equals_a_simulation_pixel_by_pixel():
    pictures = load_digits().X_train[:50]
    n, steps, size, speed = 6, 40, 20, 0.13
    frames = make_moving_digits(
        pictures, n, steps, frame_size=size, n_digits=3, speed=speed, random_state=5
    )
    assert frames.dtype == np.float32
    assert frames.shape == (n, steps, size * size)

    rng = np.random.default_rng(5)
    chosen = rng.integers(50, size=(n, 3))
    start, angle = rng.uniform(0, 1, (n, 3, 2)), rng.uniform(0, 2 * math.pi, (n, 3))
    expected = np.zeros((n, steps, size, size), np.float32)
    for i, j in np.ndindex(n, 3):
        down, across = speed * 12 * math.sin(angle[i, j]), speed * 12 * math.cos(angle[i, j])
        tops = walked(start[i, j, 0] * 12, down, steps, 12)
        lefts = walked(start[i, j, 1] * 12, across, steps, 12)
        for t, y, x in np.ndindex(steps, 8, 8):
            row, column = round(tops[t]) + y, round(lefts[t]) + x
            old, new = expected[i, t, row, column], pictures[chosen[i, j], y, x]
            expected[i, t, row, column] = max(old, new)
    np.testing.assert_array_equal(frames.reshape(expected.shape), expected)


def test_an_image_stays_whole_moves_straight_and_reaches_every_position():
    size, steps = 24, 60
    frames = make_moving_digits(BLOCK, 200, steps, frame_size=size, n_digits=1, speed=0.1)
    assert (frames.sum(axis=2) == 15).all()
    top, left, bottom, right = boxes_of(frames, size)
    assert (bottom - top == 3).all()
    assert (right - left == 5).all()
    assert np.unique(top).tolist() == list(range(22))
    assert np.unique(left).tolist() == list(range(20))
    for places, room in ((top, 21), (left, 19)):
        ways = np.abs(np.diff(places, axis=1))
        assert ways.max() <= math.ceil(0.1 * room)
        # Two steps on from a place that is far from the walls, the way is twice that of one.
        far = (places[:, 1:-1] > 3) & (places[:, 1:-1] < room - 3)
        bend = places[:, 2:] - 2 * places[:, 1:-1] + places[:, :-2]
        assert far.sum() > 1000
        assert np.abs(bend[far]).max() <= 2  # rounding
    # Directions differ: some go mostly down, some mostly across, up and down alike.
    first = np.stack([top[:, 5] - top[:, 0], left[:, 5] - left[:, 0]])
    assert (first > 3).any(axis=1).all()
    assert (first < -3).any(axis=1).all()


def test_images_that_overlap_show_the_brighter_pixel():
    dim, bright = np.full((1, 3, 3), 0.25), np.full((1, 3, 3), 0.75)
    frames = make_moving_digits(
        np.concatenate([dim, bright]), 100, 30, frame_size=9, random_state=1
    )
    mass = frames.sum(axis=2)
    lit = (frames > 0).sum(axis=2)
    separate = lit == 18
    assert separate.sum() > 500
    assert np.isin(mass[separate], [4.5, 9, 13.5]).all()
    assert (~separate).sum() > 500
    assert np.isin(frames, [0, 0.25, 0.75]).all()  # neither sums nor means
    bright_pixels = (frames == 0.75).sum(axis=2)
    # One bright and one dim: no pixel of the bright one is hidden.
    one_of_each = (frames == 0.25).any(axis=2) & (bright_pixels > 0)
    assert (bright_pixels[one_of_each] == 9).all()


def test_videos_are_the_same_for_the_same_seed():
    def made(seed):
        return make_moving_digits(BLOCK, 3, 4, frame_size=9, random_state=seed)

    np.testing.assert_array_equal(made(0), make_moving_digits(BLOCK, 3, 4, frame_size=9))
    np.testing.assert_array_equal(made(0), made(np.random.default_rng(0)))
    assert not np.array_equal(made(0), made(1))
    assert not np.array_equal(made(None), made(None))


def test_images_as_large_as_a_frame_do_not_move():
    rng = np.random.default_rng(0)
    image = rng.random((1, 6, 6))
    frames = make_moving_digits(image, 2, 3, frame_size=6, n_digits=1)
    np.testing.assert_array_equal(frames, np.broadcast_to(image.astype("f").ravel(), (2, 3, 36)))
    low = make_moving_digits(np.ones((1, 2, 6)), 50, 9, frame_size=6, n_digits=1)
    top, left, _, _ = boxes_of(low, 6)
    assert (left == 0).all()
    assert np.unique(top).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.ones((8, 8)), "Expected `images` of shape (M, height, width) with at least one image, "
         "got shape (8, 8); pass a single image as (1, height, width)."),
        (np.ones((0, 8, 8)), "Expected `images` of shape (M, height, width) with at least one "
         "image, got shape (0, 8, 8); pass a single image as (1, height, width)."),
        (np.full((1, 2, 2), 16.0), "Expected `images` with values from 0 to 1, got 16.0 to 16.0; "
         "divide by their largest value, which is 255 for bytes."),
        (np.full((1, 2, 2), -0.5), "Expected `images` with values from 0 to 1, got -0.5 to -0.5; "
         "divide by their largest value, which is 255 for bytes."),
        (np.full((1, 2, 2), np.nan), "Expected `images` with values from 0 to 1, got nan to nan; "
         "divide by their largest value, which is 255 for bytes."),
        (np.ones((1, 8, 65)), "Images of 8x65 do not fit into a frame of 64x64 (`frame_size`); use "
         "a larger frame."),
         (np.ones((1, 2, 2), complex), "Expected real numbers in `images`, got dtype complex128. "
                                       "Complex data not supported: give real and imaginary "
                                       "parts as two features, or the absolute values with "
                                       "numpy.abs."),
    ],
)  # fmt: skip
def test_unsuitable_images_are_refused(images, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make_moving_digits(images)


def test_faulty_arguments_are_refused_together():
    message = "\n".join(
        [
            f"`{name}` must be a whole number of at least 1, got 0."
            for name in ("n_sequences", "n_frames", "frame_size")
        ]
        + ["`n_digits` must be a whole number of at least 1, got 1.5."]
        + ["`speed` must be a number of at least 0, got inf."]
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make_moving_digits(BLOCK, 0, 0, frame_size=0, n_digits=1.5, speed=math.inf)
