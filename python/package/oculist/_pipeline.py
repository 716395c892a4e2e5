"""Pipelines in the forms that ``Augment`` takes, and the steps that its named pipelines begin with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._errors import SettingError
from ._plain import text as _json

Step = dict[str, Any]

# Policies that have a name of their own.
POLICIES = ("trivial", "rand", "auto", "augmix", "three", "erasing")


def text_of(pipeline: Any) -> tuple[str, bool, str | None]:
    """The text of a pipeline, whether it is TOML, and the file that it stands in."""
    if isinstance(pipeline, Mapping):
        return _json("pipeline", {"steps": [pipeline]} if "op" in pipeline else pipeline), False, None
    if hasattr(pipeline, "steps"):
        _check_form("pipeline", pipeline)
        pipeline = [pipeline]
    if isinstance(pipeline, os.PathLike):
        return _file(pipeline)
    if not isinstance(pipeline, str):
        steps: list[Any] = []
        try:
            members = list(pipeline)
        except TypeError:
            expected = "expected steps, a pipeline file, the text of one or a policy"
            raise SettingError(f"pipeline: {expected}, found {type(pipeline).__name__}") from None
        for i, step in enumerate(members):
            if not isinstance(step, Mapping) and not hasattr(step, "steps"):
                raise SettingError(f"pipeline: step {i}: expected a dictionary, found {type(step).__name__}")
            _check_form(f"pipeline: step {i}", step)
            # An `Augment` stands for its steps.
            steps.extend(step.steps if hasattr(step, "steps") else [step])
        return _json("pipeline", {"steps": steps}), False, None
    if pipeline.lstrip().startswith("{"):
        return pipeline, False, None
    if "\n" in pipeline or "=" in pipeline:
        return pipeline, True, None
    if not pipeline.lower().endswith((".toml", ".json")):
        raise SettingError(
            "expected a pipeline file (.toml, .json), the text of one or one of "
            f"{', '.join(POLICIES)}; found {pipeline!r}"
        )
    return _file(pipeline)


def _check_form(what: str, step: Any) -> None:
    """Refuses an ``Augment`` that would make something else of its results than the pipeline that it is to be a part of."""
    if getattr(step, "normalize", None) is not None or getattr(step, "tensor", False):
        raise SettingError(f"{what}: expected no normalize and tensor, which belong to the whole pipeline")


def _file(path: str | os.PathLike[str]) -> tuple[str, bool, str]:
    text = Path(path).read_text(encoding="utf-8")
    return text, not is_json(path), os.fspath(path)


def is_json(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".json")


def padded_crop(size: int) -> list[Step]:
    return [{"op": "random_crop", "width": size, "height": size, "padding": max((size + 4) // 8, 1)}]


def resized_crop(size: int) -> Step:
    return {"op": "random_resized_crop", "width": size, "height": size, "scale": [0.35, 1], "ratio": [0.75, 4 / 3]}


def flips(flip: bool) -> list[Step]:
    return [{"op": "horizontal_flip", "probability": 0.5}] if flip else []
