"""How a long call shows that it is at work."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from ._data import Progress
from ._errors import SettingError

_WIDTH = 20


def listener(progress: Progress) -> tuple[Callable[[str], None] | None, Callable[[], None]]:
    """What is called with every event as JSON, and what is called at the end."""
    if callable(progress):
        return (lambda text: progress(json.loads(text)) and None), _nothing
    if progress is not None and not isinstance(progress, bool):
        expected = "expected something to call, True, False or None"
        raise SettingError(f"progress: {expected}, found {type(progress).__name__}")
    if progress is False or (progress is None and not _is_watched()):
        return None, _nothing
    line = _Line()
    return line.hear, line.end


def _nothing() -> None:
    pass


def _is_watched() -> bool:
    """Whether somebody sees what is written to stderr: a terminal, or a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", _nothing)()
    if type(shell).__name__ == "ZMQInteractiveShell":
        return True
    return bool(sys.stderr) and sys.stderr.isatty()


class _Line:
    """One line that is written over: the stage, the epoch, how far it is, and the last result."""

    def __init__(self) -> None:
        self.title, self.result, self.shown = "", "", 0
        self.began = time.monotonic()

    def hear(self, text: str) -> None:
        event = json.loads(text)
        kind = event["event"]
        if kind == "stage":
            self.title, self.result = event["title"], ""
            self.began = time.monotonic()
            self.show(self.title)
        elif kind == "train_step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            what = f"{event['phase']} epoch {event['epoch']}/{event['epochs']}"
            loss = "" if event["loss"] is None else f" loss {event['loss']:.3f}"
            self.bar(what, done, event["epochs"] * event["steps"], loss + self.result)
        elif kind == "work":
            self.bar(event["what"], event["done"], event["total"], "")
        elif kind == "epoch":
            value = event["val"].get(event["metric"])
            self.result = "" if value is None else f" {event['metric']} {value:.2f}"
        elif kind == "warning":
            self.end()
            print(f"warning: {event['text']}", file=sys.stderr, flush=True)

    def bar(self, what: str, done: int, total: int, more: str) -> None:
        part = done / max(total, 1)
        full = int(part * _WIDTH)
        spent = time.monotonic() - self.began
        left = f"<{_clock(spent / part - spent)}" if part > 0 else ""
        bar = "█" * full + "·" * (_WIDTH - full)
        self.show(f"{what} {100 * part:3.0f}%|{bar}| {done}/{total} [{_clock(spent)}{left}]{more}")

    def show(self, text: str) -> None:
        sys.stderr.write("\r" + text + " " * max(self.shown - len(text), 0))
        sys.stderr.flush()
        self.shown = len(text)

    def end(self) -> None:
        if self.shown:
            sys.stderr.write("\r" + " " * self.shown + "\r")
            sys.stderr.flush()
        self.shown = 0


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes:02}:{seconds:02}"
