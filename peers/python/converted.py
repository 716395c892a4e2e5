"""A model in the form of MNN or of ncnn, made once beside the ONNX file: converted.py MODEL.onnx OUTPUT.mnn [int8]

The command line makes MNN's form, in a process of its own: what the converter needs is no memory of the runtime.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from ours import formula


def input_of(path: Path) -> tuple[str, list[int]]:
    """Name and shape of the input; the batch is 0 where the file leaves it open."""
    value = onnx.load(path).graph.input[0]
    return value.name, [d.dim_value for d in value.type.tensor_type.shape.dim]


def stamp(source: Path, package: str) -> str:
    """What a conversion depends on: the file's bytes, which are written anew by every run, and the converter."""
    return f"{hashlib.sha256(source.read_bytes()).hexdigest()} {package} {version(package)}\n"


def is_current(made: Path, wanted: str) -> bool:
    kept = made.with_name(f"{made.name}.from")
    return made.exists() and kept.exists() and kept.read_text() == wanted


def keep(made: Path, wanted: str) -> None:
    """Called last: what was interrupted half-way has no stamp and is made again."""
    made.with_name(f"{made.name}.from").write_text(wanted)


def mnn(source: Path, int8: bool) -> Path:
    made = source.with_suffix(".int8.mnn" if int8 else ".mnn")
    wanted = stamp(source, "MNN")
    if not is_current(made, wanted):
        made.unlink(missing_ok=True)
        words = [sys.executable, "-B", __file__, str(source), str(made), *(["int8"] if int8 else [])]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0 or not made.exists():
            raise SystemExit(f"MNN's converter failed\n{done.stdout}{done.stderr}")
        keep(made, wanted)
    return made


def ncnn(source: Path) -> Path:
    """The file `.param`; `.bin` lies beside it. In f32: pnnx halves weights unless it is told not to."""
    param = source.with_suffix(".ncnn.param")
    wanted = stamp(source, "pnnx")
    if is_current(param, wanted):
        return param
    found = importlib.util.find_spec("pnnx")  # Importing it would import PyTorch.
    if found is None or found.origin is None:
        raise SystemExit("pnnx is not installed")
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        folder = Path(name)
        shutil.copy(source, folder / "model.onnx")
        words = [str(Path(found.origin).parent / "pnnx"), "model.onnx", "fp16=0"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        if not (folder / "model.ncnn.param").exists():
            raise SystemExit(f"pnnx failed\n{done.stdout}{done.stderr}")
        text = with_channels((folder / "model.ncnn.param").read_text(), (folder / "model.pnnx.param").read_text())
        (folder / "model.ncnn.param").write_text(text)
        os.replace(folder / "model.ncnn.bin", source.with_suffix(".ncnn.bin"))
        os.replace(folder / "model.ncnn.param", param)
    keep(param, wanted)
    return param


def with_channels(text: str, before: str) -> str:
    """Writes `Pad` of channels, which pnnx copies without its sizes, as the layer that ncnn has for it."""
    pads = {}
    for line in before.splitlines():
        words = line.split()
        if words and words[0] == "Pad":
            sizes = next(word for word in words if word.startswith("pads=("))
            pads[words[1]] = [int(size) for size in sizes[6:-1].split(",")]
    lines = []
    for line in text.splitlines():
        words = line.split()
        sizes = pads.get(words[1]) if words and words[0] == "Pad" else None
        if sizes and len(sizes) == 8 and not any(sizes[i] for i in (0, 2, 3, 4, 6, 7)):
            line = " ".join(["Padding", *words[1:], f"7={sizes[1]}", f"8={sizes[5]}"])
        lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    import _tools  # What `mnnconvert` and `mnnquant` call, without their reports over the network.

    source, made = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=made.parent) as name:
        folder = Path(name)
        result = folder / "model.mnn"
        words = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(result), "--bizCode", "bench", "--batch", "1"]
        _tools.mnnconvert(["mnnconvert", *words])
        if sys.argv[3:] == ["int8"]:
            config = calibration(source, folder)
            result = folder / "int8.mnn"
            _tools.mnnquant(["mnnquant", str(folder / "model.mnn"), str(result), str(config)])
        os.replace(result, made)


def calibration(source: Path, folder: Path) -> Path:
    """What MNN's quantiser reads: the four random images that the others get, as text, and the default methods."""
    name, shape = input_of(source)
    about = {"inputs": [{"name": name, "shape": [1, *shape[1:]]}]}
    for i, image in enumerate(formula.tensor("input", (4, *shape[1:]))):
        sample = folder / "samples" / str(i)
        sample.mkdir(parents=True)
        np.savetxt(sample / f"{name}.txt", image.reshape(1, -1))
        (sample / "input.json").write_text(json.dumps(about))
    methods = {"feature_quantize_method": "KL", "weight_quantize_method": "MAX_ABS", "input_type": "sequence"}
    config = folder / "config.json"
    config.write_text(json.dumps({**about, **methods, "path": f"{folder}/samples/", "used_sample_num": 4}))
    return config


if __name__ == "__main__":
    main()
