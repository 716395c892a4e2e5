"""Fine-tuning: frozen batch norm, anchors, layer-wise decay, gradual unfreezing, low-rank adapters -> tuning.json.

Run by `cargo xtask golden tuning`. The network is `Residual` of training_nets.py; weights and inputs follow README.md's
formula, everything is computed in f64. Each case takes steps on one batch and gives the loss of each, the gradients of the
first where that says more, and what the trained parameters are then.
"""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

import formula
import golden_json
from training_nets import Residual

SHAPE = (4, 3, 12, 12)
LABELS = [(3 * n + 1) % 5 for n in range(SHAPE[0])]
SMOOTHING = 0.1
STEPS = 3
SGD = {"lr": 0.1, "momentum": 0.9, "nesterov": True}
ADAMW = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
# From the head to the input, as the graph has them: the two paths of the block are one layer.
LAYERS = [["fc"], ["conv2", "bn2", "shortcut.0", "shortcut.1"], ["conv1", "bn1"]]


def build(batch_norm: str = "train") -> nn.Module:
    model = Residual().double()
    formula.load_into(model)
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and batch_norm != "train":
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(batch_norm == "statistics")
    return model


def batch():
    return torch.from_numpy(formula.tensor("input", SHAPE)).double(), torch.tensor(LABELS)


def cross_entropy(logits, labels):
    return F.cross_entropy(logits, labels, label_smoothing=SMOOTHING)


def tensors(pairs) -> dict:
    return {name: golden_json.numbers(value.detach()) for name, value in pairs}


def groups(model, weight_decay, lr=lambda name: 1.0, base=0.1, decays=lambda name: True) -> list:
    """A group for each trained parameter: its own learning rate, and weight decay of weights alone."""
    return [
        {
            "params": [p],
            "lr": base * lr(name),
            "weight_decay": weight_decay if p.dim() >= 2 and decays(name) else 0.0,
        }
        for name, p in model.named_parameters()
        if p.requires_grad
    ]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.01, betas=(0.9, 0.999), eps=1e-8)


def run(model, optimizer, penalty=None, before=None, steps=STEPS, gradients=False) -> dict:
    x, labels = batch()
    losses, first = [], {}
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        if before is not None:
            before(step)
        loss = cross_entropy(model(x), labels)
        losses.append(loss.item())
        (loss if penalty is None else loss + penalty(model)).backward()
        if step == 0 and gradients:
            first = tensors((k, p.grad) for k, p in model.named_parameters() if p.grad is not None)
        optimizer.step()
    assert losses[0] > losses[-1], f"the loss does not fall: {losses}"
    result = {"steps": steps, "losses": losses}
    if gradients:
        result["gradients"] = first
    changed = {k: p for k, p in model.named_parameters() if not torch.equal(p, build().get_parameter(k))}
    result["parameters"] = tensors(changed.items())
    return result


def frozen_norms(batch_norm: str) -> dict:
    model = build(batch_norm)
    state = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    result = run(model, sgd(groups(model, 5e-4)), gradients=True)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in state.items())
    return {"optimizer": SGD, "weight_decay": 5e-4, "batch_norm": batch_norm} | result


def anchored_sgd() -> dict:
    """alpha / 2 * |w - w0|^2 in the loss of all weights but the head's, which decays."""
    alpha, model = 0.5, build()
    start = {k: p.detach().clone() for k, p in model.named_parameters()}

    def penalty(model):
        named = model.named_parameters()
        return sum(alpha / 2 * ((p - start[k]) ** 2).sum() for k, p in named if p.dim() >= 2 and k != "fc.weight")

    optimizer = sgd(groups(model, 0.05, decays=lambda name: name == "fc.weight"))
    return {"optimizer": SGD, "weight_decay": 0.05, "anchor": alpha} | run(model, optimizer, penalty)


