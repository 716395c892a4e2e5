"""Plants wrong labels in a small set of confusable images, and scores a check of labels against them.

    python golden/label_errors.py plant FOLDER [SEED]      writes FOLDER/CLASS/*.png and FOLDER.json
    python golden/label_errors.py score FOLDER AUDIT.json  prints the precision of the first suspects

The images are 4,317 of Fashion-MNIST's five upper garments (Debian package dataset-fashion-mnist), of which 5.9% get one of the
other four labels, each equally likely. Needs NumPy and Pillow.
"""

import gzip
import json
import pathlib
import sys

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = {0: "top", 2: "pullover", 3: "dress", 4: "coat", 6: "shirt"}
IMAGES, SHARE = 4317, 0.059


def plant(folder, seed):
    import numpy as np
    from PIL import Image

    def read(name, header):
        return np.frombuffer(gzip.open(SOURCE / f"train-{name}-ubyte.gz").read(), np.uint8, offset=header)

    images, labels = read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.flatnonzero(np.isin(labels, list(CLASSES))))[:IMAGES]
    wrong = set(rng.permutation(IMAGES)[: round(SHARE * IMAGES)].tolist())
    classes, planted = list(CLASSES), []
    for i, at in enumerate(chosen):
        label = classes.index(labels[at])
        if i in wrong:
            label = (label + 1 + rng.integers(len(classes) - 1)) % len(classes)
            planted.append(f"{i:05d}.png")
        path = folder / CLASSES[classes[label]] / f"{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[at]).save(path)
    folder.with_suffix(".json").write_text(json.dumps(planted))


def score(folder, audit):
    planted = set(json.loads(folder.with_suffix(".json").read_text()))
    audit = json.loads(audit.read_text())
    suspects = [i["image"] for i in audit["issues"] if i["kind"] == "label-errors"]
    right = [pathlib.PurePath(image).name in planted for image in suspects]
    base = len(planted) / audit["images"]
    for first in (50, 100, 200):
        share = sum(right[:first]) / first
        print(f"of the first {first}: {share:.1%} wrong, {share / base:.1f} times the {base:.1%} of all")


if __name__ == "__main__":
    verb, folder, *rest = sys.argv[1:]
    if verb == "plant":
        plant(pathlib.Path(folder), int(rest[0]) if rest else 0)
    else:
        score(pathlib.Path(folder), pathlib.Path(rest[0]))
