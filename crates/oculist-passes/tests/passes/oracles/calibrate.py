"""Scales, integers and calibrated ranges as ONNX Runtime's static quantiser computes them.

usage: calibrate.py PROBLEM

PROBLEM is JSON: `weight` (rows), `ranges` (pairs), `values` (a list) and `bin`. Prints JSON: `weight_scales`, `weight`
(integers), `params` (scale and zero point of each range), `percentile` and `quantile` (ends of the middle 99.9
percent, from ORT's histogram and from NumPy), `entropy` (threshold for |values| with 128 levels by ORT) and
`divergence` (the same from bins of width `bin`, by the definition).
"""

import contextlib
import io
import json
import sys

import numpy as np
from onnx import TensorProto
from onnxruntime.quantization.calibrate import HistogramCollector
from onnxruntime.quantization.quant_utils import compute_scale_zp, quantize_nparray


def scale_zp(low, high, qmin, qmax, dtype, symmetric):
    zero, scale = compute_scale_zp(
        np.array(low, np.float32), np.array(high, np.float32), np.array(qmin, dtype), np.array(qmax, dtype), symmetric
    )
    return np.float32(scale), int(zero)


def collector(method, bins, levels, values):
    c = HistogramCollector(method, False, bins, levels, 99.9, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        c.collect({"x": values})
        found = c.compute_percentile() if method == "percentile" else c.compute_entropy()
    return [float(found["x"][0]), float(found["x"][1])]


def smooth(counts):
    empty = counts == 0
    moved = 1e-4 * empty.sum() / (~empty).sum()
    return np.where(empty, 1e-4, counts - moved)


def divergence(counts, n, levels):
    """KL divergence of the first n bins, outliers added to the last, from their merger into levels."""
    p = counts[:n].copy()
    p[-1] += counts[n:].sum()
    edges = np.arange(levels + 1) * n // levels
    q = np.zeros(n)
    for a, b in zip(edges[:-1], edges[1:]):
        filled = p[a:b] > 0
        if filled.any():
            q[a:b][filled] = counts[:n][a:b].sum() / filled.sum()
    p, q = smooth(p), smooth(q)
    p, q = p / p.sum(), q / q.sum()
    return (p * np.log(p / q)).sum()


def best_threshold(magnitudes, width, levels):
    counts = np.bincount(np.floor(magnitudes / width).astype(int)).astype(float)
    sizes = np.arange(levels, len(counts) + 1, 4)
    return float(width * sizes[np.argmin([divergence(counts, n, levels) for n in sizes])])


def main() -> None:
    problem = json.load(open(sys.argv[1]))
    weight = np.array(problem["weight"], np.float32)
    scales = [scale_zp(r.min(), r.max(), -127, 127, np.int8, True)[0] for r in weight]
    integers = [
        quantize_nparray(TensorProto.INT8, r, s, 0, low=-127, high=127).tolist() for r, s in zip(weight, scales)
    ]
    params = [scale_zp(a, b, 0, 255, np.uint8, False) for a, b in problem["ranges"]]
    values = np.array(problem["values"], np.float32)
    magnitudes = np.abs(values)
    mirrored = np.concatenate([magnitudes, -magnitudes])
    json.dump(
        {
            "weight_scales": [float(s) for s in scales],
            "weight": integers,
            "params": [[float(s), z] for s, z in params],
            "percentile": collector("percentile", 4096, 128, values),
            "quantile": [float(q) for q in np.quantile(values, [0.0005, 0.9995])],
            # A symmetric histogram with 256 levels has 128 on each side, as TensorRT has for magnitudes.
            "entropy": collector("entropy", 4095, 256, mirrored)[1],
            "divergence": best_threshold(magnitudes.astype(np.float64), problem["bin"], 128),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
