"""The compiled part of the package."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar, Union, overload
from typing_extensions import Self

import numpy as np
import numpy.typing as npt

try:
    from PIL.Image import Image as PillowImage
except ImportError:
    PillowImage = Any  # type: ignore[misc, assignment]

__version__: str

_Preprocessing = Union[Literal["imagenet", "inception", "caffe", "tf", "unit", "none"], str, os.PathLike[str]]
_Image = Union[str, os.PathLike[str], npt.NDArray[np.uint8], PillowImage]
# One image, several, or, but for `predict`, the network's input itself.
_Images = Union[_Image, Iterable[_Image], npt.NDArray[np.float32]]
# Images, the classes of each, and the names of all classes.
_Given = tuple[Sequence[Any], list[list[int]], list[str]]
_Progress = Callable[[str], None]
_Picture = TypeVar("_Picture", npt.NDArray[np.uint8], PillowImage)

class Augment:
    def __new__(
        cls,
        pipeline: str,
        seed: int,
        is_toml: bool,
        *,
        bbox_format: str,
        label_fields: Sequence[str],
        background: int,
        normalize: tuple[Sequence[float], Sequence[float]] | None,
        tensor: bool,
    ) -> Self: ...
    @staticmethod
    def operations() -> list[str]: ...
    @property
    def seed(self) -> int: ...
    @property
    def bbox_format(self) -> str: ...
    @property
    def label_fields(self) -> tuple[str, ...]: ...
    @property
    def background(self) -> int: ...
    @property
    def normalize(self) -> tuple[list[float], list[float]] | None: ...
    @property
    def tensor(self) -> bool: ...
    def set_seed(self, seed: int | None = None, *, worker: int | None = None) -> None: ...
    def to_json(self) -> str: ...
    def to_toml(self) -> str: ...
    # With `normalize` or `tensor` the result is another kind of image.
    @overload
    def __call__(self, image: _Picture, /, *, index: int | None = None, epoch: int = 0) -> _Picture: ...
    @overload
    def __call__(
        self,
        *,
        image: npt.NDArray[np.uint8] | PillowImage,
        mask: Any = ...,
        masks: Any = ...,
        bboxes: Any = ...,
        index: int | None = None,
        epoch: int = 0,
        **labels: Any,
    ) -> dict[str, Any]: ...

def run(
    verb: str,
    recipe: str | None,
    settings: str,
    data: _Given | None,
    *,
    output: os.PathLike[str] | None,
    existing: str,
    command: str,
    progress: _Progress | None,
) -> tuple[str, list[tuple[str, Model]], object | None]: ...
def evaluate(
    model: str,
    settings: str,
    data: _Given | None,
    *,
    split: str | None,
    skip_unknown: bool,
    corruptions: list[int] | None,
    progress: _Progress | None,
) -> tuple[str, list[str]]: ...
def check(
    settings: str,
    data: _Given | None,
    *,
    output: os.PathLike[str] | None,
    labels: bool,
    folds: int,
    progress: _Progress | None,
) -> str: ...
def plan(recipe: str, settings: str, data: _Given | None, *, progress: _Progress | None) -> str: ...
def recipe(text: str, is_json: bool) -> str: ...
def read_recipe(path: str | os.PathLike[str]) -> str: ...
def stages() -> list[str]: ...
def architectures() -> list[str]: ...
def setting_names() -> list[str]: ...
def table_html(facts: str) -> str: ...
def report_html(facts: str) -> tuple[str, str]: ...

class Prediction:
    @property
    def class_name(self) -> str | None: ...
    @property
    def class_index(self) -> int | None: ...
    @property
    def probability(self) -> float | None: ...
    @property
    def labels(self) -> list[str] | None: ...
    @property
    def top(self) -> list[tuple[str, float]]: ...
    @property
    def rejected(self) -> bool | None: ...
    @property
    def score(self) -> float | None: ...
    @property
    def path(self) -> str | None: ...
    @property
    def error(self) -> str | None: ...

class Model:
    def __new__(
        cls,
        path: str | os.PathLike[str],
        *,
        classes: Sequence[str] | str | os.PathLike[str] | None = None,
        preprocessing: _Preprocessing | None = None,
        logits: str | None = None,
        image_size: int | None = None,
        threads: int = 1,
        arch: str | None = None,
        state_dict: str | None = None,
        partial: bool = False,
    ) -> Self: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def preprocessing(self) -> dict[str, Any]: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def task(self) -> Literal["single-label", "multi-label"]: ...
    @property
    def reject_threshold(self) -> float | None: ...
    @property
    def arch(self) -> str: ...
    @property
    def path(self) -> os.PathLike[str] | None: ...
    @property
    def threads(self) -> int: ...
    def predict(
        self, images: _Image | Iterable[_Image], *, top: int = 3, strict: bool = True, reject: bool = False
    ) -> list[Prediction]: ...
    def logits(self, images: _Images) -> npt.NDArray[np.float32]: ...
    def probabilities(self, images: _Images) -> npt.NDArray[np.float32]: ...
    def features(self, images: _Images) -> npt.NDArray[np.float32]: ...
    def inputs(self, images: _Images) -> npt.NDArray[np.float32]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes | bytearray | memoryview, threads: int = 1) -> Model: ...
