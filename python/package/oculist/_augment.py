"""``Augment``: image augmentation for arrays and images of Pillow."""

from __future__ import annotations

import json
import os
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np

from . import _oculist
from ._errors import DifferenceWarning, SettingError
from ._pipeline import POLICIES, flips, is_json, padded_crop, resized_crop, text_of
from ._plain import whole

if TYPE_CHECKING:
    from typing_extensions import Self

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Border = Union[Literal["edge", "reflect", "symmetric", "wrap"], Mapping[str, int]]
Fill = Union[Literal["mean", "noise"], Mapping[str, int]]
Steps = Sequence[Union[Mapping[str, Any], "Augment"]]

_LARGEST_SEED = 2**64 - 1
_BLACK: Mapping[str, int] = {"constant": 0}


class Augment(_oculist.Augment):
    """Changes images at random, as a pipeline says.

    ``aug(image)`` gives an image of the same kind as ``image``: a ``uint8`` array of shape ``(height, width)`` or
    ``(height, width, channels)`` with 1, 3 or 4 channels, or an image of Pillow in mode L, RGB or RGBA.
    ``aug(image=image, mask=mask, bboxes=boxes, labels=labels)`` gives a dictionary with the same keys; ``masks=`` takes
    several masks. Boxes of which nothing is left are dropped, and their labels with them.

    Every call draws anew; the same seed draws the same. In workers of PyTorch's ``DataLoader`` and in other processes each
    draws something else, and the same in every run of the program (``torch.manual_seed`` is part of what fixes it, as it
    fixes the order of the images). ``aug(image, index=i, epoch=e)`` draws what belongs to image ``i`` in epoch ``e``,
    whatever was drawn before and wherever: that is what ``oculist train`` draws for it.

    Parameters
    ----------
    pipeline
        A list of steps such as ``[{"op": "horizontal_flip", "probability": 0.5}]``, in which other ``Augment`` may stand;
        a dictionary with ``"steps"``; a path to a TOML or JSON file; the text of one; or the name of a policy:
        ``"trivial"``, ``"rand"``, ``"auto"``, ``"augmix"``, ``"three"``, ``"erasing"``.
        ``Augment.operations()`` are the names of operations; docs/augmentation.md tells what they do.
    seed
        A number of 0 to 2**64 - 1; without one, a random number, which ``aug.seed`` tells.
    bbox_format
        ``"pascal_voc"`` (left, top, right, bottom in pixels), ``"coco"`` (left, top, width, height in pixels),
        ``"albumentations"`` (left, top, right, bottom as parts of the sides) or ``"yolo"`` (centre, width, height as parts).
    label_fields
        The names under which labels of boxes are given.
    background
        The class that a mask has where the image shows what lies outside of itself.
    normalize
        ``(mean, std)`` in parts of white: results are then ``float32``, ``(pixel / 255 - mean) / std``.
    tensor
        Results are tensors of PyTorch, images with their channels first.
    """

    def __new__(
        cls,
        pipeline: str | os.PathLike[str] | Mapping[str, Any] | Steps = (),
        seed: int | None = None,
        *,
        bbox_format: Literal["pascal_voc", "coco", "albumentations", "yolo"] = "pascal_voc",
        label_fields: Sequence[str] = ("labels", "class_labels"),
        background: int = 0,
        normalize: tuple[Sequence[float] | float, Sequence[float] | float] | None = None,
        tensor: bool = False,
    ) -> Self:
        if isinstance(pipeline, str) and pipeline in POLICIES:
            pipeline = getattr(Augment, pipeline)(seed=0).to_dict()
        text, is_toml, origin = text_of(pipeline)
        numbers = None if normalize is None else _statistics(normalize)
        if isinstance(label_fields, str) or not all(isinstance(name, str) for name in label_fields):
            raise SettingError(f"label_fields: expected a list of names, found {label_fields!r}")
        if not isinstance(bbox_format, str):
            raise SettingError(f"bbox_format: expected a name, found {type(bbox_format).__name__}")
        try:
            return super().__new__(
                cls,
                text,
                secrets.randbits(53) if seed is None else whole("seed", seed, _LARGEST_SEED),
                is_toml,
                bbox_format=bbox_format,
                label_fields=list(label_fields),
                background=whole("background", background, 255),
                normalize=numbers,
                tensor=bool(tensor),
            )
        except SettingError as error:
            if origin is None:
                raise
            raise SettingError(f"{origin}: {error}") from None

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the pipeline."""
        steps: list[dict[str, Any]] = self.to_dict()["steps"]
        return steps

    def to_dict(self) -> dict[str, Any]:
        """The pipeline as a dictionary, of which ``Augment`` makes the same pipeline."""
        pipeline: dict[str, Any] = json.loads(self.to_json())
        return pipeline

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the pipeline to a file, as JSON if the name ends so, else as TOML; ``oculist train --augmentation`` takes it."""
        text = self.to_json() if is_json(path) else self.to_toml()
        Path(path).write_text(text, encoding="utf-8")

    def set_seed(self, seed: int | None = None, *, worker: int | None = None) -> None:
        """Begins the count of images anew, with another seed if one is given.

        With ``worker``, this process draws what the worker of that number draws.
        """
        seed = None if seed is None else whole("seed", seed, _LARGEST_SEED)
        worker = None if worker is None else whole("worker", worker, _LARGEST_SEED)
        super().set_seed(seed, worker=worker)

    def __add__(self, other: Augment) -> Augment:
        """This pipeline, then the other; seed and the form of results are those of the first."""
        if not isinstance(other, _oculist.Augment):
            return NotImplemented
        both = Augment.__new__(type(self), [*self.steps, *other.to_dict()["steps"]], **self._arguments())
        both.__dict__.update(self.__dict__)
        return both

    def __eq__(self, other: object) -> bool:
        """Whether pipeline, seed and the form of results are the same, however many images were drawn."""
        if not isinstance(other, Augment):
            return NotImplemented
        return self.to_json() == other.to_json() and self._arguments() == other._arguments()

    def __hash__(self) -> int:
        # The seed changes with `set_seed`, and what lies in a set must stay where it is.
        return hash(self.to_json())

    def _arguments(self) -> dict[str, Any]:
        names = ("seed", "bbox_format", "label_fields", "background", "normalize", "tensor")
        return {name: getattr(self, name) for name in names}

    def __reduce__(self) -> tuple[Any, ...]:
        # A subclass may take other arguments and have attributes of its own.
        return _again, (type(self), self.to_json(), self._arguments()), (super().__getstate__(), self.__dict__.copy())

    def __setstate__(self, state: tuple[Any, dict[str, Any]]) -> None:
        place, attributes = state
        super().__setstate__(place)  # type: ignore[misc]
        self.__dict__.update(attributes)

    def __repr__(self) -> str:
        steps = [
            step["op"] + (f" {step['probability']:g}" if "probability" in step else "") for step in self.steps
        ]
        rest = {name: value for name, value in self._arguments().items() if value != _DEFAULTS.get(name)}
        return f"Augment([{', '.join(steps)}]{''.join(f', {name}={value!r}' for name, value in rest.items())})"

    @classmethod
    def small(cls, size: int, *, flip: bool = True, seed: int | None = None, **how: Any) -> Augment:
        """For small images of ``size`` pixels a side: crops after padding by an eighth, flips, small turns and scalings."""
        turn = {"op": "shift_scale_rotate", "shift": 0, "scale": [0.9, 1.1], "degrees": 10, "probability": 0.5}
        return cls([*padded_crop(size), *flips(flip), turn], seed, **how)

    @classmethod
    def photos(cls, size: int, *, flip: bool = True, seed: int | None = None, **how: Any) -> Augment:
        """For photos: random resized crops of ``size`` pixels, flips, colour jitter."""
        jitter = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.03}
        return cls(
            [resized_crop(size), *flips(flip), {"op": "color_jitter", **jitter, "probability": 0.8}], seed, **how
        )

    @classmethod
    def crops(cls, size: int, *, flip: bool = True, seed: int | None = None, **how: Any) -> Augment:
        """Crops and flips alone: padded crops up to 64 pixels, random resized crops above."""
        crop = padded_crop(size) if size <= 64 else [resized_crop(size)]
        return cls([*crop, *flips(flip)], seed, **how)

    @classmethod
    def trivial(
        cls,
        *,
        bins: int = 31,
        interpolation: Interpolation = "nearest",
        border: Border = _BLACK,
        seed: int | None = None,
        **how: Any,
    ) -> Augment:
        """TrivialAugmentWide: one random operation of random strength, as in torchvision."""
        step = {"op": "trivial_augment_wide", "bins": bins, "interpolation": interpolation, "border": border}
        return cls([step], seed, **how)

    @classmethod
    def rand(
        cls,
        count: int = 2,
        magnitude: int = 9,
        *,
        bins: int = 31,
        interpolation: Interpolation = "nearest",
        border: Border = _BLACK,
        seed: int | None = None,
        **how: Any,
    ) -> Augment:
        """RandAugment: ``count`` random operations of strength ``magnitude`` of ``bins``, as in torchvision."""
        strength = {"count": count, "magnitude": magnitude, "bins": bins}
        return cls([{"op": "rand_augment", **strength, "interpolation": interpolation, "border": border}], seed, **how)

    @classmethod
    def auto(
        cls,
        policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet",
        *,
        interpolation: Interpolation = "nearest",
        border: Border = _BLACK,
        seed: int | None = None,
        **how: Any,
    ) -> Augment:
        """AutoAugment: one of 25 pairs of operations that were learned on a data set, as in torchvision."""
        step = {"op": "auto_augment", "policy": policy, "interpolation": interpolation, "border": border}
        return cls([step], seed, **how)

    @classmethod
    def augmix(
        cls,
        *,
        severity: int = 3,
        width: int = 3,
        depth: int = 0,
        alpha: float = 1.0,
        all_operations: bool = False,
        interpolation: Interpolation = "bilinear",
        border: Border = _BLACK,
        seed: int | None = None,
        **how: Any,
    ) -> Augment:
        """AugMix: ``width`` chains of ``depth`` operations (0: one to three) mixed into one image, as in torchvision."""
        mix = {"severity": severity, "width": width, "depth": depth, "alpha": alpha, "all_operations": all_operations}
        return cls([{"op": "aug_mix", **mix, "interpolation": interpolation, "border": border}], seed, **how)

    @classmethod
    def three(cls, *, jitter: float = 0.3, seed: int | None = None, **how: Any) -> Augment:
        """3-Augment: grey, solarise or blur, then colour jitter."""
        return cls([{"op": "three_augment", "jitter": jitter}], seed, **how)

    @classmethod
    def erasing(
        cls,
        *,
        probability: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        fill: Fill = _BLACK,
        seed: int | None = None,
        **how: Any,
    ) -> Augment:
        """Random erasing: a rectangle of random area and shape is covered in ``probability`` of the images."""
        step = {"op": "random_erasing", "scale": scale, "ratio": ratio, "fill": fill, "probability": probability}
        return cls([step], seed, **how)

    @classmethod
    def from_albumentations(
        cls, description: Any, seed: int | None = None, *, strict: bool = False, **how: Any
    ) -> Augment:
        """The same pipeline as ``A.Compose(...)`` of Albumentations 2.0.8, or as what its ``to_dict()`` gives.

        ``Normalize``, ``ToFloat`` and ``ToTensorV2`` at the end become ``normalize`` and ``tensor``; the format and the label
        fields of boxes go along. What has no equal here is a ``SettingError`` that lists all of it. What differs a little,
        such as antialiasing where images become smaller, is told in a ``DifferenceWarning``; with ``strict`` that is an error
        as well. Random numbers are others than those of Albumentations. docs/python.md has the table.
        """
        from ._albumentations import convert

        if hasattr(description, "to_dict"):
            description = description.to_dict()
        if not isinstance(description, Mapping):
            expected = "expected a pipeline of Albumentations or what its to_dict() gives"
            raise SettingError(f"description: {expected}, found {type(description).__name__}")
        steps, found, differences = convert(description)
        if differences:
            text = f"not quite as in Albumentations: {'; '.join(differences)}"
            if strict:
                raise SettingError(text)
            warnings.warn(text, DifferenceWarning, stacklevel=2)
        return cls(steps, seed, **{**found, **how})


_DEFAULTS: dict[str, Any] = {
    "bbox_format": "pascal_voc",
    "label_fields": ("labels", "class_labels"),
    "background": 0,
    "normalize": None,
    "tensor": False,
}


def _again(cls: type[Augment], text: str, arguments: dict[str, Any]) -> Augment:
    return Augment.__new__(cls, json.loads(text), **arguments)


def _statistics(normalize: Any) -> tuple[list[float], list[float]]:
    try:
        mean, std = normalize
        return _numbers(mean), _numbers(std)
    except (TypeError, ValueError):
        raise SettingError(f"normalize: expected a pair (mean, std) of numbers, found {normalize!r}") from None


def _numbers(value: Sequence[float] | float) -> list[float]:
    return [float(v) for v in np.atleast_1d(np.asarray(value, np.float64))]
