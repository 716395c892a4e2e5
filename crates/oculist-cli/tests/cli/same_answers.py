"""Runs pairs of models in ONNX Runtime: same_answers.py PAIRS.json

PAIRS.json is a list of [A, B]. Both get the same images; prints, for each pair, the largest difference of all outputs relative
to the largest output, the same with other images for B, and what ONNX's checker says of B, as JSON.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime


def images(path: str, seed: int) -> dict:
    session = onnx.load(path).graph
    rng = np.random.default_rng(seed)
    weights = {t.name for t in session.initializer}
    given = {}
    for value in session.input:
        if value.name in weights:
            continue
        dims = [d.dim_value or 2 for d in value.type.tensor_type.shape.dim]
        given[value.name] = rng.uniform(-1, 1, dims).astype(np.float32)
    return given


def run(path: str, given: dict) -> list:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, given)


def distance(a: list, b: list) -> float:
    if [x.shape for x in a] != [x.shape for x in b]:
        return float("inf")
    largest = max(float(np.abs(x).max()) for x in a)
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b)) / largest


def main() -> None:
    found = []
    for a, b in json.load(open(sys.argv[1])):
        onnx.checker.check_model(b, full_check=True)
        given = images(a, 1)
        want = run(a, given)
        found.append([distance(want, run(b, given)), distance(want, run(b, images(a, 2)))])
    print(json.dumps(found))


main()
