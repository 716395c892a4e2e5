"""Transforms of Albumentations 2.0.8 and the steps that equal them.

What is not in the table has no equal. A difference that remains is told.
"""

from __future__ import annotations

from typing import Any, Callable

from ._albumentations_log import Parameters

Steps = list[dict[str, Any]]


def _plain(*ops: str) -> Callable[[Parameters], Steps]:
    return lambda p: [{"op": op} for op in ops]


def _all_symmetries(p: Parameters) -> Steps:
    return [{"op": "quarter_turns"}, {"op": "horizontal_flip", "probability": 0.5}]


def _random_crop(p: Parameters) -> Steps:
    size = {"width": p.take("width"), "height": p.take("height")}
    if p.take("pad_if_needed", False):
        p.must("pad_position", "center")
        return [{"op": "random_crop", **size, "border": p.border()}]
    p.ignore("pad_position", "border_mode", "fill", "fill_mask")
    return [{"op": "random_crop", **size}]


def _center_crop(p: Parameters) -> Steps:
    p.must("pad_if_needed", False)
    p.ignore("pad_position", "border_mode", "fill", "fill_mask")
    return [{"op": "center_crop", "width": p.take("width"), "height": p.take("height")}]


def _resampling(p: Parameters) -> dict[str, Any]:
    area = p.values.get("area_for_downscale")
    p.must("area_for_downscale", None, "image")
    interpolation = p.interpolation()
    if area == "image":
        p.differ("what is made smaller is antialiased, as Pillow does it")
        return {"interpolation": interpolation}
    if interpolation != "bilinear":
        p.differ("nearest and cubic pixels are those of Pillow")
    return {"interpolation": interpolation, "antialias": False}


def _random_resized_crop(p: Parameters) -> Steps:
    height, width = p.take("size")
    step = {"op": "random_resized_crop", "width": width, "height": height, **_resampling(p)}
    return [{**step, "scale": p.pair("scale"), "ratio": p.pair("ratio")}]


def _resize(p: Parameters) -> Steps:
    size = {"width": p.take("width"), "height": p.take("height")}
    return [{"op": "resize", **size, **_resampling(p)}]


def _smallest_max_size(p: Parameters) -> Steps:
    p.must("max_size_hw", None)
    sides = p.take("max_size")
    resampling = _resampling(p)
    all_sides = sides if isinstance(sides, list) else [sides]
    steps = [{"op": "resize_shorter", "side": side, **resampling} for side in all_sides]
    return steps if len(steps) == 1 else [{"op": "one_of", "choices": steps}]


def _pad(p: Parameters) -> Steps:
    padding = p.take("padding")
    if not isinstance(padding, int):
        p.refuse(f"padding={padding!r}; only one number for all sides")
        padding = 0
    return [{"op": "pad", "padding": padding, "border": p.border()}]


def _rotate(p: Parameters) -> Steps:
    p.must("crop_border", False)
    p.must("rotate_method", "largest_box")
    return [{"op": "rotate", "degrees": p.symmetric("limit"), **p.warp()}]


def _affine(p: Parameters) -> Steps:
    for key in ("balanced_scale", "fit_output"):
        p.must(key, False)
    p.must("rotate_method", "largest_box")
    scale, shear = p.take("scale"), p.take("shear")
    x, y = list(scale["x"]), list(scale["y"])
    if not p.take("keep_ratio", False) and (x[0] != x[1] or y[0] != y[1]) or x != y:
        p.refuse("scale is only the same along both sides; say keep_ratio=True")
    degrees = p.symmetric("rotate")
    angles = [p.limit(f"shear[{axis}]", list(shear[axis])) for axis in ("x", "y")]
    if max(angles) > 0 and (degrees > 0 or min(angles) > 0):
        p.differ("x is sheared first, then y, then the image turns; there it turns first")
    step = {"op": "affine", "degrees": degrees, "scale": x, "shear": angles}
    pixels, parts = p.take("translate_px", None), p.take("translate_percent", None)
    if parts is not None:
        step["translate"] = [p.limit(f"translate_percent[{axis}]", list(parts[axis])) for axis in ("x", "y")]
        p.differ("shifts are not rounded to whole pixels")
    elif pixels is not None and any(any(pixels[axis]) for axis in ("x", "y")):
        p.refuse(f"translate_px={pixels!r}; only translate_percent")
    return [{**step, **p.warp()}]


