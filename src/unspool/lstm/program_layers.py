"""The records of the recurrent layers of a program."""

from unspool import _checks
from unspool.blueprint.cells import CELLS as BLUEPRINT_CELLS
from unspool.errors import InputError
from unspool.lstm.compiled import recurrence
from unspool.lstm.compiled import stage as kernels
from unspool.lstm.compiled.record import Arguments
from unspool.lstm.fused import LSTMStage
from unspool.lstm.prepared import STATISTIC_FIELDS, padded_rows
from unspool.lstm.program_memory import PerTile
from unspool.lstm.program_rows import Fields, OfArray, OfWeight, Rows, incomplete, mismatch


class LayerRows(Rows):
    """Rows of recurrent layers."""

    def add_layer(self, each: LSTMStage, beside: int) -> None:
        """Add a layer, which is number `beside` of its group."""
        kind = BLUEPRINT_CELLS[each.cell]
        hidden, gates = each.w_hh.shape[1], len(kind.gates) * each.w_hh.shape[1]
        features = 0 if each.w_ih is None else each.w_ih.shape[1]
        context = 0 if each.w_context is None else each.w_context.shape[1]
        _checks.raise_all(
            self._check("w_ih", each.w_ih, gates, features),
            self._check("w_hh", each.w_hh, gates, hidden),
            self._check("bias", each.bias, 4 * hidden),
            self._check("w_context", each.w_context, gates, context),
            incomplete("reads", each.reads, "w_ih", each.w_ih),
            incomplete("context", each.context, "w_context", each.w_context),
        )
        w_ih, w_hh, bias, w_context = (OfWeight(self._weight + k) for k in range(4))
        fields: Fields = {
            "batch": self._batch,
            "steps": each.steps,
            "hidden": hidden,
            "features": features,
            "context_size": context,
            "relu": int(each.activation == "relu"),
            "hard": int(each.recurrent_activation == "hard_sigmoid"),
            "reverse": int(each.reverse),
            "flip_x": int(each.reads_backwards),
            "one_tile": 1,
            "adds": 1,
            "w_ih": w_ih,
            "w_hh": w_hh,
            "bias": bias,
            "w_context": w_context,
        }
        if each.cell == "gru":
            for name, weight, rows in (("w_hh", each.w_hh, hidden), ("bias", each.bias, hidden)):
                array = self._room.new(*weight.shape)
                number = fields[name].number
                self.rolled.append((number, array, rows))
                fields[name] = array.ctypes.data
        if each.lengths is not None:
            fields["lengths"] = OfArray(each.lengths, (self._batch, each.steps), "lengths")
        if each.h_mask is not None:
            fields["h_mask"] = OfArray(each.h_mask, (self._batch, hidden))
        fields |= self._read_by(each, features, beside)
        fields |= self._written_by(each, hidden)
        fields |= self._packed(each, hidden, features, context)
        self._add(kernels.LAYER, layer=len(self.layers), **self._layer_partial(each, fields))
        self.layers.append(fields)
        self._weight += 4
        sized = Arguments(
            0, 0, hidden, features, context, 0, 0, 0, 0, pooled=fields.get("pooled", 0)
        )
        values = recurrence.workspace_size(sized, self._room.lanes, self._room.size)
        self.workspace = max(self.workspace, values)

    def _read_by(self, each: LSTMStage, features: int, beside: int) -> Fields:
        """Return where a layer reads its inputs, its context and its initial state."""
        fields: Fields = {}
        if each.reads in self._names.states:
            states = self._names.states[each.reads]
            lanes = self._room.lanes
            if states.steps != each.steps or states.width != features:
                raise InputError(
                    f"Expected {each.reads!r} of {each.steps} steps and {features} features, not "
                    f"of {states.steps} and {states.width}."
                )
            fields |= {
                "x": states.address,
                "x_one_tile": 1,
                "grad_x": self._gradient(states.gradients, beside),
            }
            fields |= {"x_batch": states.width, "x_step": lanes * states.width}
            fields |= {"grad_x_batch": states.width, "grad_x_step": lanes * states.width}
        elif each.reads in self._names.vectors:
            vector = self._vector(each.reads)
            if vector.width < each.steps * features:
                raise InputError(
                    f"Expected {each.reads!r} of at least {each.steps * features} values, not of "
                    f"{vector.width}."
                )
            fields |= {"x": vector.address, "x_batch": vector.width, "x_step": features}
            fields |= {"grad_x_batch": vector.width, "grad_x_step": features}
            fields["grad_x"] = self._gradient(vector.gradients, beside)
        elif each.reads is not None:
            fields["x"] = OfArray(each.reads, (self._batch, each.steps, features), "strided")
        if each.context is not None:
            vector = self._vector(each.context)
            _checks.raise_all(mismatch(each.context, vector.width, each.w_context))
            fields["context"] = vector.address
            fields["grad_context"] = self._gradient(vector.gradients, beside)
        if each.start is not None:
            vector = self._vector(each.start)
            size, hidden = self._room.itemsize, each.w_hh.shape[1]
            if max(each.start_places) + hidden > vector.width:
                raise InputError(f"Expected {each.start!r} with {hidden} units at each place.")
            fields["start_batch"] = vector.width
            grad = self._gradient(vector.gradients, beside)
            for name, place in zip(("h0", "c0"), each.start_places, strict=False):
                fields[name] = vector.address + place * size
                fields[f"grad_{name}"] = grad + place * size if grad else 0
        return fields

    def _written_by(self, each: LSTMStage, hidden: int) -> Fields:
        """Return where a layer writes its states and their statistics."""
        lanes, itemsize = self._room.lanes, self._room.itemsize
        fields: Fields = {}
        if self._gradients:
            fields["reserve"] = self._room.per_tile(lanes * each.steps * 5 * hidden)
        if each.states is not None:
            states, shift = self._names.states[each.states], each.states_place * itemsize
            width = states.width
            fields["h"] = PerTile(states.address.address + shift, states.address.between)
            if states.gradients:
                grad = states.gradients[0]
                fields["grad_h"] = PerTile(grad.address + shift, grad.between)
        else:
            width = hidden
            if self._gradients:  # the backward pass reads the states
                fields["h"] = self._room.per_tile(each.steps * lanes * hidden)
        for name in ("h", "grad_h"):
            fields |= {f"{name}_batch": width, f"{name}_step": lanes * width}
        if each.vector is None:
            return fields
        vector = self._names.vectors[each.vector]
        self._written.add(each.vector)
        grad = self._gradient(vector.gradients)
        places = {name: each.place + k * each.stride for k, name in enumerate(each.statistics)}
        ends = {"h_n": places.get("last"), "c_n": each.c_place}
        fields["end_batch"] = vector.width
        for name, place in ends.items():
            if place is not None:
                fields[name] = vector.address + place * itemsize
                fields[f"grad_{name}"] = grad + place * itemsize if grad else 0
        if set(places) - {"last"}:
            if "std" in places and "mean" not in places:
                raise InputError("Expected the statistic 'mean' with 'std', which needs it.")
            fields |= {
                "pooled": vector.address + each.place * itemsize,
                "grad_pooled": grad + each.place * itemsize if grad else 0,
                "pooled_batch": vector.width,
                "pooled_step": each.stride,
                "takes_root": 1,
            }
            for k, name in enumerate(each.statistics):
                if name != "last":
                    fields[STATISTIC_FIELDS[name]] = k
        return fields | {field: fields.get(field, -1) for field in STATISTIC_FIELDS.values()}

    def _packed(self, each: LSTMStage, hidden: int, features: int, context: int) -> Fields:
        """Allocate the packed weights of a layer."""

        def new(rows: int, depth: int) -> int:
            return self._room.address(padded_rows(rows) * depth)

        gates = 4 * hidden
        fields = {"packed": new(gates, hidden + features), "packed_context": new(gates, context)}
        if self._gradients:
            fields |= {
                "packed_back": new(hidden, gates),
                "packed_back_x": new(features, gates),
                "packed_back_context": new(context, gates),
            }
        return fields

    def _layer_partial(self, each: LSTMStage, fields: Fields) -> Fields:
        """Note where the gradients of a layer are, in the order of its weights."""
        hidden, features, context = (
            fields[name] for name in ("hidden", "features", "context_size")
        )
        if each.cell == "lstm":
            rows, width = 4 * hidden, self._whole(hidden + features)
            contexts = rows * width
            pieces = [(hidden, rows, width, features), (0, rows, width, hidden)]
        else:  # the gates of w_hh are in the order n, z, r, the biases in the order rn, z, r, n
            rows, width, x_width = 3 * hidden, self._whole(hidden), self._whole(features)
            of_x = padded_rows(rows) * width
            contexts = of_x + padded_rows(rows) * x_width
            pieces = [
                (of_x, rows, x_width, features),
                (hidden * width, 2 * hidden, width, hidden),
                (0, hidden, width, hidden),
            ]
        context_width = self._whole(context)
        biases = contexts + (rows if each.cell == "lstm" else padded_rows(rows)) * context_width
        if each.cell == "lstm":
            pieces.append((biases, 1, 4 * hidden, 4 * hidden))
        else:
            pieces.append((biases + hidden, 1, 3 * hidden, 3 * hidden))
            pieces.append((biases, 1, hidden, hidden))
        if context:
            pieces.append((contexts, rows, context_width, context))
        if each.w_ih is None:
            pieces = pieces[1:]
        size = biases + 4 * hidden
        return {"partial": self._new_partial(pieces, size), "partial_size": size}
