"""`ConvAutoencoder`: images, and sequences in one dimension, through convolutions and pools."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from unspool import _checks
from unspool.blueprint import Facts
from unspool.blueprint.parts import sizes
from unspool.data.convert import Source, axes_of, whole_rows
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError
from unspool.estimators.autoencoding import BaseAutoencoder, Unwind
from unspool.model_file import Contents
from unspool.model_file.contents import image_shape
from unspool.nn import Autoencoder
from unspool.nn.conv_encoder import ConvEncoder

LARGE = 16  # side of a kernel or a pool that may be larger than the images


class ConvAutoencoder(BaseAutoencoder):
    """Autoencoder of convolutions and pools, for images and for sequences.

    An array ``X`` of shape (N, H, W, C) is images. With `image_shape` so are (N, H, W) and a
    table (N, H · W · C), array or frame. Anything else is what `LSTMAutoencoder` takes: sequences
    (N, T, F), with convolutions over their steps. They may be of unequal length (and are filled
    up with zeros), but none longer than the longest that `fit` saw.

    Parameters
    ----------
    latent_dim : int or None, default 32
        Length of the code, L, which dense layers lead to and from. None makes the last map the
        code, flattened from (H, W, filters).
    filters : sequence of int, default (32,)
        Channels after each convolution of the encoder, with a pool after each; the decoder has
        them in reverse, and enlarges where the encoder pools.
    kernel_size : int, default 3
        Pixels or steps that a convolution reads, in each direction.
    pool_size : int, default 2
        Pixels or steps that a pool makes one, in each direction; 1 for no pools. Sizes that do
        not divide are rounded up.
    activation : str, default "relu"
        After each convolution: "linear", "relu", "tanh", "sigmoid", "elu", "gelu" or "softmax".
    output_activation : str, default "linear"
        After the last one; bounded ones need data scaled to their range.
    image_shape : (H, W) or (H, W, C), optional
        Of the images in tables or (N, H, W).
    loss : str, default "mse"
        "mse", "mae", "huber", or "binary_crossentropy" for values in 0–1 (scaling="none" or
        "minmax"); means over values, in scaled units.
    metrics, input_noise, input_dropout, code_l1, kl_weight
        As for `LSTMAutoencoder`; `input_dropout` is of pixels.
    optimizer : str, default "adam"
        As for `LSTMAutoencoder`.
    learning_rate : float or None, default 0.002
        Above 0; None is Keras's default for the optimizer.
    global_clipnorm : float or None, default 1.0
        Largest norm of all gradients together.
    batch_size : int, default 32
    learning_rate_schedule, epochs, steps_per_epoch, validation_split, validation_steps, patience
        As for `LSTMAutoencoder`.
    scaling : {"standard", "minmax", "none"}, default "standard"
        Per feature, for images per channel; inside the model, and undone on the way out.
    random_state, device, verbose
        As for `LSTMAutoencoder`.

    Notes
    -----
    What a convolution gives depends a little on the size of the batch: codes of a sequence or image
    alone and among others agree to about 1e-6 of the largest. All other models give the same.

    Attributes
    ----------
    image_shape_ : (H, W, C), or None for sequences
    history_, encoder_, decoder_, module_, scaler_, max_length_, n_features_in_
        As for `LSTMAutoencoder`; an image counts as a sequence of H · W pixels with C features.

    Source: the article "Autoencoders", its convolutional model, which is ``latent_dim=None`` with
    ``output_activation="relu"`` and ``loss="binary_crossentropy"``.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import ConvAutoencoder
    >>> images = np.random.default_rng(0).uniform(size=(40, 6, 5, 3)).cumsum(axis=1)
    >>> model = ConvAutoencoder(latent_dim=4, filters=(8,), epochs=20, random_state=0).fit(images)
    >>> model.transform(images).shape, model.reconstruct(images).shape
    ((40, 4), (40, 6, 5, 3))
    >>> model.feature_maps(images).shape
    (40, 8, 6, 5)
    """

    def __init__(
        self,
        latent_dim: int | None = 32,
        *,
        filters: Sequence[int] = (32,),
        kernel_size: int = 3,
        pool_size: int = 2,
        activation: str = "relu",
        output_activation: str = "linear",
        image_shape: Sequence[int] | None = None,
        loss: str = "mse",
        metrics: Sequence[str] = (),
        input_noise: float = 0.0,
        input_dropout: float = 0.0,
        code_l1: float = 0.0,
        kl_weight: float | None = None,
        optimizer: str = "adam",
        learning_rate: float | None = 2e-3,
        learning_rate_schedule: str = "cosine",
        global_clipnorm: float | None = 1.0,
        batch_size: int = 32,
        epochs: int | str = "auto",
        steps_per_epoch: int | None = None,
        validation_split: float | str = "auto",
        validation_steps: int | None = None,
        patience: int | str | None = "auto",
        scaling: str = "standard",
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 1,
    ) -> None:
        self.latent_dim = latent_dim
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.activation = activation
        self.output_activation = output_activation
        self.image_shape = image_shape
        self.loss = loss
        self.metrics = metrics
        self.input_noise = input_noise
        self.input_dropout = input_dropout
        self.code_l1 = code_l1
        self.kl_weight = kl_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_schedule = learning_rate_schedule
        self.global_clipnorm = global_clipnorm
        self.batch_size = batch_size
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.validation_split = validation_split
        self.validation_steps = validation_steps
        self.patience = patience
        self.scaling = scaling
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def feature_maps(self, X: Any, layer: int = 0) -> npt.NDArray[np.float32]:
        """What a convolution of the encoder makes of `X`, before the pool.

        Parameters
        ----------
        X : as for `fit`
        layer : int, default 0
            Which convolution, counted from the input.

        Returns
        -------
        array of shape (N, filters, H, W), or (N, filters, T) for sequences
            H, W and T as large as the pools before that convolution leave them; NaN past the end
            of a sequence.
        """
        source = self._read(X)
        encoder = cast(ConvEncoder, self.module_.encoder)
        depth = len(encoder.convolutions)
        _checks.raise_all(_checks.whole("layer", layer, 0))
        if layer >= depth:
            raise InputError(f"`layer` must be below {depth}, the convolutions, got {layer}.")
        size = sizes(encoder.shape, encoder.pool.kernel_size, layer)[-1]
        filters, pool = self._parameters["filters"], self._parameters["pool_size"]
        maps = np.empty((len(source), filters[layer], *size), np.float32)
        outputs = self._outputs(source, lambda one: encoder.feature_maps(one.x, one.lengths, layer))
        for indices, _, found in outputs:
            maps[indices] = found.transpose(0, 3, 1, 2)
        if self.image_shape_ is not None:
            return maps
        lengths = source.lengths_of(np.arange(len(source)))
        past = np.arange(size[0]) >= -(-lengths // pool**layer)[:, None]
        return np.where(past[:, None], np.float32(np.nan), maps[..., 0])

    def reconstruction_error(self, X: Any, *, per: str = "sequence", merge: bool = False) -> Any:
        """How far reconstructions are from their input, as `LSTMAutoencoder` has it.

        Parameters
        ----------
        X : as for `fit`
        per : {"sequence", "step"}, default "sequence"
            Of an image or sequence, or of each of its pixels or steps.
        merge : bool, default False
            For `Windows`, as for `LSTMAutoencoder`.

        Returns
        -------
        array of shape (N,), or per step (N, H, W) or (N, T)
        """
        errors = super().reconstruction_error(X, per=per, merge=merge)
        if per == "step" and self.image_shape_ is not None:
            return errors.reshape(-1, *self.image_shape_[:2])
        return errors

    def _see(self, axes: tuple[int, ...]) -> None:
        """Note the form of what `fit` is given, by its axes but for N."""
        self.image_shape_ = image_shape(self.image_shape, axes)
        self._axes = axes if self.image_shape_ is not None else None

    @property
    def _reads_rows(self) -> bool:
        return self.image_shape_ is not None

    def _prepared(self, values: Source | FloatArray) -> Source | FloatArray:
        """Images as (N, H · W, C); tables as they are where `fit` saw one."""
        axes = axes_of(values)
        if not self.__sklearn_is_fitted__():  # it is `fit` that asks
            self._see(axes)
        if self.image_shape_ is None or len(axes) == len(self._axes or ()) == 1:
            return values
        height, width, channels = self.image_shape_
        self._check_axes(axes)
        assert isinstance(values, np.ndarray)
        return values.reshape(-1, height * width, channels)

    def _arranged(self, source: Source, table: bool) -> Source:
        if self.image_shape_ is None:
            return source
        height, width, channels = self.image_shape_
        values = whole_rows(source)
        if table:
            self._check_axes(values.shape[1:2])
        return Sequences(values.reshape(len(values), height * width, channels))

    def _check_axes(self, axes: tuple[int, ...]) -> None:
        height, width, channels = self.image_shape_ or ()
        forms = [(height, width, channels), (height * width * channels,), (height, width)]
        if axes in forms[: 3 if channels == 1 else 2]:
            return
        got = f"shape (N, {', '.join(map(str, axes))})" if axes else "something else"
        raise InputError(
            f"Expected images as (N, {height}, {width}, {channels}), or a table (N, "
            f"{height * width * channels}), got {got}; images of another shape need a model of "
            "their own (see `image_shape`)."
        )

    def _unwound(self, X: Any, lengths: npt.ArrayLike | None, unwind: Unwind) -> FloatArray:
        if self.image_shape_ is not None and lengths is not None:
            raise InputError("Images are all of one size; leave `lengths` out.")
        return super()._unwound(X, lengths, unwind)

    def _as_given(self, values: FloatArray, X: Any = None) -> FloatArray:
        if self.image_shape_ is None:
            return super()._as_given(values, X)
        axes = self._axes if X is None else axes_of(X)
        assert axes is not None
        return values.reshape(len(values), *axes)

    def _recall(self, contents: Contents) -> None:
        axes = contents.fitted["axes"]
        self._see(tuple(axes or ()))
        if self.image_shape_ is not None:
            self._check_axes(self._axes or ())

    def _build(self, generator: torch.Generator) -> Autoencoder:
        side = max((self.max_length_, 1) if self.image_shape_ is None else self.image_shape_[:2])
        for name, most in (("kernel_size", max(LARGE, 2 * side)), ("pool_size", max(LARGE, side))):
            if getattr(self, name) > most:
                raise InputError(
                    f"`{name}` must be at most {most} for images or sequences of up to {side} "
                    f"pixels or steps a side, got {_checks.shown(getattr(self, name))}."
                )
        return super()._build(generator)

    def _facts(self) -> Facts:
        return super()._facts()._replace(image_shape=self.image_shape_)
