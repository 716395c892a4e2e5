"""Runs an exported model on images of an IDX file by nothing but the model's metadata.

usage: oracle.py MODEL IMAGES.gz LABELS.gz COUNT LOGITS [MODE]

Reads COUNT images, brings them into the form that the metadata describe, runs ONNX Runtime, and writes the logits
as little-endian f32. Prints one JSON object: what ONNX's checker says, the metadata, and the accuracy in percent.
MODE `contrast` takes the contrast of the images away as severity 5 of CIFAR-10-C does; `flip` writes, in place of the
logits, the mean probabilities of each image and its mirror image.
"""

import gzip
import json
import sys

import numpy as np
import onnx
import onnxruntime


def idx(path: str, count: int) -> np.ndarray:
    with gzip.open(path) as file:
        data = file.read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)[:count]


def main() -> None:
    path, images, labels, count, logits = sys.argv[1:6]
    mode = sys.argv[6] if len(sys.argv) > 6 else "plain"
    onnx.checker.check_model(path, full_check=True)
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}

    pixels = idx(images, int(count))
    size = (int(metadata["oculist.input_height"]), int(metadata["oculist.input_width"]))
    if metadata["oculist.color"] != "grey" or metadata["oculist.resize"] != "exact" or pixels.shape[1:] != size:
        raise SystemExit(f"this script does not resize: {metadata}, images {pixels.shape}")
    if mode == "contrast":
        unit = pixels / 255.0
        means = unit.mean(axis=(1, 2), keepdims=True)
        pixels = np.rint(np.clip((unit - means) * 0.15 + means, 0, 1) * 255)
    mean, std = (np.float32(metadata[f"oculist.{key}"]) for key in ("mean", "std"))
    x = ((pixels.astype(np.float32) / np.float32(255) - mean) / std)[:, None]

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: np.ndarray) -> np.ndarray:
        x = np.ascontiguousarray(x)
        return np.concatenate([session.run(None, {name: x[i : i + 100]})[0] for i in range(0, len(x), 100)])

    y = run(x)
    if mode == "flip":
        exp = [np.exp(z - z.max(axis=1, keepdims=True)) for z in (y, run(x[..., ::-1]))]
        y = sum(e / e.sum(axis=1, keepdims=True) for e in exp) / 2
    y.astype("<f4").tofile(logits)
    top1 = 100 * float(np.mean(y.argmax(axis=1) == idx(labels, int(count))))
    print(json.dumps({"metadata": metadata, "top1": top1, "shape": list(y.shape)}))


if __name__ == "__main__":
    main()
