"""The texts that --help prints."""

import dataclasses
import re

import pytest

from unspool.cli.data_options import Columns, Reading


@pytest.mark.parametrize(
    ("command", "options"),
    [("fit", Reading), ("score", Reading), ("encode", Reading), ("detect", Columns)],
)
def test_options_for_reading_are_together_under_one_heading(run, command, options):
    before, _, panel = run(command, "--help").out.partition("Reading DATA")
    names = {"--" + field.name.replace("_", "-") for field in dataclasses.fields(options)}
    for name in names:
        assert re.search(rf"^│ {name}\b", panel, re.MULTILINE), name
        assert not re.search(rf"^│ [* ] *{name}\b", before, re.MULTILINE), name
