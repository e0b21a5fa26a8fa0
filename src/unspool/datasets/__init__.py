"""Data sets for examples, tests and experiments.

As in scikit-learn, `make_…` generates data, `load_…` reads data that is on the disk, and `fetch_…`
downloads it. The generators and `load_mnist` need NumPy alone.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "MachineTemperature": "_machine_temperature",
        "TrainTest": "_train_test",
        "fetch_mnist": "_mnist",
        "load_digits": "_digits",
        "load_machine_temperature": "_machine_temperature",
        "load_mnist": "_mnist",
        "make_moving_digits": "_moving_digits",
        "make_moving_ones": "_moving_ones",
        "make_noisy_sine": "_sines",
        "make_ramp": "_ramp",
        "make_sine_classes": "_sines",
        "make_sine_forecasts": "_sines",
    },
)
