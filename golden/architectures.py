"""Parameter counts, MACs, state-dict names and logits of torchvision's networks -> architectures.json.

Run by `cargo xtask golden architectures`. Weights and inputs follow README.md's formula. The logits are
computed in f64, so that the file does not depend on a machine's f32 kernels; how far PyTorch's own f32
logits lie from them is recorded as `f32_error`.
"""

import torch
import torchvision
from torch import nn

import formula
import golden_json
from airbench import Airbench
from cifar_resnet import CifarResNet

# Centre of the batch-norm weights, chosen per network so that the logits are of order 1 to 10: residual
# networks grow with depth, hard-swish networks change abruptly.
TORCHVISION = {
    "resnet18": 0.7,
    "resnet34": 0.6,
    "resnet50": 0.7,
    "vgg11_bn": 1.0,
    "vgg13_bn": 1.0,
    "vgg16_bn": 1.0,
    "vgg19_bn": 1.0,
    "mobilenet_v2": 0.9,
    "mobilenet_v3_small": 1.02,
    "mobilenet_v3_large": 0.95,
    "alexnet": 1.0,
}


def count_macs(model: nn.Module, x: torch.Tensor) -> int:
    """Multiply-accumulates of convolutions and linear layers for one image, biases not counted."""
    total = 0

    def add(module, _inputs, y):
        nonlocal total
        per_output = module.weight[0].numel()
        total += y[0].numel() * per_output

    hooks = [
        m.register_forward_hook(add) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return total


def describe(name: str, model: nn.Module, gamma: float, shapes) -> dict:
    model.eval()
    formula.load_into(model, gamma)
    cases = []
    for shape in shapes:
        x = torch.from_numpy(formula.tensor("input", shape))
        macs = count_macs(model.float(), x[:1])
        with torch.no_grad():
            single = model.float()(x).double()
            logits = model.double()(x.double())
        std = logits.std().item()
        spread = (logits - logits.mean()).abs().max().item()
        assert 0.3 < std < 15, f"{name} {shape}: the logits are degenerate (std {std})"
        error = (single - logits).abs().max().item()
        assert error < 5e-5, f"{name} {shape}: f32 itself is {error} off"
        print(f"{name:28} {str(shape):20} macs {macs:12} std {std:8.3f} spread {spread:8.3f} f32 error {error:.1e}")
        cases.append(
            {
                "input_shape": list(shape),
                "macs": macs,
                "f32_error": float(f"{error:.1e}"),
                "logits": golden_json.numbers(logits),
            }
        )
    eps = sorted({m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)})
    state = [
        [key, list(value.shape)]
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    ]
    return {
        "name": name,
        "gamma": gamma,
        "parameters": sum(p.numel() for p in model.parameters()),
        "batch_norm_eps": eps[0] if eps else None,
        "state": state,
        "cases": cases,
    }


def from_torchvision(name: str, gamma: float) -> dict:
    shapes = [(1, 3, 224, 224)]
    # VGG and AlexNet pool adaptively to 7x7 or 6x6, which only 224 fits without repeating pixels.
    if name.startswith(("resnet", "mobilenet")):
        shapes.append((2, 3, 96, 96))
    entry = describe(name, getattr(torchvision.models, name)(weights=None), gamma, shapes)
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    assert entry["parameters"] == published["num_params"]
    giga = entry["cases"][0]["macs"] / 1e9
    assert abs(giga - published["_ops"]) < 0.002, f"{name}: {giga} GMACs, published {published['_ops']}"
    return entry


def small_stem_resnet18() -> nn.Module:
    """The usual change for 32-pixel images: a 3x3 stem of stride 1 and no max-pooling."""
    model = torchvision.models.resnet18(weights=None, num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def main() -> None:
    torch.manual_seed(0)
    models = [from_torchvision(name, gamma) for name, gamma in TORCHVISION.items()]
    models.append(describe("resnet18_small_stem", small_stem_resnet18(), 0.7, [(2, 3, 32, 32)]))
    for depth, gamma in ((8, 0.9), (20, 0.7), (32, 0.6), (44, 0.55), (56, 0.5), (110, 0.35)):
        # The lists of names are long, and alike.
        for option in ("A", "B") if depth not in (44, 110) else ("A",):
            for channels, size in ((3, 32), (1, 28)):
                model = CifarResNet(depth, option, channels)
                name = f"cifar_resnet{depth}_{option.lower()}_{channels}x{size}"
                models.append(describe(name, model, gamma, [(2, channels, size, size)]))
    models.append(describe("airbench", Airbench(), 0.9, [(2, 3, 32, 32), (1, 3, 45, 38)]))
    golden_json.write(
        "architectures.json",
        {
            "made_by": "golden/architectures.py",
            "torch": torch.__version__.split("+")[0],
            "torchvision": torchvision.__version__.split("+")[0],
            "models": models,
        },
    )


main()
