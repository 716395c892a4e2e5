"""The same operations with the same parameters, done by Pillow, OpenCV and Python's colorsys.

usage: operations.py FOLDER

Writes `<case>.in` and `<case>.out` (raw bytes, HWC) into FOLDER. Standard output is JSON: a list of {case, width,
height, channels, out_width, out_height, transform, tolerance, mean_tolerance}, `transform` being the operation in
the form that the crate stores (tolerances in levels of 0..255).
"""

import colorsys
import json
import pathlib
import sys

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

out = pathlib.Path(sys.argv[1])
cases = []
BORDERS = {
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}


def picture(width, height, channels):
    """Colours with smooth parts, edges and noise."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        255 * x / max(width - 1, 1),
        127 + 120 * np.sin(x / 9) * np.cos(y / 6),
        255 * y / max(height - 1, 1),
        (x * y) % 256,
    ]
    values = np.stack(planes[:channels], axis=-1)
    values[height // 4 : height // 2, width // 4 : width // 2] = [250, 30, 20, 90][:channels]
    noise = np.random.default_rng(width * 7 + channels).normal(0, 5, values.shape)
    return np.clip(np.round(values + noise), 0, 255).astype(np.uint8)


def add(transform, image, expected, tolerance, mean_tolerance):
    name = f"{len(cases):03}"
    expected = np.asarray(expected)
    (out / f"{name}.in").write_bytes(np.ascontiguousarray(image).tobytes())
    (out / f"{name}.out").write_bytes(np.ascontiguousarray(expected).tobytes())
    cases.append(
        dict(
            case=name,
            width=image.shape[1],
            height=image.shape[0],
            channels=image.shape[2],
            out_width=expected.shape[1],
            out_height=expected.shape[0],
            transform=transform,
            tolerance=tolerance,
            mean_tolerance=mean_tolerance,
        )
    )


def pil(image):
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


# Flip: exact.
for channels in (1, 3, 4):
    image = picture(31, 20, channels)
    add(dict(transform="horizontal_flip"), image, ImageOps.mirror(pil(image)), 0, 0)

# Resizing with antialiasing, down and up. Both sides round between their two passes, but take them in another
# order; where the cubic filter overshoots, an edge is cut to 0..255 in between at another place.
filters = dict(bilinear=Image.Resampling.BILINEAR, bicubic=Image.Resampling.BICUBIC)
for channels in (1, 3):
    for size in ((100, 75), (37, 50)):
        image = picture(*size, channels)
        for width, height in ((28, 28), (32, 20), (64, 96), (150, 120), (1, 1)):
            for name, code in filters.items():
                want = pil(image).resize((width, height), code)
                tolerance = 1 if name == "bilinear" else 12
                transform = dict(transform="resize", width=width, height=height, interpolation=name)
                add(transform, image, want, tolerance, 0.3)
image = picture(120, 90, 3)
for left, top, width, height in ((10, 5, 80, 60), (0, 0, 120, 90), (50, 40, 33, 21), (100, 80, 20, 10)):
    want = pil(image).resize((32, 32), filters["bilinear"], box=(left, top, left + width, top + height))
    window = [left, top, width, height]
    transform = dict(transform="resized_crop", window=window, width=32, height=32, interpolation="bilinear")
    add(transform, image, want, 1, 0.3)

# Crops and padding with borders: exact.
for channels in (1, 3):
    image = picture(30, 22, channels)
    for border in ("edge", "reflect", {"constant": 70}):
        code = BORDERS.get(border, cv2.BORDER_CONSTANT) if isinstance(border, str) else cv2.BORDER_CONSTANT
        want = cv2.copyMakeBorder(image, 2, 4, 3, 5, code, value=[70] * 4)
        add(dict(transform="pad", left=3, top=2, right=5, bottom=4, border=border), image, want, 0, 0)
        around = cv2.copyMakeBorder(image, 8, 8, 8, 8, code, value=[70] * 4)
        for left, top in ((-4, 3), (5, -6), (0, 0), (6, 5)):
            want = around[top + 8 : top + 8 + 20, left + 8 : left + 8 + 28]
            add(dict(transform="crop", left=left, top=top, width=28, height=20, border=border), image, want, 0, 0)

# Rotation, scaling, shifting: OpenCV places samples on a grid of 1/32 pixel, hence the tolerance.
for channels in (1, 3, 4):
    for size in ((28, 28), (61, 40)):
        image = cv2.GaussianBlur(picture(*size, channels), (5, 5), 0).reshape(size[1], size[0], channels)
        for angle, scale, shift_x, shift_y in ((10, 1, 0, 0), (-33, 1, 0, 0), (0, 1.3, 0, 0), (0, 0.8, 0, 0), (170, 0.9, 3.25, -2.5)):
            for border in ("edge", "reflect", {"constant": 70}):
                code = BORDERS[border] if isinstance(border, str) else cv2.BORDER_CONSTANT
                center = ((size[0] - 1) / 2, (size[1] - 1) / 2)
                matrix = cv2.getRotationMatrix2D(center, angle, scale)
                matrix[:, 2] += [shift_x, shift_y]
                want = cv2.warpAffine(
                    image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=code, borderValue=[70] * 4
                ).reshape(image.shape)
                map = dict(angle=angle, scale=scale, shift_x=shift_x, shift_y=shift_y)
                add(dict(transform="affine", border=border, **map), image, want, 6, 0.6)

# Colour: Pillow's enhancers exactly.
image = picture(40, 30, 3)
grey = picture(40, 30, 1)
for factor in (0.0, 0.35, 0.7, 1.0, 1.4, 2.5):
    for name, enhancer in (
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ):
        adjustments = [{name: factor}]
        add(dict(transform="color", adjustments=adjustments), image, enhancer(pil(image)).enhance(factor), 0, 0)
        if name != "saturation":
            add(dict(transform="color", adjustments=adjustments), grey, enhancer(pil(grey)).enhance(factor), 0, 0)
several = pil(image)
for enhancer, factor in ((ImageEnhance.Color, 1.3), (ImageEnhance.Brightness, 0.8), (ImageEnhance.Contrast, 1.2)):
    several = enhancer(several).enhance(factor)
adjustments = [{"saturation": 1.3}, {"brightness": 0.8}, {"contrast": 1.2}]
add(dict(transform="color", adjustments=adjustments), image, several, 0, 0)


def turned(image, turn):
    """Hue in HSV by the standard library, in double precision."""
    pixels = []
    for r, g, b in image.reshape(-1, 3) / 255.0:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        pixels.append(colorsys.hsv_to_rgb((h + turn) % 1.0, s, v))
    return np.floor(np.array(pixels) * 255 + 0.5).astype(np.uint8).reshape(image.shape)


for turn in (-0.5, -0.1, 0.02, 0.25, 0.4):
    add(dict(transform="color", adjustments=[{"hue": turn}]), image, turned(image, turn), 1, 0.15)

print(json.dumps(cases))
