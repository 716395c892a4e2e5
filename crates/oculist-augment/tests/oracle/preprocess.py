"""The network's input by Pillow and NumPy, from nothing but a model file's metadata.

usage: preprocess.py FOLDER

FOLDER holds `<i>.json` (the metadata as text keys and values, and the image's size) and `<i>.rgb`; written is
`<i>.f32`, the input as little-endian floats in NHWC.
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image

folder = pathlib.Path(sys.argv[1])
for path in sorted(folder.glob("*.json")):
    case = json.loads(path.read_text())
    meta = case["metadata"]
    pixels = np.frombuffer(path.with_suffix(".rgb").read_bytes(), np.uint8)
    image = Image.fromarray(pixels.reshape(case["height"], case["width"], 3))
    image = image.convert({"grey": "L", "rgb": "RGB"}[meta["oculist.color"]])
    width, height = int(meta["oculist.input_width"]), int(meta["oculist.input_height"])
    resample = Image.Resampling[meta["oculist.interpolation"].upper()]
    rule, _, side = meta["oculist.resize"].partition(":")
    if rule == "exact":
        image = image.resize((width, height), resample)
    else:
        short = min(image.size)
        image = image.resize([length * int(side) // short for length in image.size], resample)
        # Python rounds halves to the even number.
        halve = {"down": lambda n: n // 2, "half_to_even": lambda n: round(n / 2)}[meta.get("oculist.crop", "down")]
        left, top = halve(image.width - width), halve(image.height - height)
        image = image.crop((left, top, left + width, top + height))
    mean, std = (np.array([float(v) for v in meta[f"oculist.{key}"].split(",")]) for key in ("mean", "std"))
    values = np.asarray(image, np.float64).reshape(height, width, -1) / 255
    path.with_suffix(".f32").write_bytes(((values - mean) / std).astype("<f4").tobytes())
