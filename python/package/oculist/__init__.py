"""Oculist: image augmentation and image classifiers, computed in Rust.

``Augment`` changes images at random for training; ``Model`` classifies images with a model file. See ``help(oculist.Augment)``
and ``help(oculist.Model)``.
"""

from ._augment import Augment
from ._errors import DataError, DifferenceWarning, ModelError, OculistError, SettingError
from ._oculist import Model, Prediction, __version__

__all__ = [
    "Augment",
    "DataError",
    "DifferenceWarning",
    "Model",
    "ModelError",
    "OculistError",
    "Prediction",
    "SettingError",
    "__version__",
]

# Where they are found, and what pickles say.
for _class in (Augment, DataError, DifferenceWarning, ModelError, OculistError, SettingError):
    _class.__module__ = __name__
del _class
