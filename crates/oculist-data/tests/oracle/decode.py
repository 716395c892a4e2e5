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
import struct
import sys
import zlib

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

# JPEG: exact.
add("j444.jpg", saved(rgb, "JPEG", quality=92, subsampling=0))
add("j420.jpg", saved(rgb, "JPEG", quality=90))
add("j422.jpg", saved(rgb, "JPEG", quality=90, subsampling=1))
add("progressive.jpg", saved(rgb, "JPEG", quality=90, progressive=True))
add("progressive_grey.jpg", saved(grey, "JPEG", quality=70, progressive=True), grey=True)
add("restarts.jpg", saved(rgb, "JPEG", quality=90, restart_marker_blocks=2))
add("grey.jpg", saved(grey, "JPEG", quality=90), grey=True)
add("rgb.jpg", saved(rgb, "JPEG", quality=90, keep_rgb=True))
adobe = saved(cmyk, "JPEG", quality=95)
add("cmyk.jpg", adobe)
add("cmyk_progressive.jpg", saved(cmyk, "JPEG", quality=80, progressive=True))
start = adobe.index(b"\xff\xee")
length = int.from_bytes(adobe[start + 2 : start + 4], "big")
add("cmyk_plain.jpg", adobe[:start] + adobe[start + 2 + length :])
# YCCK: the same file by the name of its transform; its components are then read as luma, chroma and black.
ycck = bytearray(adobe)
ycck[start + 15] = 2
add("ycck.jpg", bytes(ycck))
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

# Orientation in the forms that cameras and editors write.


def block(order, kind, value):
    """An EXIF block with nothing but an orientation, as a number of one, two or four bytes (kinds 1, 3, 4)."""
    code = "<" if order == "II" else ">"
    number = struct.pack(code + {1: "B3x", 3: "H2x", 4: "I"}[kind], value)
    head = struct.pack(code + "2sHI", order.encode(), 42, 8)
    return head + struct.pack(code + "HHHI", 1, 274, kind, 1) + number + bytes(4)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def webp_with(chunks):
    """The lossless picture in the extended form with these chunks behind it."""
    picture = saved(rgb, "WEBP", lossless=True)[12:]
    flags = sum({b"EXIF": 8, b"XMP ": 4}[name] for name, _ in chunks)
    size = (rgb.width - 1).to_bytes(3, "little") + (rgb.height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0]) + size + picture
    for name, data in chunks:
        body += name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg_with(*segments):
    data = saved(rgb, "JPEG", quality=95, subsampling=0)
    inserted = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    # Behind the first segment, which is JFIF's.
    at = 4 + int.from_bytes(data[4:6], "big")
    return data[:at] + inserted + data[at:]


def upright(name, data, orientation, **options):
    """Records a case whose pixels, as Pillow reads them when it knows of no orientation, are turned here."""
    turn = {
        1: None,
        3: Image.Transpose.ROTATE_180,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        8: Image.Transpose.ROTATE_90,
    }[orientation]
    image = Image.open(io.BytesIO(data)).convert("RGB")
    add(name, data, expected=np.asarray(image if turn is None else image.transpose(turn)), **options)


prefix = b"Exif\0\0"
ns = b"http://ns.adobe.com/xap/1.0/\0"
packet = lambda value: b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' % value
element = lambda value: b"<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>" % value
other = saved(rgb, "PNG")
parts = other.index(b"IDAT") - 4
for order in ("II", "MM"):
    for kind in (1, 3, 4):
        upright(f"{order}{kind}.jpg", jpeg_with(prefix + block(order, kind, 6)), 6)
        upright(f"{order}{kind}.webp", webp_with([(b"EXIF", prefix + block(order, kind, 8))]), 8)
        upright(f"{order}{kind}_plain.webp", webp_with([(b"EXIF", block(order, kind, 8))]), 8)
        late = png_chunk(b"eXIf", block(order, kind, 5))
        upright(f"{order}{kind}_late.png", other[:-12] + late + other[-12:], 5)
        upright(f"{order}{kind}_early.png", other[:parts] + late + other[parts:], 5)
        long = saved(rgb, "TIFF", tiffinfo={274: 6})
        entry = long.index(struct.pack("<HHI", 274, 3, 1))
        number = {1: b"\6\0\0\0", 3: b"\6\0\0\0", 4: b"\6\0\0\0"}[kind]
        long = long[:entry] + struct.pack("<HHI", 274, kind, 1) + number + long[entry + 12 :]
        # Pillow turns a TIFF as it loads it, so that what it reads is upright already.
        if order == "II":
            add(f"long{kind}.tiff", long, expected=np.asarray(rgb.transpose(Image.Transpose.ROTATE_270)))
upright("xmp_before.jpg", jpeg_with(ns + packet(3), prefix + block("II", 3, 6)), 6)
upright("xmp_after.jpg", jpeg_with(prefix + block("MM", 3, 8), ns + packet(3)), 8)
upright("xmp_only.jpg", jpeg_with(ns + packet(8)), 8)
upright("xmp_element.jpg", jpeg_with(ns + element(6)), 6)
upright("two_blocks.jpg", jpeg_with(prefix + block("II", 3, 6), prefix + block("II", 3, 3)), 6)
upright("nine.jpg", jpeg_with(prefix + block("II", 3, 9)), 1)
upright("broken_block.jpg", jpeg_with(prefix + b"II*\0\xff\xff\xff\xff"), 1)
upright("xmp.webp", webp_with([(b"XMP ", packet(6))]), 6)
digits = (prefix + block("II", 3, 6)).hex().encode()
profile = b"\nexif\n%8d\n" % (len(digits) // 2) + digits + b"\n"
text = b"Raw profile type exif\0"
for name, chunk in [
    ("profile_z.png", png_chunk(b"zTXt", text + b"\0" + zlib.compress(profile))),
    ("profile_t.png", png_chunk(b"tEXt", text + profile)),
    ("xmp.png", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet(6))),
    ("xmp_z.png", png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet(6)))),
]:
    upright(name, other[:parts] + chunk + other[parts:], 6)

# Associated alpha, which only TIFF has: colours over black.
straight = np.asarray(rgba).astype(np.float64)
over_black = straight.copy()
over_black[..., :3] = np.round(straight[..., :3] * straight[..., 3:] / 255)
stored = saved(Image.fromarray(over_black.astype(np.uint8)), "TIFF")
entry = stored.index(struct.pack("<HHI", 338, 3, 1)) + 8
assert stored[entry] == 2
for extra, name in [(1, "associated.tiff"), (0, "unspecified.tiff"), (2, "unassociated.tiff")]:
    add(name, stored[:entry] + bytes([extra]) + stored[entry + 1 :], tolerance=2)

# The name says one thing, the content another.
add("really_a_png.jpg", saved(rgb, "PNG"))
add("without_ending", saved(rgb, "PNG"))

print(json.dumps(cases))
