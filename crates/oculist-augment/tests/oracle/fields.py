"""Random corruptions on given random fields, as the authors' generators compute them, in numpy and f64.

usage: fields.py FOLDER

FOLDER holds `cases.json`, a list of {case, width, height, channels, operation, parameters}, and for each case
`<case>.in` (raw bytes, HWC) and `<case>.field` (little-endian f64: what was drawn at random, in its order). Writes
`<case>.out`, the corrupted image. Formulae are those of Hendrycks and Dietterich's generator; where Rust deviates
from it, the deviation is named here.
"""

import json
import math
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])


def rounded(values):
    """The generator cuts to whole levels, Rust rounds."""
    return np.clip(np.floor(np.asarray(values) + 0.5), 0, 255).astype(np.uint8)


def blurred(plane, sigma, truncate, mode):
    """scipy.ndimage.gaussian_filter by its definition; `mode` is numpy's name of the border."""
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return plane.astype(np.float64)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius, radius)
        wide = np.pad(plane, pad, mode=mode)
        size = plane.shape[axis]
        plane = sum(w * np.take(wide, np.arange(k, k + size), axis=axis) for k, w in enumerate(weights))
    return plane


def grey_of(colors):
    return colors @ np.array([0.299, 0.587, 0.114])


def glass_blur(image, field, sigma, distance, rounds):
    distance, rounds = int(distance), int(rounds)
    height, width, channels = image.shape

    def blur(picture):
        return rounded(np.stack([blurred(picture[..., c], sigma, 4, "edge") for c in range(channels)], -1))

    x = blur(image)
    moves = iter(field.astype(int).reshape(-1, 2))
    for _ in range(rounds):
        for h in range(height - distance, distance, -1):
            for w in range(width - distance, distance, -1):
                dx, dy = next(moves)
                # The generator's swap of two views of one array: the right side is read late, so one is copied.
                x[h, w] = x[h + dy, w + dx]
    assert next(moves, None) is None
    return blur(x)


