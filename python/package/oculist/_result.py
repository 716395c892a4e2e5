"""What runs, measurements and audits give."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import _oculist
from ._errors import OculistError, SettingError
from ._oculist import Model

# Whatever happens, the f32 model to use has this name in a folder.
_MODEL_FILE = "model.onnx"


@dataclass(frozen=True)
class Cost:
    """What a model costs: parameters, multiply-accumulates of one image, bytes of its file, milliseconds for one image."""

    params: int
    macs: int
    bytes: int
    latency_ms: float | None


@dataclass(frozen=True)
class Candidate:
    """A model of a run with what is known of it.

    ``scores`` were measured on test images, ``val_scores`` on validation images, which decide. What a search tried has the
    latter alone; ``accepted`` and ``reason`` tell what became of it.
    """

    name: str
    kind: str
    scores: dict[str, float]
    val_scores: dict[str, float]
    cost: Cost
    accepted: bool | None = None
    reason: str = ""


@dataclass(frozen=True)
class Issue:
    """What is wrong with an image, a file or a class; the unit of ``score`` is that of the kind.

    ``index`` is the place of an image that was given in memory. ``partner`` is the image that this one repeats.
    """

    kind: str
    image: str
    split: str
    class_name: str
    score: float
    detail: str = ""
    partner: str | None = None
    suggested: str | None = None
    self_confidence: float | None = None
    index: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """A model, measured: ``scores`` by the names of metrics, in percent where they are shares.

    ``confusion[i][j]`` counts images of class i that were called j (empty with several labels); ``per_class`` has a
    dictionary for each class. ``facts`` is everything, as ``oculist eval --json`` tells it.
    """

    scores: dict[str, float]
    confusion: list[list[int]]
    per_class: list[dict[str, Any]]
    classes: list[str]
    images: int
    split: str
    facts: dict[str, Any] = field(repr=False)


class Result:
    """What came of a run.

    ``model`` is the one that the run recommends, ``models`` are all by their names: ``baseline``, ``compressed``,
    ``compressed-int8``. In a notebook it shows itself as a table.
    """

    def __init__(self, facts: str, models: dict[str, Model]) -> None:
        self._facts = facts
        self.models = models
        #: All numbers, as in ``summary.json``.
        self.summary: dict[str, Any] = json.loads(facts)
        for name in ("samples", "augmented_samples"):
            self.summary.pop(name, None)

    @property
    def model(self) -> Model:
        """The model that the run recommends."""
        return self.models[self.recommended]

    @property
    def recommended(self) -> str:
        """The name of that model."""
        name = self.summary["recommended"]
        return name if name in self.models else next(iter(self.models))

    @property
    def metric(self) -> str:
        """The metric that decided."""
        return str(self.summary["metric"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """A dictionary for each epoch, of all trainings in their order (``phase``)."""
        return list(self.summary["history"])

    @property
    def warnings(self) -> list[str]:
        """What the reader should know about."""
        return list(self.summary["warnings"])

    @property
    def candidates(self) -> list[Candidate]:
        """The models that were kept and measured, the baseline first."""
        return [
            Candidate(
                name=model["name"],
                kind=model["precision"],
                scores=_known(model["scores"]),
                val_scores=_known(model["val_scores"]),
                cost=_cost(model, (model["latency_ms"] or {}).get("median")),
            )
            for model in self.summary["models"]
        ]

    @property
    def candidate(self) -> Candidate:
        """The one that is recommended."""
        return next(candidate for candidate in self.candidates if candidate.name == self.recommended)

    @property
    def tried(self) -> list[Candidate]:
        """Everything that a search has tried, with the reasons why it was accepted or not."""
        return [
            Candidate(
                name=tried["name"],
                kind=tried["kind"],
                scores={},
                val_scores=_known({self.metric: tried["val"], "top1": tried["val_top1"]}),
                cost=_cost(tried, tried["latency_ms"]),
                accepted=tried["accepted"],
                reason=tried["reason"],
            )
            for tried in self.summary["candidates"]
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model, if the name ends in ``.onnx``; else a folder with all models, the report and the numbers."""
        path = Path(path)
        if path.suffix == ".onnx":
            self.model.save(path)
            return
        if path.exists() and not path.is_dir():
            raise SettingError(f"output {path}: expected a folder or a name that ends in .onnx, found a file")
        page, summary = _oculist.report_html(self._facts)
        try:
            path.mkdir(parents=True, exist_ok=True)
            # As the program names them.
            files = {model["name"]: model["file"] for model in self.summary["models"]}
            for name, model in self.models.items():
                model.save(path / files[name])
            if _MODEL_FILE not in files.values():
                self.models["baseline"].save(path / _MODEL_FILE)
            (path / "report.html").write_text(page, encoding="utf-8")
            (path / "summary.json").write_text(summary, encoding="utf-8")
            (path / "report-data.json").write_text(self._facts, encoding="utf-8")
        except OSError as error:
            raise OculistError(f"output {path}: {error}") from error

    def _repr_html_(self) -> str:
        return _oculist.table_html(self._facts)

    def __repr__(self) -> str:
        best = self.candidate
        value = best.scores.get(self.metric)
        told = "" if value is None else f", {self.metric} {value:.2f} on test images"
        return f"Result({self.summary['verb']}: {best.name} of {', '.join(self.models)}{told}, {best.cost.bytes} bytes)"


def _known(scores: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}


def _cost(facts: dict[str, Any], latency: float | None) -> Cost:
    return Cost(facts["params"], facts["macs"], facts["bytes"], latency)
