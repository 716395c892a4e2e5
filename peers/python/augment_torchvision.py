"""The cases in torchvision's second interface, on CHW tensors of bytes, one core."""

import warnings

warnings.filterwarnings("ignore")

import torch
import torchvision
from torchvision.transforms import InterpolationMode as Mode
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

torch.set_num_threads(1)
version = f"torchvision {torchvision.__version__.split('+')[0]}"

RANDOM = None
NEAREST, BILINEAR, BICUBIC = Mode.NEAREST, Mode.BILINEAR, Mode.BICUBIC


def enter(image):
    """CHW; files stay as they are."""
    tensor = torch.from_numpy(image)
    return tensor if image.ndim == 1 else tensor.permute(2, 0, 1).contiguous()


def settle(output):
    """The result, contiguous."""
    return output.contiguous()


def leave(output):
    """As HWC."""
    return output.permute(1, 2, 0).numpy()


def rotate(limits, interpolation=BILINEAR):
    return v2.RandomRotation(limits, interpolation=interpolation)


def affine(degrees=0, **arguments):
    return v2.RandomAffine(degrees, interpolation=BILINEAR, **arguments)


def fixed_affine(angle=0, translate=(0, 0), scale=1.0, shear=(0.0, 0.0)):
    # Its angles run clockwise, ours the other way.
    return lambda x: F.affine(x, -angle, list(translate), scale, list(shear), interpolation=BILINEAR)


def perspective(x):
    start = [[0, 0], [223, 0], [223, 223], [0, 223]]
    end = [[9, 5], [216, 3], [219, 215], [6, 221]]
    return F.perspective(x, start, end, interpolation=BILINEAR)


def composed(*transforms, first=None):
    parts = [] if first is None else [first]
    statistics = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return v2.Compose([*parts, *transforms, v2.ToDtype(torch.float32, scale=True), v2.Normalize(*statistics)])


def decode(bytes):
    return torchvision.io.decode_jpeg(bytes)


def noise():
    """Noise on bytes; by way of floats where the library asks for them."""
    direct = v2.GaussianNoise(sigma=0.1)
    try:
        direct(torch.zeros(3, 4, 4, dtype=torch.uint8))
        return direct
    except ValueError:
        return v2.Compose([v2.ToDtype(torch.float32, scale=True), direct, v2.ToDtype(torch.uint8, scale=True)])


PHOTO = {"size": (224, 224), "scale": (0.08, 1.0), "ratio": (0.75, 4 / 3)}


def full():
    return v2.ColorJitter(0.4, 0.4, 0.4, 0.1)


def window(x, antialias=True):
    return F.resized_crop(x, 30, 40, 280, 330, [224, 224], antialias=antialias)


