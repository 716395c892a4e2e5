"""Measures of grey planes by OpenCV and NumPy: audit.py FOLDER.

Writes NAME.grey (bytes) for each case, NAME.small (its average by area) and prints a list of what is expected.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

folder = Path(sys.argv[1])
rng = np.random.default_rng(7)


def weights(old, new):
    """Row i: the part of new pixel i that each old pixel covers, by plain intersection of intervals."""
    matrix = np.zeros((new, old))
    for i in range(new):
        for j in range(old):
            low, high = max(i * old / new, j), min((i + 1) * old / new, j + 1)
            matrix[i, j] = max(0.0, high - low) * new / old
    return matrix


def phash(thumbnail):
    frequencies = cv2.dct(thumbnail.astype(np.float64))
    scale = np.full(32, np.sqrt(2 / 32))
    scale[0] = np.sqrt(1 / 32)
    low = (frequencies / np.outer(scale, scale))[:8, :8]
    bits = (low > np.median(low)).flatten()
    return "".join("1" if bit else "0" for bit in bits)


def entropy(grey):
    p = np.bincount(grey.flatten(), minlength=256) / grey.size
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


y, x = np.mgrid[0:300, 0:260]
scene = 120 + 60 * np.sin(x / 17.0) * np.cos(y / 29.0) + 30 * (x > y) + rng.normal(0, 8, x.shape)
scene = np.clip(scene, 0, 255).astype(np.uint8)
planes = {
    "scene": scene,
    "blurred": cv2.GaussianBlur(scene, (0, 0), 4),
    "noise": rng.integers(0, 256, (45, 70), dtype=np.uint8),
    "square": rng.integers(0, 256, (32, 32), dtype=np.uint8),
    "small": rng.integers(0, 256, (28, 28), dtype=np.uint8),
    # Odd sides: no mean of so few grey levels is a half, which rounding errors could send either way.
    "dark": rng.integers(0, 9, (65, 33), dtype=np.uint8),
    "line": rng.integers(0, 256, (1, 9), dtype=np.uint8),
    "pixel": np.array([[77]], dtype=np.uint8),
}
cases = []
for name, grey in planes.items():
    height, width = grey.shape
    small = weights(height, 32) @ grey.astype(np.float64) @ weights(width, 32).T
    grey.tofile(folder / f"{name}.grey")
    np.floor(small + 0.5).astype(np.uint8).tofile(folder / f"{name}.small")
    cases.append(
        {
            "name": name,
            "width": width,
            "height": height,
            "laplacian": float(cv2.Laplacian(grey, cv2.CV_64F).var()),
            "entropy": entropy(grey),
            "percentiles": [float(np.percentile(grey, q)) for q in (1, 5, 50, 99)],
            "hash": phash(np.floor(small + 0.5).astype(np.uint8)),
            "patterned": bool(grey.size > 100),
        }
    )
print(json.dumps(cases))
