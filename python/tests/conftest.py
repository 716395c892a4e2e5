"""What the tests share."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

MODELS = Path(__file__).resolve().parents[2] / "golden" / "models"


def oracle(name: str):
    """A module to compare with. Where the tests' environment is complete, one that is missing is a failure."""
    if os.environ.get("OCULIST_REQUIRE_ORACLES"):
        return importlib.import_module(name)
    return pytest.importorskip(name)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth colours with edges and grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = 128 + 80 * np.sin(x[..., None] / 9 + np.arange(channels)) * np.cos(y[..., None] / 7)
    base += 60 * ((x // 8 + y // 8) % 2)[..., None] - 30 + rng.normal(0, 8, (height, width, channels))
    return np.clip(base, 0, 255).astype(np.uint8)


@pytest.fixture
def image() -> np.ndarray:
    return picture(40, 48)


def patterns(n: int, size: int = 16, channels: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of three classes that are easy to tell apart: stripes across, stripes down, and checks."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size]
    kinds = [(y // 2) % 2, (x // 2) % 2, (x // 4 + y // 4) % 2]
    labels = np.arange(n) % 3
    images = np.stack([60 + 130 * kinds[label] + rng.normal(0, 10, (size, size)) for label in labels])
    images = np.clip(images, 0, 255).astype(np.uint8)
    if channels:
        images = np.repeat(images[..., None], channels, 3)
    return images, labels


# Settings with which a training takes moments.
QUICK = {
    "arch": "resnet8",
    "width": 0.25,
    "epochs": 3,
    "lr": 0.05,
    "batch_size": 16,
    "threads": 1,
    "calibration": "minmax",
    "measure_seconds": 0.02,
}
