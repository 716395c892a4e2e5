"""What is asked of a transform's parameters, and what is found to have no equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._errors import SettingError

_BORDERS = {1: "edge", 2: "symmetric", 3: "wrap", 4: "reflect"}
_INTERPOLATIONS = {0: "nearest", 1: "bilinear", 2: "bicubic"}
_MISSING = object()


class Log:
    """Collects all problems before any is told."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.differences: list[str] = []
        self.backgrounds: set[int] = set()

    def refuse(self, name: str, why: str) -> None:
        text = f"{name}: {why}"
        if text not in self.refused:
            self.refused.append(text)

    def differ(self, name: str, how: str) -> None:
        text = f"{name}: {how}"
        if text not in self.differences:
            self.differences.append(text)

    def arguments(self) -> dict[str, Any]:
        if len(self.backgrounds) > 1:
            self.refuse("fill_mask", f"expected one value in all transforms, found {sorted(self.backgrounds)}")
        return {"background": next(iter(self.backgrounds))} if self.backgrounds - {0} else {}

    def raise_refused(self) -> None:
        if self.refused:
            raise SettingError(
                f"{len(self.refused)} of the pipeline's transforms or parameters have no equal here: "
                + "; ".join(self.refused)
            )


class Parameters:
    """The parameters of one transform, of which each must be looked at."""

    def __init__(self, name: str, values: Mapping[str, Any], log: Log) -> None:
        self.name, self.log = name, log
        self.values = {key: value for key, value in values.items() if key != "__class_fullname__"}

    def take(self, key: str, default: Any = _MISSING) -> Any:
        value = self.values.pop(key, default)
        if value is _MISSING:
            self.refuse(f"expected the parameter {key}")
            return 0
        return list(value) if isinstance(value, tuple) else value

    def refuse(self, why: str) -> None:
        self.log.refuse(self.name, why)

    def differ(self, how: str) -> None:
        self.log.differ(self.name, how)

    def must(self, key: str, *allowed: Any) -> None:
        """A parameter that has one equal, or a few. One that is missing is as the first."""
        value = self.take(key, allowed[0])
        if value not in allowed:
            self.refuse(f"{key}={value!r}; only {' or '.join(map(repr, allowed))}")

    def ignore(self, *keys: str) -> None:
        """Parameters that make no difference here."""
        for key in keys:
            self.values.pop(key, None)

    def pair(self, key: str) -> list[float]:
        """Least and largest; a single number is both."""
        value = self.take(key)
        if isinstance(value, (int, float)):
            return [value, value]
        if isinstance(value, list) and len(value) == 2 and all(isinstance(v, (int, float)) for v in value):
            return value
        self.refuse(f"{key}={value!r}; only a range")
        return [0, 0]

    def symmetric(self, key: str) -> float:
        """The limit of a range that goes as far in both directions."""
        return self.limit(key, self.pair(key))

    def limit(self, key: str, pair: list[float]) -> float:
        if abs(pair[0] + pair[1]) > 1e-6 * max(map(abs, pair)):
            self.refuse(f"{key}={tuple(pair)}; only ranges as (-x, x)")
        return abs(pair[1])

    def byte(self, key: str, value: Any) -> int:
        """One value for all channels."""
        if isinstance(value, list) and value and all(v == value[0] for v in value):
            value = value[0]
        if not isinstance(value, (int, float)) or not 0 <= value <= 255:
            self.refuse(f"{key}={value!r}; only one value of 0 to 255 for all channels")
            return 0
        return int(value)

    def warp(self) -> dict[str, Any]:
        """Interpolation and border of a warp, and those of its masks."""
        return {"interpolation": self.interpolation(), "border": self.border()}

    def interpolation(self) -> str:
        self.must("mask_interpolation", 0)
        value = self.take("interpolation", 1)
        if value not in _INTERPOLATIONS:
            self.refuse(f"interpolation={value!r}; only nearest, linear and cubic (0, 1, 2)")
        return _INTERPOLATIONS.get(value, "bilinear")

    def border(self) -> Any:
        mode, fill = self.take("border_mode", 0), self.take("fill", 0)
        background = self.byte("fill_mask", self.take("fill_mask", 0))
        if mode == 0:
            self.log.backgrounds.add(background)
            return {"constant": self.byte("fill", fill)}
        if mode not in _BORDERS:
            self.refuse(f"border_mode={mode!r}; only 0 to 4")
        # A mask has no other side to mirror: it shows the background there.
        self.differ("masks show the background outside of the image, and not its border")
        return _BORDERS.get(mode, "edge")

    def cover(self) -> Any:
        """What covers holes; masks stay as they are."""
        self.must("fill_mask", None)
        fill = self.take("fill", 0)
        if fill == "random":
            return "noise"
        return {"constant": self.byte("fill", fill)}

    def finish(self) -> None:
        for key in self.values:
            self.refuse(f"the parameter {key} is not known")
