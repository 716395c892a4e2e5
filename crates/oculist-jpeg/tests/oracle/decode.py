"""Writes JPEG files into the folder given, and beside each what Pillow and OpenCV (libjpeg-turbo) make of it.

Prints a JSON list of {file, pixels, width, height, channels, reduction}.
"""

import io
import json
import pathlib
import sys

import cv2
import numpy as np
from PIL import Image, ImageFile

ImageFile.MAXBLOCK = 1 << 22
folder = pathlib.Path(sys.argv[1])
cases = []


def picture(width, height, seed):
    """Smooth colours, an edge, grain and a corner of strong colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [np.sin(x / (5 + 3 * c) + c) + np.cos(y / (4 + 2 * c) - c) for c in range(3)]
    values = 128 + 50 * np.stack(waves, axis=-1)
    values[(x - width / 2) ** 2 + (y - height / 3) ** 2 < (min(width, height) / 4) ** 2] += [60, -50, 20]
    values += rng.normal(0, 6, values.shape)
    values[: height // 4, : width // 4] = rng.integers(0, 2, (height // 4, width // 4, 3)) * 255
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8))


def add(name, data):
    (folder / f"{name}.jpg").write_bytes(data)
    for reduction in (1, 2, 4, 8):
        image = Image.open(io.BytesIO(data))
        if reduction > 1:
            # The size asked for is a lower bound, so that this one is the one that fits.
            image.draft(None, (max(1, image.width // reduction), max(1, image.height // reduction)))
            size = (-(-Image.open(io.BytesIO(data)).width // reduction), -(-Image.open(io.BytesIO(data)).height // reduction))
            if image.size != size:
                continue
        pixels = np.asarray(image)
        if reduction == 1:
            flag = cv2.IMREAD_GRAYSCALE if pixels.ndim == 2 else cv2.IMREAD_COLOR_RGB
            other = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
            assert np.array_equal(pixels, other), name
        file = f"{name}-{reduction}.raw"
        (folder / file).write_bytes(pixels.tobytes())
        cases.append(
            dict(
                file=f"{name}.jpg",
                pixels=file,
                width=image.width,
                height=image.height,
                channels=1 if pixels.ndim == 2 else 3,
                reduction=reduction,
            )
        )


def pillow(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def opencv(image, factors, quality, restart=0):
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors, cv2.IMWRITE_JPEG_RST_INTERVAL, restart]
    return cv2.imencode(".jpg", np.asarray(image)[..., ::-1], options)[1].tobytes()


SIZES = [(1, 1), (2, 1), (1, 3), (3, 2), (5, 4), (6, 9), (8, 8), (9, 17), (16, 16), (17, 15), (33, 31), (61, 47), (70, 100), (131, 97)]
for i, (width, height) in enumerate(SIZES):
    image = picture(width, height, i)
    quality = [20, 75, 96, 100][i % 4]
    for name, factors in [("444", 0x111111), ("422", 0x211111), ("440", 0x121111), ("420", 0x221111)]:
        add(f"{name}-{width}x{height}", opencv(image, factors, quality))
        add(f"{name}-{width}x{height}-r", opencv(image, factors, 90, 1 + i % 3))
    add(f"grey-{width}x{height}", pillow(image.convert("L"), quality=quality))
large = picture(300, 211, 99)
for quality in (1, 10, 50, 85, 92, 96, 99, 100):
    for subsampling in (0, 1, 2):
        add(f"q{quality}-s{subsampling}", pillow(large, quality=quality, subsampling=subsampling, optimize=quality % 2 == 0))
# All values are possible in noise, and a tiny file needs every restart.
noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 110, 3)).astype(np.uint8))
add("noise", pillow(noise, quality=97, subsampling=2, restart_marker_blocks=1))
add("noise-100", pillow(noise, quality=100, subsampling=0))
add("flat", pillow(Image.new("RGB", (200, 120), (200, 30, 90)), quality=80))
add("thin", pillow(picture(700, 3, 5), quality=90))
add("tall", pillow(picture(3, 700, 6), quality=90))
print(json.dumps(cases))
