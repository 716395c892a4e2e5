"""Losses for soft labels and unequal classes, with their gradients by autograd -> losses.json.

Usage: python golden/losses.py, with torch (requirements-golden.txt). Logits are the formula's `loss.logits` times
`logit_scale`, teacher's logits `loss.teacher` times `teacher_scale`; everything is computed in f64. Labels are
probabilities; class weights and label smoothing are PyTorch's own for `cross_entropy` with probabilities, elsewhere they
are written out.
"""

import torch
from torch.nn import functional as F

import formula
import golden_json

N, K = 6, 10
LOGIT_SCALE, TEACHER_SCALE = 4.0, 5.0
FIRST = [(7 * n + 2) % K for n in range(N)]
SECOND = [(3 * n + 1) % K for n in range(N)]
WEIGHTS = [0.25 + 0.5 * c for c in range(K)]
PRIORS = [(c + 1) / 55 for c in range(K)]


def targets(share: float) -> torch.Tensor:
    """`share` of the first label, the rest of the second."""
    first, second = (F.one_hot(torch.tensor(labels), K).double() for labels in (FIRST, SECOND))
    return share * first + (1 - share) * second


def smoothed(q: torch.Tensor, smoothing: float) -> torch.Tensor:
    return (1 - smoothing) * q + smoothing / K


def value(kind: str, z: torch.Tensor, q: torch.Tensor, smoothing: float, weights, strength: float) -> torch.Tensor:
    weight = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    if kind == "logit_adjusted":
        z = z + strength * torch.tensor(PRIORS, dtype=torch.float64).log()
    if kind != "focal":
        return F.cross_entropy(z, q, weight=weight, label_smoothing=smoothing)
    p = F.softmax(z, dim=1)
    loss = -smoothed(q, smoothing) * (1 - p) ** strength * p.log()
    return (loss if weight is None else loss * weight).sum(1).mean()


def case(kind, share, smoothing=0.0, weights=None, strength=0.0, alpha=0.0, temperature=1.0) -> dict:
    z = torch.from_numpy(LOGIT_SCALE * formula.tensor("loss.logits", (N, K))).double().requires_grad_()
    loss = value(kind, z, targets(share), smoothing, weights, strength)
    if alpha > 0:
        teacher = torch.from_numpy(TEACHER_SCALE * formula.tensor("loss.teacher", (N, K))).double()
        student = F.log_softmax(z / temperature, dim=1)
        divergence = F.kl_div(student, F.softmax(teacher / temperature, dim=1), reduction="batchmean")
        loss = (1 - alpha) * loss + alpha * temperature**2 * divergence
    loss.backward()
    return {
        "kind": kind,
        "share": share,
        "label_smoothing": smoothing,
        "weighted": weights is not None,
        "strength": strength,
        "alpha": alpha,
        "temperature": temperature,
        "loss": loss.item(),
        "gradient": golden_json.numbers(z.grad),
    }


def main() -> None:
    golden_json.write(
        "losses.json",
        {
            "made_by": "golden/losses.py",
            "torch": torch.__version__.split("+")[0],
            "shape": [N, K],
            "logit_scale": LOGIT_SCALE,
            "teacher_scale": TEACHER_SCALE,
            "first": FIRST,
            "second": SECOND,
            "weights": golden_json.numbers(WEIGHTS),
            "priors": golden_json.numbers(PRIORS),
            "cases": [
                case("cross_entropy", 0.7),
                case("cross_entropy", 0.7, smoothing=0.1),
                case("cross_entropy", 1.0, weights=WEIGHTS),
                case("cross_entropy", 0.4, smoothing=0.1, weights=WEIGHTS),
                case("cross_entropy", 0.6, smoothing=0.1, alpha=0.3, temperature=4.0),
                case("focal", 1.0, strength=2.0),
                case("focal", 1.0, strength=0.5),
                case("focal", 0.7, smoothing=0.1, weights=WEIGHTS, strength=1.5),
                case("focal", 0.7, strength=2.0, alpha=0.5, temperature=2.0),
                case("logit_adjusted", 1.0, strength=1.0),
                case("logit_adjusted", 0.3, smoothing=0.1, weights=WEIGHTS, strength=0.5),
                case("logit_adjusted", 0.3, strength=1.0, alpha=0.5, temperature=2.0),
            ],
        },
    )


main()
