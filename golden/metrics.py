"""Metrics of classifiers by scikit-learn, intervals of shares by SciPy -> metrics.json.

Usage: python golden/metrics.py, with requirements-metrics.txt. Outputs are the formula's `NAME.logits` times `scale`, plus
`boost` where the class is true, rounded down to a multiple of `step` (0: not rounded), all in f32; those at the indices
`nan` are NaN. Where `probabilities` is set they are `(floor(8 (u + 1)) + 1) / 32` instead, which does not add up to 1.
Targets of several labels hold where the formula's `NAME.targets` lies below the class's entry of `priors`.

Shares are in percent. What is not defined is left out; an infinite loss is null.
"""

import math
import warnings

import numpy as np
import scipy.special
import scipy.stats
import sklearn
from sklearn import calibration, dummy, metrics

import formula
import golden_json

BINS = 15


def outputs(name, shape, truth, scale, boost, step, probabilities, nan) -> np.ndarray:
    u = formula.tensor(f"{name}.logits", shape)
    if probabilities:
        return (np.floor((u + np.float32(1)) * np.float32(8)) + np.float32(1)) / np.float32(32)
    z = u * np.float32(scale) + np.float32(boost) * truth.astype(np.float32)
    if step:
        z = np.floor(z / np.float32(step)) * np.float32(step)
    z.reshape(-1)[nan] = np.nan
    return z


def ranked(z: np.ndarray) -> np.ndarray:
    """For scikit-learn, which takes no NaN: below everything else."""
    return np.where(np.isnan(z), -1e38, z.astype(np.float64))


def number(value: float):
    return float(value) if math.isfinite(value) else None


def calibration_error(right: np.ndarray, confidence: np.ndarray) -> float:
    """The curve is scikit-learn's, which leaves out empty bins; the counts of the others weigh its gaps."""
    edges = np.linspace(0, 1, BINS + 1)
    # Equal logits put a confidence on an edge: then it is the f32 nearest to it on every machine.
    near = np.abs(confidence[:, None] - edges[1:-1]) < 1e-6
    assert (~near | (confidence[:, None] == edges[1:-1].astype(np.float32))).all(), "a confidence beside an edge"
    accuracy, mean = calibration.calibration_curve(right, confidence, n_bins=BINS, strategy="uniform", pos_label=True)
    count = np.bincount(np.searchsorted(edges[1:-1], confidence), minlength=BINS)
    return 100 * np.sum(count[count > 0] / len(right) * np.abs(accuracy - mean))


def classification(name, labels, classes, scale=3.0, boost=0.0, step=0.0, probabilities=False, nan=()) -> dict:
    labels, nan = np.asarray(labels), list(nan)
    every, count = np.arange(classes), len(labels)
    truth = labels[:, None] == every
    z = outputs(name, (count, classes), truth, scale, boost, step, probabilities, nan)
    rank = ranked(z)
    if probabilities:
        log_p = np.log(z.astype(np.float64) / z.astype(np.float64).sum(1, keepdims=True))
    else:
        log_p = scipy.special.log_softmax(np.where(np.isnan(z), -np.inf, z.astype(np.float64)), axis=1)
    predicted = rank.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = {
            "top1": 100 * metrics.accuracy_score(labels, predicted),
            # Equals go to the last class there, to the first one here.
            "top5": 100.0
            if classes <= 5
            else 100 * metrics.top_k_accuracy_score(classes - 1 - labels, rank[:, ::-1], k=5, labels=every),
            "balanced_accuracy": 100 * metrics.balanced_accuracy_score(labels, predicted),
            "macro_f1": 100 * metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        }
        if classes == 2 and len(set(labels)) == 2:
            score = z[:, 1].astype(np.float64) if probabilities else rank[:, 1] - rank[:, 0]
            scores["auc"] = 100 * metrics.roc_auc_score(labels, score)
        loss = -log_p[np.arange(count), labels].mean()
        if np.isfinite(loss) and (p := np.exp(log_p)).min() > 1e-15 and classes > 1:
            theirs = metrics.log_loss(labels, p, labels=every)
            assert math.isclose(theirs, loss, rel_tol=1e-12), (theirs, loss)
        scores["log_loss"] = number(loss)
        confidence = np.exp(log_p[np.arange(count), predicted]).astype(np.float32).astype(np.float64)
        scores["ece"] = calibration_error(predicted == labels, confidence)
    majority = dummy.DummyClassifier(strategy="most_frequent").fit(z[:, :0], labels).score(z[:, :0], labels)
    return {
        "name": name,
        "labels": labels.tolist(),
        "classes": classes,
        "scale": scale,
        "boost": boost,
        "step": step,
        "probabilities": probabilities,
        "nan": nan,
        "majority_rate": 100 * majority,
        "scores": scores,
    }


