"""Confident learning by its definition, one image at a time: confident.py PROBABILITIES LABELS CLASSES."""

import json
import sys

import numpy as np

classes = int(sys.argv[3])
probabilities = np.fromfile(sys.argv[1], dtype="<f4").astype(np.float64).reshape(-1, classes)
labels = np.fromfile(sys.argv[2], dtype="<u4")

thresholds = [
    probabilities[labels == j, j].mean() if (labels == j).any() else np.inf for j in range(classes)
]
joint = np.zeros((classes, classes), dtype=int)
issues = []
for n, (p, given) in enumerate(zip(probabilities, labels)):
    above = [j for j in range(classes) if p[j] >= thresholds[j]]
    guess = above[int(np.argmax([p[j] for j in above]))] if above else given
    if above:
        joint[given, guess] += 1
    others = [-1.0 if j == given or np.isinf(thresholds[j]) else p[j] for j in range(classes)]
    if guess != given:
        issues.append((p[given], n, guess, True))
    elif max(others) > p[given]:
        issues.append((p[given], n, int(np.argmax(others)), False))
issues.sort()
# Without confidence only among the first twentieth of the images.
issues = [issue for rank, issue in enumerate(issues) if issue[3] or rank < -(-len(labels) // 20)]
counts = np.bincount(labels, minlength=classes)
errors = 0.0
for i in range(classes):
    if joint[i].sum():
        errors += counts[i] * (1 - joint[i, i] / joint[i].sum())
print(
    json.dumps(
        {
            "joint": joint.tolist(),
            "order": [n for _, n, _, _ in issues],
            "suggested": [int(guess) for _, _, guess, _ in issues],
            "confident": sum(issue[3] for issue in issues),
            "errors": float(errors),
        }
    )
)
