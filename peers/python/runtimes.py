"""Inference in other runtimes: runtimes.py RUNTIME MODEL.onnx BATCH THREADS

RUNTIME is `onnxruntime` or `openvino`.
"""

import sys

import numpy as np
import onnx

import networks
from serve import serve


def onnxruntime(path: str, threads: int):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return f"onnxruntime {ort.__version__}", lambda x: session.run(None, {name: x})[0]


def openvino(path: str, threads: int, shape):
    import openvino as ov

    core = ov.Core()
    model = core.read_model(path)
    model.reshape(list(shape))
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(x):
        request.infer([x], share_inputs=True)
        return request.get_output_tensor(0).data

    return f"openvino {ov.__version__.split('-')[0]}", run


def main() -> None:
    runtime, path = sys.argv[1:3]
    batch, threads = map(int, sys.argv[3:5])
    shape = [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    images = networks.formula.tensor("input", (batch, *shape[1:]))
    if runtime == "onnxruntime":
        version, run = onnxruntime(path, threads)
    else:
        version, run = openvino(path, threads, images.shape)
    first = np.asarray(run(images))[0]
    serve({"version": version, "check": [float(v) for v in first]}, lambda: run(images))


main()
