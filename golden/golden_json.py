"""Writes golden files: short f32 numbers, one tensor a line, the same bytes on every run."""

import json
import os

import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))


def numbers(values) -> list:
    """Flattens to f32 and keeps the shortest decimals that read back as the same f32."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1).astype(np.float32)
    assert np.isfinite(flat).all(), "a golden value is not finite"
    return [_Short(v) for v in flat]


class _Short(float):
    """A float that prints as the shortest decimal of its f32."""

    def __new__(cls, value):
        self = super().__new__(cls, value)
        self.text = np.format_float_scientific(value, trim="-", exp_digits=1)
        if 1e-4 <= abs(value) < 1e6 or value == 0:
            self.text = np.format_float_positional(value, trim="0")
        return self

    def __repr__(self):
        return self.text


def _text(value, indent: int) -> str:
    """Objects and lists of objects are spread over lines, lists of plain values stay on one."""
    pad = " " * (indent + 1)
    if isinstance(value, dict):
        items = [f"{pad}{json.dumps(k)}: {_text(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, (dict, list, tuple)) for v in value) and not _plain_pair(value):
            items = [pad + _text(v, indent + 1) for v in value]
            return "[\n" + ",\n".join(items) + "\n" + " " * indent + "]"
        return "[" + ",".join(_text(v, indent) for v in value) + "]"
    if isinstance(value, _Short):
        return repr(value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return json.dumps(value)


def _plain_pair(value) -> bool:
    return len(value) == 2 and isinstance(value[0], str)


def write(name: str, value) -> None:
    path = os.path.join(FOLDER, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(_text(value, 0) + "\n")
    print(f"wrote golden/{name}, {os.path.getsize(path)} bytes")
