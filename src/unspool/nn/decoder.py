"""From a code back to a sequence: decoders by name, each with the same kind of head.

A decoder is called as ``decoder(code, steps, lengths, reversed_input, teacher)`` and returns
(B, steps, F). `DECODERS` says how each name hands its code over, and what it reads at its steps.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from unspool._padding import reverse_within
from unspool.blueprint.layers import DECODERS as DECODERS
from unspool.blueprint.layers import WAVES, patches_of
from unspool.nn.dense import ACTIVATIONS, Dense
from unspool.nn.patches import lengths_in_patches, patch_positions, patched, unpatched
from unspool.nn.recurrent import LSTM, Cell
from unspool.nn.sampling import bernoulli


class TeacherForcing(NamedTuple):
    """What a decoder that reads its previous step is told in training.

    Parameters
    ----------
    target : tensor of shape (B, steps, F)
        The true sequences.
    ratio : float, default 1.0
        Of the steps that read the true previous step; the others read the decoder's own output.
    generator : torch.Generator, optional
        Decides which.
    """

    target: Tensor
    ratio: float = 1.0
    generator: Generator | None = None


class Head(nn.Sequential):
    """Dense layers applied to every step, from the decoder's state to the features.

    Parameters
    ----------
    inputs, outputs : int
    units : sequence of int or None, default ()
        Widths of the layers in between; None for no layer at all, when `inputs` are the outputs.
    steps : int, optional
        Make as many steps, (…, steps, outputs), of one vector of inputs.
    activation, output_activation : str
        Of the layers in between, and of the last; names in `unspool.nn.dense.ACTIVATIONS`.
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        units: Sequence[int] | None = (),
        steps: int | None = None,
        activation: str = "relu",
        output_activation: str = "linear",
        generator: Generator | None = None,
    ) -> None:
        widths = [inputs]
        if units is not None:
            widths += [*units, outputs * (1 if steps is None else steps)]
        layers: list[nn.Module] = []
        for i, (wide, narrow) in enumerate(pairwise(widths), 2):
            name = output_activation if i == len(widths) else activation
            layers += [Dense(wide, narrow, generator), ACTIVATIONS[name]()]
        if steps is not None:  # before the activation: softmax is over the features of a step
            place = len(layers) - 1 if layers else 0
            layers.insert(place, nn.Unflatten(-1, (steps, outputs)))
        super().__init__(*layers)

    def forward(self, states: Tensor) -> Tensor:
        """Features (B, T, F) of states (B, T, H), or of vectors (B, H)."""
        # Backends work time-major, so that states are often a transposed view. Steps are all
        # alike to these layers: turned back, they need no copy.
        turned = states.ndim == 3 and not states.is_contiguous()
        features = states.transpose(0, 1) if turned else states
        for layer in self:
            features = layer(features)
        return features.transpose(0, 1) if turned else features


