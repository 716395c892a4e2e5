"""Pipelines of Albumentations: where nothing is random, the very same images."""

import os
import warnings

import numpy as np
import pytest
from conftest import oracle, picture

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
A = oracle("albumentations")

from oculist import Augment, DifferenceWarning, SettingError  # noqa: E402

IMAGE = picture(90, 120)
NEAREST, LINEAR, CUBIC, REFLECT = 0, 1, 2, 4


def both(*transforms, image=IMAGE):
    """Theirs and ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = A.Compose(list(transforms))
        ours = Augment.from_albumentations(theirs.to_dict(), seed=1)
        return theirs(image=image)["image"], ours(image)


# Transforms without chance, and the largest difference in levels.
SAME = {
    "horizontal flip": (A.HorizontalFlip(p=1), 0),
    "vertical flip": (A.VerticalFlip(p=1), 0),
    "transpose": (A.Transpose(p=1), 0),
    "invert": (A.InvertImg(p=1), 0),
    "centre crop": (A.CenterCrop(55, 64), 0),
    "centre crop, odd": (A.CenterCrop(54, 63), 0),
    "random crop of the whole": (A.RandomCrop(90, 120), 0),
    "random crop, padded": (A.RandomCrop(101, 141, pad_if_needed=True, border_mode=REFLECT), 0),
    "pad": (A.Pad(16, fill=9), 0),
    "pad, reflected": (A.Pad(16, border_mode=REFLECT), 0),
    "pad, symmetric": (A.Pad(16, border_mode=2), 0),
    "pad, edge": (A.Pad(16, border_mode=1), 0),
    "grey": (A.ToGray(p=1), 1),
    "posterise": (A.Posterize(3, p=1), 0),
    "solarise": (A.Solarize((0.3, 0.3), p=1), 0),
    "auto-contrast": (A.AutoContrast(method="pil", p=1), 5),
    "equalise": (A.Equalize(mode="pil", p=1), 4),
    "gamma": (A.RandomGamma((140, 140), p=1), 1),
    "brightness": (A.ColorJitter((1.3, 1.3), (1, 1), (1, 1), (0, 0), p=1), 1),
    "contrast": (A.ColorJitter((1, 1), (1.3, 1.3), (1, 1), (0, 0), p=1), 1),
    "saturation": (A.ColorJitter((1, 1), (1, 1), (0.4, 0.4), (0, 0), p=1), 2),
    "blur": (A.GaussianBlur(0, (1.5, 1.5), p=1), 2),
    "defocus": (A.Defocus((4, 4), (0.5, 0.5), p=1), 2),
    "nothing": (A.NoOp(p=1), 0),
    "scale": (A.Affine(scale=(1.25, 1.25), keep_ratio=True, p=1), 3),
    "shift, scale, rotate": (A.ShiftScaleRotate((0, 0), (0.1, 0.1), (0, 0), p=1), 3),
    "size": (A.Resize(180, 240), 3),
    "shorter side": (A.SmallestMaxSize(120), 3),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_image(name):
    transform, levels = SAME[name]
    theirs, ours = both(transform)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.abs(ours.astype(int) - theirs).max() <= levels
    if name not in ("nothing", "random crop of the whole"):
        assert ours.shape != IMAGE.shape or not np.array_equal(ours, IMAGE), "twin: the image as it was"


@pytest.mark.parametrize("arguments", [{}, {"mean": 0.5, "std": 0.25}, {"max_pixel_value": 128.0}])
def test_normalised_at_the_end(arguments):
    theirs, ours = both(A.HorizontalFlip(p=1), A.Normalize(**arguments))
    assert ours.dtype == theirs.dtype == np.float32 and np.abs(ours - theirs).max() < 1e-5
    theirs, ours = both(A.ToFloat())
    assert np.abs(ours - theirs).max() < 1e-6


def test_composed():
    once = A.Compose([A.OneOf([A.HorizontalFlip(p=1)], p=1), A.Sequential([A.VerticalFlip(p=1), A.InvertImg(p=1)], p=1)])
    theirs, ours = both(once, A.SomeOf([A.Transpose(p=1), A.NoOp()], n=2))
    assert np.array_equal(theirs, ours) and not np.array_equal(ours, IMAGE)
    aug = Augment.from_albumentations(A.Compose([A.OneOrOther(A.InvertImg(), A.NoOp(), p=0.25)]).to_dict(), seed=1)
    share = np.mean([np.array_equal(aug(IMAGE), 255 - IMAGE) for _ in range(400)])
    assert 0.17 < share < 0.33


def test_chances_are_theirs():
    """How often something happens, of everything that chooses; 3.5 standard errors."""
    choice = A.Compose(
        [
            A.OneOf([A.HorizontalFlip(p=0.3), A.VerticalFlip(p=0.1)], p=0.8),
            A.RandomOrder([A.InvertImg(p=0.5), A.NoOp(), A.NoOp()], n=2),
            A.Sequential([A.SomeOf([A.Posterize(2, p=1), A.NoOp(p=0)], n=2, replace=True, p=0.5)], p=0.5),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aug = Augment.from_albumentations(choice.to_dict(), seed=1)
    small = IMAGE[:16, :16].copy()
    outputs = [(choice(image=small)["image"], aug(small)) for _ in range(3000)]
    marks = [sorted({x.tobytes() for x, _ in outputs} | {x.tobytes() for _, x in outputs})][0]
    for mark in marks:
        a, b = (np.mean([pair[side].tobytes() == mark for pair in outputs]) for side in (0, 1))
        assert abs(a - b) <= 3.5 * np.sqrt(2 * max(a, b) / 3000), (a, b)
    assert 6 < len(marks) < 20


def test_what_has_no_equal_is_listed_whole():
    pipeline = A.Compose(
        [
            A.RandomBrightnessContrast(),
            A.Rotate((0, 30)),
            A.OneOf([A.MotionBlur(), A.GaussianBlur(3)]),
            A.Normalize(),
            A.HorizontalFlip(),
        ],
        keypoint_params=A.KeypointParams("xy"),
    )
    with pytest.raises(SettingError) as error:
        Augment.from_albumentations(pipeline.to_dict())
    text = str(error.value)
    assert text.startswith("6 of the pipeline's transforms or parameters")
    for words in ("RandomBrightnessContrast", "limit=(0.0, 30.0)", "MotionBlur", "blur_limit", "Normalize", "keypoints"):
        assert words in text


def test_differences_are_told():
    pipeline = A.Compose([A.RandomResizedCrop((32, 32), area_for_downscale="image"), A.CLAHE()]).to_dict()
    with pytest.warns(DifferenceWarning, match="antialiased.*CLAHE"):
        Augment.from_albumentations(pipeline)
    with pytest.raises(SettingError, match="antialiased"):
        Augment.from_albumentations(pipeline, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Augment.from_albumentations(A.Compose([A.HorizontalFlip(), A.Normalize()]).to_dict(), strict=True)


def test_every_transform_is_converted_or_refused_but_never_fails():
    """All with their default arguments; what is converted runs."""
    converted = set()
    for name in dir(A):
        kind = getattr(A, name)
        if not isinstance(kind, type) or not issubclass(kind, A.BasicTransform):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                description = kind(p=1).to_dict()
            except Exception:  # noqa: BLE001, S112: it needs arguments, or is no transform of its own
                continue
            try:
                aug = Augment.from_albumentations(description, seed=1)
            except SettingError as error:
                assert name in str(error)
                continue
        assert aug(IMAGE).shape[2] == 3
        converted.add(name)
    assert {"HorizontalFlip", "ColorJitter", "CoarseDropout", "GaussNoise", "Erasing", "D4", "Rotate"} <= converted


def test_boxes_and_masks_go_along():
    boxes = A.BboxParams("coco", label_fields=["names"])
    pipeline = A.Compose([A.HorizontalFlip(p=1), A.CenterCrop(60, 60), A.Pad(4, fill_mask=3)], bbox_params=boxes)
    mask = (IMAGE[..., 0] > 100).astype(np.uint8)
    targets = {"image": IMAGE, "mask": mask, "bboxes": [(40, 30, 20, 25), (0, 0, 9, 9)], "names": ["a", "b"]}
    theirs = pipeline(**targets)
    ours = Augment.from_albumentations(pipeline.to_dict())(**targets)
    assert set(ours) == set(theirs) and ours["names"] == theirs["names"] == ["a"]
    assert np.array_equal(ours["image"], theirs["image"]) and np.array_equal(ours["mask"], theirs["mask"])
    assert np.allclose(ours["bboxes"], theirs["bboxes"], atol=1e-4)
    turned = A.Compose([A.Rotate((-30, 30), p=1, fill_mask=3), A.Pad(4, fill_mask=4)]).to_dict()
    with pytest.raises(SettingError, match="fill_mask"):
        Augment.from_albumentations(turned)


def test_a_pipeline_itself_is_taken_as_its_description():
    pipeline = A.Compose([A.HorizontalFlip(p=0.5), A.Transpose(p=1)])
    assert Augment.from_albumentations(pipeline, 3) == Augment.from_albumentations(pipeline.to_dict(), 3)
