"""Runs a Q/DQ model in ONNX Runtime and says which operators its optimiser makes of it.

usage: fuse.py MODEL INPUT N,C,H,W

INPUT holds little-endian f32. Prints JSON: `ops` (operator counts of the optimised graph), `optimized` and `plain`
(the first output with and without graph optimisation).
"""

import collections
import json
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort


def run(model, level, images, save=None):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = level
    if save:
        options.optimized_model_filepath = save
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def main() -> None:
    model, file, shape = sys.argv[1:]
    images = np.fromfile(file, dtype="<f4").reshape([int(d) for d in shape.split(",")])
    onnx.checker.check_model(onnx.load(model), full_check=True)
    level = ort.GraphOptimizationLevel
    with tempfile.TemporaryDirectory() as folder:
        saved = os.path.join(folder, "optimized.onnx")
        optimized = run(model, level.ORT_ENABLE_ALL, images, saved)
        ops = collections.Counter(n.op_type for n in onnx.load(saved).graph.node)
    plain = run(model, level.ORT_DISABLE_ALL, images)
    json.dump({"ops": ops, "optimized": optimized.ravel().tolist(), "plain": plain.ravel().tolist()}, sys.stdout)


if __name__ == "__main__":
    main()
