"""Normalisations and transposed convolutions with their gradients, one layer at a time -> kernels.json.

Run by `cargo xtask golden kernels`. The tensors called NAME.x, NAME.gamma and so on hold README.md's `u`; everything
is computed in f64. The loss is `sum(y * dy)`, so the gradients are those for the given `dy`.
"""

import torch
from torch.nn import functional as F

import formula
import golden_json

EPS = 1e-5


def leaf(name: str, shape, grad: bool = True) -> torch.Tensor:
    return torch.from_numpy(formula.tensor(name, tuple(shape))).double().requires_grad_(grad)


def gradients(y: torch.Tensor, name: str, leaves: dict) -> dict:
    """The output and `dNAME` for every leaf."""
    y.backward(leaf(f"{name}.dy", y.shape, grad=False))
    result = {"y": golden_json.numbers(y.detach())}
    for key, value in leaves.items():
        assert value.grad.abs().max() > 0.1, f"{name}: the gradient of {key} says nothing"
        result[f"d{key}"] = golden_json.numbers(value.grad)
    return result


def norm(name: str, kind: str, shape, groups: int = 1) -> dict:
    """`kind` is group, instance, image (layer norm over an image) or layer (over the channels of a pixel)."""
    channels = shape[1]
    x, gamma, beta = leaf(f"{name}.x", shape), leaf(f"{name}.gamma", [channels]), leaf(f"{name}.beta", [channels])
    if kind == "group":
        y = F.group_norm(x, groups, gamma, beta, EPS)
    elif kind == "instance":
        y = F.instance_norm(x, weight=gamma, bias=beta, eps=EPS)
    elif kind == "image":
        y = F.layer_norm(x, shape[1:], eps=EPS) * gamma[:, None, None] + beta[:, None, None]
    else:
        y = F.layer_norm(x.permute(0, 2, 3, 1), [channels], gamma, beta, EPS).permute(0, 3, 1, 2)
    case = {"name": name, "kind": kind, "shape": list(shape), "groups": groups, "eps": EPS}
    return case | gradients(y, name, {"x": x, "gamma": gamma, "beta": beta})


def transposed(name, shape, c_out, kernel, stride, padding, output_padding, dilation=(1, 1), groups=1) -> dict:
    x = leaf(f"{name}.x", shape)
    w = leaf(f"{name}.w", [shape[1], c_out // groups, *kernel])
    bias = leaf(f"{name}.bias", [c_out])
    y = F.conv_transpose2d(x, w, bias, stride, padding, output_padding, groups, dilation)
    case = {
        "name": name,
        "shape": list(shape),
        "c_out": c_out,
        "kernel": list(kernel),
        "stride": list(stride),
        "padding": list(padding),
        "output_padding": list(output_padding),
        "dilation": list(dilation),
        "groups": groups,
        "y_shape": list(y.shape),
    }
    return case | gradients(y, name, {"x": x, "w": w, "bias": bias})


def main() -> None:
    golden_json.write(
        "kernels.json",
        {
            "made_by": "golden/kernels.py",
            "torch": torch.__version__.split("+")[0],
            "norms": [
                norm("group", "group", (2, 18, 3, 4), 3),
                norm("group_wide", "group", (1, 32, 5, 1), 4),
                norm("instance", "instance", (2, 5, 3, 5), 5),
                norm("image", "image", (3, 7, 2, 3)),
                norm("layer", "layer", (2, 19, 2, 3)),
            ],
            "transposed": [
                transposed("double", (1, 5, 3, 4), 3, (3, 3), (2, 2), (1, 1), (1, 1)),
                transposed("upsample", (2, 4, 2, 3), 6, (2, 2), (2, 2), (0, 0), (0, 0)),
                transposed("same", (1, 3, 4, 5), 4, (3, 3), (1, 1), (1, 1), (0, 0)),
                transposed("grouped", (1, 6, 3, 2), 4, (3, 2), (2, 3), (1, 0), (0, 2), groups=2),
                transposed("depthwise", (1, 6, 3, 3), 6, (4, 4), (2, 2), (1, 1), (0, 0), groups=6),
                transposed("dilated", (1, 2, 3, 3), 3, (3, 2), (1, 2), (2, 1), (1, 1), dilation=(2, 3)),
            ],
        },
    )


main()
