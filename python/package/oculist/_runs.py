"""Training, compression, measurement and audits as functions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from . import _oculist
from ._data import Data, Progress, file_of, settings_of, sorted_out
from ._errors import SettingError
from ._oculist import Model
from ._plain import whole
from ._progress import listener
from ._recipe import PathLike, Recipe
from ._result import Evaluation, Issue, Result

Existing = Literal["refuse", "replace", "resume"]


def _run(
    verb: str,
    recipe: str | None,
    data: Data,
    settings: dict[str, Any],
    output: PathLike | None,
    existing: Existing,
    class_names: Sequence[str] | None,
    progress: Progress,
) -> Result:
    output = _folder(output)
    if existing not in ("refuse", "replace", "resume"):
        raise SettingError(f"existing: expected refuse, replace or resume, found {existing}")
    if output is None and existing != "refuse":
        raise SettingError(f"existing: expected output= with it, found existing={existing!r} alone")
    given = sorted_out(data, settings, class_names, to_train=True)
    shown = "data" if given else repr(settings["data"])
    told = "".join(f", {name}={value!r}" for name, value in settings.items() if name != "data" and value is not None)
    text, away = settings_of(settings)
    hear, end = listener(progress)
    with away:
        try:
            facts, models, taken = _oculist.run(
                verb,
                recipe,
                text,
                given,
                output=output,
                existing=existing,
                command=f"oculist.{verb}({shown}{told})",
                progress=hear,
            )
        finally:
            end()
    result = Result(facts, dict(models))
    if output is not None and given:
        result.save(output)
    # Nobody else may write into the folder until now.
    del taken
    return result


def _folder(output: PathLike | None) -> Path | None:
    if output is not None and not isinstance(output, (str, os.PathLike)):
        raise SettingError(f"output: expected a folder, found {type(output).__name__}")
    return None if output is None else Path(output)


_SHARED = """

    Parameters
    ----------
    data
        A folder or file of images or ``"demo"`` (docs/guide.md); a tuple ``(images, labels)``, with the images as a ``uint8``
        array of shape ``(n, height, width)`` or ``(n, height, width, channels)`` or a list of arrays, images of Pillow and
        paths; or a list of pairs of an image and its label. A label is a number or a text; with several for each image, a list of them,
        or all together a table of zeros and ones.
    output
        A folder for models, report and numbers. Without it nothing is written.
    existing
        What to do if it holds a run: ``"refuse"``, ``"replace"``, or ``"resume"`` to go on with it (not with images in
        memory).
    class_names
        Names of the classes that labels of images in memory number from 0, one for each class that there is; of labels that
        are texts, their order.
    progress
        Something to call with a dictionary for every event; ``True`` for a line on stderr, ``False`` for nothing; ``None`` for
        the line where a terminal or a notebook shows it.
    settings
        Named as in settings.toml and as the long options of the command line, with ``_`` for ``-``: ``epochs=3``,
        ``arch="resnet8"``. ``augmentation`` may also be an ``Augment`` or a list of steps, in which other ``Augment`` may
        stand. Of an ``Augment`` only the steps count: what is drawn follows from the run's own ``seed``, and there are no
        masks for a ``background``; one with ``normalize`` or ``tensor`` is refused.

    Returns a ``Result``. Ctrl-C ends the call after the step at hand.
    """


def optimize(
    data: Data,
    *,
    output: PathLike | None = None,
    existing: Existing = "refuse",
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Result:
    """Trains a network (or takes ``model``), then compresses it as far as ``max_drop`` allows."""
    return _run("optimize", None, data, settings, output, existing, class_names, progress)


def train(
    data: Data,
    *,
    output: PathLike | None = None,
    existing: Existing = "refuse",
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Result:
    """Trains a new network and measures it. To begin with a model, see ``compress`` and ``optimize``."""
    return _run("train", None, data, settings, output, existing, class_names, progress)


def compress(
    data: Data,
    model: PathLike | Model,
    *,
    output: PathLike | None = None,
    existing: Existing = "refuse",
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Result:
    """Prunes and quantises ``model``, a file or a ``Model``, as far as ``max_drop`` allows."""
    settings["model"] = model
    return _run("compress", None, data, settings, output, existing, class_names, progress)


def transfer(
    data: Data,
    source: PathLike | Model | Sequence[PathLike | Model],
    *,
    output: PathLike | None = None,
    existing: Existing = "refuse",
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Result:
    """Carries over what ``source``, a model for other classes or the best of several, has learned: ``mode`` is ``auto``,
    ``features``, ``gap``, ``fc`` or ``finetune``, ``head`` what is learned on features (``docs/transfer.md``)."""
    settings["from"] = source
    return _run("transfer", None, data, settings, output, existing, class_names, progress)


def run(
    recipe: Recipe | PathLike | Iterable[Mapping[str, Any]],
    data: Data,
    *,
    output: PathLike | None = None,
    existing: Existing = "refuse",
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Result:
    """Runs a ``Recipe``, the file of one, or a list of stages; the settings of a recipe hold where the call says nothing."""
    if isinstance(recipe, (str, os.PathLike)):
        recipe = Recipe.read(recipe)
    elif not isinstance(recipe, Recipe):
        recipe = Recipe(recipe)
    return _run("run", recipe.to_toml(), data, settings, output, existing, class_names, progress)


for _function in (optimize, train, transfer, compress, run):
    _function.__doc__ = f"{_function.__doc__}{_SHARED}"


def evaluate(
    model: PathLike | Model,
    data: Data,
    *,
    split: Literal["train", "val", "test", "all"] | None = None,
    skip_unknown: bool = False,
    corruptions: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> Evaluation:
    """Measures a model, a file or a ``Model``, on images with labels, matching classes by their names.

    Parameters
    ----------
    data, class_names, progress, settings
        As in ``oculist.train``. Images in memory are all measured. Settings are those that say how data and model are
        read; those of trainings are refused.
    split
        Which images; without it the test split if there is one, else the validation split, else all.
    skip_unknown
        Whether to leave out images of classes that the model does not know; else they are an error.
    corruptions
        Severities of 1 to 5 at which to measure the 15 corruptions of the robustness benchmarks too.
    """
    if not isinstance(model, (str, os.PathLike, Model)):
        raise SettingError(f"model: expected a file or a Model, found {type(model).__name__}")
    if split is not None and not isinstance(split, str):
        raise SettingError(f"split: expected train, val, test or all, found {split!r}")
    if corruptions is not None:
        if not isinstance(corruptions, Iterable):
            raise SettingError(f"corruptions: expected a list of severities, found {corruptions!r}")
        corruptions = [whole("corruptions", severity, 5, least=1) for severity in corruptions]
    given = sorted_out(data, settings, class_names)
    text, _ = settings_of(settings)
    if isinstance(model, Model):
        path, away = file_of(model)
    else:
        path, away = settings_of({"model": model})
        path = os.fspath(model)
    hear, end = listener(progress)
    with away:
        try:
            facts, classes = _oculist.evaluate(
                path,
                text,
                given,
                split=split,
                skip_unknown=skip_unknown,
                corruptions=corruptions,
                progress=hear,
            )
        finally:
            end()
    found = json.loads(facts)
    return Evaluation(
        scores={name: value for name, value in found["scores"].items() if value is not None},
        confusion=found["confusion"],
        per_class=found["per_class"] or found["per_label"],
        classes=classes,
        images=found["images"],
        split=found["split"],
        facts=found,
    )


def check_data(
    data: Data,
    *,
    labels: bool = False,
    folds: int = 4,
    output: PathLike | None = None,
    class_names: Sequence[str] | None = None,
    progress: Progress = None,
    **settings: Any,
) -> list[Issue]:
    """Examines a data set: duplicates, leaks between splits, odd images and sizes, and, with ``labels=True``, wrong labels.

    Parameters
    ----------
    data, class_names, progress, settings
        As in ``oculist.train``.
    labels
        Whether to look for wrong labels, by models that were trained on the other ``folds``; takes minutes.
    output
        A folder for the audit as a page and as JSON.
    """
    given = sorted_out(data, settings, class_names)
    text, away = settings_of(settings)
    hear, end = listener(progress)
    with away:
        try:
            found = _oculist.check(
                text,
                given,
                output=_folder(output),
                labels=labels,
                folds=whole("folds", folds, 1000),
                progress=hear,
            )
        finally:
            end()
    return [_issue(issue, given is not None) for issue in json.loads(found)["issues"]]


def _issue(issue: dict[str, Any], in_memory: bool) -> Issue:
    partner = issue.get("partner")
    index = None
    if in_memory and issue["image"].endswith("]"):
        index = int(issue["image"].rpartition("[")[2][:-1])
    return Issue(
        kind=issue["kind"],
        image=issue["image"],
        split=issue["split"],
        class_name=issue["class"],
        score=issue["score"],
        detail=issue.get("detail", ""),
        partner=partner and partner["image"],
        suggested=issue.get("suggested"),
        self_confidence=issue.get("self_confidence"),
        index=index,
    )
