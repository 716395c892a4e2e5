"""Heads on features by scikit-learn, estimates of features by plain NumPy formulas in f64 -> heads.json.

Usage: python golden/heads.py, with requirements-metrics.txt. The features of a case are the formula's `heads.NAME.noise`
plus `apart` where the feature's index is the label times `step`, then feature f times `1 + f / 4` plus 0.5, all in f32;
row i has the label `i % classes`, but that those below `few` of class 0 alone are kept in class 0 and the others of it go to
class 1. Probabilities of a source are the softmax of `heads.NAME.source` times 3.
"""

import warnings

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import formula
import golden_json

#        name      rows dim classes apart few
CASES = [
    ("three", 60, 5, 3, 0.8, 60),
    ("two", 40, 6, 2, 0.5, 16),
    ("wide", 30, 48, 3, 0.7, 30),
    ("wider", 40, 400, 3, 3.0, 40),
]
NEIGHBOURS = 4


def case(name, rows, dim, classes, apart, few):
    x = formula.tensor(f"heads.{name}.noise", (rows, dim))
    labels = np.arange(rows) % classes
    labels[(labels == 0) & (np.arange(rows) >= few)] = 1
    for i, label in enumerate(labels):
        x[i, label] += np.float32(apart)
    scale = np.float32(1) + np.arange(dim, dtype=np.float32) / np.float32(4)
    return x * scale + np.float32(0.5), labels


def logistic(x, labels, strength):
    """L-BFGS there ends where the loss stands still, which leaves a bias of separable rows 1e-3 from its best."""
    scaler = StandardScaler().fit(x.astype(np.float64))
    solver = {"solver": "newton-cg", "tol": 1e-7} if x.shape[1] > 100 else {"tol": 1e-10}
    model = LogisticRegression(C=strength, max_iter=100_000, **solver).fit(scaler.transform(x), labels)
    weights = model.coef_ / scaler.scale_
    bias = model.intercept_ - weights @ scaler.mean_
    probabilities = model.predict_proba(scaler.transform(x))
    return {
        "c": strength,
        "weights": golden_json.numbers(weights),
        "bias": golden_json.numbers(bias),
        "probabilities": golden_json.numbers(probabilities),
    }


def svm(x, labels, strength):
    """The bias is penalised there; a factor of 1000 in its column makes that vanish."""
    scaled = StandardScaler().fit_transform(x.astype(np.float64))
    model = LinearSVC(C=strength, dual=False, tol=1e-10, max_iter=1_000_000, intercept_scaling=1000.0)
    return {"c": strength, "scores": golden_json.numbers(model.fit(scaled, labels).decision_function(scaled))}


def lda(x, labels):
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x.astype(np.float64), labels)
    probabilities = model.predict_proba(x.astype(np.float64))
    return {"weights": golden_json.numbers(model.coef_), "probabilities": golden_json.numbers(probabilities)}


def neighbours(x):
    model = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine", algorithm="brute").fit(x.astype(np.float64))
    distances, indices = model.kneighbors()
    return {"indices": indices.reshape(-1).tolist(), "cosines": golden_json.numbers(1.0 - distances)}


def log_evidence(x, labels):
    """The evidence as its formula says, with whole matrices."""
    x = x.astype(np.float64)
    n, d = x.shape
    total = []
    for label in np.unique(labels):
        y = (labels == label).astype(np.float64)
        alpha = beta = 1.0
        for _ in range(11):
            a = alpha * np.eye(d) + beta * x.T @ x
            m = beta * np.linalg.solve(a, x.T @ y)
            eigenvalues = np.linalg.eigvalsh(beta * x.T @ x)
            gamma = (eigenvalues / (alpha + eigenvalues)).sum()
            square, residual = m @ m, ((x @ m - y) ** 2).sum()
            old = alpha / beta
            alpha, beta = gamma / (square + 1e-5), (n - gamma) / (residual + 1e-5)
            _, determinant = np.linalg.slogdet(alpha * np.eye(d) + beta * x.T @ x)
            evidence = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - n / 2 * np.log(2 * np.pi)
            evidence += -beta / 2 * residual - alpha / 2 * square - determinant / 2
            if abs(alpha / beta - old) <= 1e-3 * old:
                break
        total.append(evidence / n)
    return np.mean(total)


