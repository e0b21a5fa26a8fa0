from ._digits import load_digits as load_digits
from ._machine_temperature import MachineTemperature as MachineTemperature
from ._machine_temperature import load_machine_temperature as load_machine_temperature
from ._mnist import fetch_mnist as fetch_mnist
from ._mnist import load_mnist as load_mnist
from ._moving_digits import make_moving_digits as make_moving_digits
from ._moving_ones import make_moving_ones as make_moving_ones
from ._ramp import make_ramp as make_ramp
from ._sines import make_noisy_sine as make_noisy_sine
from ._sines import make_sine_classes as make_sine_classes
from ._sines import make_sine_forecasts as make_sine_forecasts
from ._train_test import TrainTest as TrainTest

__all__: list[str]