class Decoder(nn.Module):
    """What every decoder tells of itself, and how it is called."""

    needs_input = False
    """Whether it reads the encoder's input beside the code."""
    feeds_back = False
    """Whether it reads its own output of the step before."""
    max_steps: int | None = None
    """Steps of the longest sequence that it can give; None where there is no bound."""

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L).

        Parameters
        ----------
        code : tensor of shape (B, L)
        steps : int
        lengths : whole-number tensor of shape (B,), optional
            Real steps of every sequence; what comes after them has no meaning.
        reversed_input : tensor of shape (B, T, F), optional
            The encoder's input, each sequence turned round within its own length, for a decoder
            that `needs_input`. T may differ from `steps`: zeros stand in for what is missing.
        teacher : TeacherForcing, optional
            For one that `feeds_back`, in training. Without it all it reads is its own output.
        """
        raise NotImplementedError


class LSTMDecoder(Decoder):
    """Unwind codes with a stack of LSTM layers and dense layers on every step.

    =================== ============================ =============================================
    name                the code                     read at each step besides
    =================== ============================ =============================================
    repeat              is given at every step       nothing
    reversed_input      is given at every step       the input, reversed
    previous            is given at every step       the step before: true in training, later its
                                                     own output
    state               is h and c at the start      nothing
    state_…             is h and c at the start      as above
    reshape             is cut into `steps` pieces,  nothing
                        a piece read at each step
    flat                the same                     nothing; the final state becomes all steps
                                                     at once
    =================== ============================ =============================================

    A code that is not as wide as the whole state (h and c of all layers) reaches it through a
    linear layer. Pieces of a code that does not divide evenly end in zeros.

    Parameters
    ----------
    name : str
        As above.
    latent_dim, n_features : int
    steps : int, optional
        Steps of the longest sequence, which "reshape" and "flat" have to know.
    units : int, optional
        LSTM units of a layer; `latent_dim` by default.
    num_layers : int, default 1
    bidirectional : bool, default False
        Unwind from both ends: every layer has a second half that runs from the last step back.
        Left out where a step depends on the one before, and by "flat".
    reverse_target : bool, default False
        Write every sequence from its last step to its first. (It comes out in its own order.)
    patch_size : int, default 1
        Steps written at once: the LSTM runs a step for every patch of them, and the dense layers
        make the patch of its state. What is read at each step is a patch too, of the input
        reversed, or the patch before; a decoder that would read nothing reads the place of the
        patch, see `unspool.nn.patches.patch_positions`. Without it an LSTM would have to bring forth by
        itself what changes from patch to patch.
    head_units, head_activation, output_activation
        The dense layers on every step (of the LSTM), see `Head`.
    cell : Cell, optional
    generator : torch.Generator, optional
        Source of the initial weights.

    Source: "repeat" is Keras's `RepeatVector`; "reversed_input" the decoder of the article
    "Implement LSTM AutoEncoder in Keras"; "state" and "state_previous" the unconditional and the
    conditional decoder of Srivastava et al. 2015, section 2.2 (there the target is reversed);
    shares of true steps are the scheduled sampling of Bengio et al. 2015.
    """

    def __init__(
        self,
        name: str,
        latent_dim: int,
        n_features: int,
        *,
        steps: int | None = None,
        units: int | None = None,
        num_layers: int = 1,
        bidirectional: bool = False,
        reverse_target: bool = False,
        patch_size: int = 1,
        head_units: Sequence[int] | None = (),
        head_activation: str = "relu",
        output_activation: str = "linear",
        cell: Cell | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.kind, self.n_features, self.reverse_target = DECODERS[name], n_features, reverse_target
        self.needs_input = self.kind.reads == "reversed_input"
        self.feeds_back, self.patch_size = self.kind.reads == "previous", patch_size
        reads = patch_size * n_features if self.kind.reads else 0
        self.reads_place = patch_size > 1 and not reads and self.kind.code != "steps"
        if self.reads_place:
            reads = 2 * WAVES
        if self.kind.code == "steps":
            assert steps is not None, "this decoder has to know its steps"
            self.max_steps = steps
            reads = -(-latent_dim // max(patches_of(steps, patch_size), 1))
        self.lstm = LSTM(
            reads,
            units or latent_dim,
            num_layers=num_layers,
            bidirectional=bidirectional and self.kind.both_ways,
            context_size=latent_dim if self.kind.code == "context" else 0,
            cell=cell,
            generator=generator,
        )
        whole_state = 2 * num_layers * self.lstm.state_size
        needs_start = self.kind.code == "state" and latent_dim != whole_state
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
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L), see `Decoder.forward`.

        `draw`, for a decoder that feeds back, makes of an output (B, patch_size, F) what is
        written there and read next, for example a sample.
        """
        if self.kind.flat:
            sequences = self._all_at_once(code, steps)
        else:
            count = patches_of(steps, self.patch_size)
            teacher = self._in_patches(teacher, lengths)
            if self.feeds_back and (teacher is None or teacher.ratio < 1):
                patches = self._one_by_one(code, count, teacher, draw)
            else:
                read = self._read(code, count, reversed_input, teacher)
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
    ) -> Tensor:
        """Sequences (B, steps, F) in the order of writing, each patch fed to the next."""
        size, features = self.patch_size, self.n_features
        read = code.new_zeros(len(code), 1, size * features)
        state, context, sequence = self._state(code), self._context(code), []
        for place in range(count):
            states, state = self.lstm(read, context=context, state=state)
            written = self.head(states).reshape(len(code), size, features)
            if draw is not None:
                written = draw(written)
            sequence.append(written)
            # As a step that was read, not one that could be changed.
            read = written.detach().reshape(read.shape)
            if teacher is not None:
                true = bernoulli(teacher.ratio, (len(code), 1, 1), code, teacher.generator)
                read = torch.where(true, teacher.target[:, place : place + 1], read)
        return torch.cat(sequence, 1) if sequence else code.new_zeros(len(code), 0, features)

    def _in_patches(
        self, teacher: TeacherForcing | None, lengths: Tensor | None
    ) -> TeacherForcing | None:
        """The teacher by patches, in the order of writing."""
        if teacher is None:
            return teacher
        target = reverse_within(teacher.target, lengths) if self.reverse_target else teacher.target
        return teacher._replace(target=patched(target, self.patch_size, lengths))

    def _context(self, code: Tensor) -> Tensor | None:
        return code if self.kind.code == "context" else None

    def _state(self, code: Tensor) -> tuple[Tensor, Tensor] | None:
        """h and c (layers · directions, B, H) to start from."""
        if self.kind.code != "state":
            return None
        whole = code if self.start is None else self.start(code)
        halves = sum(map(len, self.lstm.stack()))
        h, c = whole.view(len(code), 2, halves, -1).permute(1, 2, 0, 3)
        return h, c

    def _read(
        self,
        code: Tensor,
        count: int,
        reversed_input: Tensor | None,
        teacher: TeacherForcing | None,
    ) -> Tensor | None:
        """What the LSTM reads at its steps, (B, count, ·), besides a context."""
        if self.kind.code == "steps":
            return self._pieces(code)[:, :count]
        if self.kind.reads is None:
            return patch_positions(count, code) if self.reads_place else None
        if self.kind.reads == "reversed_input":
            assert reversed_input is not None, "this decoder needs the input"
            read = patched(reversed_input, self.patch_size)[:, :count]
        else:
            assert teacher is not None
            read = nn.functional.pad(teacher.target, (0, 0, 1, 0))[:, :count]
        return nn.functional.pad(read, (0, 0, 0, count - read.shape[1]))

    def _pieces(self, code: Tensor) -> Tensor:
        assert self.max_steps is not None
        count = patches_of(self.max_steps, self.patch_size)
        width = -(-code.shape[1] // max(count, 1))
        missing = count * width - code.shape[1]
        return nn.functional.pad(code, (0, missing)).view(len(code), count, width)

    def _all_at_once(self, code: Tensor, steps: int) -> Tensor:
        _, (h_n, _) = self.lstm(self._pieces(code), return_sequences=False)
        sequences: Tensor = self.head(h_n[-1])
        return sequences[:, :steps]
