"""Recipes: lists of stages."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from . import _oculist
from ._data import Data, Progress, settings_of, sorted_out
from ._errors import SettingError
from ._plain import text as _json
from ._progress import listener

PathLike = Union[str, "os.PathLike[str]"]


class Recipe:
    """A list of stages, each of which works on the model of the one before.

    ``Recipe([{"kind": "train", "epochs": 3}, {"kind": "quantize"}])``; ``oculist.stages()`` are the kinds, and
    docs/recipes.md tells what each may set.

    Parameters
    ----------
    stages
        A dictionary for each stage, with its ``kind`` and its settings.
    name
        For reports.
    settings
        Settings of the session that it wants, where the call says nothing.
    """

    def __init__(
        self, stages: Iterable[Mapping[str, Any]], *, name: str = "recipe", settings: Mapping[str, Any] | None = None
    ) -> None:
        if isinstance(stages, (str, bytes, Mapping)) or not hasattr(stages, "__iter__"):
            expected = "expected a list of stages, a dictionary each"
            hint = "; Recipe.read reads a file, Recipe.from_toml a text" if isinstance(stages, str) else ""
            raise SettingError(f"recipe: {expected}, found {type(stages).__name__}{hint}")
        listed = list(stages)
        for i, stage in enumerate(listed):
            if not isinstance(stage, Mapping):
                raise SettingError(f"recipe: stage {i}: expected a dictionary, found {type(stage).__name__}")
        if not isinstance(name, str):
            raise SettingError(f"name: expected a text, found {type(name).__name__}")
        if settings is not None and not isinstance(settings, Mapping):
            raise SettingError(f"settings: expected a dictionary, found {type(settings).__name__}")
        recipe: dict[str, Any] = {"name": name, "stage": [_known(stage) for stage in listed]}
        if settings:
            recipe["settings"] = _known(settings)
        self._toml = _oculist.recipe(_json("recipe", recipe), True)

    @classmethod
    def _of(cls, toml: str) -> Recipe:
        self = cls.__new__(cls)
        self._toml = toml
        return self

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """A recipe of the text of a file."""
        if not isinstance(text, str):
            raise SettingError(f"recipe: expected the text of a file, found {type(text).__name__}")
        return cls._of(_oculist.recipe(text, False))

    @classmethod
    def read(cls, path: PathLike) -> Recipe:
        """A recipe of a TOML or JSON file."""
        if not isinstance(path, (str, os.PathLike)):
            raise SettingError(f"recipe: expected a file, found {type(path).__name__}")
        return cls._of(_oculist.read_recipe(path))

    def to_toml(self) -> str:
        """The recipe as the text of a file, which ``oculist run`` takes too."""
        return self._toml

    def plan(
        self, data: Data, *, class_names: Sequence[str] | None = None, progress: Progress = None, **settings: Any
    ) -> str:
        """What the recipe would do, stage by stage, with an estimate of its time; nothing is trained or written."""
        given = sorted_out(data, settings, class_names, to_train=True)
        text, away = settings_of(settings)
        hear, end = listener(progress)
        with away:
            try:
                return _oculist.plan(self._toml, text, given, progress=hear)
            finally:
                end()

    def __repr__(self) -> str:
        return f"Recipe.from_toml({self._toml!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._toml == other._toml

    def __hash__(self) -> int:
        return hash(self._toml)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is said; nothing is said by ``None``."""
    return {name: value for name, value in values.items() if value is not None}


def stages() -> list[str]:
    """The kinds of stages that recipes may have."""
    return _oculist.stages()


def architectures() -> list[str]:
    """The names of the architectures that ``arch`` may have."""
    return _oculist.architectures()
