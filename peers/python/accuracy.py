"""Time to accuracy in PyTorch: accuracy.py FOLDER EPOCHS THREADS SEED, the recipe of crates/oculist-bench/src/accuracy.rs.

Prints one line of JSON after each epoch. The images lie in memory as one tensor and are augmented a whole batch at a time
with a gather, which costs PyTorch a few percent of a step; its usual data loader would be slower.
"""

import gzip
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from networks import CifarResNet

BATCH, PEAK, SMOOTHING, DECAY = 128, 0.2, 0.1, 5e-4
MEAN, STD = 0.2860, 0.3530


def read(folder: Path, part: str, what: str, offset: int) -> np.ndarray:
    path = folder / f"{part}-{what}-ubyte"
    data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(path.name + ".gz").read_bytes())
    return np.frombuffer(data, np.uint8, offset=offset)


def load(folder: Path, part: str):
    images = torch.from_numpy(read(folder, part, "images-idx3", 16).copy()).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(read(folder, part, "labels-idx1", 8).astype(np.int64))
    return (images.float() / 255 - MEAN) / STD, labels


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Crop after padding by 4 with black, flip with probability one half; each image its own."""
    n = len(images)
    padded = F.pad(images, (4, 4, 4, 4), value=-MEAN / STD)
    dy, dx = (torch.randint(0, 9, (n, 1), generator=generator) for _ in range(2))
    flip = torch.rand(n, 1, generator=generator) < 0.5
    rows = torch.arange(28)[None] + dy
    columns = torch.arange(28)[None].repeat(n, 1)
    columns = torch.where(flip, columns.flip(1), columns) + dx
    index = torch.arange(n)
    return padded[index[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def initialize(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


def main() -> None:
    folder = Path(sys.argv[1])
    epochs, threads, seed = map(int, sys.argv[2:5])
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = load(folder, "train")
    test_images, test_labels = load(folder, "t10k")
    model = CifarResNet(20, "A", 1)
    initialize(model)
    # On these small maps channels-last is PyTorch's fastest form; see the training section of the benchmarks.
    model = model.to(memory_format=torch.channels_last)
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=PEAK, momentum=0.9, nesterov=True, fused=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    steps = len(images) // BATCH
    total, warm = epochs * steps, int(epochs / 4 * steps)

    def rate(t: int) -> float:
        if t < warm:
            return PEAK * (t + 1) / warm
        return PEAK * 0.5 * (1 + math.cos(math.pi * (t - warm) / (total - warm)))

    t, start = 0, time.perf_counter()
    for epoch in range(epochs):
        model.train()
        order, sums, began = torch.randperm(len(images), generator=generator), 0.0, time.perf_counter()
        for i in range(steps):
            pick = order[i * BATCH : (i + 1) * BATCH]
            x = augment(images[pick], generator).contiguous(memory_format=torch.channels_last)
            for group in optimizer.param_groups:
                group["lr"] = rate(t)
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x), labels[pick])
            loss.backward()
            optimizer.step()
            sums += loss.item()
            t += 1
        speed = steps * BATCH / (time.perf_counter() - began)
        model.eval()
        with torch.no_grad():
            right = sum(
                (model(x.contiguous(memory_format=torch.channels_last)).argmax(1) == y).sum().item()
                for x, y in zip(test_images.split(BATCH), test_labels.split(BATCH))
            )
        line = {"epoch": epoch + 1, "top1": 100 * right / len(test_labels), "loss": sums / steps}
        line |= {"seconds": time.perf_counter() - start, "images_per_s": speed}
        print(json.dumps(line), flush=True)


main()
