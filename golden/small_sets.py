"""Small data sets that numbers of the docs were measured on, and how they were scored.

    python golden/small_sets.py planted FOLDER [SEED]      4,317 garments, 5.9% of them with a wrong label (FOLDER.json)
    python golden/small_sets.py score FOLDER AUDIT.json    the precision of the first suspects of a label check on them
    python golden/small_sets.py unequal FOLDER             1,344 garments of six classes, 700 to 54 of each
    python golden/small_sets.py old FOLDER                 all garments of the first five classes
    python golden/small_sets.py new FOLDER SEED            20 garments of each of the others, 10 more for validation, all test images
    python golden/small_sets.py photos FOLDER              4,317 drawn JPEG photos of 500x375 in five classes

Garments are from Fashion-MNIST's training file (Debian package dataset-fashion-mnist). Wrong labels are one of the other four, each
equally likely. Needs NumPy and Pillow.
"""

import gzip
import json
import pathlib
import sys

SOURCE = pathlib.Path("/usr/share/datasets/fashion-mnist")
UPPER = {0: "top", 2: "pullover", 3: "dress", 4: "coat", 6: "shirt"}
IMAGES, SHARE = 4317, 0.059
UNEQUAL = {0: ("top", 700), 2: ("pullover", 250), 3: ("dress", 150), 4: ("coat", 110), 6: ("shirt", 80), 9: ("boot", 54)}


NAMES = ["top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
OLD, FEW, FOR_VAL = 5, 20, 10


def garments(part="train"):
    import numpy as np

    def read(name, header):
        return np.frombuffer(gzip.open(SOURCE / f"{part}-{name}-ubyte.gz").read(), np.uint8, offset=header)

    return read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)


def save(pixels, path, **how):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


def planted(folder, seed="0"):
    import numpy as np

    images, labels = garments()
    rng = np.random.default_rng(int(seed))
    chosen = rng.permutation(np.flatnonzero(np.isin(labels, list(UPPER))))[:IMAGES]
    wrong = set(rng.permutation(IMAGES)[: round(SHARE * IMAGES)].tolist())
    classes, names = list(UPPER), []
    for i, at in enumerate(chosen):
        label = classes.index(labels[at])
        if i in wrong:
            label = (label + 1 + rng.integers(len(classes) - 1)) % len(classes)
            names.append(f"{i:05d}.png")
        save(images[at], folder / UPPER[classes[label]] / f"{i:05d}.png")
    folder.with_suffix(".json").write_text(json.dumps(names))


def score(folder, audit):
    wrong = set(json.loads(folder.with_suffix(".json").read_text()))
    audit = json.loads(pathlib.Path(audit).read_text())
    suspects = [i["image"] for i in audit["issues"] if i["kind"] == "label-errors"]
    right = [pathlib.PurePath(image).name in wrong for image in suspects]
    base = len(wrong) / audit["images"]
    for first in (50, 100, 200):
        share = sum(right[:first]) / first
        print(f"of the first {first}: {share:.1%} wrong, {share / base:.1f} times the {base:.1%} of all")


def unequal(folder):
    import numpy as np

    images, labels = garments()
    rng = np.random.default_rng(0)
    for label, (name, count) in UNEQUAL.items():
        for at in rng.permutation(np.flatnonzero(labels == label))[:count]:
            save(images[at], folder / name / f"{at:05d}.png")


def old(folder):
    for part, to in (("train", "train"), ("t10k", "test")):
        images, labels = garments(part)
        for at in (labels < OLD).nonzero()[0]:
            save(images[at], folder / to / NAMES[labels[at]] / f"{at:05d}.png")


def new(folder, seed):
    import numpy as np

    rng = np.random.default_rng(int(seed))
    images, labels = garments()
    for label in range(OLD, 10):
        chosen = rng.permutation(np.flatnonzero(labels == label))
        for part, places in {"train": chosen[:FEW], "val": chosen[FEW:][:FOR_VAL]}.items():
            for at in places:
                save(images[at], folder / part / NAMES[label] / f"{at:05d}.png")
    images, labels = garments("t10k")
    for at in (labels >= OLD).nonzero()[0]:
        save(images[at], folder / "test" / NAMES[labels[at]] / f"{at:05d}.png")


def photos(folder):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        small[..., i % 5 % 3] //= 2
        smooth = np.asarray(Image.fromarray(small).resize((500, 375), Image.BICUBIC)).astype(int)
        grain = rng.integers(-12, 13, (375, 500, 1))
        save((smooth + grain).clip(0, 255).astype(np.uint8), folder / f"class{i % 5}" / f"{i}.jpg", quality=90)


if __name__ == "__main__":
    verb, folder, *rest = sys.argv[1:]
    made = {"planted": planted, "score": score, "unequal": unequal, "old": old, "new": new, "photos": photos}
    made[verb](pathlib.Path(folder), *rest)
