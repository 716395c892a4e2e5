"""Writes models as other exporters write them, and ONNX Runtime's results for them.

Argument: a folder for the models. Prints a JSON list of {name, model, input, output}, arrays as {shape, data}.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(20261124)


def floats(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def raw(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def listed(name, value):
    """A tensor in the typed fields instead of raw_data."""
    value = np.asarray(value)
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor(name, kind, value.shape, value.ravel().tolist())


def const(name, value):
    return helper.make_node("Constant", [], [name], value=listed("", value))


def node(op, inputs, output, name="", **attributes):
    return helper.make_node(op, inputs, [output], name=name, **attributes)


def norm(name, channels):
    """Initializers of a batch normalisation."""
    values = [floats(channels) + 2, floats(channels), floats(channels), floats(channels) + 2]
    return [raw(f"{name}.{i}", v) for i, v in enumerate(values)]


def model(name, opset, nodes, initializers, shape=("batch", 3, 8, 8), ir_version=8, rank=2):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        name,
        [value("x", TensorProto.FLOAT, list(shape))],
        [value("y", TensorProto.FLOAT, [f"d{i}" for i in range(rank)])],
        initializers,
    )
    graph.doc_string = "documentation is skipped"
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir_version,
        producer_name="somebody else",
    )
    made.doc_string = "and here as well"
    return made


def linear_tail():
    """What follows the feature map of 4 channels, 8 by 8, called `h`."""
    nodes = [
        node("GlobalAveragePool", ["h"], "p"),
        node("Flatten", ["p"], "f"),
        node("Gemm", ["f", "fc.w", "fc.b"], "y", transB=1),
    ]
    return nodes, [raw("fc.w", floats(5, 4)), raw("fc.b", floats(5))]


def opset_11():
    """Constants as nodes and in typed fields, MatMul and Add, Reshape, Dropout with an attribute."""
    nodes = [
        node("Conv", ["x", "w", "b"], "c", name="conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1], auto_pad="NOTSET"),
        node("BatchNormalization", ["c", "n.0", "n.1", "n.2", "n.3"], "n"),
        const("low", np.float32(0.0)),
        const("high", np.float32(0.9)),
        node("Clip", ["n", "low", "high"], "k"),
        node("Dropout", ["k"], "d", ratio=0.25),
        const("to", np.array([0, -1], np.int64)),
        node("Reshape", ["d", "to"], "r"),
        node("MatMul", ["r", "fc.w"], "m", name="fc"),
        node("Add", ["fc.b", "m"], "y"),
    ]
    return model("opset_11", 11, nodes, [
        listed("w", floats(4, 3, 3, 3)),
        listed("b", floats(4)),
        *norm("n", 4),
        listed("fc.w", floats(256, 6)),
        raw("fc.b", floats(1, 6)),
    ])


def opset_9():
    """Clip, Pad and Squeeze with attributes, a batch of one."""
    nodes = [
        node("Conv", ["x", "w"], "c", strides=[2, 2]),
        node("Clip", ["c"], "k", min=0.0, max=0.5),
        node("Pad", ["k"], "p", mode="constant", pads=[0, 1, 0, 0, 0, 2, 0, 0], value=0.0),
        node("GlobalAveragePool", ["p"], "g"),
        node("Squeeze", ["g"], "s", axes=[2, 3]),
        node("Softmax", ["s"], "y", axis=1),
    ]
    return model("opset_9", 9, nodes, [raw("w", floats(4, 3, 2, 2))], shape=(1, 3, 8, 8), ir_version=4)


def opset_18():
    """Mean over a map with axes as input, a Gemm with a plain weight, pads with axes."""
    nodes = [
        node("Conv", ["x", "w"], "c", auto_pad="SAME_UPPER", strides=[2, 3], kernel_shape=[3, 4]),
        node("HardSwish", ["c"], "a"),
        node("Pad", ["a", "pads", "", "axes"], "p"),
        node("MaxPool", ["p"], "q", auto_pad="SAME_LOWER", kernel_shape=[2, 2]),
        node("AveragePool", ["q"], "v", auto_pad="VALID", kernel_shape=[2, 2], ceil_mode=1),
        node("ReduceMean", ["v", "hw"], "m", name="mean", keepdims=0),
        node("Gemm", ["m", "fc.w", "fc.b"], "y"),
    ]
    return model("opset_18", 18, nodes, [
        raw("w", floats(4, 3, 3, 4)),
        raw("pads", np.array([2, 1], np.int64)),
        raw("axes", np.array([1], np.int64)),
        raw("hw", np.array([-1, 2], np.int64)),
        raw("fc.w", floats(7, 6)),
        raw("fc.b", floats(6)),
    ])


def shape_arithmetic():
    """`x.view(x.size(0), -1)` of a batch of unknown size."""
    nodes = [
        node("Relu", ["x"], "h"),
        node("Shape", ["h"], "s"),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        node("Gather", ["s", "zero"], "n", axis=0),
        node("Unsqueeze", ["n", "front"], "u"),
        node("Concat", ["u", "rest"], "to", axis=0),
        node("Reshape", ["h", "to"], "f"),
        node("MatMul", ["f", "w"], "m"),
        node("Add", ["m", "b"], "y"),
    ]
    return model("shape_arithmetic", 13, nodes, [
        raw("front", np.array([0], np.int64)),
        raw("rest", np.array([-1], np.int64)),
        raw("w", floats(192, 3)),
        raw("b", floats(3)),
    ])


def shape_slice():
    """The same as newer exporters write it."""
    nodes = [
        node("Sigmoid", ["x"], "h"),
        node("Shape", ["h"], "s", start=0, end=1),
        node("Cast", ["s"], "s64", to=TensorProto.INT64),
        helper.make_node("Constant", [], ["rest"], value_ints=[192]),
        node("Concat", ["s64", "rest"], "to", axis=0),
        node("Reshape", ["h", "to"], "f", allowzero=1),
        node("Flatten", ["f"], "y"),
    ]
    return model("shape_slice", 20, nodes, [])


def shared_parameters():
    """One parameter under several names, a gate as first factor, a weight used both ways round."""
    nodes = [
        node("Identity", ["n.0"], "alias"),
        node("BatchNormalization", ["x", "n.0", "n.1", "n.2", "n.3"], "a", name="bn"),
        node("BatchNormalization", ["a", "alias", "n.1", "n.2", "n.3"], "h", epsilon=0.1),
        node("GlobalAveragePool", ["h"], "g"),
        node("HardSigmoid", ["g"], "gate"),
        node("Mul", ["gate", "h"], "e"),
        node("Concat", ["e", "x"], "j", axis=-3),
        node("ReduceMean", ["j"], "m", axes=[2, 3]),
        node("Flatten", ["m"], "f", axis=-3),
        node("Gemm", ["f", "w", "b"], "t", transB=1),
        node("Gemm", ["t", "w", "b"], "u"),
        node("Softmax", ["u"], "y"),
    ]
    return model("shared_parameters", 13, nodes, [*norm("n", 3), raw("w", floats(6, 6)), raw("b", floats(6))])


def quantised():
    """Q/DQ without zero points, scales as lists of one, an axis counted from the end, int8 in typed fields."""
    weight = RNG.integers(-127, 127, (4, 3, 3, 3)).astype(np.int8)
    nodes = [
        node("QuantizeLinear", ["x", "xs"], "q"),
        node("DequantizeLinear", ["q", "xs"], "d"),
        node("DequantizeLinear", ["w", "ws"], "dw", axis=-4),
        node("Conv", ["d", "dw"], "c", pads=[1, 1, 1, 1]),
        node("QuantizeLinear", ["c", "cs", "cz"], "cq"),
        node("DequantizeLinear", ["cq", "cs", "cz"], "h"),
    ]
    tail, more = linear_tail()
    return model("quantised", 19, nodes + tail, [
        raw("xs", np.array([0.01], np.float32)),
        listed("w", weight),
        raw("ws", np.array([0.01, 0.02, 0.03, 0.04], np.float32)),
        raw("cs", np.array([0.1], np.float32)),
        listed("cz", np.array([-3], np.int8)),
        *more,
    ])


def inputs_hold_initializers():
    """IR version 3 lists parameters among the inputs."""
    made = model(
        "inputs_hold_initializers", 7, [node("Conv", ["x", "w"], "y")], [raw("w", floats(2, 3, 3, 3))], ir_version=3, rank=4
    )
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3, 3, 3]))
    return made


READABLE = [
    opset_11,
    opset_9,
    opset_18,
    shape_arithmetic,
    shape_slice,
    shared_parameters,
    quantised,
    inputs_hold_initializers,
]


def array(value):
    return {"shape": list(value.shape), "data": value.astype(np.float64).ravel().tolist()}


def main():
    folder = Path(sys.argv[1])
    answers = []
    for make in READABLE:
        made = make()
        onnx.checker.check_model(made, full_check=True)
        path = folder / f"{make.__name__}.onnx"
        onnx.save(made, str(path))
        batch = 1 if make is opset_9 else 2
        x = floats(batch, 3, 8, 8)
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        answers.append({"name": make.__name__, "model": str(path), "input": array(x), "output": array(y)})
    json.dump(answers, sys.stdout)


main()
