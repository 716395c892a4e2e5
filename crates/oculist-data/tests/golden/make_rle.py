"""Makes `rle.json`: masks and their run-length codes by pycocotools. Needs numpy and pycocotools.

usage: make_rle.py (writes beside itself)
"""

import json
import pathlib

import numpy as np
from pycocotools import mask as coco

rng = np.random.default_rng(3)
masks = [rng.random((h, w)) < p for h, w, p in [(7, 5, 0.5), (1, 9, 0.3), (9, 1, 0.7), (40, 33, 0.05), (3, 4, 0.0), (3, 4, 1.0)]]
y, x = np.mgrid[0:211, 0:173]
masks.append((x - 80) ** 2 + (y - 100) ** 2 < 60**2)
masks.append((x // 40 + y // 57) % 2 == 0)
cases = []
for mask in masks:
    code = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert (coco.decode(code) == mask).all()
    flat = mask.flatten(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    if flat[0]:
        counts = [0] + counts
    # The runs, taken from the definition, are the ones that pycocotools makes from them.
    again = coco.frPyObjects({"size": list(mask.shape), "counts": counts}, *mask.shape)
    assert again["counts"] == code["counts"]
    cases.append(
        dict(
            height=mask.shape[0],
            width=mask.shape[1],
            text=code["counts"].decode(),
            counts=counts,
            area=int(coco.area(code)),
            rows=["%x" % int("1" + "".join("01"[int(v)] for v in row), 2) for row in mask],
        )
    )
path = pathlib.Path(__file__).with_name("rle.json")
path.write_text(json.dumps(cases) + "\n")
