"""Losses of images with several labels, with their gradients by autograd -> multi_label.json.

Usage: python golden/multi_label.py, with torch (requirements-golden.txt). Logits are the formula's `multi.logits` times
`logit_scale`, teacher's logits `multi.teacher` times `teacher_scale`; everything is computed in f64. An image has a label where
the formula's `multi.labels` is above `label_from`; mixed targets are `share` of its own and the rest of the next image's. The
loss is PyTorch's `binary_cross_entropy_with_logits`, mean over images and classes; smoothing mixes with 0.5. The divergence of
distillation is taken of the two probabilities of each class, written as a softmax of the logit and 0.
"""

import torch
from torch.nn import functional as F

import formula
import golden_json

N, K = 6, 10
LOGIT_SCALE, TEACHER_SCALE, LABEL_FROM = 4.0, 5.0, 0.3
WEIGHTS = [0.25 + 0.5 * c for c in range(K)]


def targets(share: float) -> torch.Tensor:
    """1 where an image has the label; `share` of that, and the rest of the next image's."""
    hot = (torch.from_numpy(formula.tensor("multi.labels", (N, K))) > LABEL_FROM).double()
    return share * hot + (1 - share) * hot.roll(-1, 0)


def pair(z: torch.Tensor) -> torch.Tensor:
    """Logits of yes and no, along a new last axis."""
    return torch.stack([z, torch.zeros_like(z)], dim=-1)


def case(share, smoothing=0.0, weighted=False, alpha=0.0, temperature=1.0) -> dict:
    z = torch.from_numpy(LOGIT_SCALE * formula.tensor("multi.logits", (N, K))).double().requires_grad_()
    weight = torch.tensor(WEIGHTS, dtype=torch.float64) if weighted else None
    y = (1 - smoothing) * targets(share) + smoothing / 2
    loss = F.binary_cross_entropy_with_logits(z, y, pos_weight=weight)
    if alpha > 0:
        teacher = torch.from_numpy(TEACHER_SCALE * formula.tensor("multi.teacher", (N, K))).double()
        student = F.log_softmax(pair(z / temperature), dim=-1)
        divergence = F.kl_div(student, F.softmax(pair(teacher / temperature), dim=-1), reduction="sum") / (N * K)
        loss = (1 - alpha) * loss + alpha * temperature**2 * divergence
    loss.backward()
    return {
        "share": share,
        "label_smoothing": smoothing,
        "weighted": weighted,
        "alpha": alpha,
        "temperature": temperature,
        "loss": loss.item(),
        "gradient": golden_json.numbers(z.grad),
    }


def main() -> None:
    golden_json.write(
        "multi_label.json",
        {
            "made_by": "golden/multi_label.py",
            "torch": torch.__version__.split("+")[0],
            "shape": [N, K],
            "logit_scale": LOGIT_SCALE,
            "teacher_scale": TEACHER_SCALE,
            "label_from": LABEL_FROM,
            "weights": golden_json.numbers(WEIGHTS),
            "cases": [
                case(1.0),
                case(1.0, smoothing=0.1),
                case(1.0, weighted=True),
                case(0.7),
                case(0.4, smoothing=0.1, weighted=True),
                case(1.0, alpha=0.5, temperature=1.0),
                case(0.6, smoothing=0.1, alpha=0.3, temperature=4.0),
                case(1.0, weighted=True, alpha=0.7, temperature=2.0),
            ],
        },
    )


main()
