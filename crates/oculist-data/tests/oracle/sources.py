"""Writes data sets in every layout with Python's own csv, json and tarfile (and NumPy), and lists what they hold.

usage: sources.py FOLDER

Standard output is JSON: for each source the expected images of every split (`null` where the splits are drawn) as
[class, number of the picture], the class names in order, and the pictures as hexadecimal RGB.
"""

import csv
import io
import json
import pathlib
import sys
import tarfile

import numpy as np
from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(11)
pictures = []
sources = {}


def picture(height=6, width=7):
    pictures.append(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return len(pictures) - 1


def encoded(number, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pictures[number]).save(buffer, kind, **options)
    return buffer.getvalue()


def record(path, splits, classes):
    sources[path] = {"splits": splits, "classes": classes}


# Manifests: names with commas, quotes and a line break; paths relative to the manifest.
lists = out / "lists"
(lists / "a, b").mkdir(parents=True)
NAMES = ['dog 10', 'dog 9', 'cat, "big"', "line\nbreak"]
rows = []
for i in range(48):
    number = picture()
    name = f"a, b/{i}.png"
    (lists / name).write_bytes(encoded(number))
    rows.append((name, NAMES[i % 4], ["train", "val", "test", "train"][i // 4 % 4], number))
in_order = ['cat, "big"', "dog 9", "dog 10", "line\nbreak"]
by_split = {s: [[r[1], r[3]] for r in rows if r[2] == s] for s in ("train", "val", "test")}
with open(lists / "split.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "label", "split", "file_name", "note"])
    for i, (name, label, split, _) in enumerate(rows):
        writer.writerow([i, label, {"val": "Validation"}.get(split, split), name, "x"])
record("lists/split.csv", by_split, in_order)
with open(lists / "plain.csv", "w", newline="", encoding="utf-8-sig") as file:
    writer = csv.DictWriter(file, ["file_name", "label"])
    writer.writeheader()
    writer.writerows({"file_name": r[0], "label": r[1]} for r in rows)
record("lists/plain.csv", {"all": [[r[1], r[3]] for r in rows]}, in_order)
with open(lists / "split.jsonl", "w") as file:
    for name, label, split, _ in rows:
        print(json.dumps({"label": [label], "file_name": name, "split": split, "width": 7}), file=file)
record("lists/split.jsonl", by_split, in_order)
with open(lists / "numbers.jsonl", "w") as file:
    for i, (name, *_) in enumerate(rows):
        print(json.dumps({"file_name": name, "label": i % 12}), file=file)
record("lists/numbers.jsonl", {"all": [[str(i % 12), r[3]] for i, r in enumerate(rows)]}, [str(i) for i in range(12)])


# Tar shards. Long names need extension headers; the formats differ in how.
def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def shard(path, format, samples, label, deep="", directory=False):
    """samples: (key, picture, label)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as tar:
        if directory:
            info = tarfile.TarInfo("folder")
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for i, (key, number, value) in enumerate(samples):
            image = (f"{deep}{key}.{['png', 'PNG', 'webp'][i % 3]}", encoded(number, ["PNG", "PNG", "WEBP"][i % 3], **({"lossless": True} if i % 3 == 2 else {})))
            if label == "cls":
                text = (f"{deep}{key}.cls", f"{value}\n".encode())
            else:
                text = (f"{deep}{key}.json", json.dumps({"caption": "x", label: value}).encode())
            for member in (image, text) if i % 2 else (text, image):
                add(tar, *member)
            add(tar, f"{deep}{key}.seg.txt", b"x" * (i * 100))


def samples(count, values):
    return [(f"s{i:04}", picture(5 + i % 3, 6), values[i % len(values)]) for i in range(count)]


def listed(all_samples):
    return [[str(value), number] for _, number, value in all_samples]


three = ["b", "a 10", "a 9"]
one = samples(30, three)
shard(out / "one.tar", tarfile.GNU_FORMAT, one, "cls", deep="./" + "deep/" * 40, directory=True)
record("one.tar", {"all": listed(one)}, ["a 9", "a 10", "b"])
parts = {}
for name in ("train-000", "train-001", "val-000", "test-000"):
    parts[name] = samples(12, [2, 10, 0])
    shard(out / "shards" / f"{name}.tar", tarfile.PAX_FORMAT, parts[name], "label", deep="é" * 120 + "/")
train = parts["train-000"] + parts["train-001"]
record(
    "shards",
    {"train": listed(train), "val": listed(parts["val-000"]), "test": listed(parts["test-000"])},
    ["0", "2", "10"],
)
record("shards/train-{000..001}.tar", {"all": listed(train)}, ["0", "2", "10"])
named = samples(18, [1, 0, 2])
shard(out / "named" / "x.tar", tarfile.USTAR_FORMAT, named, "cls")
names = ["zero", "one", "two"]
(out / "named" / "classes.txt").write_text("\n".join(names) + "\n")
record("named", {"all": [[names[v], n] for _, n, v in named]}, names)


# CIFAR: planes of red, green and blue behind the labels.
def cifar(path, count, labels, coarse=False):
    path.parent.mkdir(exist_ok=True)
    found = []
    data = bytearray()
    for i in range(count):
        number = picture(32, 32)
        label = labels[i % len(labels)]
        data += bytes([7, label] if coarse else [label])
        data += pictures[number].transpose(2, 0, 1).tobytes()
        found.append([label, number])
    path.write_bytes(data)
    return found


names = [f"kind{9 - i}" for i in range(3)]
ten = out / "cifar10"
train = [x for i in range(1, 4) for x in cifar(ten / f"data_batch_{i}.bin", 8, [0, 1, 2])]
test = cifar(ten / "test_batch.bin", 6, [2, 1, 0])
(ten / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
record("cifar10", {"train+val": [[names[l], n] for l, n in train], "test": [[names[l], n] for l, n in test]}, names)
hundred = out / "cifar100"
train = cifar(hundred / "train.bin", 12, [1, 0, 2], coarse=True)
test = cifar(hundred / "test.bin", 6, [1, 0, 2], coarse=True)
(hundred / "fine_label_names.txt").write_text("\n".join(names))
record("cifar100", {"train+val": [[names[l], n] for l, n in train], "test": [[names[l], n] for l, n in test]}, names)

# COCO: boxes with fractions, over the edge, of crowds and without area.
coco = out / "coco"
for split in ("train2017", "val2017"):
    (coco / split).mkdir(parents=True)
    images, annotations, found = [], [], []
    for i in range(20):
        height, width = 20 + i, 31
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(coco / split / f"{i}.png")
        images.append({"id": 100 + i, "file_name": f"{i}.png", "width": width, "height": height})
        for j in range(3):
            x, y = rng.uniform(-2, 20), rng.uniform(-2, 12)
            w, h = rng.uniform(3, 30), rng.uniform(3, 30)
            category = [30, 7, 12][(i + j) % 3]
            x0, y0 = max(int(np.floor(x)), 0), max(int(np.floor(y)), 0)
            x1, y1 = min(int(np.ceil(x + w)), width), min(int(np.ceil(y + h)), height)
            pictures.append(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
            found.append([{30: "car", 7: "bus", 12: "tram"}[category], len(pictures) - 1])
            annotation = dict(id=len(annotations) + 1, image_id=100 + i, category_id=category, bbox=[x, y, w, h], iscrowd=0)
            annotation["segmentation"] = [[x, y, x + w, y, x + w, y + h]]
            annotations.append(annotation)
    crowd = dict(id=900, image_id=100, category_id=7, bbox=[0, 0, 9, 9], iscrowd=1)
    crowd["segmentation"] = {"size": [20, 31], "counts": [20, 600]}
    flat = dict(id=901, image_id=100, category_id=7, bbox=[3, 3, 0, 9], iscrowd=0, segmentation=[])
    images.append({"id": 999, "file_name": "not there.png", "width": 1, "height": 1})
    categories = [{"id": i, "name": n} for i, n in [(30, "car"), (7, "bus"), (12, "tram"), (13, "boat")]]
    (coco / "annotations").mkdir(exist_ok=True)
    text = json.dumps(dict(images=images, annotations=[*annotations, crowd, flat], categories=categories))
    (coco / "annotations" / f"instances_{split}.json").write_text(text)
    if split == "train2017":
        record("coco/annotations/instances_train2017.json", {"all": found}, ["bus", "tram", "car"])
        train = found
record("coco", {"train+test": train, "val": found}, ["bus", "tram", "car"])

# COCO on photos with an EXIF orientation: boxes in the stored grid, or in the upright one where the sizes say so. The
# expected crop is cut from that grid and turned by Pillow.
turned = out / "turned"
turned.mkdir()
images, annotations, found = [], [], []
for i in range(48):
    orientation, sizes = i % 8 + 1, ["none", "stored", "upright"][i // 8 % 3]
    height, width = 11, 17
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    tags = Image.Exif()
    tags[0x0112] = orientation
    kind, options = [("PNG", {}), ("WEBP", {"lossless": True})][i // 24]
    name = f"{i}.{kind.lower()}"
    Image.fromarray(pixels).save(turned / name, kind, exif=tags, **options)
    entry = {"id": i, "file_name": name}
    grid = Image.open(turned / name)
    upright = ImageOps.exif_transpose(grid)
    if sizes != "none":
        entry["width"], entry["height"] = grid.size if sizes == "stored" else upright.size
    x, y, w, h = [2, 1, 9, 3][:4] if i % 2 else [0, 4, 5, 6]
    box = (x, y, x + w, y + h)
    if sizes == "upright" and upright.size != grid.size:
        crop = upright.crop(box)
    else:
        # The crop gets the tag of the whole, and is turned by it.
        buffer = io.BytesIO()
        grid.crop(box).save(buffer, "PNG", exif=tags)
        crop = ImageOps.exif_transpose(Image.open(buffer))
    pictures.append(np.ascontiguousarray(np.asarray(crop.convert("RGB"))))
    found.append([["one", "two"][i // 8 % 2], len(pictures) - 1])
    images.append(entry)
    annotations.append(dict(id=i, image_id=i, category_id=i // 8 % 2 + 1, bbox=[x, y, w, h]))
categories = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
(turned / "a.json").write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
record("turned/a.json", {"all": found}, ["one", "two"])


# Hugging Face's image folders: metadata in the folder or in its splits. The folders of classes lie.
def metadata_rows(folder, names):
    """Writes images and returns for each: file_name, label, number of the picture."""
    rows = []
    for i, name in enumerate(names):
        number = picture(3, 3)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))
        rows.append((name, ["owl", "bat", "elk"][i % 3], number))
    return rows


def metadata_csv(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "caption", "label"])
        writer.writerows([name, "x, y", label] for name, label, _ in rows)


def by_label(rows):
    return [[label, number] for _, label, number in rows]


classes = ["bat", "elk", "owl"]
folder = out / "hf_plain"
rows = metadata_rows(folder, [f"{['owl', 'cat'][i % 2]}/{i}.png" for i in range(21)])
metadata_csv(folder / "metadata.csv", rows)
record("hf_plain", {"all": by_label(rows)}, classes)
folder = out / "hf_splits"
parts = {}
for split in ("train", "validation", "test"):
    parts[split] = metadata_rows(folder / split, [f"{i}.png" for i in range(9)])
    if split == "train":
        metadata_csv(folder / split / "metadata.csv", parts[split])
    else:
        lines = [json.dumps({"file_name": n, "label": l, "size": [3, 3]}) for n, l, _ in parts[split]]
        (folder / split / "metadata.jsonl").write_text("\n".join(lines) + "\n")
record("hf_splits", {"train": by_label(parts["train"]), "val": by_label(parts["validation"]), "test": by_label(parts["test"])}, classes)
folder = out / "hf_named"
rows = metadata_rows(folder, [f"{['train', 'Test', './validation'][i // 3 % 3]}/owl/{i}.png" for i in range(27)])
metadata_csv(folder / "metadata.csv", rows)
of = lambda name: by_label(r for r in rows if r[0].lower().startswith(name))
record("hf_named", {"train": of("train"), "val": of("./validation"), "test": of("test")}, classes)

print(json.dumps({"sources": sources, "pictures": [p.tobytes().hex() for p in pictures]}))
