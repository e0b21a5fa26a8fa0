"""Reading the bytes of a .keras file: configuration and weights, both checked.

The file is a zip archive of three members: the configuration (config.json), the weights
(model.weights.h5, HDF5) and metadata.json, which is not needed. HDF5 can refer to other files, and
can declare far more data than it holds; Keras writes plain arrays only.
"""

import io
import json
import math
from pathlib import Path
from typing import Any

from unspool._optional import import_optional
from unspool.errors import InputError
from unspool.io.archives import members, open_archive

CONFIGURATION, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIGURATION, WEIGHTS, "metadata.json"}
# In bytes. A layer needs about a thousand, a feature of a Normalization forty.
MAX_CONFIGURATION = 1 << 23
MAX_UNPACKED = 1 << 26  # bytes that any file may unpack to, however small it is
REWRITE = "load it with Keras where it was made, and save it again"


def read_archive(path: Path) -> tuple[Any, bytes]:
    """Return the parsed configuration and the HDF5 bytes of the file at `path`.

    Raises
    ------
    InputError
        If the archive is damaged, misses a member or has another one, or unpacks to too many bytes,
        or if the weights are not plain arrays.
    """
    with open_archive(path) as archive:
        entries = members(archive, path, harmless=MAX_UNPACKED, instead=REWRITE)
        for name in sorted(MEMBERS ^ entries.keys()):
            if name not in MEMBERS:
                raise InputError(f"it contains {name!r}, which is not part of a .keras file.")
            if name in (CONFIGURATION, WEIGHTS):
                raise InputError(f"it contains no {name}; {REWRITE}.")
        if entries[CONFIGURATION].file_size > MAX_CONFIGURATION:
            raise InputError(
                f"its {CONFIGURATION} has {entries[CONFIGURATION].file_size:,} bytes, expected at "
                f"most {MAX_CONFIGURATION:,}."
            )
        text, weights = archive.read(CONFIGURATION), archive.read(WEIGHTS)
    try:
        configuration = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its {CONFIGURATION} cannot be read: {error}.") from None
    check_weights(weights, WEIGHTS)
    return configuration, weights


def check_weights(blob: bytes, name: str) -> None:
    """Check that an HDF5 file, with a name for messages, has groups and contiguous arrays only."""
    h5py = import_optional("h5py", "keras")
    try:
        with h5py.File(io.BytesIO(blob), "r") as file:
            groups, seen = [file["/"]], set()
            while groups:
                group = groups.pop()
                place = h5py.h5o.get_info(group.id).addr
                for key in group if place not in seen else ():
                    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                        raise InputError(f"its weights contain a link at {key!r}; {REWRITE}.")
                    item = group[key]
                    if isinstance(item, h5py.Group):
                        groups.append(item)
                    elif not isinstance(item, h5py.Dataset) or not _is_plain(h5py, item):
                        raise InputError(
                            f"its weights at {item.name!r} are not a plain array within the file; "
                            f"{REWRITE}."
                        )
                seen.add(place)
    except InputError:
        raise
    except Exception as error:  # h5py raises many types for a file that is not HDF5
        raise InputError(f"its {name} cannot be read: {error}.") from None


def _is_plain(h5py: Any, item: Any) -> bool:
    """Return whether a dataset is one contiguous block of numbers within the file."""
    layout, dtype = item.id.get_create_plist(), item.dtype
    contiguous = layout.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    numbers = dtype.kind in "fiub" or dtype.str == "|V2"  # "|V2" is bfloat16
    return bool(
        (contiguous and layout.get_external_count() == 0 and numbers and item.shape is not None)
        and math.prod(item.shape) * dtype.itemsize <= item.id.get_storage_size()
    )
