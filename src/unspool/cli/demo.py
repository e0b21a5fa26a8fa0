"""`unspool demo`: complete experiments, from the data to the pictures."""

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLE = "unspool demo two_sines"


def demo(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="two_sines: codes of sine waves, and a classifier. ramp_composite: reconstruction "
            "and forecast of one short sequence. padded_sequences: three decoders, and generated "
            "sequences. forecast_in_numpy: a forecaster and its forward pass. digit_images: dense, "
            "stacked and convolutional models, and a classifier. moving_mnist: reconstruction and "
            "prediction of videos. machine_temperature: anomalies in a series.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FOLDER",
            help="Folder for models and pictures; unspool-demo/NAME by default.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Number of epochs; by default the number in the script of the demo."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    mnist: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder with the four files of MNIST, for digit_images and moving_mnist; by "
            "default they use the small digits of scikit-learn.",
        ),
    ] = None,
) -> None:
    """Run an experiment: data, training, results, pictures and the model.

    Each experiment is one script that can be copied and changed; they are in the folder `examples`
    of the repository.
    """
    from unspool import _checks, demos
    from unspool.errors import InputError
    from unspool.training.interruption import not_interruptible

    _checks.raise_all(
        _checks.whole("--epochs", epochs, 1, none=True), _checks.whole("--seed", seed, 0)
    )
    main = demos.load(name).main
    given: dict[str, Any] = {"epochs": epochs, "mnist": mnist}
    given = {key: value for key, value in given.items() if value is not None}
    for key in given:
        if key not in inspect.signature(main).parameters:
            raise InputError(f"The demo {name!r} has no --{key}; leave it out.")
    with not_interruptible():  # a demo needs all of its models
        main(output or Path("unspool-demo") / name, random_state=seed, **given)