def _shift_scale_rotate(p: Parameters) -> Steps:
    p.must("rotate_method", "largest_box")
    shift = [p.symmetric("shift_limit_x"), p.symmetric("shift_limit_y")]
    if any(shift):
        p.differ("shifts are not rounded to whole pixels")
    # Its limits are differences from 1.
    scale = [1 + limit for limit in p.pair("scale_limit")]
    step = {"op": "affine", "degrees": p.symmetric("rotate_limit"), "translate": shift, "scale": scale}
    return [{**step, **p.warp()}]


def _elastic(p: Parameters) -> Steps:
    for key in ("approximate", "same_dxdy"):
        p.must(key, False)
    distribution = p.take("noise_distribution", "gaussian")
    if distribution != "uniform":
        p.refuse(f"noise_distribution={distribution!r}; only 'uniform': the other depends on the size of the image")
    p.ignore("keypoint_remapping_method")
    return [{"op": "elastic", "alpha": p.take("alpha"), "sigma": p.take("sigma"), **p.warp()}]


def _grid_distortion(p: Parameters) -> Steps:
    p.must("normalized", True)
    p.ignore("keypoint_remapping_method", "border_mode", "fill", "fill_mask")
    p.differ("the cells of the grid have one size, also where it is no whole number of pixels")
    limit = p.symmetric("distort_limit")
    return [{"op": "grid_distortion", "steps": p.take("num_steps"), "limit": limit, "interpolation": p.interpolation()}]


def _color_jitter(p: Parameters) -> Steps:
    factors = {name: p.pair(name) for name in ("brightness", "contrast", "saturation")}
    hue = p.pair("hue")
    even = all(abs(low - max(0, 2 - high)) < 1e-6 for low, high in factors.values())
    if even and abs(hue[0] + hue[1]) < 1e-6:
        ranges = {name: high - 1 for name, (_, high) in factors.items()}
        return [{"op": "color_jitter", **ranges, "hue": hue[1]}]
    steps = [{"op": name, "factor": pair} for name, pair in factors.items()]
    return [{"op": "some_of", "count": [4, 4], "shuffle": True, "steps": [*steps, {"op": "hue", "turn": hue}]}]


def _gamma(p: Parameters) -> Steps:
    return [{"op": "gamma", "gamma": [limit / 100 for limit in p.pair("gamma_limit")]}]


def _rgb_shift(p: Parameters) -> Steps:
    p.ignore("approximation", "noise_params", "noise_type", "spatial_mode")
    limits = [p.symmetric(f"{color}_shift_limit") for color in "rgb"]
    if any(limit != int(limit) or limit > 255 for limit in limits):
        p.refuse(f"shift limits {limits}; only whole numbers up to 255")
    p.differ("shifts are whole levels")
    return [{"op": "rgb_shift", "limit": [int(limit) for limit in limits]}]


def _to_gray(p: Parameters) -> Steps:
    p.must("method", "weighted_average")
    p.must("num_output_channels", 3)
    return [{"op": "to_grey"}]


def _posterize(p: Parameters) -> Steps:
    return [{"op": "posterize", "bits": p.pair("num_bits")}]


def _solarize(p: Parameters) -> Steps:
    return [{"op": "solarize", "threshold": [255 * part for part in p.pair("threshold_range")]}]


def _auto_contrast(p: Parameters) -> Steps:
    p.must("method", "pil")
    p.must("cutoff", 0)
    p.must("ignore", None)
    p.differ("as Pillow does it, which sees white pixels; up to 4 levels")
    return [{"op": "auto_contrast"}]


def _equalize(p: Parameters) -> Steps:
    p.must("by_channels", True)
    p.must("mask", None)
    p.ignore("mask_params")
    p.must("mode", "cv", "pil")
    p.differ("as Pillow does it; by about 2 levels")
    return [{"op": "equalize"}]


def _clahe(p: Parameters) -> Steps:
    p.differ("the luma is equalised, not L of Lab, which differs by about 4 levels")
    return [{"op": "clahe", "clip": p.pair("clip_limit"), "tiles": p.take("tile_grid_size")}]


