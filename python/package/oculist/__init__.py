"""Oculist: image augmentation and image classifiers, computed in Rust.

``Augment`` changes images at random for training; ``Model`` classifies images with a model file. ``train``, ``optimize``, ``compress``
and ``run`` make models, ``evaluate`` measures them, ``check_data`` examines data sets; ``ImageClassifier`` is an estimator of
scikit-learn. See ``help(oculist.train)`` and so on.
"""

import typing as _typing

from ._augment import Augment
from ._errors import DataError, DifferenceWarning, ModelError, OculistError, OutOfMemoryError, SettingError
from ._oculist import Model, Prediction, __version__
from ._recipe import Recipe, architectures, stages
from ._result import Candidate, Cost, Evaluation, Issue, Result
from ._runs import check_data, compress, evaluate, optimize, run, train, transfer

if _typing.TYPE_CHECKING:
    from ._classifier import ImageClassifier

__all__ = [
    "Augment",
    "Candidate",
    "Cost",
    "DataError",
    "DifferenceWarning",
    "Evaluation",
    "ImageClassifier",
    "Issue",
    "Model",
    "ModelError",
    "OculistError",
    "OutOfMemoryError",
    "Prediction",
    "Recipe",
    "Result",
    "SettingError",
    "__version__",
    "architectures",
    "check_data",
    "compress",
    "evaluate",
    "optimize",
    "run",
    "stages",
    "train",
    "transfer",
]

# Where they are found, and what pickles say.
for _name in __all__:
    if _name not in ("ImageClassifier", "Model", "Prediction", "__version__"):
        globals()[_name].__module__ = __name__
del _name


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> _typing.Any:
    # Only who uses it waits until scikit-learn is imported.
    if name == "ImageClassifier":
        from ._classifier import ImageClassifier

        ImageClassifier.__module__ = __name__
        globals()[name] = ImageClassifier
        return ImageClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
