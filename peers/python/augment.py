"""Augmentation in other libraries: augment.py LIBRARY FOLDER

LIBRARY is `albumentations`, `torchvision` or `oculist`, our own package. Serves the cases of `oculist-bench augment` by name, on the images in
FOLDER that `oculist-bench augment-images` wrote. One job is one pass over a case's images; each result is laid out
contiguously in memory, so that a view of the input counts as what it costs to use it.
"""

import json
import os
import sys
import time

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np

from serve import peak_kb, say

COUNT = 8


def read(folder: str, source: str) -> list:
    """Images as HWC arrays of bytes; JPEG files as arrays of their bytes.

    Behind the size, `grey` takes red alone and `rgba` takes green as alpha, as the other side does.
    """
    if source == "jpeg":
        return [np.fromfile(f"{folder}/500x375-{i}.jpg", np.uint8) for i in range(COUNT)]
    size, _, color = source.partition(" ")
    channels = {"": [0, 1, 2], "grey": [0], "rgba": [0, 1, 2, 1]}[color]
    width, height = {"32": (32, 32), "224": (224, 224), "photo": (500, 375)}[size]
    images = [np.fromfile(f"{folder}/{width}x{height}-{i}.rgb", np.uint8) for i in range(COUNT)]
    return [np.ascontiguousarray(image.reshape(height, width, 3)[..., channels]) for image in images]


class Server:
    """What a library needs: `version`, `table` (name to images, job and check), `enter` and `leave`."""

    def __init__(self, library, name: str, folder: str):
        self.library, self.name, self.folder = library, name, folder
        self.pools, self.job, self.images, self.comparison = {}, None, None, None

    def choose(self, name: str) -> dict:
        if name not in self.library.table:
            return {"missing": "no such operation"}
        source, make, self.comparison = self.library.table[name]
        if source not in self.pools:
            self.pools[source] = [self.library.enter(image) for image in read(self.folder, source)]
        self.images = self.pools[source]
        try:
            self.job = make()
            self.run_once()
        except Exception as error:
            return {"missing": f"{type(error).__name__}: {error}".splitlines()[0]}
        return {"case": name}

    def check(self) -> dict:
        """`comparison` is True for the timed job itself, a function that makes another job, or a text."""
        if isinstance(self.comparison, str):
            return {"other": self.comparison}
        if self.comparison is None:
            return {"random": True}
        job = self.job if self.comparison is True else self.comparison()
        output = np.ascontiguousarray(self.library.leave(job(self.images[0])), np.float32)
        path = f"{self.folder}/{self.name}.f32"
        output.tofile(path)
        return {"shape": list(output.shape), "file": path}

    def run_once(self) -> None:
        for image in self.images:
            self.library.settle(self.job(image))

    def run(self, seconds: float) -> dict:
        times, start = [], time.perf_counter()
        while not times or time.perf_counter() - start < seconds:
            one = time.perf_counter()
            self.run_once()
            times.append(time.perf_counter() - one)
        return {"times": times, "rss_kb": peak_kb()}


def main() -> None:
    name, folder = sys.argv[1:3]
    if name == "albumentations":
        import augment_albumentations as library
    elif name == "torchvision":
        import augment_torchvision as library
    elif name == "oculist":
        import augment_oculist as library

        with open(f"{folder}/cases.json") as file:
            library.table = library.read_table(json.load(file))
    else:
        raise SystemExit(f"unknown library `{name}`")
    server = Server(library, name, folder)
    say({"version": library.version, "ready": True, "cases": sorted(library.table)})
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "quit":
            break
        elif word == "case":
            say(server.choose(rest))
        elif word == "check":
            say(server.check())
        elif word == "run":
            say(server.run(float(rest)))
        else:
            raise SystemExit(f"expected `case NAME`, `check`, `run SECONDS` or `quit`, found `{line.strip()}`")


main()
