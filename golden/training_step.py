"""Losses, gradients and optimiser steps of small networks, distillation, clipping -> training_step.json.

Run by `cargo xtask golden training_step`. Weights and inputs follow README.md's formula. Everything is computed
in f64; how far PyTorch's own f32 gradients lie from these is recorded as `f32_error`, relative to the largest
element of the tensor.
"""

import torch
from torch import nn
from torch.nn import functional as F

import formula
import golden_json
from training_nets import Mobile, PaddedShortcut, Pooling, Residual

SMOOTHING = 0.1
WEIGHT_DECAY = 5e-4
STEPS = 3


def build(kind, dtype=torch.float64) -> nn.Module:
    model = kind().to(dtype)
    formula.load_into(model)
    return model.train()


def loss_of(model, x, labels):
    logits = model(x)
    return logits, F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def tensors(pairs) -> dict:
    return {name: golden_json.numbers(value.detach()) for name, value in pairs}


def running(model):
    return ((k, v) for k, v in model.state_dict().items() if k.endswith(("running_mean", "running_var")))


def parameter_groups(model, weight_decay: float) -> list:
    """Convolution and linear weights decay; biases and batch-norm parameters do not."""
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]


def train(kind, x, labels, optimizer, clip_norm=None) -> dict:
    """Several steps on the same batch."""
    model = build(kind)
    optimizer = optimizer(model)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        _, loss = loss_of(model, x, labels)
        loss.backward()
        if clip_norm is not None:
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), clip_norm).item())
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > losses[-1], f"{kind.__name__}: the loss does not fall: {losses}"
    result = {"steps": STEPS, "losses": losses}
    if norms:
        assert min(norms) > 1.5 * clip_norm, f"{norms} are hardly clipped"
        result["norms"] = norms
    result["parameters"] = tensors(model.named_parameters())
    result["running"] = tensors(running(model))
    return result


def one_step(kind, shape, input_scale: float) -> dict:
    scaled = input_scale * formula.tensor("input", shape)
    labels = [(3 * n + 1) % 5 for n in range(shape[0])]
    y = torch.tensor(labels)

    def gradients(dtype):
        model = build(kind, dtype)
        logits, loss = loss_of(model, torch.from_numpy(scaled).to(dtype), y)
        loss.backward()
        return model, logits, loss

    model, logits, loss = gradients(torch.float64)
    single, _, _ = gradients(torch.float32)
    error = 0.0
    for (name, p), q in zip(model.named_parameters(), single.parameters()):
        largest = p.grad.abs().max().item()
        assert largest > 1e-4, f"{kind.__name__}: the gradient of {name} is almost 0 ({largest})"
        error = max(error, (p.grad - q.grad.double()).abs().max().item() / largest)
    assert error < 1e-4, f"{kind.__name__}: f32 gradients are {error} off; is a value close to a kink?"
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    print(f"{kind.__name__:16} loss {loss.item():.4f}, f32 gradients off by {error:.1e}")
    return {
        "name": kind.__name__,
        "layers": kind.layers,
        "input_shape": list(shape),
        "input_scale": input_scale,
        "labels": labels,
        "label_smoothing": SMOOTHING,
        "gamma": 1.0,
        "batch_norm_eps": norms[0].eps if norms else None,
        "batch_norm_momentum": norms[0].momentum if norms else None,
        "state": [
            [k, list(v.shape)] for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")
        ],
        "f32_error": float(f"{error:.1e}"),
        "loss": loss.item(),
        "logits": golden_json.numbers(logits.detach()),
        "gradients": tensors((k, p.grad) for k, p in model.named_parameters()),
        "running": tensors(running(model)),
    }


