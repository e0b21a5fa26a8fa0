"""How the commands other than `detect` read DATA, with the options of `data_options.Reading`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from unspool.cli.option_values import gap_limit, number_of_steps
from unspool.cli.options import missing_of, say
from unspool.cli.reading import print_notes, read_as_trained
from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.loading import has_column_names, holds_images

if TYPE_CHECKING:
    from unspool._durations import Duration
    from unspool._types import Missing as MissingName
    from unspool.cli.data_options import Reading
    from unspool.data.windows import Windows
    from unspool.estimators.base import Model as Trained
    from unspool.io.file_data import FileData


def read_data(
    options: "Reading",
    data: Path,
    model: "Trained | None",
    reading: dict[str, Any],
    *,
    tail: bool,
    more: int,
    weight: str | None,
    missing: "MissingName",
    maybe_images: bool,
) -> "FileData":
    """Read a file with the options, else those of training in `reading`; see `Reading.read`."""
    window, stride = number_of_steps(options.window), number_of_steps(options.stride)
    dilation = options.dilation
    max_gap = None if options.max_gap is None else gap_limit(options.max_gap)
    columns, given = options.names(), options.keywords()
    if options.rows is None and "rows" in reading:
        given["rows"] = reading["rows"]
    if model is not None:
        missing = missing_of(model)
    if model is not None and (not options.rows or reading.get("rows")):
        if model.window_ is not None:
            window, stride = window or model.window_[0], stride or model.window_[1]
            dilation = dilation or model.dilation_
            max_gap = model.max_gap_ if options.max_gap is None else max_gap
        known = getattr(model, "feature_names_in_", None)
        if (
            columns is None
            and known is not None
            and has_column_names(data, options.key or reading.get("key"))
        ):
            columns = [str(name) for name in known]
    if options.images is None:
        of_images = getattr(model, "image_shape_", None) is not None
        given["images"] = of_images or (
            maybe_images and model is None and window is None and holds_images(data)
        )
    read = partial(
        read_file,
        data,
        stride=1 if stride is None else stride,
        columns=columns,
        weight=weight,
        tail=tail and window is not None,
        short="keep" if options.keep_short else "error",
        dilation=dilation or 1,
        missing=options.policy(missing),
    )
    given["max_gap"] = "auto" if options.max_gap is None and max_gap is None else max_gap
    if window is None:
        reading.pop("max_gap", None)  # nothing is cut

    def as_trained(window: "Duration | int | None") -> "FileData":
        loaded, used = read_as_trained(data, partial(read, window=window), given, columns, reading)
        given.update(used)
        reading.clear()  # it is in `given` now
        return loaded

    try:
        if more and isinstance(window, str):  # the file says how many steps a window has
            windows = cast("Windows", as_trained(window).source)
            window = windows.size
            read = partial(read, stride=windows.stride)
            if windows.max_gap is not None:  # a duration, in the unit of the times
                given["max_gap"] = windows.max_gap
        loaded = as_trained(window + more if isinstance(window, int) else window)
    except InputError as error:
        if options.columns is None and columns is not None and "`columns`" in str(error):
            error.add_note(f"The model was trained on the features {', '.join(columns)}.")
        raise
    print_notes(data.name, loaded, of_model=columns is not None and options.columns is None)
    say(f"{data.name}: {loaded.source!r}")
    times, limit = loaded.steps.get("time"), getattr(model, "max_gap_", None)
    if options.max_gap is None and limit is not None and times and times[0].dtype.kind != "M":
        from unspool.cli.detection_data import gap_of_numbers

        say(gap_of_numbers(data.name, limit))
    return loaded
