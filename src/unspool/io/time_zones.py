"""Offsets from UTC in texts of times: "Z", "+01:00", "UTC+2" and names such as "CET"."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

# Hours of the names that are used for one zone in nearly all files.
_NAMES = (
    "EST -5, EDT -4, CST -6, CDT -5, MST -7, MDT -6, PST -8, PDT -7, WET 0, WEST 1, CET 1, CEST 2, "
    "EET 2, EEST 3, MEZ 1, MESZ 2, BST 1, MSK 3, IST 5.5, JST 9, KST 9, AEST 10, AEDT 11, AWST 8, "
    "NZST 12, NZDT 13"
)
ZONES = {name: float(hours) for name, hours in map(str.split, _NAMES.split(", "))}
_OFFSET = re.compile(r"(?:utc|gmt)?([-+])(\d{1,2})(?::?(\d{2}))?")


def zone_seconds(texts: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the offsets from UTC in seconds of lower-case texts, and whether each has one."""
    encoded = texts.dictionary_encode()
    each = [_seconds(text) for text in encoded.dictionary.to_pylist()]
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False))
    offsets = np.array([0 if one is None else one for one in each], np.int64)
    known = np.array([one is not None for one in each])
    return offsets[codes], known[codes]


def _seconds(text: str) -> int | None:
    if text in ("z", "utc", "gmt"):
        return 0
    hours = ZONES.get(text.upper())
    if hours is not None:
        return round(3600 * hours)
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    sign = -1 if match[1] == "-" else 1
    return sign * (3600 * int(match[2]) + 60 * int(match[3] or 0))
