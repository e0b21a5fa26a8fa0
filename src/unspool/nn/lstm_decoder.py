"""The decoder with LSTM or GRU layers; `DECODERS` lists its variants."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from unspool import _checks
from unspool._padding import reverse_within
from unspool._types import ActivationName, LSTMDecoderName
from unspool.blueprint.activations import Activation
from unspool.blueprint.layers import DECODERS, WAVES, patches_of
from unspool.errors import InputError
from unspool.nn.decoder import Decoder, TeacherForcing, check_known
from unspool.nn.dense import Dense
from unspool.nn.head import Head
from unspool.nn.lstm_layer import Cell
from unspool.nn.lstm_stack import LSTM, LayerStates
from unspool.nn.patches import lengths_in_patches, patch_positions, patched, unpatched
from unspool.nn.sampling import bernoulli


class LSTMDecoder(Decoder):
    """Decode codes with LSTM or GRU layers and a head that is applied to every step.

    ======================== ================================ ==================================
    name                     how the code enters              what else is read at each step
    ======================== ================================ ==================================
    ``repeat``               repeated at every step           nothing
    ``reversed_input``       repeated at every step           the reversed input
    ``previous``             repeated at every step           the previous step: the true one in
                                                              training (teacher forcing), then
                                                              the decoder's own output
    ``state``                initial h and c                  nothing
    ``state_repeat``         initial h and c, and repeated    nothing
                             at every step
    ``state_reversed_input`` initial h and c                  the reversed input
    ``state_previous``       initial h and c                  the previous step
    ``reshape``              split into one piece per step    nothing
    ``flat``                 split into one piece per step    nothing; the head maps the final
                                                              state to all steps at once
    ======================== ================================ ==================================

    The state of a GRU is h alone.

    Parameters
    ----------
    name : str
        A name of the table.
    latent_dim : int
        Length of the code, L.
    n_features : int
        Number of features of the decoded sequences, F.
    steps : int, optional
        Maximum number of steps. Required for "reshape" and "flat".
    units : int or sequence of int, optional
        Hidden units of each layer and direction, H; a sequence has the units of each layer.
        Default: `latent_dim`.
    num_layers : int, default 1
        Number of LSTM layers.
    bidirectional : bool, default False
        Add a second direction to every layer, which runs from the last step to the first. Ignored
        by "previous", "state_previous" and "flat", which can only run forwards.
    reverse_target : bool, default False
        Decode each sequence from its last step to its first. The returned sequences are in their
        original order.
    patch_size : int, default 1
        Number of steps decoded at once. The LSTM runs once per patch, and the head maps its state
        to the steps of the patch. The reversed input or the previous output is read as patches
        too. With ``patch_size > 1``, "repeat" and "state" read the position of the patch, as sines
        and cosines.
    input_features : int, optional
        Number of features of the reversed input, if it is read. Default: `n_features`.
    n_known : int, default 0
        Number of known features that are read at each step in addition to the code.
    reads_masks : bool, default False
        For decoders of the reversed input: read 2F numbers at each step, the values and an
        indicator of each missing value, see `Encoder.marked`.
    head_units : sequence of int or None, default ()
        Sizes of the dense layers before the output layer; None removes the output layer too.
    head_activation : str, default "relu"
        Activation of the layers of `head_units`: "linear", "relu", "tanh", "sigmoid", "elu",
        "gelu" or "softmax".
    output_activation : str or MixedActivation, default "linear"
        Activation of the output layer; accepts the same names as `head_activation`.
    cell : Cell, optional
        Kind of cell, activations and backend of the layers. Default: ``Cell()``.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.

    Attributes
    ----------
    lstm : LSTM
        The LSTM layers.
    head : Head
        The dense layers.
    start : torch.nn.Linear or None
        Layer from the code to the initial h and c, if their sizes differ.
    needs_input : bool
        Whether the decoder reads the reversed input in addition to the code.
    feeds_back : bool
        Whether the decoder reads its output of the previous step.
    max_steps : int or None
        `steps` for "reshape" and "flat", otherwise None.

    Raises
    ------
    InputError
        If `name` or an activation is unknown, or if `steps` is missing for "reshape" or "flat".

    See Also
    --------
    DenseDecoder : Decode with dense layers only.
    TeacherForcing : The true outputs that "previous" reads in training.

    Notes
    -----
    If `latent_dim` differs from the size of h and c of all layers together, a linear layer maps
    the code to them. "reshape" and "flat" pad a code with zeros if its length is not a multiple of
    the number of pieces.

    No gradient flows through the fed-back output.

    "repeat" is what Keras calls ``RepeatVector``. "state" and "state_previous" are the
    unconditional and the conditional decoder of [1]_, section 2.2, where the target is reversed.

    References
    ----------
    .. [1] N. Srivastava, E. Mansimov, R. Salakhutdinov (2015). Unsupervised Learning of Video
       Representations using LSTMs. ICML.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import LSTMDecoder
    >>> decoder = LSTMDecoder("repeat", latent_dim=4, n_features=3, units=16)
    >>> decoder(torch.zeros(2, 4), steps=10).shape
    torch.Size([2, 10, 3])
    """

    def __init__(
        self,
        name: LSTMDecoderName,
        latent_dim: int,
        n_features: int,
        *,
        steps: int | None = None,
        units: int | Sequence[int] | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        reverse_target: bool = False,
        patch_size: int = 1,
        input_features: int | None = None,
        n_known: int = 0,
        reads_masks: bool = False,
        head_units: Sequence[int] | None = (),
        head_activation: ActivationName = "relu",
        output_activation: Activation = "linear",
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if name not in DECODERS:
            raise InputError(_checks.unknown_name("decoder", name, DECODERS))
        self.kind, self.n_features, self.reverse_target = DECODERS[name], n_features, reverse_target
        self.needs_input = self.kind.reads == "reversed_input"
        self.feeds_back, self.patch_size = self.kind.reads == "previous", patch_size
        read = n_features
        if self.needs_input:
            read = (input_features or n_features) * (1 + reads_masks)
        reads = patch_size * read if self.kind.reads else 0
        self.n_known = n_known
        self.reads_place = patch_size > 1 and not reads and self.kind.code != "steps"
        if self.reads_place:
            reads = 2 * WAVES
        if self.kind.code == "steps":
            if steps is None:
                raise InputError(f"Decoder {name!r} needs `steps`, the maximum number of steps.")
            self.max_steps = steps
            reads = -(-latent_dim // max(patches_of(steps, patch_size), 1))
        self.lstm = LSTM(
            reads + patch_size * n_known,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional and self.kind.both_ways,
            context_size=latent_dim if self.kind.repeats else 0,
            cell=cell,
            generator=generator,
        )
        whole_state = self.lstm.whole_state
        needs_start = self.kind.starts and latent_dim != whole_state
        self.start = Dense(latent_dim, whole_state, generator) if needs_start else None
        at_once = self.max_steps if self.kind.flat else (patch_size if patch_size > 1 else None)
        self.head = Head(
            self.lstm.state_size,
            n_features,
            units=head_units,
            steps=at_once,
            activation=head_activation,
            output_activation=output_activation,
            generator=generator,
        )

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
        draw: Callable[[Tensor], Tensor] | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Decode codes to sequences.

        Parameters
        ----------
        code : tensor of shape (B, L)
            Codes.
        steps : int
            Number of steps to return, T.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real. Outputs at padded
            steps are arbitrary.
        reversed_input : tensor of shape (B, T', F), or (B, T', 2F) with `reads_masks`, optional
            The encoder's input, each sequence reversed within its length. Required if
            `needs_input`. If T' is smaller than `steps`, zeros are read at the missing steps.
        teacher : TeacherForcing, optional
            True outputs to read in training, if `feeds_back`. Default: the decoder reads its own
            outputs only.
        draw : callable, optional
            For a decoder that feeds back: maps an output (B, patch_size, F) to what is returned
            and read next, for example a sample from probabilities. Default: the output itself.
        known : tensor of shape (B, steps, n_known), optional
            Known features of each step. Required if `n_known` is above 0.

        Returns
        -------
        tensor of shape (B, steps, F)
            Decoded sequences.

        Raises
        ------
        InputError
            If the decoder needs `reversed_input` or `known` and it is missing.
        """
        if self.n_known:
            check_known(known, steps, self.n_known)
        if self.kind.flat:
            sequences = self._all_at_once(code, steps, known)
        else:
            count = patches_of(steps, self.patch_size)
            teacher = self._in_patches(teacher, lengths)
            if self.feeds_back and (teacher is None or teacher.ratio < 1):
                patches = self._one_by_one(code, count, teacher, draw, known)
            else:
                read = self._with_known(self._read(code, count, reversed_input, teacher), known)
                states, _ = self.lstm(
                    read,
                    lengths_in_patches(lengths, self.patch_size),
                    context=self._context(code),
                    state=self._state(code),
                    steps=count,
                )
                patches = self.head(states)
            sequences = unpatched(patches, steps)
        return reverse_within(sequences, lengths) if self.reverse_target else sequences

    def _one_by_one(
        self,
        code: Tensor,
        count: int,
        teacher: TeacherForcing | None,
        draw: Callable[[Tensor], Tensor] | None,
        known: Tensor | None,
    ) -> Tensor:
        """Decode patch by patch, each reading the previous one; (B, steps, F) in decoding order."""
        size, features = self.patch_size, self.n_features
        read = code.new_zeros(len(code), 1, size * features)
        state, context = self._state(code), self._context(code)
        outputs: list[Tensor] = []
        h_masks = self.lstm.state_masks(len(code))
        known = patched(known, size) if self.n_known and known is not None else None
        for position in range(count):
            here = None if known is None else known[:, position : position + 1]
            reads = read if here is None else torch.cat([read, here], 2)
            states, state = self.lstm(reads, context=context, state=state, h_masks=h_masks)
            output = self.head(states).reshape(len(code), size, features)
            if draw is not None:
                output = draw(output)
            outputs.append(output)
            # No gradient flows through the fed-back output.
            read = output.detach().reshape(read.shape)
            if teacher is not None:
                use_target = bernoulli(teacher.ratio, (len(code), 1, 1), code, teacher.generator)
                read = torch.where(use_target, teacher.target[:, position : position + 1], read)
        return torch.cat(outputs, 1) if outputs else code.new_zeros(len(code), 0, features)

    def _in_patches(
        self, teacher: TeacherForcing | None, lengths: Tensor | None
    ) -> TeacherForcing | None:
        """Arrange the targets in patches, in decoding order."""
        if teacher is None:
            return teacher
        target = reverse_within(teacher.target, lengths) if self.reverse_target else teacher.target
        return teacher._replace(target=patched(target, self.patch_size, lengths))

    def _context(self, code: Tensor) -> Tensor | None:
        return code if self.kind.repeats else None

    def _state(self, code: Tensor) -> tuple[LayerStates, ...] | None:
        """Return the initial h (and c), each with a tensor (B, H) for every layer and direction."""
        if not self.kind.starts:
            return None
        whole = code if self.start is None else self.start(code)
        states = whole.split(sum(self.lstm.state_sizes), 1)
        return tuple(each.split(self.lstm.state_sizes, 1) for each in states)

    def _read(
        self,
        code: Tensor,
        count: int,
        reversed_input: Tensor | None,
        teacher: TeacherForcing | None,
    ) -> Tensor | None:
        """Return inputs (B, count, ·) of the LSTM next to the repeated code, or None."""
        if self.kind.code == "steps":
            return self._pieces(code)[:, :count]
        if self.kind.reads is None:
            return patch_positions(count, code) if self.reads_place else None
        if self.kind.reads == "reversed_input":
            if reversed_input is None:
                raise InputError("This decoder reads the input; pass `reversed_input`.")
            read = patched(reversed_input, self.patch_size)[:, :count]
        else:
            assert teacher is not None
            read = nn.functional.pad(teacher.target, (0, 0, 1, 0))[:, :count]
        return nn.functional.pad(read, (0, 0, 0, count - read.shape[1]))

    def _with_known(self, read: Tensor | None, known: Tensor | None) -> Tensor | None:
        """Return inputs of the LSTM (B, count, ·), followed by the known features."""
        if not self.n_known or known is None:
            return read
        known = patched(known, self.patch_size)
        return known if read is None else torch.cat([read, known], 2)

    def _pieces(self, code: Tensor) -> Tensor:
        assert self.max_steps is not None
        count = patches_of(self.max_steps, self.patch_size)
        width = -(-code.shape[1] // max(count, 1))
        missing = count * width - code.shape[1]
        return nn.functional.pad(code, (0, missing)).view(len(code), count, width)

    def _all_at_once(self, code: Tensor, steps: int, known: Tensor | None) -> Tensor:
        read = self._with_known(self._pieces(code), known)
        _, (h_n, *_) = self.lstm(read, return_sequences=False)
        sequences: Tensor = self.head(h_n[-1])
        return sequences[:, :steps]