def elastic(image, field, alpha, sigma, jitter):
    height, width, channels = image.shape
    shifts, fields = field[:6].reshape(3, 2), field[6:].reshape(2, height, width)
    middle, side = np.array([width // 2, height // 2]), min(width, height) // 3
    points = middle + side * np.array([[1, 1], [1, -1], [-1, -1]])
    # The affine map that takes the moved points back, as the inverse that warpAffine samples with.
    moved = np.column_stack([points + shifts, np.ones(3)])
    back = np.linalg.solve(moved, points.astype(np.float64)).T
    dx, dy = (alpha * blurred(f, sigma, 3, "symmetric") for f in fields)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    # The generator samples twice; Rust composes both maps and samples once.
    sx, sy = np.einsum("ij,jhw->ihw", back, np.stack([x + dx, y + dy, np.ones_like(x)]))
    x0, y0 = np.floor(sx).astype(int), np.floor(sy).astype(int)
    reach = 2 * max(width, height) + int(max(np.abs(x0).max(), np.abs(y0).max()))
    wide = np.pad(np.arange(width), reach, mode="reflect")
    high = np.pad(np.arange(height), reach, mode="reflect")
    total = np.zeros(image.shape)
    for i in (0, 1):
        for j in (0, 1):
            weight = (1 - np.abs(sx - (x0 + i))) * (1 - np.abs(sy - (y0 + j)))
            total += weight[..., None] * image[high[y0 + j + reach], wide[x0 + i + reach]]
    return rounded(total)


def plasma(size, decay, draws):
    """Diamond-square on a torus of `size`, whole steps at once; draws are uniform in 0..1."""
    cloud = np.zeros((size, size))
    step, wibble, at = size, 100.0, 0
    while step >= 2:
        n, half = size // step, step // 2
        squares = draws[at : at + n * n].reshape(n, n)
        sides = draws[at + n * n : at + 3 * n * n].reshape(n, n, 2)
        at += 3 * n * n
        spread = lambda u: wibble * wibble * (2 * u - 1)
        corners = cloud[::step, ::step]
        total = corners + np.roll(corners, -1, 0)
        total = total + np.roll(total, -1, 1)
        middles = total / 4 + spread(squares)
        cloud[half::step, half::step] = middles
        above = middles + np.roll(middles, 1, 0) + corners + np.roll(corners, -1, 1)
        left = middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 0)
        cloud[::step, half::step] = above / 4 + spread(sides[..., 0])
        cloud[half::step, ::step] = left / 4 + spread(sides[..., 1])
        step, wibble = half, wibble / decay
    assert at == draws.size
    cloud -= cloud.min()
    return cloud / cloud.max()


def fog(image, field, density, decay):
    height, width = image.shape[:2]
    size = 1 << (max(width, height) - 1).bit_length()
    cloud = plasma(size, decay, field)[:height, :width, None]
    x = image / 255.0
    most = x.max()
    return rounded(np.clip((x + density * cloud) * most / (most + density), 0, 1) * 255)


def frost(image, field, keep, amount):
    """The mixture alone: the pattern is given, and tinted as Rust's is."""
    pattern = field.reshape(image.shape[:2])[..., None]
    tint = np.array([0.86, 0.94, 1.0]) if image.shape[2] == 3 else np.array([0.93])
    return rounded(np.clip(keep * image / 255.0 + amount * pattern * tint, 0, 1) * 255)


def zoomed(plane, factor):
    """The middle of the plane, magnified linearly with ends on ends, cut to the plane's size."""
    for axis in (0, 1):
        size = plane.shape[axis]
        window = math.ceil(size / factor)
        enlarged = round(window * factor)
        trim = (enlarged - size) // 2
        places = (size - window) // 2 + np.linspace(0, window - 1, enlarged)[trim : trim + size]
        plane = np.apply_along_axis(lambda line: np.interp(places, np.arange(size), line), axis, plane)
    return plane


def snow(image, field, mean, std, zoom, threshold, radius, sigma, keep):
    height, width, channels = image.shape
    angle, noise = math.radians(field[0]), field[1:].reshape(height, width)
    layer = zoomed(mean + std * noise, zoom)
    layer[layer < threshold] = 0
    layer = np.minimum(layer, 1)
    # ImageMagick's motion blur; the generator stores the layer as 8 bits before it, Rust does not.
    count = 2 * math.ceil(radius) + 1
    weights = np.exp(-0.5 * (np.arange(count) / sigma) ** 2)
    weights /= weights.sum()
    wide = np.pad(layer, count, mode="edge")
    flakes = np.zeros((height, width))
    for i, weight in enumerate(weights):
        dx, dy = math.ceil(i * math.cos(angle) - 0.5), math.ceil(i * math.sin(angle) - 0.5)
        flakes += weight * wide[count + dy : count + dy + height, count + dx : count + dx + width]
    x = image / 255.0
    grey = grey_of(x) if channels == 3 else x[..., 0]
    x = keep * x + (1 - keep) * np.maximum(x, (grey * 1.5 + 0.5)[..., None])
    return rounded(np.clip(x + (flakes + np.rot90(flakes, 2))[..., None], 0, 1) * 255)


def rain(image, field, drops, length, slant, opacity, dim):
    """Rust's own definition: the benchmark has no rain. A streak moves by one pixel along it at a time."""
    height, width = image.shape[:2]
    layer = np.zeros((height, width))
    along = np.array([math.sin(math.radians(slant)), math.cos(math.radians(slant))])
    for *start, near in field.reshape(-1, 3):
        places = np.array(start) + np.arange(math.ceil(length * near))[:, None] * along
        for x, y in np.floor(places).astype(int):
            if 0 <= x < width and 0 <= y < height:
                layer[y, x] = max(layer[y, x], near)
    covered = opacity * layer[..., None]
    return rounded((1 - dim) * (1 - covered) * image + 0.8 * 255 * covered)


def spatter(image, field, mean, std, size, threshold, strength, mud):
    height, width, channels = image.shape
    liquid = blurred((mean + std * field).reshape(height, width), size, 4, "edge")
    if mud:
        mask = blurred((liquid > threshold).astype(np.float64), strength, 4, "edge")
        mask[mask < 0.8] = 0
        color, covers = np.array([63.0, 42.0, 20.0]), 1.0
    else:
        # Rust's own shading in place of the generator's edges and distances.
        wide = np.pad(liquid, 1, mode="edge")
        slope = 0.5 * (wide[2:, 2:] - wide[:-2, :-2])
        mask = 0.5 * (liquid - threshold + 0.02) + np.abs(slope) + 0.5 * np.maximum(slope, 0)
        mask[liquid < threshold] = 0
        mask *= strength / mask.max()
        color, covers = np.array([175.0, 238.0, 238.0]), 0.0
    if channels == 1:
        color = np.floor(grey_of(color[None]) + 0.5)
    mask = mask[..., None]
    return rounded(np.clip(image / 255.0 * (1 - covers * mask) + mask * color / 255, 0, 1) * 255)


for case in json.loads((folder / "cases.json").read_text()):
    name = case["case"]
    shape = case["height"], case["width"], case["channels"]
    image = np.fromfile(folder / f"{name}.in", np.uint8).reshape(shape)
    field = np.fromfile(folder / f"{name}.field", "<f8")
    out = globals()[case["operation"]](image, field, *case["parameters"])
    (folder / f"{name}.out").write_bytes(np.ascontiguousarray(out).tobytes())