def _gaussian_blur(p: Parameters) -> Steps:
    limit = p.pair("blur_limit")
    if limit != [0, 0]:
        p.refuse(f"blur_limit={tuple(limit)}; only 0, where sigma says how large the kernel is")
    return [{"op": "gaussian_blur", "sigma": p.pair("sigma_limit")}]


def _defocus(p: Parameters) -> Steps:
    soften = p.pair("alias_blur")
    if soften != [0.5, 0.5]:
        p.refuse(f"alias_blur={tuple(soften)}; only (0.5, 0.5)")
    low, high = p.pair("radius")
    choices = [{"op": "defocus_blur", "radius": [radius, radius]} for radius in range(int(low), int(high) + 1)]
    return choices if len(choices) == 1 else [{"op": "one_of", "choices": choices}]


def _gauss_noise(p: Parameters) -> Steps:
    mean = p.pair("mean_range")
    if mean != [0, 0]:
        p.refuse(f"mean_range={tuple(mean)}; only 0")
    p.must("per_channel", True)
    p.must("noise_scale_factor", 1)
    return [{"op": "gaussian_noise", "std": p.pair("std_range")}]


def _image_compression(p: Parameters) -> Steps:
    p.must("compression_type", "jpeg")
    return [{"op": "jpeg_compression", "quality": p.pair("quality_range")}]


def _downscale(p: Parameters) -> Steps:
    pair = p.take("interpolation_pair")
    if dict(pair) != {"downscale": 3, "upscale": 0}:
        p.refuse(f"interpolation_pair={pair!r}; only area for down, nearest for up (3, 0)")
    return [{"op": "downscale", "factor": p.pair("scale_range")}]


def _coarse_dropout(p: Parameters) -> Steps:
    sides = {side: p.pair(f"hole_{side}_range") for side in ("width", "height")}
    if any(pair[1] >= 1 for pair in sides.values()):
        p.refuse("holes in pixels; only as parts of the sides, below 1")
    p.differ("the sides of holes are rounded, not cut to whole pixels")
    return [{"op": "coarse_dropout", "holes": p.pair("num_holes_range"), **sides, "fill": p.cover()}]


def _erasing(p: Parameters) -> Steps:
    low, high = p.pair("ratio")
    p.differ("area and shape are drawn as torchvision draws them: ratios are log-uniform, up to ten tries")
    # Width / height there, height / width here.
    ratio = [1 / high, 1 / low] if low > 0 else [0, 0]
    return [{"op": "random_erasing", "scale": p.pair("scale"), "ratio": ratio, "fill": p.cover()}]


def _channel_dropout(p: Parameters) -> Steps:
    channels, fill = p.pair("channel_drop_range"), p.byte("fill", p.take("fill", 0))
    return [{"op": "channel_drop", "channels": channels, "fill": fill}]


TABLE: dict[str, Callable[[Parameters], Steps]] = {
    "NoOp": _plain(),
    "HorizontalFlip": _plain("horizontal_flip"),
    "VerticalFlip": _plain("vertical_flip"),
    "Transpose": _plain("transpose"),
    "RandomRotate90": _plain("quarter_turns"),
    "D4": _all_symmetries,
    "SquareSymmetry": _all_symmetries,
    "InvertImg": _plain("invert"),
    "ChannelShuffle": _plain("channel_shuffle"),
    "RandomCrop": _random_crop,
    "CenterCrop": _center_crop,
    "RandomResizedCrop": _random_resized_crop,
    "Resize": _resize,
    "SmallestMaxSize": _smallest_max_size,
    "Pad": _pad,
    "Rotate": _rotate,
    "Affine": _affine,
    "ShiftScaleRotate": _shift_scale_rotate,
    "ElasticTransform": _elastic,
    "GridDistortion": _grid_distortion,
    "ColorJitter": _color_jitter,
    "RandomGamma": _gamma,
    "RGBShift": _rgb_shift,
    "ToGray": _to_gray,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _auto_contrast,
    "Equalize": _equalize,
    "CLAHE": _clahe,
    "GaussianBlur": _gaussian_blur,
    "Defocus": _defocus,
    "GaussNoise": _gauss_noise,
    "ImageCompression": _image_compression,
    "Downscale": _downscale,
    "CoarseDropout": _coarse_dropout,
    "Erasing": _erasing,
    "ChannelDropout": _channel_dropout,
}
