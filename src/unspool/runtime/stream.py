"""`Stream`: a trained model that reads series step by step."""

import copy
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from unspool import _checks, _collect
from unspool._loss_parameter import Loss, LossFunction
from unspool._types import PerNewestStep, RuntimeBackendName
from unspool.data.frames import names_of
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.errors import InputError
from unspool.model_file import Contents
from unspool.runtime.backends import kernels
from unspool.runtime.cells import CELLS
from unspool.runtime.decoders import Forecaster
from unspool.runtime.encoders import Encoder, LSTMEncoder
from unspool.runtime.kernels import RunningKernels
from unspool.runtime.pooling import RunningPool
from unspool.runtime.recurrence import Array, BatchLengths, State

if TYPE_CHECKING:
    from unspool.runtime.compiled_steps import CompiledSteps

Reconstruct = Callable[[Array, BatchLengths], Array]


class Stream:
    """A trained model that reads one series, or several in parallel, step by step.

    `Model.stream` makes a stream. After t steps, its code and its forecast are those of the whole
    sequence of t steps. Every step costs the same time and memory.

    Parameters
    ----------
    contents : Contents
        The trained model as plain data.
    encoder : encoder of the runtime
        The encoder of the model.
    decoders : mapping of str to decoder of the runtime
        The decoders of the model for forecasts, by their names.
    series : int, optional
        Number of series that are read in parallel; by default one, whose steps have no axis for
        the series.
    reconstruct : callable, optional
        Called with sequences (series, T, F), scaled, and their lengths; returns their
        reconstructions (series, T, F_out). Only `reconstruction_error` needs it.
    loss : str, LossByFeature or LossFunction, optional
        Loss of `reconstruction_error`, by default that of the contents.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes the steps, as for `Model`.

    Attributes
    ----------
    steps : int
        Number of steps read since the start.

    Raises
    ------
    InputError
        If the encoder is not an LSTM, or also reads sequences from their end.

    See Also
    --------
    Model.stream : Make a stream.
    DetectorStream : An anomaly detector that reads a series step by step.

    Notes
    -----
    If the encoder reads patches, an incomplete patch is read again with each of its steps.

    A model that normalises sequences (`normalization` of `LSTMForecaster`) encodes its last steps
    again at every step. It encodes at most the length of the longest training
    sequence, and code and forecast belong to these steps alone.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import LSTMForecaster, runtime
    >>> X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])
    >>> trained = LSTMForecaster(8, horizon=4, epochs=2, random_state=0).fit(X)
    >>> stream = runtime.Model(trained.contents()).stream()
    >>> for value in X[0]:
    ...     code = stream.push([value])
    >>> code.shape, stream.forecast().shape
    ((8,), (4, 1))
    """

    def __init__(
        self,
        contents: Contents,
        encoder: Encoder,
        decoders: Mapping[str, Forecaster],
        series: int | None = None,
        reconstruct: Reconstruct | None = None,
        loss: Loss | None = None,
        *,
        backend: RuntimeBackendName = "auto",
    ) -> None:
        _checks.raise_all(_checks.whole("series", series, 1, none=True))
        if not isinstance(encoder, LSTMEncoder) or encoder.part.lstm.bidirectional:
            raise InputError(
                "A stream needs an LSTM encoder that reads in one direction, bidirectional=False; "
                f"this {contents.model} has another."
            )
        if encoder.convolutions is not None:
            raise InputError(
                "A stream needs an LSTM encoder that reads each step when it comes, and this one "
                "reads the outputs of convolutions (`conv_filters`); encode whole sequences, or "
                "fit with conv_filters=()."
            )
        if contents.scaler.normalization != "none":
            raise InputError(
                "A stream cannot normalise a sequence before its end, and this model normalises "
                "each sequence (`normalization`); encode whole sequences, or fit with "
                "normalization='none'."
            )
        self._encoder, self._decoders, self._reconstruct = encoder, decoders, reconstruct
        self._form = contents.form
        self._model, self._loss = contents.model, loss
        if loss is None and reconstruct is not None:
            self._loss = contents.loss
        self._longest = max(1, contents.facts.max_length)
        self._scaler, self._features = contents.scaler, contents.facts.n_features
        self._names, self._kept = contents.feature_names, 0
        if encoder.part.normalization != "none":
            self._kept = self._longest
        elif contents.blueprint.skip is not None:
            self._kept = contents.blueprint.skip.steps
        self._series, self._size = series, series or 1
        self._compiled = self._compiled_steps(encoder, backend)
        self._reads_float32 = self._scaler.has_digits(np.dtype(np.float32))
        self.reset()

    def reset(self) -> None:
        """Forget all steps and start again."""
        kept = self._kept if self._reconstruct is None else max(self._kept, self._longest)
        self._recent: deque[Array] = deque(maxlen=kept)  # scaled, each (series, F)
        self.steps = 0
        self._begin()

    def _compiled_steps(
        self, encoder: LSTMEncoder, backend: RuntimeBackendName
    ) -> "CompiledSteps | None":
        """Return the encoder in a compiled kernel, if it can be used and serves the stream."""
        module = kernels(backend, "compiled_steps")
        if module is None or self._series is not None or not module.CompiledSteps.serves(encoder):
            return None
        steps: CompiledSteps = module.CompiledSteps(encoder, self._scaler)
        return steps

    @property
    def backend(self) -> Literal["compiled", "numpy"]:
        """What computes a step.

        NumPy also computes the steps of several series, of models that accept missing values, and
        of models that normalise sequences; their layers may still be compiled.
        """
        return "numpy" if self._compiled is None else "compiled"

    def _begin(self) -> None:
        """Reset the encoder to the start of a sequence."""
        if self._compiled is not None:
            self._compiled.begin()
            return
        which = 0 if self._size == 1 else slice(None)  # vectors for one series, as in `Layer.run`
        layers = [layer for (layer,) in self._encoder.lstm.layers]
        self._cells = [CELLS[layer.cell].of(layer, self._size).cut(which) for layer in layers]
        self._pool = RunningPool(self._encoder.part.statistics)
        kernels = self._encoder.kernels
        self._kernels = None if kernels is None else RunningKernels(kernels, self._size)
        self._patch_size = self._encoder.part.patch_size
        width = self._encoder.part.n_inputs
        self._patch = np.zeros((self._patch_size, width, self._size), np.float32)
        self._read_steps = 0

    def push(self, step: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Read the next step.

        Parameters
        ----------
        step : array of shape (F,), or (series, F)
            The values in the units of the data. A row of a pandas frame must have the features in
            the order of training. If the model was trained with ``missing="mask"``, NaN is a
            missing value.

        Returns
        -------
        array of shape (L,), or (series, L), float32
            The code of all steps so far.

        Raises
        ------
        InputError
            If the step has another shape, or contains infinity, or NaN for a model that does not
            accept missing values; it is then not read.
        """
        if self._compiled is not None:
            code = self._push_compiled(step)
            if code is not None:
                return code
        named = names_of(tuple(getattr(step, "keys", tuple)()))  # names in a row of a frame
        if named and self._names and named != self._names:
            raise InputError(
                f"Expected the features {', '.join(self._names)}, in this order, got "
                f"{', '.join(named)}; order them as in `fit`."
            )
        values = as_floats(step, "a step")
        shape = (self._features,) if self._series is None else (self._series, self._features)
        if values.shape != shape:
            raise InputError(f"Expected a step of shape {shape}, got {values.shape}.")
        bad = ~np.isfinite(values) if self._encoder.fill is None else np.isinf(values)
        if bad.any():
            place = np.argwhere(bad)[0]
            feature = self._names[place[-1]] if self._names else int(place[-1])
            raise InputError(
                f"The step holds {values[tuple(place)]} at feature {feature!r}; leave it out, or "
                "push the last value again."
            )
        x = self._scaler.apply(values)
        if self._compiled is not None:
            code = self._push_compiled(values)
            assert code is not None
            return code
        self._recent.append(x.reshape(self._size, self._features))
        encoder, x = self._encoder, self._scaler.limit(x)
        if self._kernels is not None:
            self._kernels.add(encoder.filled(x).reshape(self._size, -1))
        if encoder.part.normalization == "none":
            self._read(encoder.marked(x))
        else:
            self._begin()
            recent, lengths = self._sequence(self._kept)
            read = encoder.read(self._scaler.limit(recent), lengths)
            for one in read.transpose(1, 0, 2):
                self._read(one if self._series else one[0])
        self.steps += 1
        return self._shaped(self._code())

    def _push_compiled(self, step: Any) -> Array | None:
        """Read a step in the compiled kernel, unless it has to be checked."""
        assert self._compiled is not None
        if type(step) is list or type(step) is tuple:
            try:
                step = np.array(step)
            except ValueError:  # such as lists of different lengths
                return None
        if type(step) is not np.ndarray or step.shape != (self._features,):
            return None
        if step.dtype == np.float64:
            if not step.flags.carray:  # Numba would compile the kernel again for such arrays
                step = step.copy()
        elif step.dtype == np.float32 and self._reads_float32:
            step = step.astype(np.float64)
        else:
            return None
        found = self._compiled.push(step)
        if found is None:
            return None
        code, scaled = found
        if self._recent.maxlen:
            self._recent.append(scaled[None])
        self.steps += 1
        return code

    def _read(self, x: Array) -> None:
        """Read a step (F,), or (series, F), as the LSTM reads it: scaled, with indicators."""
        x = x.T
        if self._patch_size > 1:
            x = self._in_patch(x)
        for cells in self._cells:
            cells.step(x.reshape(cells.read.shape))
            x = cells.h
        self._pool.add(x)
        self._read_steps += 1

    def _sequence(self, most: int) -> tuple[Array, BatchLengths]:
        """Return the last steps, at most `most`, scaled, (series, T, F), and their lengths."""
        count = min(most, len(self._recent))
        steps = np.zeros((self._size, count, self._features), np.float32)
        for place, one in enumerate(islice(self._recent, len(self._recent) - count, None)):
            steps[:, place] = one
        return steps, BatchLengths(np.full(self._size, count), count)

    def _in_patch(self, x: Array) -> Array:
        """Add a step to the patch, and reset the encoder to its state before the patch."""
        place = self._read_steps % self._patch_size
        if place == 0:
            self._patch[:] = 0
            self._before = self._states(), copy.deepcopy(self._pool)
        before, pool = self._before
        for depth, cells in enumerate(self._cells):
            for own, earlier in zip(cells.states, before, strict=True):
                own[...] = earlier[depth].reshape(own.shape)
        self._pool = copy.deepcopy(pool)
        self._patch[place] = x.reshape(-1, self._size)
        return self._patch

    @property
    def state(self) -> tuple[Array | list[Array], ...]:
        """Hidden and cell state (h, c) of all layers, each (layers, H) or (layers, series, H).

        A GRU has no cell state: its state is (h,). If the layers have different units, h and c are
        lists with an array (H,) or (series, H) for each layer.
        """
        states = ([self._shaped(layer.T) for layer in each] for each in self._states())
        if len(set(self._encoder.part.lstm.units)) > 1:
            return tuple(states)
        return tuple(np.stack(each) for each in states)

    @property
    def code(self) -> npt.NDArray[np.float32]:
        """The code of all steps so far, array of shape (L,) or (series, L)."""
        return self._shaped(self._code())

    def forecast(self, future: Any = None) -> FloatArray:
        """Forecast the next steps.

        Parameters
        ----------
        future : array of shape (K, n_known), or (series, K, n_known), optional
            The features that are known ahead at the next K steps, for a model that was trained
            with such features.

        Returns
        -------
        array of shape (K, F_out), or (series, K, F_out)
            Forecasts in the units of the data.

        Raises
        ------
        InputError
            If the model does not forecast, or its decoder reads the input in addition to the code.
        """
        ahead = self._decoders.get("forecast")
        if ahead is None or ahead.decoder.needs_input:
            raise InputError(
                "This model does not forecast from the code alone; train one with `horizon` and a "
                "decoder other than 'reversed_input'."
            )
        return self._ahead(ahead, future)

    def quantiles(self, future: Any = None) -> FloatArray:
        """Forecast the quantiles of the next steps.

        Parameters
        ----------
        future : array of shape (K, n_known), or (series, K, n_known), optional
            The features that are known ahead at the next K steps, for a model that was trained
            with such features.

        Returns
        -------
        array of shape (K, F_out, Q), or (series, K, F_out, Q)
            Quantiles in the units of the data, in the order of the parameter `quantiles`.

        Raises
        ------
        InputError
            If the model was trained without `quantiles`.
        """
        if "quantiles" not in self._decoders:
            raise InputError("This model has no quantiles; train one with `quantiles`.")
        return self._ahead(self._decoders["quantiles"], future)

    def _ahead(self, forecaster: Forecaster, future: Any) -> FloatArray:
        """Return a forecast from the steps so far."""
        x, lengths = self._sequence(self._kept)
        read = Sequences(x, lengths.lengths, missing=self._form.missing)
        source = self._form.with_known(read, future, forecaster.horizon)
        known = None
        if isinstance(source, Futures):
            assert source.future is not None
            _, known = source.scaled(source.future, self._scaler)
        return np.asarray(self._shaped(forecaster(self._code(), x, lengths, None, known)))

    def reconstruction_error(self, *, per: PerNewestStep = "step") -> FloatArray:
        """Compute the error of the newest step in the reconstruction of the sequence so far.

        The sequence is that of all steps so far. If they are more than the longest sequence in
        training had, W steps, it is that of the last W steps. The model encodes and decodes it
        anew, so the cost is that of reconstructing one sequence, and it does not grow after W
        steps.

        Parameters
        ----------
        per : "step" or ("step", "feature"), default "step"
            Whether to return the mean over features, or one error for each feature.

        Returns
        -------
        array of shape () or (series,); with features (F,) or (series, F)
            Errors by the loss of training, in scaled units: those of the last step that
            `Model.reconstruction_error` returns for the sequence with the same `per`. NaN before
            the first step.

        Raises
        ------
        InputError
            If the model does not reconstruct, or if errors by feature are requested and the loss is
            "categorical_crossentropy", which has one value for all features of a step.

        Notes
        -----
        If a model was trained on windows of W steps, the first W - 1 errors are those of shorter
        sequences, which it has not seen in training. They are usually larger.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import LSTMAutoencoder, runtime
        >>> X = np.random.default_rng(0).normal(size=(40, 10, 3))
        >>> trained = LSTMAutoencoder(
        ...     4, bidirectional=False, epochs=1, random_state=0, verbose=0
        ... ).fit(X)
        >>> stream = runtime.Model(trained.contents()).stream()
        >>> for step in X[0]:
        ...     code = stream.push(step)
        >>> stream.reconstruction_error(per=("step", "feature")).shape
        (3,)
        """
        if self._reconstruct is None or self._loss is None:
            raise InputError(
                f"This {self._model} has no decoder for a reconstruction; train an LSTMAutoencoder "
                "with bidirectional=False."
            )
        _collect.check_per(per, _collect.PER_NEWEST_STEP)
        measure = _collect.error_function(per, self._loss)
        targets = self._form.targets
        if not self.steps:
            features = (self._form.n_outputs,) if _collect.has_features(per) else ()
            return np.asarray(self._shaped(np.full((self._size, *features), np.nan)))
        x, lengths = self._sequence(self._longest)
        reconstruction = self._reconstruct(x, lengths)
        written = x if targets is None else x[..., list(targets)]
        if isinstance(self._loss, LossFunction):  # it may depend on the steps before
            return np.asarray(self._shaped(measure(reconstruction, written)[:, -1]))
        last = written[:, -1:]
        return np.asarray(self._shaped(measure(reconstruction[:, -1:], last)[:, 0]))

    def _code(self) -> Array:
        if self._compiled is not None:
            return self._compiled.code()[None]
        last = self._encoder.of_state(self._states())
        features = self._pool.pooled(last)
        if self._kernels is not None:
            features = np.concatenate([features, self._kernels.means], axis=1)
        return self._encoder.code(features)

    def _states(self) -> State:
        """h and c (of a GRU only h) of all layers, copies (H, series)."""
        if self._compiled is not None:
            return self._compiled.states()
        by_layer = (
            [state.reshape(-1, self._size).copy() for state in cells.states]
            for cells in self._cells
        )
        return tuple(zip(*by_layer, strict=True))

    def _shaped(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values[0] if self._series is None else values