def multi_label(name, count, priors, threshold=0.5, scale=2.0, boost=1.0, step=0.0, probabilities=False, nan=()) -> dict:
    classes, nan = len(priors), list(nan)
    truth = formula.tensor(f"{name}.targets", (count, classes)) < np.asarray(priors, dtype=np.float32)
    z = outputs(name, (count, classes), truth, scale, boost, step, probabilities, nan)
    x = np.where(np.isnan(z), -np.inf, z.astype(np.float64))
    predicted = (x if probabilities else scipy.special.expit(x)) >= threshold
    if probabilities:
        loss = -np.where(truth, np.log(x), np.log1p(-x))
    else:
        loss = -np.where(truth, scipy.special.log_expit(x), scipy.special.log_expit(-x))
    found = [None if not t.any() else 100 * metrics.average_precision_score(t, s) for t, s in zip(truth.T, ranked(z).T)]
    scores = {}
    if truth.any():
        scores["map"] = float(np.mean([f for f in found if f is not None]))
    if truth.any() or predicted.any():
        t, p = truth.astype(int), predicted.astype(int)
        if classes == 1:
            # One column is taken for two classes there.
            scores["macro_f1"] = scores["micro_f1"] = 100 * metrics.f1_score(t[:, 0], p[:, 0], zero_division=np.nan)
        else:
            scores["macro_f1"] = 100 * metrics.f1_score(t, p, average="macro", zero_division=np.nan)
            scores["micro_f1"] = 100 * metrics.f1_score(t, p, average="micro", zero_division=np.nan)
    scores["exact_match"] = 100 * metrics.accuracy_score(truth, predicted)
    scores["hamming"] = 100 * metrics.hamming_loss(truth, predicted)
    scores["log_loss"] = number(loss.mean())
    columns = [(truth[:, c], predicted[:, c]) for c in range(classes)]
    each = {
        "average_precision": found,
        "f1": [100 * metrics.f1_score(t, p, zero_division=0) for t, p in columns],
        "precision": [100 * metrics.precision_score(t, p, zero_division=0) for t, p in columns],
        "recall": [100 * metrics.recall_score(t, p, zero_division=0) for t, p in columns],
        "positives": [int(t.sum()) for t, _ in columns],
        "predicted": [int(p.sum()) for _, p in columns],
    }
    return {
        "name": name,
        "count": count,
        "priors": priors,
        "threshold": threshold,
        "scale": scale,
        "boost": boost,
        "step": step,
        "probabilities": probabilities,
        "nan": nan,
        "scores": scores,
        "per_class": each,
    }


def interval(successes: int, count: int) -> list:
    ci = scipy.stats.binomtest(successes, count).proportion_ci(0.95, method="wilson")
    return [successes, count, 100 * ci.low, 100 * ci.high]


def spread(count: int, classes: int) -> list:
    return [(7 * i + i // 3) % classes for i in range(count)]


def main() -> None:
    unequal = [0 if i % 10 else 1 + i // 10 % 2 for i in range(120)]
    golden_json.write(
        "metrics.json",
        {
            "made_by": "golden/metrics.py",
            "sklearn": sklearn.__version__,
            "scipy": scipy.__version__,
            "classification": [
                classification("ten", spread(150, 10), 10, boost=1.5),
                classification("ten_ties", spread(150, 10), 10, scale=2.0, boost=1.0, step=1.0),
                classification("absent", [c if c < 4 else 6 for c in spread(90, 6)], 8, boost=1.0),
                classification("one_class", [2] * 40, 4, boost=1.0),
                classification("unequal", unequal, 3, boost=1.0),
                classification("unequal_ties", unequal, 3, scale=2.0, step=0.5),
                classification("two", spread(80, 2), 2, boost=1.0),
                classification("two_unequal", [int(i % 9 == 0) for i in range(100)], 2, boost=0.5),
                classification("two_ties", spread(80, 2), 2, scale=2.0, boost=0.5, step=0.5),
                classification("two_one_class", [1] * 20, 2),
                classification("two_probabilities", spread(60, 2), 2, probabilities=True),
                classification("six_probabilities", spread(60, 6), 6, probabilities=True),
                classification("large", spread(50, 7), 7, scale=1e4, boost=5e3),
                classification("huge", spread(50, 7), 7, scale=1e30),
                classification("tiny", spread(50, 7), 7, scale=1e-30),
                classification("one_image", [5], 9),
                classification("only_class", [0] * 6, 1),
                classification("nan", spread(40, 4), 4, nan=[4 * i + (spread(40, 4)[i] + 1) % 4 for i in range(0, 40, 3)]),
                classification("nan_truth", spread(40, 4), 4, nan=[4 * i + spread(40, 4)[i] for i in range(0, 40, 7)]),
                classification("nan_two", spread(30, 2), 2, nan=[2 * i + spread(30, 2)[i] for i in range(0, 30, 5)]),
            ],
            "multi_label": [
                multi_label("some", 80, [-0.5, 0.0, 0.25, -0.75, 0.5]),
                multi_label("some_low", 80, [-0.5, 0.0, 0.25, -0.75, 0.5], threshold=0.25),
                multi_label("some_high", 80, [-0.5, 0.0, 0.25, -0.75, 0.5], threshold=0.75),
                multi_label("ties", 80, [-0.5, 0.0, 0.25, -0.75], step=0.5),
                multi_label("without", 60, [-1.0, 0.0, -1.0, 1.0], boost=2.0),
                # Rare labels that are nowhere answered, and one class that is neither there nor answered.
                multi_label("unanswered", 60, [-0.9, -0.8, -1.0], scale=0.5, boost=-3.0, threshold=0.9),
                multi_label("nothing", 30, [-1.0, -1.0], scale=0.5, threshold=0.9),
                multi_label("one_class", 50, [-0.25]),
                multi_label("one_image", 1, [0.5, -0.5, 1.0]),
                multi_label("large", 40, [-0.5, 0.0, 0.5], scale=1e4),
                multi_label("huge", 40, [-0.5, 0.0, 0.5], scale=1e30),
                multi_label("probabilities", 60, [-0.5, 0.0, 0.5], probabilities=True, threshold=0.4),
                multi_label("nan", 40, [1.0, 0.0, -1.0], nan=[3 * i + 2 for i in range(0, 40, 3)]),
                multi_label("nan_truth", 40, [1.0, 0.0, -1.0], nan=[3 * i for i in range(0, 40, 3)]),
            ],
            "intervals": [
                interval(*case)
                for case in [(0, 1), (1, 1), (0, 10), (10, 10), (1, 3), (5, 10), (81, 263), (999, 1000), (4999, 10000)]
            ],
        },
    )


main()
