"""Videos of images that move through a frame and bounce off its walls, as in Moving MNIST."""

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.sequences import as_reals
from unspool.datasets._seeds import Seed, as_generator
from unspool.errors import InputError


def make_moving_digits(
    images: npt.ArrayLike,
    n_sequences: int = 1000,
    n_frames: int = 20,
    *,
    frame_size: int = 64,
    n_digits: int = 2,
    speed: float = 0.1,
    random_state: Seed = 0,
) -> npt.NDArray[np.float32]:
    """Generate videos in which images move in straight lines and bounce off the walls.

    With images of MNIST this is Moving MNIST [1]_. The images of a video, their positions in the
    first frame and their directions are drawn at random. Where images overlap, the brighter pixel
    is shown.

    Parameters
    ----------
    images : array of shape (M, H, W)
        The images to draw from, with values from 0 to 1, such as `load_mnist` returns.
    n_sequences : int, default 1000
        Number of videos, N, at least 1.
    n_frames : int, default 20
        Number of frames of each video, T, at least 1.
    frame_size : int, default 64
        Height and width of a frame in pixels; at least the height and width of the images.
    n_digits : int, default 2
        Number of images in a frame, at least 1.
    speed : float, default 0.1
        Distance that an image moves from one frame to the next, as a share of the distance it can
        move between opposite walls; at least 0. For images of 28×28 in frames of 64×64, 0.1 is 3.6
        pixels.
    random_state : int, numpy.random.Generator or None, default 0
        Seed or generator. None generates different videos in each call.

    Returns
    -------
    array of shape (N, T, frame_size * frame_size)
        float32, from 0 to 1. With the defaults it takes 328 MB.

    Raises
    ------
    InputError
        If an argument is out of its range, or the images have other values or do not fit into a
        frame.

    See Also
    --------
    load_mnist, load_digits : Images of digits.

    Notes
    -----
    The authors' program for [1]_ also shows the brighter pixel and also has a speed of 0.1. It
    differs in three points: there, an image stops at a wall for one frame, whereas here it is
    reflected at once; positions are cut to whole pixels, whereas here they are rounded; and no
    image is drawn a second time before all images have been drawn.

    References
    ----------
    .. [1] N. Srivastava, E. Mansimov, R. Salakhutdinov, "Unsupervised Learning of Video
       Representations using LSTMs", ICML 2015, https://arxiv.org/abs/1502.04681

    Examples
    --------
    >>> from unspool.datasets import load_digits, make_moving_digits
    >>> images = load_digits().X_train
    >>> make_moving_digits(images, n_sequences=3, n_frames=5, frame_size=20).shape
    (3, 5, 400)
    """
    pictures = _checked_images(images)
    _checks.raise_all(
        _checks.whole("n_sequences", n_sequences, 1),
        _checks.whole("n_frames", n_frames, 1),
        _checks.whole("frame_size", frame_size, 1),
        _checks.whole("n_digits", n_digits, 1),
        _checks.number("speed", speed, 0),
    )
    count, height, width = pictures.shape
    if max(height, width) > frame_size:
        raise InputError(
            f"Images of {height}x{width} do not fit into a frame of {frame_size}x{frame_size} "
            "(`frame_size`); use a larger frame."
        )
    random = as_generator(random_state)
    room = np.array([frame_size - height, frame_size - width])
    chosen = random.integers(count, size=(n_sequences, n_digits))
    start = random.uniform(0, 1, size=(n_sequences, n_digits, 2)) * room
    angle = random.uniform(0, 2 * np.pi, size=(n_sequences, n_digits))
    velocity = speed * room * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    corners = np.rint(bounce(start, velocity, n_frames, room)).astype(np.int64)

    frames = np.zeros((n_sequences, n_frames, frame_size, frame_size), np.float32)
    # A view: [sequence, frame, top, left] is the patch of the frame that an image covers.
    patches = np.lib.stride_tricks.sliding_window_view(
        frames, (height, width), axis=(2, 3), writeable=True
    )
    sequence, step = np.ogrid[:n_sequences, :n_frames]
    for digit in range(n_digits):
        where = (sequence, step, corners[:, digit, :, 0], corners[:, digit, :, 1])
        patches[where] = np.maximum(patches[where], pictures[chosen[:, digit], None])
    return frames.reshape(n_sequences, n_frames, frame_size * frame_size)


def bounce(
    start: npt.NDArray[np.float64],
    velocity: npt.NDArray[np.float64],
    n_steps: int,
    room: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the positions of points that move straight between walls at 0 and at `room`.

    Parameters
    ----------
    start : array of shape (..., 2)
        Positions at the first step, from 0 to `room`.
    velocity : array of shape (..., 2)
        Distance moved in one step.
    n_steps : int
        Number of steps.
    room : array of shape (2,)
        Largest value of each coordinate. If it is 0, the coordinate stays 0.

    Returns
    -------
    array of shape (..., n_steps, 2)
    """
    straight = start[..., None, :] + velocity[..., None, :] * np.arange(n_steps)[:, None]
    # A point that is reflected at both walls is back where it was after twice the way.
    period = 2 * np.maximum(room, 1)
    folded: npt.NDArray[np.float64] = np.mod(straight, period)
    return np.minimum(np.minimum(folded, period - folded), room)


def _checked_images(images: npt.ArrayLike) -> npt.NDArray[np.float32]:
    array = as_reals(images, "`images`")
    if array.ndim != 3 or 0 in array.shape:
        raise InputError(
            f"Expected `images` of shape (M, height, width) with at least one image, got shape "
            f"{array.shape}; pass a single image as (1, height, width)."
        )
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= 1):  # NaN compares as False
        raise InputError(
            f"Expected `images` with values from 0 to 1, got {low} to {high}; divide by their "
            "largest value, which is 255 for bytes."
        )
    return array.astype(np.float32, copy=False)
