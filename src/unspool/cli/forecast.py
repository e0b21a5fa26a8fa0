"""`unspool forecast`: what comes after the end of series or sequences."""

from typing import Annotated

import numpy as np
import typer

from unspool.cli.options import Data, Device, Model, Output, Reading, able, load_model, reads_data

EXAMPLE = "unspool forecast etth1.unspool ETTh1.csv -o next_day.csv"


@reads_data
def forecast(
    model: Model,
    data: Data,
    output: Output = None,
    every: Annotated[
        bool,
        typer.Option("--every", help="After every window of a long series, not the last alone."),
    ] = False,
    device: Device = "auto",
    *,
    reading: Reading,
) -> None:
    """Write the steps that come after DATA, a row for each, in the units of the data.

    They come after the end of every series, made from its last window, or of every sequence. The
    column `ahead` counts them from 1. The model has to be one trained with a horizon. Quantiles
    (`--set quantiles=[0.1,0.5,0.9]` in fit) are columns of their own, NAME_q0.1 and so on. An .npy
    file has the features alone, (N, K, F), or with their quantiles behind them, (N, K, F, 1 + Q).
    """
    from unspool.data.windows import Windows
    from unspool.data.write import check_writable, write_table

    check_writable(output)
    trained = able(load_model(model, device=device), "forecast")
    loaded = reading.read(data, trained)
    source, index = loaded.source, loaded.index
    if isinstance(source, Windows) and not every:
        ends = [one[-source.size :] for one in source.series]
        source = Windows(ends, source.size, short="keep", feature_names=source.feature_names)
        index = {} if loaded.series_ids is None else {"id": np.asarray(loaded.series_ids)}
    values = trained.forecast(source).reshape(len(source), trained.horizon_, source.n_features)
    if len(source) > 1 and not index:
        index = {"sequence": np.arange(len(source))}
    count, steps, _ = values.shape
    columns = {name: np.repeat(column, steps) for name, column in index.items()}
    columns["ahead"] = np.tile(np.arange(1, steps + 1), count)
    names = source.feature_names or [f"feature_{i}" for i in range(source.n_features)]
    named = {name: values[:, :, i].ravel() for i, name in enumerate(names)}
    quantiles = getattr(trained, "quantiles", ())
    if quantiles:
        spread = trained.predict_quantiles(source)
        for i, name in enumerate(names):
            for place, q in enumerate(quantiles):
                named[f"{name}_q{q:g}"] = spread[:, :, i, place].ravel()
        values = np.concatenate([values[..., None], spread], axis=3)
    write_table({**columns, **named}, output, array=values)