def residual() -> dict:
    shape = (4, 3, 12, 12)
    entry = one_step(Residual, shape, 1.0)
    x = torch.from_numpy(formula.tensor("input", shape)).double()
    y = torch.tensor(entry["labels"])
    sgd = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": WEIGHT_DECAY}
    entry["sgd"] = sgd | train(
        Residual,
        x,
        y,
        lambda m: torch.optim.SGD(parameter_groups(m, WEIGHT_DECAY), lr=0.1, momentum=0.9, nesterov=True),
    )
    # A small norm, so that every step is clipped, with plain momentum.
    clipped = {"lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.0, "clip_norm": 0.25}
    entry["sgd_clipped"] = clipped | train(
        Residual, x, y, lambda m: torch.optim.SGD(parameter_groups(m, 0.0), lr=0.1, momentum=0.9), 0.25
    )
    adamw = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.05}
    entry["adamw"] = adamw | train(
        Residual, x, y, lambda m: torch.optim.AdamW(parameter_groups(m, 0.05), lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    )
    return entry


def pooling() -> dict:
    shape, scale = (4, 3, 11, 9), 6.0
    entry = one_step(Pooling, shape, scale)
    model = build(Pooling)
    x = torch.from_numpy(scale * formula.tensor("input", shape)).double()
    first = model.conv1(x)
    second = model.conv2(F.max_pool2d(F.relu6(first), 3, 2, 1))
    for name, value in (("conv1", first), ("conv2", second)):
        share = (value > 6).double().mean().item()
        assert 0.02 < share < 0.9, f"ReLU6 cuts {share} of {name}"
    return entry


def distillation() -> list:
    """L = (1 - alpha) CE(student, labels) + alpha T^2 KL(softmax(teacher / T) || softmax(student / T)), batch mean."""
    shape = (6, 10)
    labels = [(7 * n + 2) % 10 for n in range(shape[0])]
    cases = []
    for alpha, temperature, smoothing in ((0.7, 4.0, 0.0), (0.5, 1.0, 0.1), (1.0, 4.0, 0.0)):
        student = torch.from_numpy(3.0 * formula.tensor("student", shape)).double().requires_grad_()
        teacher = torch.from_numpy(5.0 * formula.tensor("teacher", shape)).double()
        divergence = F.kl_div(
            F.log_softmax(student / temperature, dim=1),
            F.softmax(teacher / temperature, dim=1),
            reduction="batchmean",
        )
        hard = F.cross_entropy(student, torch.tensor(labels), label_smoothing=smoothing)
        loss = (1.0 - alpha) * hard + alpha * temperature**2 * divergence
        loss.backward()
        cases.append(
            {
                "alpha": alpha,
                "temperature": temperature,
                "label_smoothing": smoothing,
                "shape": list(shape),
                "student_scale": 3.0,
                "teacher_scale": 5.0,
                "labels": labels,
                "cross_entropy": hard.item(),
                "divergence": divergence.item(),
                "loss": loss.item(),
                "gradient": golden_json.numbers(student.grad),
            }
        )
    return cases


def clipping() -> list:
    """`g * min(1, max_norm / (norm + 1e-6))` over all tensors at once; `clip.a`, `clip.b`, `clip.c` by the formula."""
    shapes = {"clip.a": (4, 3, 3, 3), "clip.b": (5, 7), "clip.c": (19,)}
    cases = []
    for max_norm in (0.5, 1000.0):
        parameters = []
        for name, shape in shapes.items():
            parameter = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
            parameter.grad = torch.from_numpy(formula.tensor(name, shape)).double()
            parameters.append(parameter)
        norm = nn.utils.clip_grad_norm_(parameters, max_norm).item()
        cases.append(
            {
                "max_norm": max_norm,
                "norm": norm,
                "shapes": [[name, list(shape)] for name, shape in shapes.items()],
                "clipped": {name: golden_json.numbers(p.grad) for name, p in zip(shapes, parameters)},
            }
        )
    assert cases[0]["norm"] > 0.5
    return cases


def main() -> None:
    golden_json.write(
        "training_step.json",
        {
            "made_by": "golden/training_step.py",
            "torch": torch.__version__.split("+")[0],
            "networks": [
                residual(),
                one_step(PaddedShortcut, (4, 1, 10, 12), 1.0),
                one_step(Mobile, (4, 3, 11, 13), 2.0),
                pooling(),
            ],
            "distillation": distillation(),
            "clipping": clipping(),
        },
    )


main()