def anchored_adamw() -> dict:
    """The same decoupled: w -= lr * alpha * (w - w0) in front of Adam's own update."""
    alpha, model = 5.0, build()
    start = {k: p.detach().clone() for k, p in model.named_parameters()}
    optimizer = adamw(groups(model, 0.05, base=0.01, decays=lambda name: name == "fc.weight"))
    plain = optimizer.step

    def step():
        with torch.no_grad():
            for name, p in model.named_parameters():
                if p.dim() >= 2 and name != "fc.weight":
                    p -= 0.01 * alpha * (p - start[name])
        plain()

    optimizer.step = step
    return {"optimizer": ADAMW, "weight_decay": 0.05, "anchor": alpha} | run(model, optimizer)


def distance(name: str) -> int:
    return next(d for d, layer in enumerate(LAYERS) if any(name.startswith(module + ".") for module in layer))


def decayed() -> dict:
    decay, model = 0.5, build()
    optimizer = adamw(groups(model, 0.05, lr=lambda name: decay ** distance(name), base=0.01))
    return {"optimizer": ADAMW, "weight_decay": 0.05, "layer_decay": decay} | run(model, optimizer)


def unfreezing() -> dict:
    """The head from the first step on, a layer more with each step; what is frozen has no gradient."""
    model = build("statistics")
    optimizer = adamw(groups(model, 0.05, base=0.01))

    def before(step):
        for name, p in model.named_parameters():
            p.requires_grad_(distance(name) <= step)

    result = run(model, optimizer, before=before, steps=5)
    return {"optimizer": ADAMW, "weight_decay": 0.05, "batch_norm": "statistics"} | result


def adapters() -> dict:
    """W = W0 + alpha / r * B A of every weight; A and B are trained, and the head's bias."""
    rank, alpha, base = 2, 6.0, build("frozen")
    weights = {k: p for k, p in base.named_parameters() if p.dim() >= 2}
    pairs = {}
    for name, w in weights.items():
        a = torch.from_numpy(0.5 * formula.tensor(f"{name}.lora_a", (rank, *w.shape[1:]))).double()
        b = torch.from_numpy(0.2 * formula.tensor(f"{name}.lora_b", (w.shape[0], rank))).double()
        pairs[name] = (a.requires_grad_(), b.requires_grad_())
    for p in base.parameters():
        p.requires_grad_(False)
    bias = base.fc.bias.requires_grad_()

    def merged():
        return {n: weights[n] + alpha / rank * (b @ a.flatten(1)).view_as(weights[n]) for n, (a, b) in pairs.items()}

    low_rank = [p for pair in pairs.values() for p in pair]
    optimizer = sgd([{"params": low_rank, "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}])
    x, labels = batch()
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = cross_entropy(functional_call(base, merged(), (x,)), labels)
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
    assert losses[0] > losses[-1], losses
    trained = {f"{n}.lora_{'ab'[i]}": p for n, pair in pairs.items() for i, p in enumerate(pair)}
    with torch.no_grad():
        logits = functional_call(base, merged(), (x,))
    return {
        "optimizer": SGD,
        "weight_decay": 0.01,
        "batch_norm": "frozen",
        "rank": rank,
        "alpha": alpha,
        "a_scale": 0.5,
        "b_scale": 0.2,
        "losses": losses,
        "parameters": tensors({**trained, "fc.bias": bias}.items()),
        "merged": tensors(merged().items()),
        "logits": golden_json.numbers(logits),
    }


def main() -> None:
    golden_json.write(
        "tuning.json",
        {
            "made_by": "golden/tuning.py",
            "torch": torch.__version__.split("+")[0],
            "network": "Residual",
            "input_shape": list(SHAPE),
            "labels": LABELS,
            "label_smoothing": SMOOTHING,
            "cases": {
                "statistics": frozen_norms("statistics"),
                "frozen": frozen_norms("frozen"),
                "anchored_sgd": anchored_sgd(),
                "anchored_adamw": anchored_adamw(),
                "decayed": decayed(),
                "unfreezing": unfreezing(),
            },
            "adapters": adapters(),
        },
    )


main()
