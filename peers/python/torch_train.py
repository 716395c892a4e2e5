"""Training steps in PyTorch: torch_train.py LAYOUT ARCH CHANNELS SIDE BATCH THREADS

LAYOUT is `nchw`, `channels-last` or `compile` (torch.compile of the channels-last form).
"""

import sys

import torch
from torch import nn

import networks
from serve import serve


def main() -> None:
    layout, arch = sys.argv[1:3]
    channels, side, batch, threads = map(int, sys.argv[3:7])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, images = networks.build(arch, channels, side).train(), networks.images(batch, channels, side)
    if layout != "nchw":
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    params = sum(p.numel() for p in model.parameters())
    labels = torch.arange(batch) % networks.CLASSES
    # The fused form is the fastest of PyTorch's SGDs on a CPU.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True, fused=True)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    forward = torch.compile(model) if layout == "compile" else model

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = criterion(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    check = [step().item(), step().item()]
    serve({"version": f"torch {torch.__version__.split('+')[0]} {layout}", "params": params, "check": check}, step)


main()
