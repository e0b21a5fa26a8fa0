"""Models as ONNX files, and what ONNX Runtime makes of them."""

import numpy as np
import onnx
import onnxruntime

from unspool.interop.onnx import export_onnx


def session(path):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def exported(model, tmp_path, **options):
    export_onnx(model, tmp_path / "model.onnx", **options)
    return session(tmp_path / "model.onnx")


def outputs(runs, x, lengths):
    feed = {"x": np.asarray(x, np.float32), "lengths": np.asarray(lengths, np.int64)}
    names = [one.name for one in runs.get_outputs()]
    return dict(zip(names, runs.run(names, feed), strict=True))


def assert_standard_and_all_of_it_used(path):
    """Operators of the standard alone, and no constant or node that nothing reads."""
    proto = onnx.load(path)
    assert [(one.domain, one.version) for one in proto.opset_import] == [("", 17)]
    bodies = [a.g for node in proto.graph.node for a in node.attribute if a.g.node]
    read, written = {one.name for one in proto.graph.output}, set()
    for graph in [proto.graph, *bodies]:
        assert {node.domain for node in graph.node} == {""}
        read |= {name for node in graph.node for name in node.input}
        read |= {one.name for one in graph.output}
        written |= {one.name for one in graph.initializer}
    assert not written - read
    for node in proto.graph.node:
        assert read.intersection(node.output), node.name
