"""Writes files to begin with where `cargo fuzz` looks for them.

    seeds.py FOLDER

FOLDER/onnx gets the models of ONNX's own tests of operators, FOLDER/jpeg a few pictures as Pillow writes them. What is
kept in `corpus` is what `cargo fuzz cmin` leaves of these, and what was found.
"""

import pathlib
import sys
import warnings

import numpy as np
from PIL import Image

# Larger models slow the fuzzer down and show nothing else.
MOST_BYTES = 2048


def models(folder):
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = collect_testcases(None)
    for test in tests:
        model = test.model
        # What is given to a test as its inputs are constants of a second model, if they are small: operators read
        # shapes, axes and the like from them.
        content = model.SerializeToString()
        if len(content) <= MOST_BYTES:
            (folder / f"{test.name}.onnx").write_bytes(content)
        content = with_constants(model, test.data_sets[0][0])
        if content and len(content) <= MOST_BYTES:
            (folder / f"{test.name}_constants.onnx").write_bytes(content)


def with_constants(model, values):
    """The model with all its inputs but the first as constants; None if it has no other or one that is no tensor."""
    import onnx
    from onnx import numpy_helper

    if len(model.graph.input) < 2 or len(values) != len(model.graph.input):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value, given in list(zip(copy.graph.input, values))[1:]:
        if not isinstance(given, (np.ndarray, np.generic)) or np.asarray(given).dtype.kind in "OSUc":
            return None
        copy.graph.initializer.append(numpy_helper.from_array(np.asarray(given), value.name))
        copy.graph.input.remove(value)
    return copy.SerializeToString()


def pictures(folder):
    y, x = np.mgrid[0:29, 0:37]
    rgb = np.stack([x * 7 % 256, y * 9 % 256, (x * y) % 256], axis=-1).astype(np.uint8)
    image = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {
        "444": {"subsampling": 0},
        "422": {"subsampling": 1},
        "420": {"subsampling": 2},
        "progressive": {"progressive": True},
        "progressive_444": {"progressive": True, "subsampling": 0},
        "optimized": {"optimize": True},
        "restart": {"restart_marker_blocks": 2},
        "restart_rows": {"restart_marker_rows": 1, "progressive": True},
        "exif": {"exif": exif.tobytes()},
        "xmp": {"xmp": b"<x:xmpmeta/>"},
        "rgb": {"keep_rgb": True},
        "fine": {"quality": 100},
        "coarse": {"quality": 1},
    }
    for mode in ["RGB", "L", "CMYK"]:
        for name, given in options.items():
            if mode != "RGB" and name in ("444", "422", "420", "rgb"):
                continue
            image.convert(mode).save(folder / f"{mode.lower()}_{name}.jpg", "JPEG", **{"quality": 60, **given})


def main():
    folder = pathlib.Path(sys.argv[1])
    for kind, write in [("onnx", models), ("jpeg", pictures)]:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write(folder / kind)


if __name__ == "__main__":
    main()