# Name: images, what is timed, what is compared (True: the same; None: random).
table = {
    "horizontal flip": ("224", lambda: v2.RandomHorizontalFlip(1), True),
    "vertical flip": ("224", lambda: v2.RandomVerticalFlip(1), True),
    "rotate, nearest": ("224", lambda: rotate(30, NEAREST), lambda: rotate((20, 20), NEAREST)),
    "rotate, bilinear": ("224", lambda: rotate(30), lambda: rotate((20, 20))),
    "rotate, bicubic": ("224", lambda: rotate(30, BICUBIC), lambda: rotate((20, 20), BICUBIC)),
    "scale": ("224", lambda: affine(scale=(0.8, 1.2)), lambda: fixed_affine(scale=1.2)),
    "translate": ("224", lambda: affine(translate=(0.1, 0.1)), lambda: fixed_affine(translate=(15, -9))),
    "shear": ("224", lambda: affine(shear=(-15, 15, -15, 15)), lambda: fixed_affine(shear=(10.0, 0.0))),
    "affine": (
        "224",
        lambda: affine(15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=(-10, 10, -10, 10)),
        lambda: fixed_affine(12, (15, -9), 1.1),
    ),
    "shift-scale-rotate": (
        "224",
        lambda: affine(45, translate=(0.0625, 0.0625), scale=(0.9, 1.1)),
        lambda: fixed_affine(20, (0, 0), 1.1),
    ),
    "perspective": ("224", lambda: v2.RandomPerspective(0.3, p=1), lambda: perspective),
    "elastic": ("224", lambda: v2.ElasticTransform(alpha=50.0, sigma=5.0), RANDOM),
    "random crop 192": ("224", lambda: v2.RandomCrop(192), lambda: lambda x: F.crop(x, 7, 11, 192, 192)),
    "centre crop 192": ("224", lambda: v2.CenterCrop(192), True),
    "random resized crop, antialiased": ("photo", lambda: v2.RandomResizedCrop(**PHOTO), lambda: window),
    "random resized crop, not antialiased": (
        "photo",
        lambda: v2.RandomResizedCrop(**PHOTO, antialias=False),
        lambda: lambda x: window(x, False),
    ),
    "pad 16, constant": ("224", lambda: v2.Pad(16), True),
    "pad 16, reflected": ("224", lambda: v2.Pad(16, padding_mode="reflect"), True),
    "resize 500x375 to 224x224, antialiased": ("photo", lambda: v2.Resize((224, 224), antialias=True), True),
    "resize 500x375 to 224x224, not antialiased": ("photo", lambda: v2.Resize((224, 224), antialias=False), True),
    "resize 224 to 320": ("224", lambda: v2.Resize((320, 320)), True),
    "brightness": ("224", lambda: v2.ColorJitter(brightness=(1.3, 1.3)), True),
    "contrast": ("224", lambda: v2.ColorJitter(contrast=(1.3, 1.3)), True),
    "saturation": ("224", lambda: v2.ColorJitter(saturation=(1.3, 1.3)), True),
    "hue": ("224", lambda: v2.ColorJitter(hue=(0.1, 0.1)), True),
    "gamma": ("224", lambda: lambda x: F.adjust_gamma(x, 0.8), True),
    "colour jitter": ("224", full, RANDOM),
    "channel shuffle": ("224", lambda: v2.RandomChannelPermutation(), RANDOM),
    "to grey": ("224", lambda: v2.Grayscale(3), True),
    "invert": ("224", lambda: v2.RandomInvert(1), True),
    "posterise": ("224", lambda: v2.RandomPosterize(4, 1), True),
    "solarise": ("224", lambda: v2.RandomSolarize(128, 1), True),
    "equalise": ("224", lambda: v2.RandomEqualize(1), True),
    "auto-contrast": ("224", lambda: v2.RandomAutocontrast(1), True),
    "sharpness": ("224", lambda: v2.RandomAdjustSharpness(1.8, 1), True),
    "gaussian blur": ("224", lambda: v2.GaussianBlur(11, (1.5, 1.5)), True),
    "gaussian noise": ("224", noise, RANDOM),
    "JPEG compression": ("224", lambda: v2.JPEG((50, 50)), True),
    "random erasing": (
        "224",
        lambda: v2.RandomErasing(1),
        lambda: lambda x: F.erase(x, 40, 30, 70, 90, torch.zeros(3, 1, 1, dtype=torch.uint8)),
    ),
    "normalise to f32": ("224", composed, True),
    "rotate, bilinear, grey": ("224 grey", lambda: rotate(30), lambda: rotate((20, 20))),
    "resize 500x375 to 224x224, grey": ("photo grey", lambda: v2.Resize((224, 224), antialias=True), True),
    "gaussian blur, grey": ("224 grey", lambda: v2.GaussianBlur(11, (1.5, 1.5)), True),
    "rotate, bilinear, RGBA": ("224 rgba", lambda: rotate(30), lambda: rotate((20, 20))),
    "resize 500x375 to 224x224, RGBA": ("photo rgba", lambda: v2.Resize((224, 224), antialias=True), True),
    "gaussian blur, RGBA": ("224 rgba", lambda: v2.GaussianBlur(11, (1.5, 1.5)), True),
    "horizontal flip 32": ("32", lambda: v2.RandomHorizontalFlip(1), True),
    "rotate, bilinear 32": ("32", lambda: rotate(30), lambda: rotate((20, 20))),
    "pad 4 and crop 32": ("32", lambda: v2.RandomCrop(32, padding=4), RANDOM),
    "brightness 32": ("32", lambda: v2.ColorJitter(brightness=(1.3, 1.3)), True),
    "colour jitter 32": ("32", full, RANDOM),
    "equalise 32": ("32", lambda: v2.RandomEqualize(1), True),
    "gaussian blur 32": ("32", lambda: v2.GaussianBlur(11, (1.5, 1.5)), True),
    "random erasing 32": ("32", lambda: v2.RandomErasing(1), RANDOM),
    "RandAugment": ("224", lambda: v2.RandAugment(2, 9), RANDOM),
    "TrivialAugmentWide": ("224", lambda: v2.TrivialAugmentWide(), RANDOM),
    "AutoAugment": ("224", lambda: v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET), RANDOM),
    "AugMix": ("224", lambda: v2.AugMix(), RANDOM),
    "CIFAR 32x32": (
        "32",
        lambda: composed(v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(0.5), v2.RandAugment(2, 9)),
        RANDOM,
    ),
    "ImageNet from JPEG": (
        "jpeg",
        lambda: composed(v2.RandomResizedCrop(**PHOTO), v2.RandomHorizontalFlip(0.5), full(), first=decode),
        RANDOM,
    ),
    "heavy 224x224": (
        "photo",
        lambda: composed(
            v2.RandomResizedCrop(**PHOTO),
            rotate(30),
            full(),
            v2.GaussianBlur(9, (0.5, 2.0)),
            v2.RandomErasing(1),
        ),
        RANDOM,
    ),
}
