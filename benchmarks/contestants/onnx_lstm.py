"""ONNX Runtime on a model of one standard LSTM operator."""

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.contestants import Job, Ready

PACKAGES = ("onnxruntime", "onnx", "numpy")


def prepare(job: Job) -> Ready:
    """Make the encoding of `job` callable."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    session = onnxruntime.InferenceSession(
        _model(*(job.inputs[name] for name in ("w_ih", "w_hh", "bias"))),
        options,
        providers=["CPUExecutionProvider"],
    )
    feed = {"x": job.inputs["x"]}

    def call() -> npt.NDArray[np.float32]:
        (h_n,) = session.run(["h_n"], feed)
        return h_n

    return Ready(call, {"h_n": call()}, session.get_providers()[0])


def _model(
    w_ih: npt.NDArray[np.float32], w_hh: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> bytes:
    """Sequences x (B, T, F) to their last state h_n (B, H); the operator itself is time-major."""
    weights = {
        "W": _iofc(w_ih)[None],
        "R": _iofc(w_hh)[None],
        "B": np.concatenate([_iofc(bias), np.zeros_like(bias)])[None],
        "first": np.array([0]),
    }
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "W", "R", "B"], ["", "last"], hidden_size=w_hh.shape[1]),
        helper.make_node("Squeeze", ["last", "first"], ["h_n"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", "T", w_ih.shape[1]])],
        [helper.make_tensor_value_info("h_n", TensorProto.FLOAT, ["B", w_hh.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def _iofc(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """From our order of the gates, i f c o, to that of ONNX."""
    i, f, c, o = np.split(weight, 4)
    return np.concatenate([i, o, f, c])
