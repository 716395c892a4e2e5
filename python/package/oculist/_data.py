"""What the library takes of the data and settings that are given in Python."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Union

import numpy as np

from ._errors import DataError, SettingError
from ._oculist import Model

# A name or path; a pair of images and labels; pairs of an image and its label.
Data = Union[str, "os.PathLike[str]", tuple[Any, Any], Sequence[tuple[Any, Any]]]
# A function of an event, whether to write a line, or that depends on who sees it.
Progress = Union[Callable[[dict[str, Any]], Any], bool, None]
# Images, the classes of each, and the names of all classes.
Given = tuple[Sequence[Any], list[list[int]], list[str]]


def sorted_out(data: Data, settings: dict[str, Any], class_names: Sequence[str] | None = None) -> Given | None:
    """The images in memory that ``data`` are, or ``None`` for a name, which becomes the setting ``data``."""
    if isinstance(data, (str, os.PathLike)):
        if class_names is not None:
            raise SettingError(f"class_names: expected images in memory with it, found the data {os.fspath(data)}")
        settings["data"] = os.fspath(data)
        return None
    images, labels = _two_lists(data)
    if len(images) != len(labels):
        raise DataError(f"data: expected a label for each of {len(images)} images, found {len(labels)}")
    if not len(images):
        raise DataError("data: expected images, found none")
    several = any(_is_several(label) for label in labels)
    if several:
        settings.setdefault("task", "multi-label")
        labels = _of_rows(labels, class_names)
    return images, *_numbered(labels, several, class_names)


def _two_lists(data: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        if hasattr(labels, "to_numpy"):
            labels = labels.to_numpy()
        if isinstance(labels, np.ndarray):
            labels = _of_array(labels)
        return _listed(images, "images"), _listed(labels, "labels")
    pairs = _listed(data, "data")
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DataError(f"data[{i}]: expected an image and its label, found {type(pair).__name__}")
    return [image for image, _ in pairs], [label for _, label in pairs]


def _listed(values: Any, what: str) -> Any:
    if isinstance(values, np.ndarray) and values.ndim == 0 or isinstance(values, (str, bytes, Mapping)):
        raise DataError(f"{what}: expected a list or an array, found {type(values).__name__}")
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "__array__") and hasattr(values, "shape"):
        return np.asarray(values)
    try:
        return list(values)
    except TypeError:
        expected = "a path, a pair of images and labels, or pairs of an image and its label"
        raise DataError(f"{what}: expected {expected}, found {type(values).__name__}") from None


def _of_array(labels: np.ndarray) -> Any:
    """Labels one by one; a table of zeros and ones says for each class whether the image has it.

    Its rows become sets: the classes are told already.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        if not np.isin(labels, (0, 1)).all():
            raise DataError("labels: expected only 0 and 1 in a table of images and classes")
        return _of_table(labels)
    if labels.ndim != 1:
        raise DataError(f"labels: expected one or two axes, found {labels.ndim}")
    return labels.tolist()


def _of_table(table: Any) -> list[frozenset[int]]:
    return [frozenset(np.flatnonzero(row).tolist()) for row in table]


def _of_rows(labels: Sequence[Any], names: Sequence[str] | None) -> Sequence[Any]:
    """The labels of images with several; rows of zeros and ones that are a table become the classes that they mark.

    Rows of one length of at least 2 with nothing but zeros and ones are a table, unless each row is ``[0, 1]``, which may be
    the classes 0 and 1 as well, or there are more class names than columns and no number comes twice in a row.

    :raises DataError: rows that can be read in both ways, or that fit neither.
    """
    rows = [list(label) for label in labels if isinstance(label, (list, tuple))]
    width = len(rows[0]) if rows else 0
    if len(rows) < len(labels) or width < 2 or any(len(row) != width for row in rows):
        return labels
    if not all(_is_mark(one) for row in rows for one in row):
        return labels
    repeated = any(len(set(row)) < width for row in rows)
    marks = any(isinstance(one, (bool, np.bool_)) for row in rows for one in row)
    if names is not None and len(names) != width and not marks:
        if repeated:
            raise DataError(f"labels: expected a column for each of {len(names)} class names in a table, found {width}")
        return labels
    if marks or repeated or any(row != sorted(row) for row in rows):
        return _of_table(rows)
    raise DataError(
        "labels: every row is [0, 1], which is a row of a table or a list of the classes 0 and 1; expected an array for a table "
        "(numpy.array(labels)) or sets for class numbers ({0, 1})"
    )


def _is_mark(one: Any) -> bool:
    return isinstance(one, (bool, int, float, np.bool_, np.integer, np.floating)) and one in (0, 1)


def _is_several(label: Any) -> bool:
    return isinstance(label, (list, tuple, set, frozenset))


def _numbered(labels: Iterable[Any], several: bool, names: Sequence[str] | None) -> tuple[list[list[int]], list[str]]:
    lists: list[list[Any]] = []
    for i, label in enumerate(labels):
        found = list(label) if _is_several(label) else [label]
        lists.append([_plain(one, i) for one in (sorted(set(found), key=str) if several else found)])
    known = {one for found in lists for one in found}
    if len({type(one) for one in known}) > 1:
        raise DataError("labels: expected all numbers or all texts, found both")
    given = names is not None
    names = [str(name) for name in (sorted(known) if names is None else names)]
    number: dict[Any, int]
    if all(isinstance(one, str) for one in known):
        number = {name: i for i, name in enumerate(names)}
    elif given:
        number = {i: i for i in range(len(names))}
    else:
        number = {one: i for i, one in enumerate(sorted(known))}
    for one in known:
        if one not in number:
            raise DataError(f"labels: expected one of {', '.join(names)}, found {one}")
    return [[number[one] for one in found] for found in lists], names


def _plain(label: Any, i: int) -> int | str:
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, str):
        return str(label)
    if isinstance(label, (bool, int)):
        return int(label)
    raise DataError(f"labels[{i}]: expected a whole number or a text, found {type(label).__name__}")


def settings_of(settings: Mapping[str, Any]) -> tuple[str, AbstractContextManager[Any]]:
    """Settings as JSON, and what must stay open while they are in use: the file of a model that is in memory."""
    away: AbstractContextManager[Any] = nullcontext()
    plain = {}
    for name, value in settings.items():
        if isinstance(value, Model):
            if name != "model":
                raise SettingError(f"{name}: expected no model")
            path, away = file_of(value)
            value = path
        if value is not None:
            plain[name] = _json(name, value)
    return json.dumps(plain), away


def file_of(model: Model) -> tuple[str, AbstractContextManager[Any]]:
    """A file that says all that is needed to use the model, as long as what comes with it is open."""
    away = TemporaryDirectory(prefix="oculist-")
    path = Path(away.name) / "model.onnx"
    model.save(path)
    return os.fspath(path), away


def _json(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [_json(name, one) for one in value]
    if isinstance(value, (str, bool, int, float)):
        return value
    raise SettingError(f"{name}: expected a text, a number, a list or None, found {type(value).__name__}")