def leep(theta, labels):
    classes, n = np.unique(labels), len(labels)
    joint = np.array([[theta[labels == y, z].sum() / n for z in range(theta.shape[1])] for y in classes])
    conditional = joint / joint.sum(axis=0)
    return np.mean([np.log(conditional[list(classes).index(y)] @ t) for y, t in zip(labels, theta)])


def shrinkage(x):
    """Ledoit and Wolf's for centred rows, from the sums over rows."""
    n, d = x.shape
    s = x.T @ x / n
    mean = np.trace(s) / d
    delta = ((s - mean * np.eye(d)) ** 2).sum() / d
    beta = sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / n**2 / d
    return min(beta, delta) / delta, s, mean


def h_score(x, labels):
    x = x.astype(np.float64)
    x = x - x.mean(axis=0)
    alpha, s, mean = shrinkage(x)
    between = np.zeros_like(s)
    for y in np.unique(labels):
        m = x[labels == y].mean(axis=0)
        between += (labels == y).mean() * np.outer(m, m)
    shrunk = (1 - alpha) * s + alpha * mean * np.eye(x.shape[1])
    return np.trace(np.linalg.inv(shrunk) @ ((1 - alpha) * between))


def collapse(x, labels):
    x = x.astype(np.float64)
    classes, d = np.unique(labels), x.shape[1]
    covariance = np.zeros((d, d))
    for y in classes:
        own = x[labels == y] - x[labels == y].mean(axis=0)
        scale = own.std(axis=0)
        alpha, s, mean = shrinkage(own / scale)
        covariance += (labels == y).mean() * np.diag(scale) @ ((1 - alpha) * s + alpha * mean * np.eye(d)) @ np.diag(scale)
    inverse = np.linalg.inv(covariance)
    scores = []
    for y in classes:
        away = x - x[labels == y].mean(axis=0)
        scores.append(-0.5 * np.einsum("ni,ij,nj->n", away, inverse, away) + np.log((labels == y).mean()))
    scores = np.array(scores).T
    z = np.exp(scores - scores.max(axis=1, keepdims=True))
    z /= z.sum(axis=1, keepdims=True)
    nuclear = lambda m: np.linalg.svd(m, compute_uv=False).sum()
    return {
        "variability": -sum(nuclear(z[labels == y]) for y in classes),
        "geometry": nuclear(x),
        "centre": np.mean([z[i, list(classes).index(y)] for i, y in enumerate(labels)]),
    }


def neighbour_accuracy(x, labels, k):
    x = x.astype(np.float64)
    unit = x / np.sqrt((x**2).sum(axis=1, keepdims=True))
    right = 0
    for i in range(len(x)):
        cosines = unit @ unit[i]
        cosines[i] = -2
        near = np.argsort(-cosines)[:k]
        votes = [np.exp(cosines[near[labels[near] == y]] / 0.07).sum() for y in range(labels.max() + 1)]
        right += int(np.argmax(votes) == labels[i])
    return right / len(x)


def main() -> None:
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", FutureWarning)
    cases = []
    for name, rows, dim, classes, apart, few in CASES:
        x, labels = case(name, rows, dim, classes, apart, few)
        source = formula.tensor(f"heads.{name}.source", (rows, 7)).astype(np.float64) * 3
        theta = np.exp(source) / np.exp(source).sum(axis=1, keepdims=True)
        cases.append(
            {
                "name": name,
                "rows": rows,
                "dim": dim,
                "classes": classes,
                "apart": apart,
                "few": few,
                "logistic": [logistic(x, labels, c) for c in (0.01, 1.0)],
                "svm": [svm(x, labels, c) for c in (0.01, 1.0)],
                "lda": lda(x, labels),
                "neighbours": neighbours(x),
                "log_me": log_evidence(x, labels),
                "leep": leep(theta, labels),
                "h_score": h_score(x, labels),
                "collapse": collapse(x, labels),
                "neighbour_accuracy": neighbour_accuracy(x, labels, 5),
            }
        )
    golden_json.write("heads.json", {"sklearn": sklearn.__version__, "k": NEIGHBOURS, "cases": cases})


if __name__ == "__main__":
    main()
