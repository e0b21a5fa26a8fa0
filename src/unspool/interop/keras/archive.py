"""A .keras file as it lies on disk: its configuration and its weights, each looked at.

It is a zip of three members: what the model is made of (config.json), the weights (HDF5), and who
wrote it (metadata.json), which nobody needs. HDF5 can refer to other files, and say that it holds
far more than it does; Keras writes plain arrays.
"""

import io
import json
import math
from pathlib import Path
from typing import Any

from unspool._optional import import_optional
from unspool.data.archives import members, open_archive
from unspool.errors import InputError

CONFIGURATION, WEIGHTS = "config.json", "model.weights.h5"
MEMBERS = {CONFIGURATION, WEIGHTS, "metadata.json"}
# Bytes. A layer takes about a thousand, a feature of a Normalization forty.
LARGEST_CONFIGURATION = 1 << 23
HARMLESS = 1 << 26  # that a small file may unpack to
REWRITE = "load it with Keras where it comes from, and save it again"


def read_archive(path: Path) -> tuple[Any, bytes]:
    """The configuration, as JSON has it, and the weights of the file at `path`.

    Raises
    ------
    InputError
        For an archive that is damaged, holds anything else or less, or unpacks to too much; for
        weights that are not plain arrays within it.
    """
    with open_archive(path) as archive:
        found = members(archive, path, harmless=HARMLESS, instead=REWRITE)
        for name in sorted(MEMBERS ^ found.keys()):
            if name not in MEMBERS:
                raise InputError(f"it holds {name!r}, which no model needs that can be read here.")
            if name in (CONFIGURATION, WEIGHTS):
                raise InputError(f"it holds no {name}; {REWRITE}.")
        if found[CONFIGURATION].file_size > LARGEST_CONFIGURATION:
            raise InputError(
                f"its {CONFIGURATION} has {found[CONFIGURATION].file_size:,} bytes, expected at "
                f"most {LARGEST_CONFIGURATION:,}."
            )
        text, weights = archive.read(CONFIGURATION), archive.read(WEIGHTS)
    try:
        configuration = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its {CONFIGURATION} cannot be read: {error}.") from None
    _check_weights(weights)
    return configuration, weights


def _check_weights(blob: bytes) -> None:
    """Walk through an HDF5 file: groups, and in them arrays that lie there as a whole."""
    h5py = import_optional("h5py", "keras")
    try:
        with h5py.File(io.BytesIO(blob), "r") as file:
            left, seen = [file["/"]], set()
            while left:
                group = left.pop()
                place = h5py.h5o.get_info(group.id).addr
                for name in group if place not in seen else ():
                    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                        raise InputError(f"its weights have a link at {name!r}; {REWRITE}.")
                    item = group[name]
                    if isinstance(item, h5py.Group):
                        left.append(item)
                    elif not isinstance(item, h5py.Dataset) or not _is_plain(h5py, item):
                        raise InputError(
                            f"its weights at {item.name!r} are no plain array in the file, as "
                            f"Keras writes them; {REWRITE}."
                        )
                seen.add(place)
    except InputError:
        raise
    except Exception as error:  # whatever h5py raises for a file that is not HDF5
        raise InputError(f"its {WEIGHTS} cannot be read: {error}.") from None


def _is_plain(h5py: Any, item: Any) -> bool:
    """Numbers in one piece, all of them within the file."""
    how, dtype = item.id.get_create_plist(), item.dtype
    whole = how.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
    numbers = dtype.kind in "fiub" or dtype.str == "|V2"  # so bfloat16 is written
    return bool(
        (whole and how.get_external_count() == 0 and numbers and item.shape is not None)
        and math.prod(item.shape) * dtype.itemsize <= item.id.get_storage_size()
    )
