"""Writes image files of every kind that must be readable, and what Pillow makes of them.

usage: decode.py FOLDER

For each case FOLDER gets the file itself and `<case>.rgb`, the expected RGB bytes. Standard output is JSON: a
list of {case, file, width, height, grey, tolerance}.

The rules applied here with Pillow are the ones that the crate documents: EXIF orientation applied, transparency
composited on white, 16 bits to 8 by rounding x / 257, palettes and CMYK to RGB.
"""

import io
import json
import pathlib
import sys

import cv2
import numpy as np
from PIL import Image, ImageOps

out = pathlib.Path(sys.argv[1])
cases = []


def picture(width=61, height=47):
    """Smooth colours with edges and a little noise, like a photograph in small."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / (width - 1)
    green = 127 + 120 * np.sin(x / 7) * np.cos(y / 5)
    blue = 255 * y / (height - 1)
    rgb = np.stack([red, green, blue], axis=-1)
    rgb[10:20, 15:35] = [250, 30, 20]
    rgb[25:40, 30:50] = [10, 20, 230]
    noise = np.random.default_rng(5).normal(0, 4, rgb.shape)
    return np.clip(np.round(rgb + noise), 0, 255).astype(np.uint8)


def flatten(image):
    """RGB by Pillow, on white where transparent."""
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return np.asarray(image.convert("RGB"))


def add(name, data, tolerance=0, grey=False, expected=None):
    """Records one case; without `expected`, Pillow reads the file."""
    (out / name).write_bytes(data)
    if expected is None:
        expected = flatten(Image.open(io.BytesIO(data)))
    case = name.replace(".", "_")
    (out / f"{case}.rgb").write_bytes(np.ascontiguousarray(expected, np.uint8).tobytes())
    height, width = expected.shape[:2]
    cases.append(dict(case=case, file=name, width=width, height=height, grey=grey, tolerance=tolerance))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


rgb = Image.fromarray(picture())
grey = rgb.convert("L")
alpha = Image.fromarray(np.tile(np.linspace(0, 255, 61).round().astype(np.uint8), (47, 1)))
rgba = rgb.copy()
rgba.putalpha(alpha)
la = grey.copy()
la.putalpha(alpha)
palette = rgb.quantize(64)
clear_palette = saved(palette, "PNG", transparency=3)
cmyk = rgb.convert("CMYK")

# PNG: exact.
add("rgb.png", saved(rgb, "PNG"))
add("grey.png", saved(grey, "PNG"), grey=True)
add("bit.png", saved(grey.convert("1"), "PNG"), grey=True)
add("rgba.png", saved(rgba, "PNG"), tolerance=1)
add("grey_alpha.png", saved(la, "PNG"), tolerance=1)
add("palette.png", saved(palette, "PNG"))
add("palette_clear.png", clear_palette)
add("palette_4bit.png", saved(rgb.quantize(11), "PNG", bits=4))

# 16 bits: Pillow cannot reduce them properly, so the rule is written out.
deep = (np.asarray(rgb).astype(np.uint16) * 257 + np.random.default_rng(6).integers(-120, 120, (47, 61, 3))).clip(0, 65535)
deep = deep.astype(np.uint16)
reduced = np.floor(deep / 257 + 0.5).astype(np.uint8)
for kind in ("png", "tiff"):
    add(f"deep.{kind}", cv2.imencode(f".{kind}", deep[..., ::-1])[1].tobytes(), expected=reduced)
    data = cv2.imencode(f".{kind}", deep[..., 0])[1].tobytes()
    add(f"deep_grey.{kind}", data, grey=True, expected=np.repeat(reduced[..., :1], 3, axis=2))

# JPEG: exact, but for progressive files and four components, where chroma is interpolated in another way.
add("j444.jpg", saved(rgb, "JPEG", quality=92, subsampling=0))
add("j420.jpg", saved(rgb, "JPEG", quality=90))
add("j422.jpg", saved(rgb, "JPEG", quality=90, subsampling=1))
add("progressive.jpg", saved(rgb, "JPEG", quality=90, progressive=True), tolerance=5)
add("restarts.jpg", saved(rgb, "JPEG", quality=90, restart_marker_blocks=2))
add("grey.jpg", saved(grey, "JPEG", quality=90), grey=True)
adobe = saved(cmyk, "JPEG", quality=95)
add("cmyk.jpg", adobe, tolerance=3)
start = adobe.index(b"\xff\xee")
length = int.from_bytes(adobe[start + 2 : start + 4], "big")
add("cmyk_plain.jpg", adobe[:start] + adobe[start + 2 + length :], tolerance=3)
# YCCK: the same file by the name of its transform; its components are then read as luma, chroma and black.
ycck = bytearray(adobe)
ycck[start + 15] = 2
add("ycck.jpg", bytes(ycck), tolerance=3)
add("mpo_tail.jpg", saved(rgb, "JPEG", quality=90) + b"camera maker's tail" * 40)

# BMP, TIFF, GIF and lossless WebP: exact.
add("rgb.bmp", saved(rgb, "BMP"))
add("grey.bmp", saved(grey, "BMP"))
add("palette.bmp", saved(palette, "BMP"))
add("bit.bmp", saved(grey.convert("1"), "BMP"))
for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
    add(f"{compression}.tiff", saved(rgb, "TIFF", compression=compression))
add("grey.tiff", saved(grey, "TIFF"), grey=True)
add("rgba.tiff", saved(rgba, "TIFF"), tolerance=1)
add("cmyk.tiff", saved(cmyk, "TIFF"), tolerance=1)
add("palette.tiff", saved(palette, "TIFF"))
add("palette_lzw.tiff", saved(palette, "TIFF", compression="tiff_lzw"))
add("palette.gif", saved(palette, "GIF"))
add("grey.gif", saved(grey, "GIF"))
clear = palette.copy()
clear.info["transparency"] = 3
add("clear.gif", saved(clear, "GIF", transparency=3))
frames = [Image.fromarray(np.roll(picture(), 9 * i, axis=1)).quantize(64) for i in range(3)]
add("animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
add("lossless.webp", saved(rgb, "WEBP", lossless=True))
add("rgba.webp", saved(rgba, "WEBP", lossless=True, exact=True), tolerance=1)
add("lossy.webp", saved(rgb, "WEBP", quality=90), tolerance=3)
whole = [frame.convert("RGB") for frame in frames]
add("animated.webp", saved(whole[0], "WEBP", save_all=True, append_images=whole[1:], lossless=True))

# EXIF orientation, all eight.
for orientation in range(1, 9):
    add(f"turned{orientation}.jpg", saved(rgb, "JPEG", quality=95, subsampling=0, exif=exif(orientation)))
add("turned6.png", saved(rgb, "PNG", exif=exif(6)))
add("turned6.webp", saved(rgb, "WEBP", lossless=True, exif=exif(6)))
add("turned6.tiff", saved(rgb, "TIFF", tiffinfo={274: 6}))

# The name says one thing, the content another.
add("really_a_png.jpg", saved(rgb, "PNG"))
add("without_ending", saved(rgb, "PNG"))

print(json.dumps(cases))
