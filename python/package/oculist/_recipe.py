"""Recipes: lists of stages."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from . import _oculist
from ._data import Data, Progress, settings_of, sorted_out
from ._errors import SettingError
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
        recipe: dict[str, Any] = {"name": name, "stage": [dict(stage) for stage in stages]}
        if settings:
            recipe["settings"] = dict(settings)
        try:
            text = json.dumps(recipe, default=os.fspath)
        except TypeError as error:
            raise SettingError(f"recipe: {error}") from None
        self._toml = _oculist.recipe(text, True)

    @classmethod
    def _of(cls, toml: str) -> Recipe:
        self = cls.__new__(cls)
        self._toml = toml
        return self

    @classmethod
    def from_toml(cls, text: str) -> Recipe:
        """A recipe of the text of a file."""
        return cls._of(_oculist.recipe(text, False))

    @classmethod
    def read(cls, path: PathLike) -> Recipe:
        """A recipe of a TOML or JSON file."""
        return cls._of(_oculist.read_recipe(path))

    def to_toml(self) -> str:
        """The recipe as the text of a file, which ``oculist run`` takes too."""
        return self._toml

    def plan(
        self, data: Data, *, class_names: Sequence[str] | None = None, progress: Progress = None, **settings: Any
    ) -> str:
        """What the recipe would do, stage by stage, with an estimate of its time; nothing is trained or written."""
        given = sorted_out(data, settings, class_names)
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


def stages() -> list[str]:
    """The kinds of stages that recipes may have."""
    return _oculist.stages()
