"""Pictures of one size in a folder, read as an array of images."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unspool._optional import import_optional
from unspool.data.messages import errors_naming
from unspool.errors import InputError
from unspool.io.file_data import Column

MAX_PIXELS = 1 << 24  # of one picture; more are refused before they are unpacked


def read_pictures(files: Sequence[Path]) -> Column:
    """Return the pictures as (N, H, W) if all are grey, else as (N, H, W, 3), from 0 to 255.

    Raises
    ------
    InputError
        If a file is no picture, or has another size than the first one.
    """
    image = import_optional("PIL.Image", "train")
    found: list[Any] = []
    for file in files:
        with errors_naming(Path(file.name)):
            found.append(_pixels(file, image))
            if found[-1].shape[:2] != found[0].shape[:2]:
                height, width = found[-1].shape[:2]
                first, other = found[0].shape[:2]
                raise InputError(
                    f"the picture has {height}x{width} pixels, but {files[0].name} has "
                    f"{first}x{other}; bring all to one size."
                )
    if any(one.ndim == 3 for one in found):
        found = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in found]
    return np.stack(found)


def _pixels(file: Path, image: Any) -> Column:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with image.open(file) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise InputError(f"the picture has {height}x{width} pixels; make it smaller.")
                grey = picture.mode in ("1", "L", "LA", "I", "F") or picture.mode.startswith("I;16")
                if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
                    return np.asarray(picture, np.float32)
                return np.asarray(picture.convert("L" if grey else "RGB"), np.float32)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises errors of many classes for damaged files
        raise InputError(f"the picture cannot be read ({str(error)[:200]}).") from None
