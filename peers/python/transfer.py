"""What transfer is worth: the tables of docs/transfer.md.

    python peers/python/transfer.py cells WORK --weights FILE.pth [--weights ...] [--only WAY]
        solar cells, three splits of 75/25: every head, gap, fc, finetune, from scratch, and PyTorch's features
    python peers/python/transfer.py few WORK [--seeds 5]
        Fashion-MNIST: from five classes with all images to the five others with 20 each, against from scratch

WORK keeps data and runs; what is there already is not run again, so that an interrupted call goes on. `oculist` is found on the PATH,
or named by --oculist; cells are made by `cargo xtask elpv`, garments by golden/small_sets.py. Prints a Markdown table: top-1 on test
images, mean and standard deviation over the splits, and seconds of a run. PyTorch's features want torch, torchvision and
scikit-learn, and are of MobileNetV2's weights.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADS = ("logistic", "svm", "lda", "knn", "forest")
GARMENTS = ROOT / "models" / "fashion_mnist.onnx"


def run(args, folder, verb, data, seed, *options):
    """Top-1 on test images in percent and seconds of a run, which is made if it is not there."""
    summary = folder / "summary.json"
    if not summary.exists():
        command = [args.oculist, verb, data, *options, "--seed", seed, "--threads", args.threads, "--output", folder]
        resume = ["--resume"] if (folder / "settings.toml").exists() else []
        with open(folder.with_suffix(".log"), "w") as log:
            done = subprocess.run([str(word) for word in [*command, *resume]], stdout=log, stderr=log)
        if done.returncode:
            sys.exit(f"{folder.name} failed: {folder.with_suffix('.log')}")
    found = json.loads(summary.read_text())
    model = found["models"][-1]
    return model["top1"], found["duration_s"]


def row(name, results):
    accuracies, seconds = [r[0] for r in results], [r[1] for r in results if r[1]]
    spread = f" ± {statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    time = f"{statistics.median(seconds):.0f} s" if seconds else ""
    each = ", ".join(f"{a:.1f}" for a in accuracies)
    print(f"| {name} | {statistics.mean(accuracies):.1f}%{spread} | {each} | {time} |", flush=True)


def cells(args):
    work, splits = args.work, range(3)
    for seed in splits:
        if not (work / f"cells{seed}").exists():
            making = work / "making"
            shutil.rmtree(making, ignore_errors=True)
            command = ["cargo", "xtask", "elpv", str(making.resolve()), str(seed)]
            subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
            making.rename(work / f"cells{seed}")
    ways = []
    for weights in args.weights or []:
        name = weights.name.split("-0")[0].split("-5")[0].split("-7")[0].split("-9")[0].split("-b")[0]
        source = ["--from", weights]
        ways += [(f"features, {head}, {name}", "transfer", [*source, "--mode", "features", "--head", head]) for head in HEADS]
        ways.append((f"features in int8, {name}", "transfer", [*source, "--mode", "features", "--precision", "int8"]))
        turned = ["--augmentation", ROOT / "peers" / "python" / "cells.toml"]
        ways.append((f"finetune with quarter turns, {name}", "transfer", [*source, "--mode", "finetune", *turned]))
    for mode in ("gap", "fc"):
        ways.append((f"{mode}, fashion_mnist.onnx", "transfer", ["--from", GARMENTS, "--mode", mode]))
    ways.append(("from scratch, 24 epochs", "train", ["--epochs", "24"]))
    print("| what | test top-1 | each | time |\n|---|---|---|---|")
    for name, verb, options in ways:
        if args.only and args.only not in name:
            continue
        folder = name.replace(", ", "-").replace(" ", "-")
        row(name, [run(args, work / f"{folder}-{s}", verb, work / f"cells{s}", 0, *options) for s in splits])
    for weights in args.weights or []:
        if weights.name.startswith("mobilenet_v2") and (not args.only or args.only in "PyTorch"):
            row("PyTorch's features, mobilenet_v2, scikit-learn", [(torch_accuracy(work / f"cells{s}", weights), 0) for s in splits])


def torch_accuracy(folder, weights):
    import numpy as np
    import torch
    import torchvision
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import features

    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.classifier = torch.nn.Identity()
    parts = {}
    for part in ("train", "test"):
        paths = sorted((folder / part).rglob("*.png"))
        parts[part] = features.rows(model.eval(), paths, "mobilenet_v2"), [path.parent.name for path in paths]
    head = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 2, 13), cv=5, max_iter=2000))
    head.fit(*parts["train"])
    return 100 * head.score(*parts["test"])


def garments(args, name, *what):
    data = args.work / name
    if not data.exists():
        making = args.work / "making"
        shutil.rmtree(making, ignore_errors=True)
        script = ROOT / "golden" / "small_sets.py"
        subprocess.run([sys.executable, "-B", script, what[0], making, *what[1:]], check=True)
        making.rename(data)
    return data


def few(args):
    work, results = args.work, {}
    network = ["--arch", "resnet20"]
    source = work / "source"
    results["the source, on its own classes"] = [
        run(args, source, "train", garments(args, "old", "old"), 0, *network, "--epochs", "4")
    ]
    for seed in range(args.seeds):
        data = garments(args, f"new{seed}", "new", str(seed))
        ways = {mode: ("transfer", "--from", source / "model.onnx", "--mode", mode) for mode in ("features", "fc", "finetune")}
        for name, (verb, *options) in {**ways, "from scratch": ("train", *network)}.items():
            found = run(args, work / f"few-{name.replace(' ', '-')}-{seed}", verb, data, seed, *options)
            results.setdefault(name, []).append(found)
    print("| what | test top-1 | each | time |\n|---|---|---|---|")
    for name, found in results.items():
        row(name, found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("cells", "few"))
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--weights", type=pathlib.Path, action="append")
    parser.add_argument("--only", help="only ways whose name has this in it")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--oculist", default="oculist")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    {"cells": cells, "few": few}[args.table](args)


if __name__ == "__main__":
    main()
