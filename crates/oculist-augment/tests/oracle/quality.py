"""Blurs, pixels, JPEG and light as OpenCV, Pillow and numpy do them.

usage: quality.py FOLDER

Writes `<case>.in` and `<case>.out` (raw bytes, HWC) into FOLDER. Standard output is JSON: a list of {case, width,
height, channels, operation, parameters, corruption, severity, tolerance, mean_tolerance, psnr}: either an operation
with its numbers or a corruption with its severity, and how far levels may be apart (the mean of the differences, the
largest one) or, for JPEG, the least peak signal-to-noise ratio in decibels.
"""

import io
import json
import math
import pathlib
import sys

import cv2
import numpy as np
from PIL import Image

out = pathlib.Path(sys.argv[1])
cases = []


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


def rounded(values):
    return np.clip(np.floor(np.asarray(values) + 0.5), 0, 255).astype(np.uint8)


def add(image, expected, tolerance, mean_tolerance, operation="", parameters=(), corruption="", severity=0, psnr=0):
    name = f"{len(cases):03}"
    expected = np.asarray(expected).reshape(image.shape)
    (out / f"{name}.in").write_bytes(np.ascontiguousarray(image).tobytes())
    (out / f"{name}.out").write_bytes(np.ascontiguousarray(expected).tobytes())
    height, width, channels = image.shape
    case = dict(case=name, width=width, height=height, channels=channels, operation=operation)
    case |= dict(parameters=list(parameters), corruption=corruption, severity=severity)
    cases.append(case | dict(tolerance=tolerance, mean_tolerance=mean_tolerance, psnr=psnr))


def pil(image):
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


SIZES = ((61, 40, 1), (61, 40, 3), (61, 40, 4), (32, 32, 3), (1, 7, 1), (3, 2, 3), (1, 1, 4))

# Gaussian and box: exactly OpenCV's bytes.
for size in SIZES:
    image = picture(*size)
    for sigma, kernel in ((0.4, 3), (1.0, 0), (2.0, 7), (3.0, 0), (6.0, 0), (0.0, 3), (0.0, 5), (0.0, 7), (0.0, 11)):
        if kernel and sigma:
            assert len(cv2.getGaussianKernel(kernel, sigma)) == kernel
        add(image, cv2.GaussianBlur(image, (kernel, kernel), sigma), 0, 0, "gaussian_blur", (sigma, kernel))
    for kernel in (1, 3, 5, 9, 15, 17, 21):
        add(image, cv2.blur(image, (kernel, kernel)), 1, 0.02, "box_blur", (kernel,))


def motion_kernel(radius, sigma, degrees):
    """One-sided Gaussian along a line, as a dense kernel for filter2D."""
    count = 2 * math.ceil(radius) + 1
    weights = np.exp(-0.5 * (np.arange(count) / sigma) ** 2) if sigma else np.ones(count)
    weights /= weights.sum()
    angle = math.radians(degrees)
    kernel = np.zeros((2 * count + 1, 2 * count + 1))
    for i, weight in enumerate(weights):
        dx, dy = math.ceil(i * math.cos(angle) - 0.5), math.ceil(i * math.sin(angle) - 0.5)
        kernel[count + dy, count + dx] += weight
    return kernel


for size in SIZES:
    image = picture(*size)
    for radius, sigma, degrees in ((10, 3, 0), (15, 8, 33), (6, 1.5, -45), (20, 15, 170), (4, 0, -100)):
        border = cv2.BORDER_REPLICATE
        kernel = motion_kernel(radius, sigma, degrees)
        want = rounded(cv2.filter2D(image.astype(np.float64), -1, kernel, borderType=border))
        # A sigma of 0 stands for equal weights, which Rust calls infinite.
        add(image, want, 1, 0.01, "motion_blur", (radius, sigma, degrees))


# Corruptions whose formulae need no chance. Parameters as in the authors' generators.
PHOTO, SMALL = picture(96, 80, 3), picture(32, 32, 3)
OTHERS = (picture(96, 80, 1), picture(96, 80, 4))


def each(corruption, photo, small, function, tolerance, mean_tolerance, psnr=0):
    for table, images in ((photo, (PHOTO, *OTHERS)), (small, (SMALL, picture(61, 40, 3)))):
        for severity, parameters in enumerate(table, 1):
            for image in images:
                want = function(image, parameters)
                add(image, want, tolerance, mean_tolerance, corruption=corruption, severity=severity, psnr=psnr)


