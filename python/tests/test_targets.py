"""Masks, boxes and labels move with the image."""

import numpy as np
import pytest
from conftest import picture

from oculist import Augment, DataError, SettingError

FLIP = [{"op": "horizontal_flip"}]


def test_a_dictionary_comes_back_with_the_same_keys(image):
    mask = (picture(40, 48, 1, seed=1)[..., 0] > 128).astype(np.uint8)
    out = Augment(FLIP)(image=image, mask=mask, masks=[mask, 1 - mask], bboxes=[(1, 2, 11, 22)], labels=["cat"])
    assert list(out) == ["image", "mask", "masks", "bboxes", "labels"]
    assert np.array_equal(out["image"], image[:, ::-1]) and np.array_equal(out["mask"], mask[:, ::-1])
    assert np.array_equal(out["masks"][1], 1 - mask[:, ::-1])
    assert out["bboxes"] == [(37, 2, 47, 22)] and out["labels"] == ["cat"]
    assert list(Augment(FLIP)(image=image)) == ["image"]


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int32, np.int64, np.uint16])
def test_masks_keep_their_type_and_classes(dtype):
    mask = (np.arange(40 * 48).reshape(40, 48) // 700).astype(dtype)
    aug = Augment([{"op": "rotate", "degrees": 40, "border": "reflect"}], seed=1, background=1)
    out = aug(image=picture(40, 48), mask=mask, masks=np.stack([mask, mask]))
    assert out["mask"].dtype == dtype and set(np.unique(out["mask"])) == set(np.unique(mask))
    assert out["masks"].shape == (2, 40, 48) and np.array_equal(out["masks"][0], out["mask"])
    assert not np.array_equal(out["mask"], mask)


def test_masks_that_do_not_fit_are_refused(image):
    aug = Augment(FLIP)
    with pytest.raises(DataError, match="mask: expected the size of the image, 48x40, found 40x40"):
        aug(image=image, mask=np.zeros((40, 40), np.uint8))
    with pytest.raises(DataError, match="0 to 255, found 0 to 256"):
        aug(image=image, mask=np.linspace(0, 256, 40 * 48).reshape(40, 48).astype(np.int32))
    with pytest.raises(DataError, match="masks: mask 1: .*float64"):
        aug(image=image, masks=[np.zeros((40, 48), np.uint8), np.zeros((40, 48))])


FORMATS = {
    "pascal_voc": (4, 8, 12, 28),
    "coco": (4, 8, 8, 20),
    "albumentations": (4 / 48, 8 / 40, 12 / 48, 28 / 40),
    "yolo": (8 / 48, 18 / 40, 8 / 48, 20 / 40),
}


@pytest.mark.parametrize("name", FORMATS)
def test_boxes_in_every_format(name, image):
    numbers = FORMATS[name]
    aug = Augment([{"op": "vertical_flip"}], bbox_format=name)
    want = {
        "pascal_voc": (4, 12, 12, 32),
        "coco": (4, 12, 8, 20),
        "albumentations": (4 / 48, 12 / 40, 12 / 48, 32 / 40),
        "yolo": (8 / 48, 22 / 40, 8 / 48, 20 / 40),
    }[name]
    assert aug(image=image, bboxes=[numbers])["bboxes"][0] == pytest.approx(want, abs=1e-5)
    assert aug(image=image, bboxes=[numbers])["bboxes"][0] != pytest.approx(numbers, abs=1e-2), "twin"
    array = aug(image=image, bboxes=np.array([(*numbers, 7.0)]))["bboxes"]
    assert array.dtype == np.float64 and array[0] == pytest.approx((*want, 7), abs=1e-5)
    twice = Augment([{"op": "vertical_flip"}] * 2, bbox_format=name)
    assert twice(image=image, bboxes=[numbers])["bboxes"][0] == pytest.approx(numbers, abs=1e-5)


def test_boxes_outside_are_dropped_with_their_labels(image):
    crop = Augment([{"op": "center_crop", "width": 16, "height": 16}])
    boxes = [(0, 0, 5, 5), (20, 15, 28, 25, "extra"), (30, 0, 48, 40)]
    out = crop(image=image, bboxes=boxes, labels=["a", "b", "c"], class_labels=np.array([1, 2, 3]))
    assert out["bboxes"] == [(4, 3, 12, 13, "extra"), (14, 0, 16, 16)]
    assert out["labels"] == ["b", "c"] and out["class_labels"].tolist() == [2, 3]
    none = crop(image=image, bboxes=np.zeros((0, 4), np.float32), labels=[])
    assert none["bboxes"].shape == (0, 4) and none["labels"] == []
    whole = crop(image=image, bboxes=np.array([[20, 15, 28, 25]]))
    assert whole["bboxes"].dtype == np.float32 and whole["bboxes"].tolist() == [[4, 3, 12, 13]]


def test_wrong_boxes_are_named(image):
    aug = Augment(FLIP, label_fields=["names"])
    for boxes, words in (
        ([(1, 2, 3)], "box 0: expected at least four numbers"),
        ([(5, 1, 2, 3)], "edges"),
        (np.zeros((3, 3)), "shape"),
        (3, "expected an array or a list"),
    ):
        with pytest.raises((DataError, SettingError), match=words):
            aug(image=image, bboxes=boxes)
    with pytest.raises(DataError, match="names: expected one for each of 1 boxes, found 2"):
        aug(image=image, bboxes=[(1, 1, 2, 2)], names=["a", "b"])
    with pytest.raises(SettingError, match="names are labels of boxes"):
        aug(image=image, names=["a"])
    with pytest.raises(TypeError, match="labels"):
        aug(image=image, bboxes=[], labels=[])


def test_tensors_have_their_channels_first(image):
    torch = pytest.importorskip("torch")
    out = Augment(FLIP, normalize=(0.5, 0.5), tensor=True)(image=image, mask=image[..., 0])
    assert out["image"].shape == (3, 40, 48) and out["image"].dtype == torch.float32
    want = (torch.from_numpy(image[:, ::-1].copy()).permute(2, 0, 1) / 255 - 0.5) / 0.5
    assert torch.allclose(out["image"], want, atol=1e-6)
    assert out["mask"].dtype == torch.uint8 and out["mask"].shape == (40, 48)
    assert Augment([], tensor=True)(image[..., 0]).shape == (1, 40, 48)
