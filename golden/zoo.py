"""Counts, state dicts and logits of torchvision's and timm's networks -> zoo/NAME.json.

Run by `cargo xtask golden zoo` (`zoo.py NAME...` makes those of some architectures). Weights and inputs follow README.md's formula; logits are
computed in f64. Multiply-adds are those of PyTorch's own counter of operations, which sees the products of attention too.
"""

import os
import sys

import timm
import torch
import torchvision.models as tv
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import formula
import golden_json

CLASSES = 10

# Centres of the normalisations' weights that are tried: the first that gives logits of a usable size, which depend on the image, is
# taken. Above some centre a network's signal explodes, far below it dies.
GAMMAS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5, 1.05, 1.1, 1.15, 1.25)

# Six branches a layer multiply the signal by more than any of these takes back.
GAMMAS_OF = {"mobileone_s0": (0.4, 0.39, 0.41, 0.38)}


def group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(32, channels)


def instance_norm(channels: int) -> nn.Module:
    return nn.InstanceNorm2d(channels, affine=True)


def densenet_bc(classes: int) -> nn.Module:
    """The paper's form for CIFAR: no normalisation and no pooling behind the first convolution."""
    net = tv.DenseNet(12, (16, 16, 16), 24, bn_size=4, num_classes=classes)
    net.features.conv0 = nn.Conv2d(3, 24, 3, 1, 1, bias=False)
    del net.features.norm0, net.features.relu0, net.features.pool0
    return net


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.levels = nn.ModuleList([nn.AdaptiveMaxPool2d(n) for n in (1, 2, 4)])

    def forward(self, x):
        return torch.cat([level(x).flatten(1) for level in self.levels], 1)


def resnet18_spp(classes: int) -> nn.Module:
    net = tv.resnet18(num_classes=classes)
    net.avgpool = Pyramid()
    net.fc = nn.Linear(512 * 21, classes)
    return net


def inception(classes: int) -> nn.Module:
    return tv.inception_v3(num_classes=classes, aux_logits=False, init_weights=False)


def googlenet(classes: int) -> nn.Module:
    return tv.googlenet(num_classes=classes, aux_logits=False, init_weights=False)


def narrow_vgg(name: str):
    """What the zoo does at 32x32: the average and one linear layer instead of two hidden ones."""
    net = getattr(tv, name)(num_classes=CLASSES)
    net.avgpool = nn.AdaptiveAvgPool2d(1)
    net.classifier = nn.Linear(512, CLASSES)
    return net


def torchvision_net(name: str, **more):
    return lambda classes: getattr(tv, name)(num_classes=classes, **more)


def timm_net(name: str):
    return lambda classes: timm.create_model(name, num_classes=classes)


# Name in the zoo: how it is made, the side of the published input, the side of the small case (0: none).
NETWORKS = {
    **{name: (torchvision_net(name), 224, 64) for name in ("resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d")},
    "seresnet18": (timm_net("seresnet18"), 224, 64),
    "seresnet50": (timm_net("seresnet50"), 224, 64),
    "resnet18_gn": (torchvision_net("resnet18", norm_layer=group_norm), 224, 64),
    "resnet50_gn": (timm_net("resnet50_gn"), 224, 64),
    "resnet18_in": (torchvision_net("resnet18", norm_layer=instance_norm), 224, 64),
    "resnet18_spp": (resnet18_spp, 224, 96),
    "densenet_bc_100": (densenet_bc, 32, 0),
    **{name: (torchvision_net(name), 224, 64) for name in ("densenet121", "densenet169", "densenet201")},
    "googlenet": (googlenet, 224, 64),
    "inception_v3": (inception, 299, 75),
    "mobilenet_v1": (timm_net("mobilenetv1_100"), 224, 64),
    "efficientnet_b0": (torchvision_net("efficientnet_b0"), 224, 64),
    "efficientnet_v2_s": (torchvision_net("efficientnet_v2_s"), 384, 64),
    "shufflenet_v2_x0_5": (torchvision_net("shufflenet_v2_x0_5"), 224, 64),
    "shufflenet_v2_x1_0": (torchvision_net("shufflenet_v2_x1_0"), 224, 64),
    "squeezenet1_0": (torchvision_net("squeezenet1_0"), 224, 64),
    "squeezenet1_1": (torchvision_net("squeezenet1_1"), 224, 64),
    "regnet_y_400mf": (torchvision_net("regnet_y_400mf"), 224, 64),
    "repvgg_a0": (timm_net("repvgg_a0"), 224, 64),
    "mobileone_s0": (timm_net("mobileone_s0"), 224, 64),
    "convnext_tiny": (torchvision_net("convnext_tiny"), 224, 64),
    "vit_tiny_patch16_224": (timm_net("vit_tiny_patch16_224"), 224, 0),
    "deit_tiny_patch16_224": (timm_net("deit_tiny_patch16_224"), 224, 0),
    **{name: (torchvision_net(name), 224, 0) for name in ("vgg11", "vgg13", "vgg16", "vgg19")},
}


