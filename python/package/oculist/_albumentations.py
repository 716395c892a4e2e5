"""From the description of an Albumentations pipeline to steps: what composes, and what stands at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._albumentations_log import Log, Parameters
from ._albumentations_table import TABLE

Step = dict[str, Any]

# A step that changes nothing, where one has to stand.
_NOTHING = {"op": "sequence", "steps": [{"op": "horizontal_flip", "probability": 0}]}


def convert(description: Mapping[str, Any]) -> tuple[list[Step], dict[str, Any], list[str]]:
    """Steps, arguments of ``Augment`` beside them, and in what the result differs.

    Raises ``SettingError`` with all that has no equal.
    """
    log = Log()
    top = description.get("transform", description)
    how: dict[str, Any] = {}
    members = [top]
    probability = 1
    if _name(top) in ("Compose", "ReplayCompose"):
        how.update(_targets(top, log))
        members, probability = list(top.get("transforms", ())), top.get("p", 1)
    if _endings(members, log, how) and probability < 1:
        log.refuse(f"{_name(top)}(p={probability})", "p must be 1 where it ends in floats or tensors")
    steps = _members(members, log)
    if probability < 1 and steps:
        steps = [{"op": "sequence", "steps": steps, "probability": probability}]
    how.update(log.arguments())
    log.raise_refused()
    return steps, how, log.differences


def _name(transform: Mapping[str, Any]) -> str:
    return str(transform.get("__class_fullname__", "?")).rsplit(".", 1)[-1]


def _targets(top: Mapping[str, Any], log: Log) -> dict[str, Any]:
    """Format and labels of boxes; the rest of what ``Compose`` may say of targets has no equal."""
    if top.get("additional_targets"):
        log.refuse("Compose", "additional_targets are not supported")
    if top.get("keypoint_params"):
        log.refuse("Compose", "keypoints are not supported")
    boxes = top.get("bbox_params")
    if not boxes:
        return {}
    ignored = ("min_area", "min_visibility", "min_width", "min_height", "clip", "filter_invalid_bboxes")
    for name in (*ignored, "max_accept_ratio"):
        if boxes.get(name):
            log.refuse("BboxParams", f"{name}={boxes[name]!r} is not supported")
    how: dict[str, Any] = {"bbox_format": boxes["format"]}
    if boxes.get("label_fields"):
        how["label_fields"] = tuple(boxes["label_fields"])
    return how


def _endings(members: list[Mapping[str, Any]], log: Log, how: dict[str, Any]) -> bool:
    """Takes normalisation and tensors off the end."""
    found = False
    if members and _name(members[-1]) == "ToTensorV2":
        values = Parameters("ToTensorV2", members.pop(), log)
        values.must("transpose_mask", False)
        values.must("p", 1)
        values.finish()
        how["tensor"] = found = True
    if members and _name(members[-1]) in ("Normalize", "ToFloat"):
        name = _name(members[-1])
        values = Parameters(name, members.pop(), log)
        values.must("p", 1)
        if name == "Normalize":
            values.must("normalization", "standard")
            # (x - m * mean) / (m * std), where ours divides by 255 first.
            part = values.take("max_pixel_value", 255) / 255
            mean, std = values.take("mean"), values.take("std")
        else:
            part, mean, std = (values.take("max_value") or 255) / 255, 0, 1
        values.finish()
        lists = ([v] if isinstance(v, (int, float)) else v for v in (mean, std))
        how["normalize"] = tuple([number * part for number in numbers] for numbers in lists)
        found = True
    return found


def _members(members: list[Mapping[str, Any]], log: Log, keep_empty: bool = False) -> list[Step]:
    """The steps of transforms in a row."""
    steps: list[Step] = []
    for member in members:
        made = _one(member, log)
        if not made:
            if keep_empty:
                steps.append(dict(_NOTHING))
            continue
        probability = _probability(member)
        if probability == 1 and not keep_empty:
            steps.extend(made)
        else:
            step = _as_one(made)
            steps.append(_within(step, probability) if probability < 1 else step)
    return steps


def _as_one(steps: list[Step]) -> Step:
    """Several steps as one that has no probability yet."""
    if not steps:
        return dict(_NOTHING)
    if len(steps) == 1 and "probability" not in steps[0]:
        return steps[0]
    return {"op": "sequence", "steps": steps}


def _within(step: Step, probability: float) -> Step:
    return {**step, "probability": probability}


def _probability(transform: Mapping[str, Any]) -> float:
    # The p of this one chooses between its two.
    return 1 if _name(transform) == "OneOrOther" else transform.get("p", 1)


def _forced(transform: Mapping[str, Any], log: Log) -> Step:
    """A transform that was chosen: its own p is not looked at, but by those that look at it in any case."""
    step = _as_one(_one(transform, log))
    p = transform.get("p", 1)
    if _name(transform) in ("SomeOf", "RandomOrder") and p < 1:
        return {"op": "sequence", "steps": [_within(step, p)]}
    return step


def _one(transform: Mapping[str, Any], log: Log) -> list[Step]:
    """The steps of a transform that is used in any case."""
    name = _name(transform)
    inner = transform.get("transforms", ())
    if name in ("Compose", "Sequential"):
        return _members(inner, log)
    if name == "OneOf":
        return _one_of([(_forced(t, log), t.get("p", 1)) for t in inner], name, log)
    if name == "OneOrOther":
        first = transform.get("p", 0.5)
        return _one_of([(_forced(t, log), p) for t, p in zip(inner, (first, 1 - first))], name, log)
    if name in ("SomeOf", "RandomOrder"):
        return _some_of(name, transform, log)
    if name in ("Normalize", "ToFloat", "ToTensorV2"):
        log.refuse(name, "only at the end of the pipeline")
        return []
    make = TABLE.get(name)
    if make is None:
        log.refuse(name, "there is no such operation")
        return []
    values = Parameters(name, transform, log)
    values.take("p", 1)
    steps = make(values)
    values.finish()
    return steps


def _one_of(choices: list[tuple[Step, float]], name: str, log: Log) -> list[Step]:
    if not any(weight > 0 for _, weight in choices):
        log.refuse(name, "no transform that has a probability")
        return []
    return [{"op": "one_of", "choices": [{**step, "weight": weight} for step, weight in choices]}]


def _some_of(name: str, transform: Mapping[str, Any], log: Log) -> list[Step]:
    inner = transform.get("transforms", ())
    count = transform.get("n", 1)
    steps = _members(inner, log, keep_empty=True)
    if not steps:
        return []
    if not transform.get("replace"):
        return [{"op": "some_of", "count": [count, count], "shuffle": name == "RandomOrder", "steps": steps}]
    if name == "SomeOf" and count > 1:
        # With replacement, the same in any order; sorted, they are no independent draws any more.
        log.differ(name, "with replace, what is drawn comes in random order instead of the list's")
    each = {"op": "one_of", "choices": [_as_one([step]) for step in steps]}
    return [dict(each) for _ in range(count)]
