"""The same operations with the same parameters, done by Pillow, OpenCV, NumPy and Python's colorsys.

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

from splitmix import Rng

out = pathlib.Path(sys.argv[1])
cases = []
BORDERS = {
    "edge": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
    "symmetric": cv2.BORDER_REFLECT,
    "wrap": cv2.BORDER_WRAP,
}
SAMPLING = dict(nearest=cv2.INTER_NEAREST, bilinear=cv2.INTER_LINEAR, bicubic=cv2.INTER_CUBIC)


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
    add(dict(transform="vertical_flip"), image, ImageOps.flip(pil(image)), 0, 0)
    add(dict(transform="transpose"), image, pil(image).transpose(Image.Transpose.TRANSPOSE), 0, 0)
    for turns, code in ((1, Image.Transpose.ROTATE_90), (2, Image.Transpose.ROTATE_180), (3, Image.Transpose.ROTATE_270)):
        add(dict(transform="quarter_turns", turns=turns), image, pil(image).transpose(code), 0, 0)

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

# Resizing without antialiasing, down and up: the definition, and OpenCV, whose weights have 11 bits, so that it lies up to 0.17
# levels from the definition in the mean; ours may be no farther from OpenCV than that and what rounding makes. A reduction by 2
# both ways is left out, for which OpenCV takes its filter for areas.
def bilinear(values, start, side, size):
    """Along the first axis, at the middles of `size` new pixels."""
    places = np.clip(start + (np.arange(size) + 0.5) * side / size - 0.5, 0, len(values) - 1)
    first = np.minimum(places.astype(int), len(values) - 2)
    part = (places - first).reshape(-1, 1, 1)
    return values[first] * (1 - part) + values[first + 1] * part


for channels in (1, 3, 4):
    image = picture(121, 90, channels)
    for width, height in ((54, 54), (40, 33), (13, 7), (90, 80), (100, 120), (200, 150), (1, 1)):
        rows = bilinear(image.astype(float), 0, 90, height)
        exact = np.floor(bilinear(rows.swapaxes(0, 1), 0, 121, width).swapaxes(0, 1) + 0.5)
        transform = dict(transform="resize", width=width, height=height, interpolation="bilinear", antialias=False)
        add(transform, image, exact.astype(np.uint8), 1, 0.05)
        theirs = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, channels)
        add(transform, image, theirs, 1, np.abs(theirs - exact).mean() + 0.05)
# Windows, whose edges see the pixels beside them: the definition.
for channels in (1, 3, 4):
    image = picture(121, 90, channels)
    for left, top, width, height in ((10, 5, 80, 60), (50, 40, 33, 21), (0, 0, 121, 90), (100, 2, 20, 88)):
        down = bilinear(image.astype(float), top, height, 28)
        want = bilinear(down.swapaxes(0, 1), left, width, 32).swapaxes(0, 1)
        window = dict(window=[left, top, width, height], width=32, height=28)
        transform = dict(transform="resized_crop", interpolation="bilinear", antialias=False, **window)
        add(transform, image, np.floor(want + 0.5).astype(np.uint8), 1, 0.05)

# Crops and padding with borders: exact.
for channels in (1, 3):
    image = picture(30, 22, channels)
    for border in ("edge", "reflect", "symmetric", "wrap", {"constant": 70}):
        code = BORDERS[border] if isinstance(border, str) else cv2.BORDER_CONSTANT
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

# Sampling with every filter and border, with shear: OpenCV with the inverse map written out. Nearest differs where a
# place lies in the middle between pixels up to rounding, hence a tolerance for the mean only.
def smooth(width, height, channels):
    return cv2.GaussianBlur(picture(width, height, channels), (7, 7), 0).reshape(height, width, channels)


def code_of(border):
    return BORDERS[border] if isinstance(border, str) else cv2.BORDER_CONSTANT


def remapped(image, x, y, interpolation, border):
    x, y = (np.broadcast_to(v, image.shape[:2]).astype(np.float32) for v in (x, y))
    fill = [70] * 4
    return cv2.remap(image, x, y, SAMPLING[interpolation], borderMode=code_of(border), borderValue=fill).reshape(image.shape)


def tolerances(interpolation):
    return (255, 1.5) if interpolation == "nearest" else (8, 0.6)


for channels in (1, 3, 4):
    for width, height in ((28, 28), (47, 33)):
        image = smooth(width, height, channels)
        y, x = np.mgrid[0:height, 0:width].astype(float)
        for interpolation in SAMPLING:
            for border in ("edge", "reflect", "symmetric", "wrap", {"constant": 70}):
                how = dict(interpolation=interpolation, border=border)
                map = dict(angle=25, scale=0.9, shift_x=2.3, shift_y=-1.6, shear_x=12, shear_y=-7)
                turn, tx, ty = np.radians(25), np.tan(np.radians(12)), np.tan(np.radians(-7))
                inverse = np.array([[1, tx], [0, 1]]) @ np.array([[1, 0], [ty, 1]])
                inverse = inverse @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / 0.9
                px, py = (width - 1) / 2, (height - 1) / 2
                places = inverse @ np.stack([(x - px - 2.3).ravel(), (y - py + 1.6).ravel()])
                at_x, at_y = (places[0] + px).reshape(x.shape), (places[1] + py).reshape(x.shape)
                want = remapped(image, at_x, at_y, interpolation, border)
                add(dict(transform="affine", **how, **map), image, want, *tolerances(interpolation))

                corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
                offsets = [[3.0, 2.5], [-4.0, 1.0], [-2.0, -6.0], [5.0, -1.5]]
                matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), (corners + offsets).astype(np.float32))
                want = cv2.warpPerspective(
                    image, matrix, (width, height), flags=SAMPLING[interpolation], borderMode=code_of(border), borderValue=[70] * 4
                ).reshape(image.shape)
                add(dict(transform="perspective", offsets=offsets, **how), image, want, *tolerances(interpolation))

                fields = []
                for axis in (0, 1):
                    noise = (2 * Rng(9, axis).uniform(width * height) - 1).astype(np.float32).reshape(height, width)
                    fields.append(cv2.GaussianBlur(noise, (19, 19), 3, borderType=cv2.BORDER_REFLECT_101))
                want = remapped(image, x + 20 * fields[0], y + 20 * fields[1], interpolation, border)
                add(dict(transform="elastic", alpha=20, sigma=3, seed=9, **how), image, want, *tolerances(interpolation))

            columns, rows = [1.0, 0.6, 1.4, 0.9], [0.5, 1.5, 1.2]
            grids = []
            for side, parts in ((width, columns), (height, rows)):
                knots = np.concatenate([[0], np.cumsum(parts)]) / np.sum(parts) * side
                grids.append(np.interp(np.arange(side) + 0.5, np.linspace(0, side, len(parts) + 1), knots) - 0.5)
            want = remapped(image, grids[0][None, :], grids[1][:, None], interpolation, "edge")
            transform = dict(transform="grid_distortion", columns=columns, rows=rows, interpolation=interpolation)
            add(transform, image, want, *tolerances(interpolation))


def colour(adjustment, image, expected, tolerance=0, mean_tolerance=0):
    add(dict(transform="color", adjustments=[adjustment]), image, expected, tolerance, mean_tolerance)


# Pillow's own operations, bit for bit; the dark and flat pictures reach the corners of the statistics.
dark = (picture(40, 30, 3) // 3 + 20).astype(np.uint8)
two_values = np.where(picture(40, 30, 1) > 100, 200, 30).astype(np.uint8)
for image in (picture(40, 30, 3), picture(40, 30, 1), dark, two_values, picture(3, 3, 3), picture(17, 2, 3)):
    colour("invert", image, ImageOps.invert(pil(image)))
    colour("equalize", image, ImageOps.equalize(pil(image)))
    colour("auto_contrast", image, ImageOps.autocontrast(pil(image)))
    for bits in (1, 3, 4, 7):
        colour(dict(posterize=bits), image, ImageOps.posterize(pil(image), bits))
    for threshold in (0, 100.5, 128, 256):
        colour(dict(solarize=threshold), image, ImageOps.solarize(pil(image), threshold))
    for factor in (0.0, 0.1, 0.8, 1.9, 6.0):
        colour(dict(sharpness=factor), image, ImageEnhance.Sharpness(pil(image)).enhance(factor))
    for gamma in (0.4, 0.9, 1.7, 4.0):
        table = [int(255.999 * (value / 255) ** gamma) for value in range(256)]
        colour(dict(gamma=gamma), image, pil(image).point(table * image.shape[2]))
image = picture(40, 30, 3)
colour("grey", image, pil(image).convert("L").convert("RGB"))
colour(dict(shuffle=[2, 0, 1]), image, image[..., [2, 0, 1]])
colour(dict(rgb_shift=[40, -70, 5]), image, np.clip(image.astype(int) + [40, -70, 5], 0, 255).astype(np.uint8))
dropped = image.copy()
dropped[..., [0, 2]] = 33
colour(dict(drop_channels=dict(dropped=[True, False, True], fill=33)), image, dropped)

# PCA lighting by NumPy's matrix product.
values = np.array([0.2175, 0.0188, 0.0045])
components = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
for factors in ([0.1, -0.2, 0.05], [-0.8, 0.3, 1.0]):
    want = np.clip(np.floor(image + 255 * (components @ (values * factors)) + 0.5), 0, 255).astype(np.uint8)
    colour(dict(lighting=factors), image, want)


# Colour temperature: chromaticity on the Planckian locus from Planck's law and the CIE 1931 observer as Gaussians
# (Wyman, Sloan, Shirley, 2013), which shares no number with the polynomials under test.
def black_body(kelvin):
    wave = np.arange(360.0, 831.0)
    light = wave**-5 / np.expm1(1.438776877e7 / (wave * kelvin))

    def lobe(height, centre, left, right):
        return height * np.exp(-0.5 * ((wave - centre) * np.where(wave < centre, left, right)) ** 2)

    x = lobe(0.362, 442.0, 0.0624, 0.0374) + lobe(1.056, 599.8, 0.0264, 0.0323) + lobe(-0.065, 501.1, 0.0490, 0.0382)
    y = lobe(0.821, 568.8, 0.0213, 0.0247) + lobe(0.286, 530.9, 0.0613, 0.0322)
    z = lobe(1.217, 437.0, 0.0845, 0.0278) + lobe(0.681, 459.0, 0.0385, 0.0725)
    xyz = np.array([(light * x).sum(), (light * y).sum(), (light * z).sum()])
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return np.maximum(to_rgb @ (xyz / xyz[1]), 0)


for kelvin in (2500, 4000, 5500, 9000, 15000):
    part = image / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    linear = np.minimum(linear * black_body(kelvin) / black_body(6500), 1)
    part = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    colour(dict(temperature=kelvin), image, np.round(part * 255).astype(np.uint8), 6, 2.5)

# CLAHE: OpenCV's on grey exactly. On colours through YCrCb, whose Y may round to another level than luma; where a table is
# steep, that is a large step.
for width, height in ((64, 48), (61, 43), (30, 64), (7, 5)):
    grey, rgb = picture(width, height, 1), picture(width, height, 3)
    for clip, columns, rows in ((0.0, 8, 8), (2.0, 8, 8), (4.0, 4, 3), (40.0, 1, 1), (1.0, 5, 7)):
        clahe = cv2.createCLAHE(clip, (columns, rows))
        parameters = dict(clahe=dict(clip=clip, columns=columns, rows=rows))
        colour(parameters, grey, clahe.apply(grey[..., 0]))
        parts = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
        parts[..., 0] = clahe.apply(parts[..., 0])
        colour(parameters, rgb, cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB), 20, 1.5)

# Erasing: NumPy's slices.
for channels in (1, 3):
    image = picture(31, 20, channels)
    places = [(3, 4, 10, 8), (20, 10, 30, 30), (5, 6, 4, 9)]
    rectangles = [dict(left=x, top=y, width=w, height=h) for x, y, w, h in places]
    means = np.floor(image.reshape(-1, channels).mean(axis=0) + 0.5).astype(np.uint8)
    for fill, value in ((dict(constant=7), 7), ("mean", means)):
        want = image.copy()
        for x, y, w, h in places:
            want[y : y + h, x : x + w] = value
        add(dict(transform="erase", rectangles=rectangles, fill=fill), image, want, 0, 0)
    want, rng = image.copy(), Rng(77)
    for x, y, w, h in places:
        for row in range(y, min(y + h, 20)):
            part = want[row, x : x + w].reshape(-1)
            part[:] = rng.next(-(-part.size // 8)).view(np.uint8)[: part.size]
            want[row, x : x + w] = part.reshape(-1, channels)
    add(dict(transform="erase", rectangles=rectangles, fill=dict(noise=77)), image, want, 0, 0)
    y, x = np.mgrid[0:20, 0:31]
    hole = ((x - 3) % 7 < 4) & ((y - 2) % 6 < 2)
    want = np.where(hole[..., None], 9, image).astype(np.uint8)
    grid = dict(cell_width=7, cell_height=6, hole_width=4, hole_height=2, left=3, top=2)
    add(dict(transform="grid_dropout", fill=dict(constant=9), **grid), image, want, 0, 0)

# Mixing of chains, as AugMix does it.
image = picture(31, 20, 3)
chains = [[dict(transform="horizontal_flip")], [dict(transform="color", adjustments=["invert"])]]
parts = [np.asarray(ImageOps.mirror(pil(image))), np.asarray(ImageOps.invert(pil(image)))]
want = np.floor(0.5 * image + 0.375 * parts[0] + 0.125 * parts[1] + 0.5).astype(np.uint8)
add(dict(transform="mix", original=0.5, chains=chains, weights=[0.375, 0.125]), image, want, 0, 0)

print(json.dumps(cases))
