"""Scales, integers and calibrated ranges as ONNX Runtime's static quantiser computes them.

usage: calibrate.py PROBLEM

PROBLEM is JSON: `weight` (rows), `ranges` (pairs) and `values` (a list). Prints JSON: `weight_scales`, `weight`
(integers), `params` (scale and zero point of each range), `percentile` and `quantile` (ends of the middle 99.9
percent, from ORT's histogram and from NumPy), `entropy` (threshold for |values| with 128 levels).
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
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
