"""What unspool raises and warns of; every message says what was expected, what came, what to do."""


class UnspoolError(Exception):
    """Base of every error that unspool raises on purpose."""


class InputError(UnspoolError, ValueError):
    """Data, a parameter or a file that cannot be used as it is."""


class ModelFileError(UnspoolError, ValueError):
    """A model file that is missing, damaged, not one, or of another format version."""


class DivergedError(UnspoolError, ArithmeticError):
    """Training whose loss became infinite or not a number."""


class NoBetterThanMeanWarning(UserWarning):
    """A trained model that reconstructs no better than the mean sequence would."""


class UnstableTrainingWarning(UserWarning):
    """Training that blew up and went on from earlier weights with a lower learning rate."""


class ParametersChangedWarning(UserWarning):
    """A model saved with its parameters of the fit, which `set_params` has changed since."""


class ThresholdWarning(UserWarning):
    """A threshold from too few independent scores for the false alarm rate asked for."""