def disk(radius, alias):
    if radius <= 8:
        line, size = np.arange(-8, 9), (3, 3)
    else:
        line, size = np.arange(-radius, radius + 1), (5, 5)
    x, y = np.meshgrid(line, line)
    kernel = (x**2 + y**2 <= radius**2).astype(np.float32)
    kernel /= kernel.sum()
    return cv2.GaussianBlur(kernel, ksize=size, sigmaX=alias)


def defocus(image, parameters):
    kernel = disk(*parameters)
    planes = [cv2.filter2D(image[..., c] / 255.0, -1, kernel) for c in range(image.shape[2])]
    return rounded(np.clip(np.stack(planes, -1), 0, 1) * 255)


each(
    "defocus_blur",
    ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    defocus,
    1,
    0.01,
)


def stretched(length, factor):
    """Places in the source of the samples that a linear zoom of the middle keeps."""
    window = math.ceil(length / factor)
    size = round(window * factor)
    trim = (size - length) // 2
    return (length - window) // 2 + np.linspace(0, window - 1, size)[trim : trim + length]


def zoom(image, factors):
    height, width, channels = image.shape
    total = image / 255.0
    for factor in factors:
        xs, ys = stretched(width, factor), stretched(height, factor)
        for c in range(channels):
            plane = image[..., c] / 255.0
            rows = np.stack([np.interp(xs, np.arange(width), row) for row in plane])
            total[..., c] += np.stack([np.interp(ys, np.arange(height), column) for column in rows.T], -1)
    return rounded(total / (len(factors) + 1) * 255)


each(
    "zoom_blur",
    [np.arange(1, end, step) for end, step in ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))],
    [np.arange(1, end, 0.01) for end in (1.06, 1.11, 1.16, 1.21, 1.26)],
    zoom,
    1,
    0.02,
)


def brightness(image, amount):
    """The value of HSV raised, hue and saturation kept, through the hexcone's formulae."""
    x = image[..., :3] / 255.0
    value = x.max(-1, keepdims=True)
    chroma = value - x.min(-1, keepdims=True)
    saturation = np.divide(chroma, value, out=np.zeros_like(chroma), where=value > 0)
    # How far each channel lies below the largest, as a part of the chroma: depends on the hue alone.
    depth = np.divide(value - x, chroma, out=np.zeros_like(x), where=chroma > 0)
    raised = np.clip(value + amount, 0, 1)
    result = image.copy()
    result[..., :3] = rounded(raised * (1 - saturation * depth) * 255)
    return result


# Amounts such as 0.1 are half a level off a whole number, where the last bit decides how a tie is rounded.
each("brightness", (0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3), brightness, 1, 0.15)


def contrast(image, factor):
    x = image / 255.0
    means = np.mean(x, axis=(0, 1), keepdims=True)
    result = rounded(np.clip((x - means) * factor + means, 0, 1) * 255)
    result[..., 3:] = image[..., 3:]
    return result


each("contrast", (0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15), contrast, 1, 0.01)


def pixelate(image, factor):
    height, width = image.shape[:2]

    def both(picture):
        small = picture.resize((int(width * factor), int(height * factor)), Image.Resampling.BOX)
        return np.asarray(small.resize((width, height), Image.Resampling.BOX))

    # Channel by channel, since Pillow weights colours by alpha.
    return np.stack([both(Image.fromarray(np.ascontiguousarray(image[..., c]))) for c in range(image.shape[2])], -1)


# Rows and columns are taken in another order, with rounding in between; where a pixel's middle falls on a border, the
# last bit decides which side it takes.
each("pixelate", (0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65), pixelate, 12, 0.2)


def jpeg(image, quality):
    buffer = io.BytesIO()
    pil(image[..., :3] if image.shape[2] == 4 else image).save(buffer, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(buffer)).reshape(*image.shape[:2], -1)
    return np.concatenate([decoded, image[..., 3:]], -1)


each("jpeg_compression", (25, 18, 15, 10, 7), (80, 65, 58, 50, 40), jpeg, 255, 255, psnr=33)
for quality in (1, 30, 75, 95, 100):
    for size in ((61, 40, 3), (61, 40, 1), (8, 8, 3), (16, 16, 3)):
        image = picture(*size)
        add(image, jpeg(image, quality), 255, 255, "jpeg", (quality,), psnr=33)

print(json.dumps(cases))
