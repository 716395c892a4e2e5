"""What the library takes of the data and settings that are given in Python."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Union

import numpy as np

from ._errors import DataError, SettingError
from . import _oculist
from ._oculist import Model
from ._plain import plain

# A name or path; a pair of images and labels; pairs of an image and its label.
Data = Union[str, "os.PathLike[str]", tuple[Any, Any], Sequence[tuple[Any, Any]]]
# A function of an event, whether to write a line, or that depends on who sees it.
Progress = Union[Callable[[dict[str, Any]], Any], bool, None]
# Images, the classes of each, and the names of all classes.
Given = tuple[Sequence[Any], list[list[int]], list[str]]


def sorted_out(
    data: Data, settings: dict[str, Any], class_names: Sequence[str] | None = None, *, to_train: bool = False
) -> Given | None:
    """The images in memory that ``data`` are, or ``None`` for a name, which becomes the setting ``data``.

    To train, there must be images of every class that has a name.
    """
    if isinstance(data, (str, os.PathLike)):
        if class_names is not None:
            raise SettingError(f"class_names: expected images in memory with it, found the data {os.fspath(data)}")
        settings["data"] = os.fspath(data)
        return None
    names = None if class_names is None else _names(class_names)
    images, labels, columns = _two_lists(data)
    if len(images) != len(labels):
        raise DataError(f"data: expected a label for each of {len(images)} images, found {len(labels)}")
    if not len(images):
        raise DataError("data: expected images, found none")
    several = any(_is_several(label) for label in labels)
    if several:
        settings.setdefault("task", "multi-label")
        of_rows = _of_rows(labels, names)
        if of_rows is not labels:
            columns = len(labels[0])
        labels = of_rows
    lists, names = _numbered(labels, several, names, columns)
    if to_train:
        _check_used(lists, names, columns)
    return images, lists, names


def _names(given: Any) -> list[str]:
    """Class names, each once."""
    if isinstance(given, (str, bytes, Mapping)) or not hasattr(given, "__iter__"):
        raise SettingError(f"class_names: expected a list of names, found {type(given).__name__}")
    names = [str(name) for name in given]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise SettingError(f"class_names: expected different names, found {name!r} twice")
    return names


def _check_used(lists: list[list[int]], names: list[str], columns: int | None) -> None:
    used = {one for found in lists for one in found}
    unused = [name for i, name in enumerate(names) if i not in used]
    if not unused or not used:
        return
    told = ", ".join(repr(name) for name in unused)
    if columns is None:
        expected = f"expected a name for each of the {len(used)} classes of the labels"
        raise SettingError(f"class_names: {expected}, found {len(names)}: no image has {told}")
    if len(unused) == 1:
        text = f"labels: the column of class {told} has no image, and no model learns it"
    else:
        text = f"labels: the columns of {len(unused)} classes have no image, and no model learns them: {told}"
    warnings.warn(text, UserWarning, stacklevel=5)


def _two_lists(data: Any) -> tuple[Sequence[Any], Sequence[Any], int | None]:
    """Images, labels, and how many columns a table of labels has."""
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        if hasattr(labels, "to_numpy"):
            labels = labels.to_numpy()
        columns = None
        if isinstance(labels, np.ndarray):
            columns = labels.shape[1] if labels.ndim == 2 and labels.shape[1] > 1 else None
            labels = _of_array(labels)
        return _listed(images, "images"), _listed(labels, "labels"), columns
    pairs = _listed(data, "data")
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DataError(f"data[{i}]: expected an image and its label, found {type(pair).__name__}")
    return [image for image, _ in pairs], [label for _, label in pairs], None


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
    the classes 0 and 1 as well, and is that where the class names are not as many as the columns.

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
    # A list of classes has none twice, and nobody writes them down out of order.
    is_table = marks or repeated or any(row != sorted(row) for row in rows)
    if names is not None and len(names) != width and not marks:
        if is_table:
            expected = f"expected a column for each of {len(names)} class names in a table"
            raise DataError(f"labels: {expected}, found {width}; class numbers may be given as sets ({{0, 1}})")
        return labels
    if is_table:
        return _of_table(rows)
    raise DataError(
        "labels: every row is [0, 1], which is a row of a table or a list of the classes 0 and 1; expected an array for a table "
        "(numpy.array(labels)) or sets for class numbers ({0, 1})"
    )


def _is_mark(one: Any) -> bool:
    return isinstance(one, (bool, int, float, np.bool_, np.integer, np.floating)) and one in (0, 1)


def _is_several(label: Any) -> bool:
    return isinstance(label, (list, tuple, set, frozenset))


def _numbered(
    labels: Iterable[Any], several: bool, names: list[str] | None, columns: int | None
) -> tuple[list[list[int]], list[str]]:
    lists: list[list[Any]] = []
    for i, label in enumerate(labels):
        found = list(label) if _is_several(label) else [label]
        lists.append([_plain(one, i) for one in (sorted(set(found), key=str) if several else found)])
    known = {one for found in lists for one in found}
    if len({type(one) for one in known}) > 1:
        raise DataError("labels: expected all numbers or all texts, found both")
    if columns is not None:
        if names is None:
            names = [str(i) for i in range(columns)]
        elif len(names) != columns:
            expected = f"expected {columns} names, one for each column of the labels"
            raise SettingError(f"class_names: {expected}, found {len(names)}")
    given = names is not None
    if names is None:
        names = [str(name) for name in sorted(known)]
    number: dict[Any, int]
    if all(isinstance(one, str) for one in known):
        number = {name: i for i, name in enumerate(names)}
    elif given:
        number = {i: i for i in range(len(names))}
    else:
        number = {one: i for i, one in enumerate(sorted(known))}
    for one in known:
        if one not in number and isinstance(one, int) and one < 0:
            raise DataError(f"labels: expected numbers from 0, as class_names count, found {one}")
        if one not in number and isinstance(one, int):
            expected = f"expected {max(known) + 1} names or more, for labels of 0 to {max(known)}"
            raise SettingError(f"class_names: {expected}, found {len(names)}: {', '.join(names)}")
        if one not in number:
            raise SettingError(f"class_names: expected a name for the label {one!r}, found {', '.join(names)}")
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
    away = ExitStack()
    given = {}
    for name, value in settings.items():
        if name == "from" and value is not None:
            several = [value] if isinstance(value, (str, os.PathLike, Model)) else list(value)
            value = [_model_file(one, away) if isinstance(one, Model) else one for one in several]
        elif isinstance(value, Model):
            if name != "model":
                raise SettingError(f"{name}: expected no model")
            value = _model_file(value, away)
        if name == "augmentation" and value is not None and not isinstance(value, (str, os.PathLike)):
            value = _pipeline_file(value, away)
        if value is not None:
            given[name] = plain(name, value)
    return json.dumps(given), away


def _model_file(model: Model, away: ExitStack) -> str:
    path, folder = file_of(model)
    away.enter_context(folder)
    return path


def _pipeline_file(pipeline: Any, away: ExitStack) -> str:
    """A file of an ``Augment``, or of steps, as long as the stack is open."""
    from ._augment import Augment

    if not isinstance(pipeline, (_oculist.Augment, Mapping)) and isinstance(pipeline, Iterable):
        pipeline = list(pipeline)
    for one in pipeline if isinstance(pipeline, list) else [pipeline]:
        if isinstance(one, _oculist.Augment) and (one.normalize is not None or one.tensor):
            raise SettingError("augmentation: expected no normalize and tensor with it, since the network has its own")
    made = pipeline if isinstance(pipeline, Augment) else Augment(pipeline, 0)
    path = Path(away.enter_context(TemporaryDirectory(prefix="oculist-"))) / "augmentation.toml"
    made.save(path)
    return os.fspath(path)


def file_of(model: Model) -> tuple[str, AbstractContextManager[Any]]:
    """A file that says all that is needed to use the model, as long as what comes with it is open."""
    away = TemporaryDirectory(prefix="oculist-")
    path = Path(away.name) / "model.onnx"
    model.save(path)
    return os.fspath(path), away
