"""A device that stands in for a GPU where there is none: "fakegpu", ``pytest --device fakegpu``.

Its tensors lie in the memory of the CPU and are computed there, but they refuse what those of a
GPU refuse: to meet tensors of another device, to be drawn by a generator of the CPU, to be read as
NumPy arrays. They also refuse to be pickled, since no other machine could open that pickle. Their
LSTM and GRU are as particular as cuDNN's about states and weights.
"""

import warnings
from itertools import accumulate

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils import backend_registration

NAME = "fakegpu"
CROSSING = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
ARGUMENTS = (
    *("input", "hx", "params", "has_biases", "num_layers", "dropout"),
    *("train", "bidirectional", "batch_first"),
)
without_float64 = False  # what Apple's GPUs refuse
_registered: list[torch.library.Library] = []


class FakeGPUTensor(Tensor):
    """A tensor on the fake device; `here` is the one in the memory of the CPU."""

    here: Tensor

    @staticmethod
    def __new__(cls, here):
        with torch.inference_mode(False):
            made = Tensor._make_wrapper_subclass(
                cls,
                here.size(),
                strides=here.stride(),
                storage_offset=here.storage_offset(),
                dtype=here.dtype,
                device=f"{NAME}:0",
            )
        if without_float64 and here.dtype == torch.float64:
            raise TypeError(f"a tensor of {NAME} cannot be of float64")
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})

    def _set_data(self, other):
        Tensor.data.__set__(self, other)
        self.here = other.here

    data = property(Tensor.detach, _set_data)

    def __deepcopy__(self, memo):
        memo[id(self)] = copied = self.detach().clone().requires_grad_(self.requires_grad)
        copied._is_param = isinstance(self, torch.nn.Parameter)
        return copied

    def __repr__(self, **options):
        return f"FakeGPUTensor({self.here})"

    def __reduce_ex__(self, protocol):
        raise RuntimeError("a tensor of the fake device cannot be pickled; move it to the CPU")


def run(func, args, kwargs):
    """Run an operator on the tensors of the CPU, and refuse what a GPU refuses."""
    leaves = pytree.tree_leaves((args, kwargs))
    there = any(isinstance(one, FakeGPUTensor) for one in leaves)
    device = next((one for one in leaves if isinstance(one, torch.device)), None)
    target = device.type if device is not None else NAME if there else "cpu"
    strangers = [
        type(one) is not FakeGPUTensor and one.ndim for one in leaves if isinstance(one, Tensor)
    ]
    if there and any(strangers) and func not in CROSSING:
        raise RuntimeError(f"{func}: expected all tensors on one device, found {NAME} and cpu")
    if (there or target == NAME) and kwargs.get("generator") is not None:
        raise RuntimeError(f"{func}: expected a {NAME!r} generator, found one of the CPU")

    def moved(leaf):
        if isinstance(leaf, FakeGPUTensor):
            return leaf.here
        return torch.device("cpu") if isinstance(leaf, torch.device) and target == NAME else leaf

    own_args, own_kwargs = pytree.tree_map(moved, (args, kwargs))
    results = func(*own_args, **own_kwargs)
    written = [
        args[place] if place < len(args) else kwargs[argument.name]
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    if written and func._schema.returns and func._schema.returns[0].alias_info is not None:
        return written[0] if len(written) == 1 else tuple(written)
    if target != NAME:
        return results
    return pytree.tree_map_only(Tensor, FakeGPUTensor, results)


class CuDNN(torch.autograd.Function):
    """One LSTM or GRU layer in one call, with the conditions of ATen/native/cudnn/RNN.cpp."""

    @staticmethod
    def forward(ctx, train, options, x, count, *tensors):
        states, weights = tensors[:count], tensors[count:]
        for name, state in zip(("hx", "cx"), states, strict=False):
            if not state.is_contiguous():
                raise RuntimeError(f"rnn: {name} is not contiguous")
        if options.pop("ours") and not in_one_chunk([weight.here for weight in weights]):
            warnings.warn(
                "RNN module weights are not part of single contiguous chunk of memory.",
                stacklevel=3,
            )
        ctx.train = train
        with torch.inference_mode(False), torch.enable_grad():
            inputs = [one.here.detach().clone().requires_grad_() for one in (x, *tensors)]
            x, states, weights = inputs[0], inputs[1 : 1 + count], inputs[1 + count :]
            run = lstm_of_the_cpu if count == 2 else gru_of_the_cpu
            state = tuple(states) if count == 2 else states[0]
            results = run(x, state, weights, train=True, **options)
        ctx.inputs, ctx.results = inputs, results
        return tuple(FakeGPUTensor(one.detach().clone()) for one in results)

    @staticmethod
    def backward(ctx, *gradients):
        if not ctx.train:
            raise RuntimeError("cudnn RNN backward can only be called in training mode")
        found = torch.autograd.grad(ctx.results, ctx.inputs, [one.here for one in gradients])
        x, *others = map(FakeGPUTensor, found)
        return None, None, x, None, *others


def in_one_chunk(weights):
    """Whether weights lie one behind the other in one storage, from its beginning on."""
    first = weights[0].untyped_storage().data_ptr()
    ends = accumulate((one.numel() * one.itemsize for one in weights), initial=first)
    places = [one.data_ptr() for one in weights]
    same = all(one.untyped_storage().data_ptr() == first for one in weights)
    return same and places == list(ends)[:-1] and weights[-1].is_contiguous()


lstm_of_the_cpu, gru_of_the_cpu = torch.lstm, torch.gru


class Module(getattr(backend_registration, "_DummyBackendModule", object)):  # not in old PyTorch
    """What PyTorch asks of the device; it has no random numbers of its own."""

    def get_rng_state(self, device=0):
        return torch.zeros(0, dtype=torch.uint8)

    def set_rng_state(self, state, device=0):
        pass


def register():
    """Let PyTorch know the device; before the first backward pass, as autograd counts devices."""
    if _registered:
        return
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    library = torch.library.Library("aten", "IMPL")
    _registered.append(library)

    def empty(*args, **kwargs):
        return run(
            torch.ops.aten.empty.memory_format, args, {**kwargs, "device": torch.device(NAME)}
        )

    def empty_strided(*args, **kwargs):
        return run(
            torch.ops.aten.empty_strided.default, args, {**kwargs, "device": torch.device(NAME)}
        )

    def copy_from(source, target, non_blocking=False):
        run(torch.ops.aten.copy_.default, (target, source), {})
        return target

    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    torch.lstm, torch.gru = (
        layer_of(lstm_of_the_cpu, ours=True),
        layer_of(gru_of_the_cpu, ours=True),
    )
    # Those of nn.LSTM and nn.GRU, which join their own weights on a GPU.
    torch._VF.lstm = layer_of(lstm_of_the_cpu, ours=False)
    torch._VF.gru = layer_of(gru_of_the_cpu, ours=False)


def layer_of(of_the_cpu, ours):
    """A `torch.lstm` or `torch.gru` for tensors of both devices."""

    def layer(*args, **kwargs):
        if not isinstance(args[0], FakeGPUTensor):
            return of_the_cpu(*args, **kwargs)
        given = dict(zip(ARGUMENTS, args, strict=False)) | kwargs
        x, hx, weights, train = (given.pop(name) for name in ("input", "hx", "params", "train"))
        states = hx if isinstance(hx, tuple) else (hx,)
        return CuDNN.apply(train, {**given, "ours": ours}, x, len(states), *states, *weights)

    return layer
