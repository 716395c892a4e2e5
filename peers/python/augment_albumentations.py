"""The cases in Albumentations, one core."""

import os
import warnings

warnings.filterwarnings("ignore")

import albumentations as A
import cv2
import numpy as np
import stringzilla
import torch
from albumentations.pytorch import ToTensorV2

cv2.setNumThreads(0)
torch.set_num_threads(1)
if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
    # Albumentations' tables are StringZilla's, which no variable of the environment holds back.
    stringzilla.reset_capabilities([name for name in stringzilla.__capabilities__ if name not in ("skylake", "icelake")])
version = f"albumentations {A.__version__} opencv {cv2.__version__}"

LINEAR, REFLECT = cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101
RANDOM = None


def enter(image):
    return image


def settle(output):
    """The result, contiguous."""
    return output.contiguous() if isinstance(output, torch.Tensor) else np.ascontiguousarray(output)


def leave(output):
    """As HWC."""
    return output.permute(1, 2, 0).numpy() if isinstance(output, torch.Tensor) else output


def op(transform):
    return lambda image: transform(image=image)["image"]


def jitter(**only):
    """ColorJitter with all that is not named left as it is."""
    return op(A.ColorJitter(**{"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0), **only}, p=1))


def rotate(limit, interpolation=LINEAR, border=cv2.BORDER_CONSTANT):
    return op(A.Rotate(limit=limit, interpolation=interpolation, border_mode=border, p=1))


def affine(**arguments):
    return op(A.Affine(**arguments, keep_ratio=True, p=1))


def crop_and_resize(area):
    return op(A.Compose([A.Crop(40, 30, 370, 310), A.Resize(224, 224, area_for_downscale=area)]))


def rand_augment():
    """The fourteen operations of RandAugment at strength 9 of 30, as users build it."""
    part = 9 / 30
    nearest = {"interpolation": cv2.INTER_NEAREST, "p": 1}
    shear, shift = float(np.degrees(np.arctan(0.3 * part))), 150 / 331 * part
    still = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    enhance = (1 - 0.9 * part, 1 + 0.9 * part)
    return [
        A.NoOp(p=1),
        A.Affine(shear={"x": (-shear, shear), "y": 0}, **nearest),
        A.Affine(shear={"x": 0, "y": (-shear, shear)}, **nearest),
        A.Affine(translate_percent={"x": (-shift, shift), "y": 0}, **nearest),
        A.Affine(translate_percent={"x": 0, "y": (-shift, shift)}, **nearest),
        A.Rotate(limit=30 * part, **nearest),
        A.ColorJitter(**{**still, "brightness": enhance}, p=1),
        A.ColorJitter(**{**still, "saturation": enhance}, p=1),
        A.ColorJitter(**{**still, "contrast": enhance}, p=1),
        A.Sharpen(alpha=(0, 0.9 * part), lightness=(1, 1), p=1),
        A.Posterize(7, p=1),
        A.Solarize(threshold_range=(1 - part, 1 - part), p=1),
        A.AutoContrast(p=1),
        A.Equalize(p=1),
    ]


def decode(bytes):
    return cv2.imdecode(bytes, cv2.IMREAD_COLOR_RGB)


def composed(*transforms, first=enter):
    all_of_them = A.Compose([*transforms, A.Normalize(), ToTensorV2()])
    return lambda image: all_of_them(image=first(image))["image"]


FULL = {"brightness": (0.6, 1.4), "contrast": (0.6, 1.4), "saturation": (0.6, 1.4), "hue": (-0.1, 0.1)}
PHOTO = {"size": (224, 224), "scale": (0.08, 1.0), "ratio": (0.75, 4 / 3)}
STRENGTH = "a filter of its own"
SCENE = "another model of the weather"

# Name: images, what is timed, what is compared (True: the same; None: random).
table = {
    "horizontal flip": ("224", lambda: op(A.HorizontalFlip(p=1)), True),
    "vertical flip": ("224", lambda: op(A.VerticalFlip(p=1)), True),
    "transpose": ("224", lambda: op(A.Transpose(p=1)), True),
    "quarter turns": ("224", lambda: op(A.RandomRotate90(p=1)), RANDOM),
    "rotate, nearest": (
        "224",
        lambda: rotate((-30, 30), cv2.INTER_NEAREST),
        lambda: rotate((20, 20), cv2.INTER_NEAREST),
    ),
    "rotate, bilinear": ("224", lambda: rotate((-30, 30)), lambda: rotate((20, 20))),
    "rotate, bicubic": ("224", lambda: rotate((-30, 30), cv2.INTER_CUBIC), lambda: rotate((20, 20), cv2.INTER_CUBIC)),
    "rotate, bilinear, reflected border": (
        "224",
        lambda: rotate((-30, 30), LINEAR, REFLECT),
        lambda: rotate((20, 20), LINEAR, REFLECT),
    ),
    "scale": ("224", lambda: affine(scale=(0.8, 1.2)), lambda: affine(scale=(1.2, 1.2))),
    "translate": (
        "224",
        lambda: affine(translate_percent={"x": (-0.1, 0.1), "y": (-0.1, 0.1)}),
        lambda: affine(translate_px={"x": (15, 15), "y": (-9, -9)}),
    ),
    "shear": (
        "224",
        lambda: affine(shear={"x": (-15, 15), "y": (-15, 15)}),
        lambda: affine(shear={"x": (10, 10), "y": (0, 0)}),
    ),
    "affine": (
        "224",
        lambda: affine(
            rotate=(-15, 15),
            translate_percent={"x": (-0.1, 0.1), "y": (-0.1, 0.1)},
            scale=(0.9, 1.1),
            shear={"x": (-10, 10), "y": (-10, 10)},
        ),
        lambda: affine(rotate=(12, 12), translate_px={"x": (15, 15), "y": (-9, -9)}, scale=(1.1, 1.1)),
    ),
    "shift-scale-rotate": (
        "224",
        lambda: op(A.ShiftScaleRotate(shift_limit=0.0625, scale_limit=0.1, rotate_limit=45, p=1)),
        lambda: op(A.ShiftScaleRotate(shift_limit=(0, 0), scale_limit=(0.1, 0.1), rotate_limit=(20, 20), p=1)),
    ),
    "perspective": ("224", lambda: op(A.Perspective(scale=(0.05, 0.1), p=1)), RANDOM),
    "elastic": ("224", lambda: op(A.ElasticTransform(alpha=50, sigma=5, p=1)), RANDOM),
    "grid distortion": ("224", lambda: op(A.GridDistortion(num_steps=5, distort_limit=0.3, p=1)), RANDOM),
    "random crop 192": ("224", lambda: op(A.RandomCrop(192, 192)), lambda: op(A.Crop(11, 7, 203, 199))),
    "centre crop 192": ("224", lambda: op(A.CenterCrop(192, 192)), True),
    "random resized crop, antialiased": (
        "photo",
        lambda: op(A.RandomResizedCrop(**PHOTO, area_for_downscale="image")),
        lambda: crop_and_resize("image"),
    ),
    "random resized crop, not antialiased": (
        "photo",
        lambda: op(A.RandomResizedCrop(**PHOTO)),
        lambda: crop_and_resize(None),
    ),
    "pad 16, constant": ("224", lambda: op(A.Pad(16)), True),
    "pad 16, reflected": ("224", lambda: op(A.Pad(16, border_mode=REFLECT)), True),
    "resize 500x375 to 224x224, antialiased": (
        "photo",
        lambda: op(A.Resize(224, 224, area_for_downscale="image")),
        True,
    ),
    "resize 500x375 to 224x224, not antialiased": ("photo", lambda: op(A.Resize(224, 224)), True),
    "resize 224 to 320": ("224", lambda: op(A.Resize(320, 320)), True),
    "brightness": ("224", lambda: jitter(brightness=(1.3, 1.3)), True),
    "contrast": ("224", lambda: jitter(contrast=(1.3, 1.3)), True),
    "saturation": ("224", lambda: jitter(saturation=(1.3, 1.3)), True),
    "hue": ("224", lambda: jitter(hue=(0.1, 0.1)), True),
    "gamma": ("224", lambda: op(A.RandomGamma(gamma_limit=(80, 80), p=1)), True),
    "colour jitter": ("224", lambda: jitter(**FULL), RANDOM),
    "channel shuffle": ("224", lambda: op(A.ChannelShuffle(p=1)), RANDOM),
    "channel drop": ("224", lambda: op(A.ChannelDropout((1, 1), p=1)), RANDOM),
    "rgb shift": (
        "224",
        lambda: op(A.RGBShift(20, 20, 20, p=1)),
        lambda: op(A.RGBShift((20, 20), (-10, -10), (5, 5), p=1)),
    ),
    "to grey": ("224", lambda: op(A.ToGray(p=1)), True),
    "invert": ("224", lambda: op(A.InvertImg(p=1)), True),
    "posterise": ("224", lambda: op(A.Posterize(4, p=1)), True),
    "solarise": ("224", lambda: op(A.Solarize(threshold_range=(128 / 255, 128 / 255), p=1)), True),
    "equalise": ("224", lambda: op(A.Equalize(p=1)), True),
    "CLAHE": ("224", lambda: op(A.CLAHE(clip_limit=(4, 4), p=1)), True),
    "auto-contrast": ("224", lambda: op(A.AutoContrast(method="pil", p=1)), True),
    "sharpness": ("224", lambda: op(A.Sharpen(alpha=(0.8, 0.8), lightness=(1, 1), p=1)), STRENGTH),
    "PCA lighting": ("224", lambda: op(A.FancyPCA(alpha=0.1, p=1)), "the components of each image"),
    "gaussian blur": ("224", lambda: op(A.GaussianBlur(blur_limit=0, sigma_limit=(1.5, 1.5), p=1)), True),
    "motion blur": ("224", lambda: op(A.MotionBlur(blur_limit=(7, 7), p=1)), RANDOM),
    "defocus": ("224", lambda: op(A.Defocus(radius=(4, 4), alias_blur=(0.5, 0.5), p=1)), True),
    "gaussian noise": ("224", lambda: op(A.GaussNoise(std_range=(0.1, 0.1), p=1)), RANDOM),
    "shot noise": ("224", lambda: op(A.ShotNoise(scale_range=(0.1, 0.1), p=1)), RANDOM),
    "colour temperature": (
        "224",
        lambda: op(A.PlanckianJitter(mode="blackbody", temperature_limit=(3000, 9000), sampling_method="uniform", p=1)),
        "another table of colours",
    ),
    "speckle noise": (
        "224",
        lambda: op(A.MultiplicativeNoise(multiplier=(0.9, 1.1), per_channel=True, elementwise=True, p=1)),
        "uniform factors, ours normal ones",
    ),
    "salt and pepper": ("224", lambda: op(A.SaltAndPepper(amount=(0.05, 0.05), p=1)), "whole pixels, ours single values"),
    "JPEG compression": ("224", lambda: op(A.ImageCompression(quality_range=(50, 50), p=1)), True),
    "downscale": (
        "224",
        lambda: op(
            A.Downscale(
                scale_range=(0.5, 0.5),
                interpolation_pair={"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_NEAREST},
                p=1,
            )
        ),
        True,
    ),
    "fog": ("224", lambda: op(A.RandomFog(p=1)), SCENE),
    "rain": ("224", lambda: op(A.RandomRain(p=1)), SCENE),
    "snow": ("224", lambda: op(A.RandomSnow(p=1)), SCENE),
    "random erasing": ("224", lambda: op(A.Erasing(p=1)), RANDOM),
    "coarse dropout": (
        "224",
        lambda: op(
            A.CoarseDropout(
                num_holes_range=(8, 8), hole_height_range=(0.1, 0.1), hole_width_range=(0.1, 0.1), p=1
            )
        ),
        RANDOM,
    ),
    "grid dropout": (
        "224",
        lambda: op(A.GridDropout(ratio=0.5, unit_size_range=(32, 33), random_offset=True, p=1)),
        RANDOM,
    ),
    "normalise to f32": ("224", lambda: op(A.Compose([A.Normalize(), ToTensorV2()])), True),
    "rotate, bilinear, grey": ("224 grey", lambda: rotate((-30, 30)), lambda: rotate((20, 20))),
    "resize 500x375 to 224x224, grey": ("photo grey", lambda: op(A.Resize(224, 224, area_for_downscale="image")), True),
    "gaussian blur, grey": ("224 grey", lambda: op(A.GaussianBlur(blur_limit=0, sigma_limit=(1.5, 1.5), p=1)), True),
    "rotate, bilinear, RGBA": ("224 rgba", lambda: rotate((-30, 30)), lambda: rotate((20, 20))),
    "resize 500x375 to 224x224, RGBA": ("photo rgba", lambda: op(A.Resize(224, 224, area_for_downscale="image")), True),
    "gaussian blur, RGBA": ("224 rgba", lambda: op(A.GaussianBlur(blur_limit=0, sigma_limit=(1.5, 1.5), p=1)), True),
    "horizontal flip 32": ("32", lambda: op(A.HorizontalFlip(p=1)), True),
    "rotate, bilinear 32": ("32", lambda: rotate((-30, 30)), lambda: rotate((20, 20))),
    "pad 4 and crop 32": ("32", lambda: op(A.Compose([A.Pad(4), A.RandomCrop(32, 32)])), RANDOM),
    "brightness 32": ("32", lambda: jitter(brightness=(1.3, 1.3)), True),
    "colour jitter 32": ("32", lambda: jitter(**FULL), RANDOM),
    "equalise 32": ("32", lambda: op(A.Equalize(p=1)), True),
    "gaussian blur 32": ("32", lambda: op(A.GaussianBlur(blur_limit=0, sigma_limit=(1.5, 1.5), p=1)), True),
    "random erasing 32": ("32", lambda: op(A.Erasing(p=1)), RANDOM),
    "RandAugment": ("224", lambda: op(A.Compose([A.SomeOf(rand_augment(), n=2, replace=True, p=1)])), RANDOM),
    "CIFAR 32x32": (
        "32",
        lambda: composed(
            A.Pad(4),
            A.RandomCrop(32, 32),
            A.HorizontalFlip(p=0.5),
            A.SomeOf(rand_augment(), n=2, replace=True, p=1),
        ),
        RANDOM,
    ),
    "ImageNet from JPEG": (
        "jpeg",
        lambda: composed(
            A.RandomResizedCrop(**PHOTO), A.HorizontalFlip(p=0.5), A.ColorJitter(**FULL, p=1), first=decode
        ),
        RANDOM,
    ),
    "heavy 224x224": (
        "photo",
        lambda: composed(
            A.RandomResizedCrop(**PHOTO),
            A.Rotate(limit=(-30, 30), p=1),
            A.ColorJitter(**FULL, p=1),
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.5, 2.0), p=1),
            A.Erasing(p=1),
        ),
        RANDOM,
    ),
}
