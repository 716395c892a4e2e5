"""Makes policies.json: what torchvision's policies are and what their operations do to one small image.

usage: policies.py > policies.json        (torchvision 0.29, Pillow 13)

Strengths come from the policies' own tables, images from their own function that applies an operation, on Pillow
images (whose colour arithmetic is what oculist-augment follows). The image is (37 x + 91 y + 53 c + 7 x y) mod 256.
"""

import json

import numpy as np
from PIL import Image
from torchvision.transforms import v2

WIDTH, HEIGHT = 16, 12
y, x, c = np.mgrid[0:HEIGHT, 0:WIDTH, 0:3]
image = Image.fromarray(((37 * x + 91 * y + 53 * c + 7 * x * y) % 256).astype(np.uint8))

spaces = dict(
    trivial_augment_wide=(v2.TrivialAugmentWide(), 31),
    rand_augment=(v2.RandAugment(), 31),
    auto_augment=(v2.AutoAugment(), 10),
    aug_mix=(v2.AugMix(), 10),
)
result = dict(width=WIDTH, height=HEIGHT, spaces={}, policies={}, images=[])
for name, (policy, bins) in spaces.items():
    space = {}
    for operation, (magnitudes, signed) in policy._AUGMENTATION_SPACE.items():
        sizes = {}
        for height, width in ((HEIGHT, WIDTH), (32, 32), (224, 331)):
            values = magnitudes(bins, height, width)
            sizes[f"{width}x{height}"] = None if values is None else [float(v) for v in values]
        space[operation] = dict(signed=signed, strengths=sizes)
    result["spaces"][name] = space
for policy in v2.AutoAugmentPolicy:
    result["policies"][policy.value] = v2.AutoAugment(policy)._policies

seen = set()
for name, bins in (("trivial_augment_wide", (3, 17, 30)), ("auto_augment", (9,))):
    policy = spaces[name][0]
    for operation, (magnitudes, signed) in policy._AUGMENTATION_SPACE.items():
        values = magnitudes(spaces[name][1], HEIGHT, WIDTH)
        for bin in bins:
            for sign in (1, -1) if signed else (1,):
                strength = 0.0 if values is None else sign * float(values[bin])
                if (operation, strength) in seen:
                    continue
                seen.add((operation, strength))
                out = policy._apply_image_or_video_transform(image, operation, strength, policy.interpolation, policy._fill)
                pixels = np.asarray(out).tobytes().hex()
                result["images"].append(dict(operation=operation, strength=strength, pixels=pixels))
print(json.dumps(result, separators=(",", ":")))
