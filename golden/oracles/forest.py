"""Writes a random forest as another writer would, with what it says of rows.

usage: forest.py MODEL ROWS OUTPUT

ROWS holds little-endian f32 of four features a row; a row's class is in how many quarters of [-1, 1) its first two features
differ. OUTPUT gets the shares of the trees' votes, as f32. Ids of trees and nodes have gaps, nodes and votes stand in the
order of a walk, and the label output is left out. Trees are grown here, by random splits, with NumPy alone.
"""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

CLASSES = 3
TREES = 7


def grow(rows, labels, random, depth):
    if depth == 0 or len(np.unique(labels)) == 1:
        return np.bincount(labels, minlength=CLASSES) / len(labels)
    feature = int(random.integers(rows.shape[1]))
    value = np.float32(random.choice(rows[:, feature]))
    passes = rows[:, feature] <= value
    if passes.all():
        return np.bincount(labels, minlength=CLASSES) / len(labels)
    return feature, value, grow(rows[passes], labels[passes], random, depth - 1), grow(rows[~passes], labels[~passes], random, depth - 1)


def share(tree, row):
    while isinstance(tree, tuple):
        feature, value, yes, no = tree
        tree = yes if row[feature] <= value else no
    return tree


def main() -> None:
    model, rows, output = sys.argv[1:]
    rows = np.fromfile(rows, dtype="<f4").reshape(-1, 4)
    labels = np.minimum(np.abs(rows[:, 0] - rows[:, 1]) * 2, CLASSES - 1).astype(int)
    random = np.random.default_rng(0)
    trees = [grow(rows, labels, random, 6) for _ in range(TREES)]
    nodes = {n: [] for n in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids", "modes", "values", "hitrates")}
    votes = {n: [] for n in ("treeids", "nodeids", "ids", "weights")}

    def write(tree, number, node):
        """Writes a tree whose root has the id `node`, and returns the next free id."""
        leaf = not isinstance(tree, tuple)
        at = len(nodes["modes"])
        line = (number, node, 0 if leaf else tree[0], 0, 0, "LEAF" if leaf else "BRANCH_LEQ", 0.0 if leaf else float(tree[1]), 1.0)
        for name, value in zip(nodes, line):
            nodes[name].append(value)
        if leaf:
            for label, weight in enumerate(tree):
                for name, value in zip(votes, (number, node, label, float(weight) / TREES)):
                    votes[name].append(value)
            return node + 2
        nodes["truenodeids"][at] = node + 2
        free = write(tree[2], number, node + 2)
        nodes["falsenodeids"][at] = free
        return write(tree[3], number, free)

    for number, tree in enumerate(trees):
        write(tree, 5 * number + 2, 1)
    attributes = {f"nodes_{n}": v for n, v in nodes.items()} | {f"class_{n}": v for n, v in votes.items()}
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["", "scores"], domain="ai.onnx.ml", post_transform="NONE",
        classlabels_int64s=list(range(CLASSES)), **attributes,
    )
    graph = helper.make_graph(
        [node],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), model)
    shares = np.array([np.mean([share(tree, row) for tree in trees], axis=0) for row in rows])
    shares.astype("<f4").tofile(output)


if __name__ == "__main__":
    main()
