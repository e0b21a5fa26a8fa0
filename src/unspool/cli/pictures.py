"""Files of pictures."""

from pathlib import Path
from typing import Any

from unspool._files import atomic_write

PICTURE_ENDINGS = (".png", ".svg", ".pdf", ".jpg")


def save_picture(display: Any, path: Path) -> None:
    """Write the figure of a display to a file, whole or not at all; the ending is the format."""
    with atomic_write(path) as file:
        display.figure_.savefig(file, format=path.suffix[1:].lower(), dpi=150)
