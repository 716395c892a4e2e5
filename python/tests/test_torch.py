"""In workers of PyTorch's DataLoader."""

import numpy as np
import pytest
from conftest import MODELS, picture

torch = pytest.importorskip("torch")

import oculist  # noqa: E402
from oculist import Augment  # noqa: E402

METHODS = ["fork", "forkserver", "spawn"]
IMAGE = picture(24, 24)


class Images(torch.utils.data.Dataset):
    """The same image again and again."""

    def __init__(self, aug, model=None, count=24):
        self.aug, self.model, self.count = aug, model, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = self.aug(IMAGE)
        if self.model is not None:
            return index, image, torch.from_numpy(self.model.features(IMAGE)[0])
        return index, image


def epochs(method, seed=7, count=2, persistent=False):
    """The images of some epochs, as bytes, in the order of the data."""
    torch.manual_seed(seed)
    aug = Augment([{"op": "gaussian_noise", "std": [0.2, 0.4]}], seed=3, tensor=True)
    loader = torch.utils.data.DataLoader(
        Images(aug), batch_size=4, num_workers=2, multiprocessing_context=method, persistent_workers=persistent
    )
    return [[x.numpy().tobytes() for _, batch in loader for x in batch] for _ in range(count)]


@pytest.mark.parametrize("method", METHODS)
def test_workers_and_epochs_draw_something_else_and_runs_the_same(method):
    first = epochs(method)
    images = [x for epoch in first for x in epoch]
    assert len(images) == 48 and len(set(images)) == 48
    assert epochs("fork") == first
    if method == "fork":
        assert epochs("fork", seed=8) != first, "torch.manual_seed is part of what is drawn"
        kept = epochs("fork", persistent=True)
        assert kept[0] == first[0] and len({x for epoch in kept for x in epoch}) == 48


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [1, 2])
def test_workers_may_hold_a_model_that_was_used(method, threads):
    model = oculist.Model(MODELS / "se_resnet.default.onnx", preprocessing="unit", threads=threads)
    want = model.features(IMAGE)[0]
    data = Images(Augment.rand(seed=1, tensor=True), model, 8)
    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2, multiprocessing_context=method)
    rows = np.concatenate([features.numpy() for _, _, features in loader])
    assert rows.shape == (8, len(want)) and all(np.array_equal(row, want) for row in rows)
