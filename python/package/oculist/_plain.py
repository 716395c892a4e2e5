"""Values of Python as JSON, and what arguments must be."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from ._errors import SettingError


def text(what: str, value: Any) -> str:
    """JSON of texts, numbers, lists and dictionaries; arrays and numbers of NumPy are taken, and paths."""
    return json.dumps(plain(what, value), allow_nan=False)


def plain(what: str, value: Any) -> Any:
    """The value of what JSON has; ``what`` names it in errors."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return finite(what, value)
    if isinstance(value, Mapping):
        return {str(name): plain(f"{what}: {name}", one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(what, one) for one in value]
    if hasattr(value, "tolist"):
        return plain(what, value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    found = type(value).__name__
    raise SettingError(f"{what}: expected numbers, texts, lists and dictionaries, found {found}")


def finite(what: str, value: float) -> float:
    """A number that JSON has."""
    if not math.isfinite(value):
        raise SettingError(f"{what}: expected a finite number, found {value}")
    return value


def whole(what: str, value: Any, most: int, least: int = 0) -> int:
    """A whole number of ``least`` to ``most``, also one of NumPy."""
    try:
        number = value.__index__()
    except AttributeError:
        raise SettingError(f"{what}: expected a whole number, found {type(value).__name__}") from None
    except TypeError:
        raise SettingError(f"{what}: expected one whole number, found an array") from None
    if not least <= number <= most:
        raise SettingError(f"{what}: expected a whole number of {least} to {most}, found {number}")
    return int(number)
