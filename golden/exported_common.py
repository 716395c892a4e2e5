"""What exported.py and exported_keras.py share: where files go, labels, gradients in few numbers, ONNX Runtime's answer."""

import os

import numpy as np
import onnx
import onnxruntime

import formula
import golden_json

BATCH = 2
HEAD = 8
LARGEST_FILE = 110_000
# Auxiliary heads count less.
OUTPUT_WEIGHTS = (1.0, 0.3, 0.3)
FOLDER = os.path.join(golden_json.FOLDER, "models")


def labels(pixels: int, classes: int) -> np.ndarray:
    """`[image, pixel]`; an output without pixels has one."""
    return (3 * np.arange(BATCH)[:, None] + 5 * np.arange(pixels)[None] + 1) % classes


def summary(name: str, gradient: np.ndarray) -> dict:
    """Shape; largest |g|, sum of |g|, sum of g and of g times the formula's tensor `NAME.probe`; the first elements."""
    g = gradient.reshape(-1)
    probe = formula.tensor(f"{name}.probe", (g.size,)).astype(np.float64)
    numbers = golden_json.numbers([np.abs(g).max(), np.abs(g).sum(), g.sum(), g @ probe])
    return {"shape": list(gradient.shape), "numbers": numbers, "head": golden_json.numbers(g[:HEAD])}


def gradient_error(gradients: dict, others: dict) -> float:
    """The largest distance relative to the largest element of the tensor.

    Where a normalisation takes away what a parameter does, its gradient is rounding: small ones are measured by a
    hundredth of the largest gradient of the network.
    """
    floor = 0.01 * max(np.abs(g).max() for g in gradients.values())
    return max(np.abs(g - others[k]).max() / max(np.abs(g).max(), floor) for k, g in gradients.items())


def check_file(path: str, x: np.ndarray, want: list) -> float:
    """The largest distance of ONNX Runtime's outputs, relative to the largest element of the output."""
    size = os.path.getsize(path)
    assert size < LARGEST_FILE, f"{path} has {size} bytes"
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    fixed = session.get_inputs()[0].shape[0] == 1
    batches = np.split(x, BATCH) if fixed else [x]
    found = [session.run(None, {session.get_inputs()[0].name: batch}) for batch in batches]
    error = 0.0
    for i, y in enumerate(want):
        got = np.concatenate([f[i] for f in found])
        assert got.shape == y.shape, f"{path}: {got.shape}"
        error = max(error, np.abs(got - y).max() / np.abs(y).max())
    assert error < 1e-4, f"{path}: ONNX Runtime is off by {error}"
    print(f"{os.path.basename(path):28}{size:7} bytes, ONNX Runtime off by {error:.1e}")
    return error


def outputs_entry(ys: list) -> list:
    return [{"shape": list(y.shape), "values": golden_json.numbers(y)} for y in ys]
