"""Makes the golden Parquet files and `expected.json`, what they hold. Needs pyarrow and pillow.

usage: make_parquet.py (writes beside itself)

The layout is that of Hugging Face's `datasets`: a struct of the encoded image and its name, a whole number as the
label, and a `huggingface` entry in the metadata with the features. Row groups are small, so that there are several.
"""

import io
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

here = pathlib.Path(__file__).parent / "parquet"
here.mkdir(exist_ok=True)
rng = np.random.default_rng(7)
NAMES = ["zebra", "ant", "mole"]
expected = {}


def picture():
    return rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def metadata(names, label="label"):
    feature = {"names": names, "_type": "ClassLabel"}
    info = {"info": {"features": {"image": {"_type": "Image"}, label: feature}}}
    return {"huggingface": json.dumps(info)}


def write(name, rows, label="label", image="image", names=NAMES, label_type=pa.int64(), more=None, **options):
    """rows: (pixels, label as stored)."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": png(p), "path": f"{i}.png"} for i, (p, _) in enumerate(rows)], struct)
    columns = {image: images, label: pa.array([value for _, value in rows], label_type)}
    columns.update(more or {})
    table = pa.table(columns)
    if names:
        table = table.replace_schema_metadata(metadata(names, label))
    (here / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, here / name, **{"row_group_size": 7, "compression": "snappy", **options})
    named = [names[v] if names and isinstance(v, int) else str(v) for _, v in rows]
    expected[name] = [[class_name, p.tobytes().hex()] for class_name, (p, _) in zip(named, rows)]


def rows(count, of=3):
    return [(picture(), i % of) for i in range(count)]


write("snappy.parquet", rows(18))
write("plain.parquet", rows(18), compression="none", use_dictionary=False, data_page_version="2.0")
text = [(p, f"kind {v}") for p, v in rows(18)]
write("text.parquet", text, image="img", names=None, label_type=pa.string())
write("fine.parquet", rows(18), label="fine_label", names=None, label_type=pa.int32(), more={"coarse": pa.array([0] * 18)})
write("split/data/train-00000-of-00002.parquet", rows(12))
write("split/data/train-00001-of-00002.parquet", rows(9))
write("split/data/validation-00000-of-00001.parquet", rows(6))
write("split/data/test-00000-of-00001.parquet", rows(6))

# What must be refused.
struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
paths = pa.array([{"bytes": None, "path": f"{i}.png"} for i in range(6)], struct)
labels = pa.array([0, 1, 2] * 2, pa.int64())
whole = pa.array([{"bytes": png(picture()), "path": None} for _ in range(6)], struct)
bad = {
    "paths_only": {"image": paths, "label": labels},
    "no_image": {"path": pa.array([f"{i}.png" for i in range(6)]), "label": labels},
    "no_label": {"image": whole, "caption": pa.array(["a"] * 6)},
    "several": {"image": whole, "label": pa.array([[0, 1]] * 6, pa.list_(pa.int64()))},
    "null_label": {"image": whole, "label": pa.array([0, 1, None, 0, 1, 0], pa.int64())},
    "hidden": {"image": whole, "label": pa.array([-1] * 6, pa.int64())},
    "float_label": {"image": whole, "label": pa.array([0.5] * 6)},
}
for name, columns in bad.items():
    pq.write_table(pa.table(columns), here / f"bad_{name}.parquet", compression="snappy")
table = pa.table({"image": whole, "label": pa.array([0, 1, 3] * 2, pa.int64())})
pq.write_table(table.replace_schema_metadata(metadata(NAMES)), here / "bad_range.parquet", compression="snappy")

# Every compression that pyarrow writes; its "lz4" is LZ4_RAW.
for codec in ("gzip", "brotli", "lz4", "zstd"):
    write(f"{codec}.parquet", rows(18), compression=codec)

(here / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
