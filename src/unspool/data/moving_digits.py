"""Moving MNIST: images that bounce about in a frame, from the paper that the first article cites.

Main path: `moving_digits` draws which images move and how, `bounce` says where each of them is in
every frame, and the images are drawn there, one over the other.
"""

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.generators import Seed, as_generator
from unspool.data.sequences import as_reals
from unspool.errors import InputError


def moving_digits(
    images: npt.ArrayLike,
    n: int = 1000,
    steps: int = 20,
    *,
    size: int = 64,
    digits: int = 2,
    speed: float = 0.1,
    seed: Seed = 0,
) -> npt.NDArray[np.float32]:
    """Make sequences of frames in which images move straight on and bounce off the walls.

    Each image is drawn at random, and so are its place in the first frame and its direction. Where
    images overlap, the brighter pixel is seen.

    Parameters
    ----------
    images : array of shape (M, h, w)
        Values from 0 to 1: digits of MNIST, for example, see `unspool.data.images`.
    n : int, default 1000
        Sequences, N.
    steps : int, default 20
        Frames of each, T.
    size : int, default 64
        Height and width of a frame, in pixels; at least those of the images.
    digits : int, default 2
        Images in a frame.
    speed : float, default 0.1
        Way from one frame to the next, as a share of that between opposite walls: 3.6 pixels for
        images of 28 in a frame of 64. At least 0.
    seed : int, Generator or None, default 0

    Returns
    -------
    array of shape (n, steps, size * size)
        float32, values from 0 to 1; 328 MB by default.

    Raises
    ------
    InputError
        For arguments out of range, and images that have other values or do not fit a frame.

    Source: Srivastava, Mansimov, Salakhutdinov, "Unsupervised Learning of Video Representations
    using LSTMs" (ICML 2015, arXiv 1502.04681), its experiments on MNIST. The authors' program
    takes the maximum as well, and 0.1 is its speed. It differs in three things: there an image
    stops at a wall for a frame where here it is reflected, places are cut to whole pixels where
    here they are rounded, and no image comes twice before all have come.

    Examples
    --------
    >>> frames = moving_digits(np.ones((1, 2, 2)), n=3, steps=5, size=6)
    >>> frames.shape
    (3, 5, 36)
    """
    pictures = _checked_images(images)
    _checks.raise_all(
        _checks.whole("n", n, 1),
        _checks.whole("steps", steps, 1),
        _checks.whole("size", size, 1),
        _checks.whole("digits", digits, 1),
        _checks.number("speed", speed, 0),
    )
    count, height, width = pictures.shape
    if max(height, width) > size:
        raise InputError(
            f"Expected images no larger than a frame of {size}x{size} (`size`), got "
            f"{height}x{width}; take a larger frame."
        )
    random = as_generator(seed)
    room = np.array([size - height, size - width])
    chosen = random.integers(count, size=(n, digits))
    start = random.uniform(0, 1, size=(n, digits, 2)) * room
    angle = random.uniform(0, 2 * np.pi, size=(n, digits))
    velocity = speed * room * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    places = np.rint(bounce(start, velocity, steps, room)).astype(np.int64)

    frames = np.zeros((n, steps, size, size), np.float32)
    # A view: [sequence, step, top, left] is the part of a frame that an image covers.
    parts = np.lib.stride_tricks.sliding_window_view(
        frames, (height, width), axis=(2, 3), writeable=True
    )
    sequence, step = np.ogrid[:n, :steps]
    for digit in range(digits):
        where = (sequence, step, places[:, digit, :, 0], places[:, digit, :, 1])
        parts[where] = np.maximum(parts[where], pictures[chosen[:, digit], None])
    return frames.reshape(n, steps, size * size)


def bounce(
    start: npt.NDArray[np.float64],
    velocity: npt.NDArray[np.float64],
    steps: int,
    room: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Say where things are that move straight on between walls at 0 and at `room`.

    Parameters
    ----------
    start : array of shape (..., 2)
        Places at the first step, 0 to `room`.
    velocity : array of shape (..., 2)
        Way from one step to the next.
    steps : int
    room : array of shape (2,)
        How far each coordinate can go; 0 keeps it at 0.

    Returns
    -------
    array of shape (..., steps, 2)
    """
    straight = start[..., None, :] + velocity[..., None, :] * np.arange(steps)[:, None]
    # Reflected at both walls, the straight way repeats itself after there and back again.
    period = 2 * np.maximum(room, 1)
    there: npt.NDArray[np.float64] = np.mod(straight, period)
    return np.minimum(np.minimum(there, period - there), room)


def _checked_images(images: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = as_reals(images, "`images`")
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(
            f"Expected `images` as (M, height, width) with at least one of them, got shape "
            f"{array.shape}; a single image goes in as (1, height, width)."
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # NaN compares as False
        raise InputError(
            f"Expected `images` with values from 0 to 1, got {low} to {high}; divide by their "
            "largest value, which is 255 for bytes."
        )
    return array.astype(np.float32, copy=False)
