"""Checks ONNX models and runs them with ONNX Runtime.

Argument: a JSON file with a list of {model, names, inputs: [{shape, data}], optimised}.
Prints a JSON list of {outputs: [{shape, data}], ops}: ops counts the operators that ONNX Runtime runs in the end.
"""

import json
import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort


def run(job):
    onnx.checker.check_model(job["model"], full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if job["optimised"] else level.ORT_DISABLE_ALL
    options.optimized_model_filepath = job["model"] + ".optimised"
    options.log_severity_level = 3  # It warns that a saved optimised model fits this machine only.
    session = ort.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    feeds = {
        name: np.array(value["data"], dtype=np.float32).reshape(value["shape"])
        for name, value in zip(job["names"], job["inputs"], strict=True)
    }
    outputs = session.run(None, feeds)
    ops = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    arrays = [{"shape": list(o.shape), "data": o.astype(np.float64).ravel().tolist()} for o in outputs]
    return {"outputs": arrays, "ops": ops}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        jobs = json.load(file)
    json.dump([run(job) for job in jobs], sys.stdout)


main()
