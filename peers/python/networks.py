"""The benchmark's networks as PyTorch has them, with the formula's weights."""

import sys
from pathlib import Path

import torch
import torchvision
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "golden"))
import formula  # noqa: E402
from cifar_resnet import CifarResNet  # noqa: E402

CLASSES = 10


def build(arch: str, channels: int, side: int) -> nn.Module:
    """The network as Oculist builds it for images of this size, without dropout.

    Small images have the usual changes: a 3x3 stem of stride 1 and no max-pooling in ResNets, stride 1 in the first
    layers of MobileNetV2, global average pooling and one linear layer in VGG.
    """
    small = side <= 64
    if arch == "resnet20":
        model = CifarResNet(20, "A", channels)
    elif arch.startswith("resnet"):
        model = getattr(torchvision.models, arch)(weights=None, num_classes=CLASSES)
        if small:
            model.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
            model.maxpool = nn.Identity()
    elif arch == "vgg11_bn":
        model = torchvision.models.vgg11_bn(weights=None, num_classes=CLASSES)
        if small:
            model.avgpool = nn.AdaptiveAvgPool2d(1)
            model.classifier = nn.Linear(512, CLASSES)
    elif arch.startswith("mobilenet"):
        model = getattr(torchvision.models, arch)(weights=None, num_classes=CLASSES)
        if small and arch == "mobilenet_v2":
            model.features[0][0].stride = (1, 1)
            if side <= 32:
                model.features[2].conv[1][0].stride = (1, 1)
    else:
        raise SystemExit(f"no PyTorch form of `{arch}` is known here")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    formula.load_into(model, 0.7 if arch.startswith("resnet") else 1.0)
    return model


def images(batch: int, channels: int, side: int) -> torch.Tensor:
    return torch.from_numpy(formula.tensor("input", (batch, channels, side, side)))
