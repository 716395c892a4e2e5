"""What a call from Python costs beside what is computed: microseconds for pipelines that have next to nothing to do.

Run it with the package on the path and, to compare, Albumentations: PYTHONPATH=target/python-package python overhead.py
"""

import os
import timeit

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np
import oculist

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
MASK, BOXES = np.ascontiguousarray(IMAGE[..., 0]), [(1, 1, 3, 3)]


def tell(name, call, number=5000):
    """The shortest of many turns, so that other work on the machine does not count."""
    print(f"{name:<44}{min(timeit.repeat(call, number=number, repeat=15)) / number * 1e6:8.2f}")


def main():
    empty, flip = oculist.Augment([]), oculist.Augment([{"op": "horizontal_flip"}])
    tell("numpy: copy", IMAGE.copy)
    tell("oculist: no step", lambda: empty(IMAGE))
    tell("oculist: flip", lambda: flip(IMAGE))
    tell("oculist: flip with an index", lambda: flip(IMAGE, index=3))
    tell("oculist: flip of a dictionary", lambda: flip(image=IMAGE))
    tell("oculist: flip with mask and box", lambda: flip(image=IMAGE, mask=MASK, bboxes=BOXES))
    try:
        import albumentations as A
    except ImportError:
        return
    theirs = A.Compose([A.HorizontalFlip(p=1)])
    tell("albumentations: flip", lambda: theirs(image=IMAGE))
    boxed = A.Compose([A.HorizontalFlip(p=1)], bbox_params=A.BboxParams("pascal_voc"))
    tell("albumentations: flip with mask and box", lambda: boxed(image=IMAGE, mask=MASK, bboxes=[(*BOXES[0], 0)]))


main()
