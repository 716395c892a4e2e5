"""MixUp and CutMix of a small batch by torchvision's v2 transforms -> mix.json.

Usage: python golden/mix.py, with torch and torchvision (requirements-golden.txt). Images are the formula's `mix.images`
in NCHW order. Only what chance decides is replaced: the weight lambda, drawn from the given value, and the middle of the
window. Partners are torchvision's: each image with the one before it, the first with the last.
"""

import torch
import torchvision
from torchvision.transforms import v2

import formula
import golden_json

BATCH, CHANNELS, HEIGHT, WIDTH, CLASSES = 4, 3, 5, 6, 7
LABELS = [2, 0, 6, 2]


class Fixed:
    """A distribution that always gives the same number."""

    def __init__(self, value: float):
        self.value = value

    def sample(self, _shape):
        return torch.tensor(self.value, dtype=torch.float64)

def mixed(transform, lam: float, middle=(0, 0)):
    """The transform's images and labels for a weight and the window's middle (x, y)."""
    images = torch.from_numpy(formula.tensor("mix.images", (BATCH, CHANNELS, HEIGHT, WIDTH)))
    transform._dist = Fixed(lam)
    draws = iter(middle)
    original = torch.randint
    torch.randint = lambda _high, size: torch.full(size, next(draws))
    try:
        images, labels = transform(images, torch.tensor(LABELS))
    finally:
        torch.randint = original
    return {
        "lambda": lam,
        "middle": list(middle),
        "images": golden_json.numbers(images),
        "labels": golden_json.numbers(labels),
    }

def main() -> None:
    cutmix = [(0.3, (2, 1)), (0.75, (0, 4)), (0.0, (5, 0)), (0.98, (3, 3))]
    golden_json.write(
        "mix.json",
        {
            "made_by": "golden/mix.py",
            "torchvision": torchvision.__version__.split("+")[0],
            "shape": [BATCH, CHANNELS, HEIGHT, WIDTH],
            "classes": CLASSES,
            "labels": LABELS,
            "partners": [BATCH - 1, *range(BATCH - 1)],
            "mixup": [mixed(v2.MixUp(num_classes=CLASSES), lam) for lam in (0.25, 0.9)],
            "cutmix": [mixed(v2.CutMix(num_classes=CLASSES), lam, middle) for lam, middle in cutmix],
        },
    )

main()
