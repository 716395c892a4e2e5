"""AugMix's consistency loss with its gradient by autograd -> consistency.json.

Usage: python golden/consistency.py, with torch (requirements-golden.txt). Logits are the formula's `consistency.logits`
times `logit_scale`, three rows for each image; everything is computed in f64. The divergence is written with PyTorch's own
`kl_div`, the cross-entropy with its class weights and label smoothing.
"""

import torch
from torch.nn import functional as F

import formula
import golden_json

N, K, VIEWS = 5, 10, 3
LOGIT_SCALE = 4.0
LABELS = [(7 * n + 2) % K for n in range(N)]
WEIGHTS = [0.25 + 0.5 * c for c in range(K)]


def case(weight: float, smoothing: float = 0.0, weighted: bool = False) -> dict:
    z = torch.from_numpy(LOGIT_SCALE * formula.tensor("consistency.logits", (N, VIEWS, K))).double().requires_grad_()
    labels = F.one_hot(torch.tensor(LABELS), K).double()
    class_weights = torch.tensor(WEIGHTS, dtype=torch.float64) if weighted else None
    loss = F.cross_entropy(z[:, 0], labels, weight=class_weights, label_smoothing=smoothing)
    log_mean = F.softmax(z, dim=2).mean(1).log()
    divergence = sum(
        F.kl_div(log_mean, F.log_softmax(z[:, v], dim=1), reduction="batchmean", log_target=True) for v in range(VIEWS)
    )
    loss = loss + weight * divergence / VIEWS
    loss.backward()
    return {
        "weight": weight,
        "label_smoothing": smoothing,
        "weighted": weighted,
        "loss": loss.item(),
        "gradient": golden_json.numbers(z.grad),
    }


def main() -> None:
    golden_json.write(
        "consistency.json",
        {
            "made_by": "golden/consistency.py",
            "torch": torch.__version__.split("+")[0],
            "shape": [N, VIEWS, K],
            "logit_scale": LOGIT_SCALE,
            "labels": LABELS,
            "weights": golden_json.numbers(WEIGHTS),
            "cases": [case(12.0), case(1.0, smoothing=0.1), case(3.0, smoothing=0.1, weighted=True)],
        },
    )


main()
