"""`unspool forecast`: forecast the steps after the end of series or sequences."""

from typing import Annotated

import numpy as np
import typer

from unspool.cli.options import (
    Data,
    Device,
    Model,
    Output,
    ReadingForModel,
    load_model,
    reads_data,
    require,
)

EXAMPLE = "unspool forecast etth1.unspool ETTh1.csv -o next_day.csv"


@reads_data
def forecast(
    model: Model,
    data: Data,
    output: Output = None,
    every: Annotated[
        bool,
        typer.Option(
            "--every", help="Forecast after every window of a long series, not only after the last."
        ),
    ] = False,
    device: Device = "auto",
    *,
    reading: ReadingForModel,
) -> None:
    """Write a forecast of the steps after DATA, one row per step, in the units of the data.

    The forecast of a long series is computed from its last window. The column `ahead` counts the
    steps from 1. MODEL must have been trained with --horizon. Quantiles (`--set
    quantiles=[0.1,0.5,0.9]` in fit) are additional columns, NAME_q0.1 and so on. An .npy file has
    only the features, in an array of shape (N, K, F), or (N, K, F, 1 + Q) with Q quantiles after
    each feature.
    """
    from unspool.cli.step_columns import names_of_features
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table
    from unspool.errors import InputError

    check_writable(output)
    trained = require(load_model(model, device=device), "forecast", "forecast")
    if not trained.horizon_:
        raise InputError(
            f"`forecast` needs a model with a horizon, but this {type(trained).__name__} has none; "
            "train it with `unspool fit --horizon N`."
        )
    loaded = reading.read(data, trained)
    source, index = loaded.source, loaded.index
    if isinstance(source, Windows) and not every:
        ends, size, missing = source.latest(), source.size, source.missing
        features = source.feature_names
        source = Windows(ends, size, short="keep", feature_names=features, missing=missing)
        index = {} if loaded.series_ids is None else {"id": np.asarray(loaded.series_ids)}
    values = trained.forecast(source).reshape(len(source), trained.horizon_, source.n_features)
    if len(source) > 1 and not index:
        index = {"sequence": np.arange(len(source))}
    count, steps, _ = values.shape
    columns = {name: np.repeat(column, steps) for name, column in index.items()}
    columns["ahead"] = np.tile(np.arange(1, steps + 1), count)
    names = names_of_features(source)
    named = {name: values[:, :, i].ravel() for i, name in enumerate(names)}
    quantiles = getattr(trained, "quantiles", ())
    if quantiles:
        spread = trained.predict_quantiles(source)
        for i, name in enumerate(names):
            for place, q in enumerate(quantiles):
                named[f"{name}_q{q:g}"] = spread[:, :, i, place].ravel()
        values = np.concatenate([values[..., None], spread], axis=3)
    write_table({**columns, **named}, output, array=values)