def multiply_adds(net: nn.Module, side: int) -> int:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(torch.zeros(1, 3, side, side))
    total = counter.get_total_flops()
    assert total % 2 == 0
    return total // 2


def state(net: nn.Module) -> list:
    """`NAME SHAPE`; the four tensors of a batch normalisation as one."""
    entries = []
    values = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    for key, value in values.items():
        layer = key.rsplit(".", 1)[0]
        if f"{layer}.running_mean" in values:
            if key.endswith(".weight"):
                entries.append(f"{layer}.* {value.numel()}")
            continue
        entries.append(f"{key} {','.join(str(n) for n in value.shape)}")
    return entries


def logits(net: nn.Module, shape, sign: int = 1) -> tuple:
    x = sign * torch.from_numpy(formula.tensor("input", shape))
    with torch.no_grad():
        single = net.float()(x).double()
        double = net.double()(x.double())
    net.float()
    return double, (single - double).abs().max().item()


def case(net: nn.Module, shape) -> dict:
    found, error = logits(net, shape)
    assert error < 2e-5 * found.abs().max().item(), f"{shape}: f32 itself is {error} off"
    return {
        "input_shape": list(shape),
        "f32_error": float(f"{error:.1e}"),
        "logits": golden_json.numbers(found),
    }


# Networks that timm makes chains of for deployment.
MERGED = ("repvgg_a0", "mobileone_s0")


def merged(net: nn.Module, shapes: list) -> list:
    """The logits after timm has made one convolution of each layer's branches."""
    from timm.utils import reparameterize_model

    single = reparameterize_model(net.float())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in single.modules())
    return [{"input_shape": shape, "logits": golden_json.numbers(logits(single, shape)[0])} for shape in shapes]


def describe(name: str) -> dict:
    make, side, small = NETWORKS[name]
    published = make(10 if name == "densenet_bc_100" else 1000).eval()
    net = make(CLASSES).eval()
    probe = (1, 3, small or side, small or side)
    for gamma in GAMMAS_OF.get(name, GAMMAS):
        formula.load_into(net, gamma)
        found, error = logits(net, probe)
        std, largest = found.std().item(), found.abs().max().item()
        other, _ = logits(net, probe, -1)
        alive = (found - other).abs().max().item() > 0.02 * largest
        if 0.1 < std < 15 and error < 1e-5 * largest and alive:
            break
    else:
        raise SystemExit(f"{name}: no gamma gives usable logits; the last: std {std}, f32 error {error}")
    cases = [case(net, (1, 3, side, side))]
    if small:
        cases.append(case(net, (1, 3, small, small)))
    if name.startswith("vgg"):
        narrow = narrow_vgg(name).eval()
        formula.load_into(narrow, gamma)
        cases.append(case(narrow, (2, 3, 32, 32)))
    eps = sorted({m.eps for m in net.modules() if isinstance(m, (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d))})
    assert len(eps) <= 1, f"{name}: {eps}"
    macs = multiply_adds(published, side)
    parameters = sum(p.numel() for p in published.parameters())
    print(f"{name:24} gamma {gamma} std {std:6.2f} f32 error {error:.1e} params {parameters} macs {macs}")
    return {
        "made_by": "golden/zoo.py",
        "torch": torch.__version__.split("+")[0],
        "torchvision": tv.__name__ and __import__("torchvision").__version__.split("+")[0],
        "timm": timm.__version__,
        "name": name,
        "side": side,
        "gamma": gamma,
        "epsilon": eps[0] if eps else None,
        "parameters": parameters,
        "macs": macs,
        "state": state(published),
        "cases": cases,
        **({"merged": merged(net, [case["input_shape"] for case in cases])} if name in MERGED else {}),
    }


def main() -> None:
    torch.manual_seed(0)
    os.makedirs(os.path.join(golden_json.FOLDER, "zoo"), exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        golden_json.write(f"zoo/{name}.json", describe(name))


if __name__ == "__main__":
    main()
