"""``ImageClassifier``: training as an estimator of scikit-learn, which need not be there."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _runs
from ._data import Progress
from ._errors import DataError, SettingError

if TYPE_CHECKING:
    from typing_extensions import Self

try:
    from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped, unused-ignore]
    from sklearn.exceptions import NotFittedError  # type: ignore[import-untyped, unused-ignore]
except ImportError:

    class NotFittedError(ValueError, AttributeError):  # type: ignore[no-redef]
        """The classifier has not been fitted yet."""

    class ClassifierMixin:  # type: ignore[no-redef]
        """What scikit-learn gives to classifiers."""

        def score(self, X: Any, y: Any) -> float:
            """The share of the images whose class is told."""
            return float(np.mean(self.predict(X) == np.asarray(y)))  # type: ignore[attr-defined]

    class BaseEstimator:  # type: ignore[no-redef]
        """What scikit-learn gives to estimators."""

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            """The parameters by their names."""
            names = list(inspect.signature(type(self).__init__).parameters)[1:]
            return {name: getattr(self, name) for name in names}

        def set_params(self, **params: Any) -> Any:
            """Sets parameters by their names."""
            known = self.get_params()
            for name, value in params.items():
                if name not in known:
                    raise ValueError(f"{name}: unknown parameter, expected one of {', '.join(known)}")
                setattr(self, name, value)
            return self

        def __repr__(self) -> str:
            told = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items() if value is not None)
            return f"{type(self).__name__}({told})"


# Nobody waits for a latency here.
_MEASURE_SECONDS = 0.02


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Trains a network on images and classifies others with it.

    ``X`` is a ``uint8`` array of shape ``(n, height, width)`` or ``(n, height, width, channels)``, or a list of arrays,
    images of Pillow and paths; ``y`` has one label for each. ``fit`` holds 15 % of the images out, drawn by the seed: validation
    images, which decide which weights are kept. Scores are for ``score`` and ``cross_val_score`` to tell, on other images:
    ``result_`` has those of validation images alone, unless ``settings`` ask for a ``test_fraction``. How fast the network is is measured for a moment only; ``settings`` may ask for
    more ``measure_seconds``.

    Parameters
    ----------
    arch
        Architecture, such as ``"resnet8"``; without it, chosen by the size of the images.
    epochs, width, image_size, batch_size, lr, augment, threads
        The settings of these names; ``None`` leaves the choice to network and data.
    seed
        Seed of splitting, initialisation, shuffling and augmentation: the same seed trains the same network.
    settings
        Other settings, a dictionary.
    progress
        As in ``oculist.train``.

    Attributes
    ----------
    classes_
        The labels, sorted.
    model_
        The ``oculist.Model``.
    result_
        The ``oculist.Result`` of the training.
    """

    def __init__(
        self,
        arch: str | None = None,
        epochs: int | None = None,
        *,
        width: float | None = None,
        image_size: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        augment: str | None = None,
        seed: int = 0,
        threads: int | None = None,
        settings: dict[str, Any] | None = None,
        progress: Progress = None,
    ) -> None:
        self.arch = arch
        self.epochs = epochs
        self.width = width
        self.image_size = image_size
        self.batch_size = batch_size
        self.lr = lr
        self.augment = augment
        self.seed = seed
        self.threads = threads
        self.settings = settings
        self.progress = progress

    def fit(self, X: Any, y: Any) -> Self:
        """Trains on images and their labels; returns itself."""
        if y is None:
            raise SettingError("y: this classifier requires y to be passed, but the target y is None")
        if hasattr(X, "toarray"):
            raise DataError("X: expected images, found a sparse table; sparse input is not supported")
        labels = np.asarray(y)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != 1:
            raise DataError(f"y: expected one label for each image, found an array of shape {labels.shape}")
        if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
            # NaN is no number that equals itself.
            raise DataError("y: Unknown label type: continuous; expected classes, found fractions or NaN")
        if labels.dtype.kind == "f" and not np.isfinite(labels).all():
            raise DataError("y: expected classes, found inf")
        classes, numbers = np.unique(labels, return_inverse=True)
        settings = self.get_params(deep=False)
        del settings["settings"], settings["progress"]
        settings["measure_seconds"] = _MEASURE_SECONDS
        settings["test_fraction"] = 0
        settings.update(self.settings or {})
        result = _runs.train(
            (X, numbers), class_names=[str(one) for one in classes.tolist()], progress=self.progress, **settings
        )
        self.classes_ = classes
        self.result_ = result
        self.model_ = result.model
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, ``float32`` of shape ``(images, classes)``, in the order of ``classes_``."""
        if not hasattr(self, "model_"):
            raise NotFittedError(f"This {type(self).__name__} instance is not fitted yet: call fit first")
        if isinstance(X, np.ndarray) and X.ndim == 3:
            # Several grey images, however narrow.
            X = X[..., None]
        return self.model_.probabilities(X)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest label of each image."""
        p = self.predict_proba(X)
        told: np.ndarray = self.classes_[p.argmax(1)]
        return told

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags
