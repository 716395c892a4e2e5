"""Inference in other runtimes: runtimes.py RUNTIME MODEL.onnx BATCH THREADS PRECISION

RUNTIME is `onnxruntime`, `openvino`, `mnn` or `ncnn`, PRECISION is `f32` or `int8`. The first two read an int8 file that is
int8 already; the last two get the f32 file and make their own form of it.
"""

import sys
import time
from pathlib import Path

import numpy as np

import converted
from ours import formula
from serve import Declined, say, serve


def onnxruntime(path: Path, threads: int):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return f"onnxruntime {ort.__version__}", lambda x: session.run(None, {name: x})[0]


def openvino(path: Path, threads: int, shape):
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


def mnn(path: Path, threads: int, images: np.ndarray, int8: bool):
    import MNN

    net = MNN.Interpreter(str(converted.mnn(path, int8)))
    # High precision: f32 wherever the model is not int8, on every processor.
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    net.resizeTensor(net.getSessionInput(session), images.shape)
    net.resizeSession(session)
    entry, answer = net.getSessionInput(session), net.getSessionOutput(session)
    # Tensors in the order of the arrays; copying from and to them changes the order.
    float32, nchw = MNN.Halide_Type_Float, MNN.Tensor_DimensionType_Caffe
    given = MNN.Tensor(images.shape, float32, images, nchw)
    shape = answer.getShape()
    result = MNN.Tensor(shape, float32, np.zeros(shape, np.float32), nchw)

    def run(_):
        entry.copyFrom(given)
        net.runSession(session)
        answer.copyToHostTensor(result)
        return result.getNumpyData().reshape(shape)

    return f"MNN {MNN.version()}", run


def ncnn(path: Path, threads: int, images: np.ndarray, int8: bool):
    if int8:
        raise Declined("its packages hold no tool that quantises")
    import ncnn

    param = converted.ncnn(path)
    layers = {line.split()[0] for line in param.read_text().splitlines()[2:]}
    unknown = sorted(name for name in layers if ncnn.layer_to_index(name) < 0)
    if unknown:
        raise Declined(f"its converter leaves operators that it does not have: {', '.join(unknown)}")
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{name}", False)
    if net.load_param(str(param)) != 0 or net.load_model(str(param.with_suffix(".bin"))) != 0:
        raise SystemExit(f"ncnn does not read {param.name}")

    def extract(x: "ncnn.Mat") -> "ncnn.Mat":
        extractor = net.create_extractor()
        extractor.input("in0", x)
        return extractor.extract("out0")[1]

    def together(x):
        return extract(ncnn.Mat(x, batch_index=0)).numpy(batch_index=0)

    def one_by_one(x):
        return np.stack([np.array(extract(ncnn.Mat(image))) for image in x])

    # Its batches are young and not always faster.
    return f"ncnn {ncnn.__version__}", min([together, one_by_one], key=lambda way: seconds(way, images))


def seconds(job, images: np.ndarray) -> float:
    """The least of three runs, after a first one."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        job(images)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    runtime, path = sys.argv[1], Path(sys.argv[2])
    batch, threads = map(int, sys.argv[3:5])
    int8 = sys.argv[5] == "int8"
    _, shape = converted.input_of(path)
    images = formula.tensor("input", (batch, *shape[1:]))
    try:
        if runtime == "onnxruntime":
            version, run = onnxruntime(path, threads)
        elif runtime == "openvino":
            version, run = openvino(path, threads, images.shape)
        elif runtime == "mnn":
            version, run = mnn(path, threads, images, int8)
        elif runtime == "ncnn":
            version, run = ncnn(path, threads, images, int8)
        else:
            raise SystemExit(f"unknown runtime `{runtime}`")
    except Declined as reason:
        say({"declined": str(reason)})
        return
    first = np.asarray(run(images))[0]
    serve({"version": version, "check": [float(v) for v in first]}, lambda: run(images))


main()
