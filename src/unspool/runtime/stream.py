"""`Stream`: a trained model that reads one step at a time."""

import copy
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.frames import names_of
from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError
from unspool.model_file import Contents
from unspool.runtime.decoders import Ahead
from unspool.runtime.encoders import Encoder, LSTMEncoder
from unspool.runtime.kernels import RunningKernels
from unspool.runtime.pooling import RunningPool
from unspool.runtime.recurrence import Array, Cells, Ragged
from unspool.runtime.skip import normalised


class Stream:
    """What a model knows of a series so far; each step pushed costs the same.

    After t steps, code and forecast are those of the whole sequence of t steps. Where the encoder
    reads patches, a patch that is still incomplete is read again with each of its steps. A model
    that normalises sequences (the `normalization` of `LSTMForecaster`) encodes its last steps anew
    for each step pushed, as many as the longest sequence of training had, and code and forecast
    are those of the sequence of these. Made by `Model.stream`.

    Raises
    ------
    InputError
        For a model whose encoder is no LSTM, or reads backwards as well: it would have to know
        the end.

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
        decoders: Mapping[str, Ahead],
        series: int | None = None,
    ) -> None:
        _checks.raise_all(_checks.whole("series", series, 1, none=True))
        if not isinstance(encoder, LSTMEncoder) or encoder.part.lstm.bidirectional:
            raise InputError(
                "A stream needs an LSTM encoder that reads in one direction, bidirectional=False; "
                f"this {contents.model} has another."
            )
        self._encoder, self._decoders = encoder, decoders
        self._scaler, self._features = contents.scaler, contents.facts.n_features
        self._names, self._kept = contents.feature_names, 0
        if encoder.part.normalization != "none":
            self._kept = max(1, contents.facts.max_length)
        elif contents.blueprint.skip is not None:
            self._kept = contents.blueprint.skip.steps
        self._series, self._size = series, series or 1
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self._recent: deque[Array] = deque(maxlen=self._kept)  # scaled, each (series, F)
        self.steps = 0
        self._begin()

    def _begin(self) -> None:
        """Bring the encoder back to the start of a sequence."""
        which = 0 if self._size == 1 else slice(None)  # of one series vectors, as in `Layer.run`
        layers = [layer for (layer,) in self._encoder.lstm.layers]
        self._cells = [Cells.of(layer, self._size).cut(which) for layer in layers]
        self._pool = RunningPool(self._encoder.part.statistics)
        kernels = self._encoder.kernels
        self._kernels = None if kernels is None else RunningKernels(kernels, self._size)
        self._patch_size = self._encoder.part.patch_size
        self._patch = np.zeros((self._patch_size, self._features, self._size), np.float32)
        self._read_steps = 0

    def push(self, step: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Read the next step.

        Parameters
        ----------
        step : array of shape (F,), or (series, F)
            In the units of the data.

        Returns
        -------
        The code of all that was read, (L,) or (series, L).

        Raises
        ------
        InputError
            For a step of another shape, or with values that are not finite; it is not read.
        """
        named = names_of(tuple(getattr(step, "keys", tuple)()))  # of a row of a frame
        if named and self._names and named != self._names:
            raise InputError(
                f"Expected the features {', '.join(self._names)}, in this order, got "
                f"{', '.join(named)}; order them as in training."
            )
        values = as_floats(step, "a step")
        shape = (self._features,) if self._series is None else (self._series, self._features)
        if values.shape != shape:
            raise InputError(f"Expected a step of shape {shape}, got {values.shape}.")
        if not np.isfinite(values).all():
            place = np.argwhere(~np.isfinite(values))[0]
            feature = self._names[place[-1]] if self._names else int(place[-1])
            raise InputError(
                f"The step holds {values[tuple(place)]} at feature {feature!r}; leave it out, or "
                "push the last value again."
            )
        x = self._scaler.apply(values)
        self._recent.append(x.reshape(self._size, self._features))
        normalization = self._encoder.part.normalization
        if normalization == "none":
            self._read(x)
        else:
            self._begin()
            for one in normalised(*self._sequence(), normalization).transpose(1, 0, 2):
                self._read(one.reshape(x.shape))
        self.steps += 1
        return self._shaped(self._code())

    def _read(self, x: Array) -> None:
        """Let the encoder read a step (F,), or (series, F)."""
        if self._kernels is not None:
            self._kernels.add(x.reshape(self._size, -1))
        x = x.T
        if self._patch_size > 1:
            x = self._in_patch(x)
        for cells in self._cells:
            cells.step(x.reshape(cells.read.shape))
            x = cells.h
        self._pool.add(x)
        self._read_steps += 1

    def _sequence(self) -> tuple[Array, Ragged]:
        """The last steps, scaled, (series, T, F), and their number."""
        count = len(self._recent)
        steps = np.zeros((self._size, count, self._features), np.float32)
        for place, one in enumerate(self._recent):
            steps[:, place] = one
        return steps, Ragged(np.full(self._size, count), count)

    def _in_patch(self, x: Array) -> Array:
        """The patch of which `x` is the latest step; all is again as before the patch began."""
        place = self._read_steps % self._patch_size
        if place == 0:
            self._patch[:] = 0
            self._before = self._halves(), copy.deepcopy(self._pool)
        (h, c), pool = self._before
        for depth, cells in enumerate(self._cells):
            cells.h[...], cells.c[...] = (
                h[depth].reshape(cells.h.shape),
                c[depth].reshape(cells.c.shape),
            )
        self._pool = copy.deepcopy(pool)
        self._patch[place] = x.reshape(self._features, self._size)
        return self._patch

    @property
    def state(self) -> tuple[Array, Array]:
        """h and c of all layers, each (layers, H), or (layers, series, H)."""
        h, c = (each.transpose(0, 2, 1) for each in self._halves())
        return (h[:, 0], c[:, 0]) if self._series is None else (h, c)

    @property
    def code(self) -> npt.NDArray[np.float32]:
        """The code of all that was read, (L,) or (series, L)."""
        return self._shaped(self._code())

    def forecast(self) -> FloatArray:
        """What comes next, (K, F) or (series, K, F), in the units of the data.

        Raises
        ------
        InputError
            For a model without a forecast, or whose forecast reads the input again.
        """
        ahead = self._decoders.get("forecast")
        if ahead is None or ahead.decoder.needs_input:
            raise InputError(
                "This model has no forecast made of the code alone; train one with `horizon`, and "
                "a decoder other than 'reversed_input'."
            )
        return np.asarray(self._shaped(ahead(self._code(), *self._sequence())))

    def quantiles(self) -> FloatArray:
        """The quantiles of what comes next, (K, F, Q) or (series, K, F, Q).

        Raises
        ------
        InputError
            For a model without `quantiles`.
        """
        if "quantiles" not in self._decoders:
            raise InputError("This model has no quantiles; train one with `quantiles`.")
        values = self._decoders["quantiles"](self._code(), *self._sequence())
        return np.asarray(self._shaped(values))

    def _code(self) -> Array:
        last = self._encoder.of_state(*self._halves())
        features = self._pool.pooled(last)
        if self._kernels is not None:
            features = np.concatenate([features, self._kernels.means], axis=1)
        return self._encoder.code(features)

    def _halves(self) -> tuple[Array, Array]:
        """h and c of all layers, copies (layers, H, series)."""
        shape = (len(self._cells), -1, self._size)
        h = np.array([cells.h for cells in self._cells]).reshape(shape)
        return h, np.array([cells.c for cells in self._cells]).reshape(shape)

    def _shaped(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values[0] if self._series is None else values
