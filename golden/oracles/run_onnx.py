"""Runs a model in ONNX Runtime on images from a raw file and writes the first output to another.

usage: run_onnx.py MODEL INPUT OUTPUT --shape N,C,H,W [--batch B] [--threads T] [--basic]

INPUT and OUTPUT hold little-endian f32 in row-major order. `--batch` runs B images at a time (default: all N
at once), `--threads` sets the threads within an operator (default 1), `--basic` turns graph optimisation off,
so that every Q/DQ node is computed as written. Prints one JSON object: the output's shape and type, and the
seconds that each run took.
"""

import argparse
import json
import time

import numpy as np
import onnxruntime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--shape", required=True, help="N,C,H,W")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--basic", action="store_true")
    arguments = parser.parse_args()

    shape = [int(d) for d in arguments.shape.split(",")]
    images = np.fromfile(arguments.input, dtype="<f4")
    if images.size != np.prod(shape):
        raise SystemExit(f"{arguments.input}: {images.size} values, but the shape {shape} has {np.prod(shape)}")
    images = images.reshape(shape)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    if arguments.basic:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(arguments.model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    step = arguments.batch or len(images)
    outputs, seconds = [], []
    for start in range(0, len(images), step):
        begin = time.perf_counter()
        outputs.append(session.run(None, {name: images[start : start + step]})[0])
        seconds.append(time.perf_counter() - begin)
    output = np.concatenate(outputs)
    output.astype("<f4").tofile(arguments.output)
    print(json.dumps({"shape": list(output.shape), "type": str(output.dtype), "seconds": seconds}))


if __name__ == "__main__":
    main()
