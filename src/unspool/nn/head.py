"""The head: the dense layers that decoders and classifiers end with."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Generator, Tensor, nn

from unspool._types import ActivationName
from unspool.blueprint.activations import Activation
from unspool.nn.dense import Dense, make_activation


class Head(nn.Sequential):
    """Dense layers that map hidden states to outputs, applied to every step separately.

    The layers of `units` use `activation`; one more layer, with `output_activation`, returns the
    outputs.

    Parameters
    ----------
    inputs : int
        Size of an input vector.
    outputs : int
        Number of outputs per step.
    units : sequence of int or None, default ()
        Sizes of the layers before the output layer. None removes the output layer too, so that the
        head has no layers and returns its input; `inputs` must then equal `outputs`.
    steps : int, optional
        Number of steps to make from one vector. Default: one step, without an axis for steps.
    activation : {"linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax"}, default "relu"
        Activation of the layers of `units`.
    output_activation : str or MixedActivation, default "linear"
        Activation of the output layer; accepts the same names as `activation`. "softmax" is over
        the features of a step. A `MixedActivation` of `unspool.blueprint` has one for each feature.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Raises
    ------
    InputError
        If an activation is unknown.

    See Also
    --------
    LSTMDecoder, DenseDecoder : Decoders that end with a head.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import Head
    >>> Head(16, 3, units=[8])(torch.zeros(2, 10, 16)).shape
    torch.Size([2, 10, 3])
    >>> Head(16, 3, steps=10)(torch.zeros(2, 16)).shape
    torch.Size([2, 10, 3])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        units: Sequence[int] | None = (),
        steps: int | None = None,
        activation: ActivationName = "relu",
        output_activation: Activation = "linear",
        generator: Generator | None = None,
    ) -> None:
        widths = [inputs]
        if units is not None:
            widths += [*units, outputs * (1 if steps is None else steps)]
        layers: list[nn.Module] = []
        for i, (wide, narrow) in enumerate(pairwise(widths), 2):
            name = output_activation if i == len(widths) else activation
            layers += [Dense(wide, narrow, generator), make_activation(name)]
        if steps is not None:  # before the activation, since softmax is over features of a step
            position = len(layers) - 1 if layers else 0
            layers.insert(position, nn.Unflatten(-1, (steps, outputs)))
        super().__init__(*layers)

    def forward(self, states: Tensor) -> Tensor:
        """Apply the layers.

        Parameters
        ----------
        states : tensor of shape (B, T, inputs) or (B, inputs)
            Hidden states, or single vectors.

        Returns
        -------
        tensor of shape (B, T, outputs) or (B, outputs)
            With `steps`, each vector becomes (steps, outputs) instead of (outputs,).
        """
        # LSTM backends store states time-major, so that `states` is often a transposed view. The
        # layers treat all steps alike: transposing back avoids a copy.
        time_major = states.ndim == 3 and not states.is_contiguous()
        features = states.transpose(0, 1) if time_major else states
        for layer in self:
            features = layer(features)
        return features.transpose(0, 1) if time_major else features
