"""The speed of PyTorch's convolutions: convolutions.py THREADS, the rows of `oculist-bench convolutions` on standard input."""

import json
import sys
import time

import torch
from torch.nn import functional as F


def median(job) -> float:
    job()
    times, start = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < 0.1:
        one = time.perf_counter()
        job()
        times.append(time.perf_counter() - one)
    return sorted(times)[len(times) // 2]


def gflops(shape: dict, what: str) -> float:
    """The better of both layouts."""
    b, side, c_in, c_out = (shape[k] for k in ("batch", "side", "c_in", "c_out"))
    kernel, stride, groups = (shape[k] for k in ("kernel", "stride", "groups"))
    best = float("inf")
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(b, c_in, side, side).contiguous(memory_format=layout)
        w = torch.randn(c_out, c_in // groups, kernel, kernel).contiguous(memory_format=layout)
        y = F.conv2d(x, w, None, stride, kernel // 2, 1, groups)
        dy = torch.randn_like(y)
        mask = [what == "backward data", what == "backward weights", False]

        def backward():
            padding = [kernel // 2] * 2
            torch.ops.aten.convolution_backward(
                dy, x, w, None, [stride] * 2, padding, [1, 1], False, [0, 0], groups, mask
            )

        with torch.no_grad():
            if what == "forward":
                seconds = median(lambda: F.conv2d(x, w, None, stride, kernel // 2, 1, groups))
            else:
                seconds = median(backward)
        best = min(best, seconds)
    return 2e-9 * y.numel() * (c_in // groups) * kernel * kernel / best


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    rows = json.load(sys.stdin)["rows"]
    answers = [gflops(row["shape"], row["pass"]) for row in rows]
    print(json.dumps({"version": f"torch {torch.__version__.split('+')[0]}", "gflops": answers}))


main()
