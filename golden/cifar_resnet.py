"""The residual networks for small images of He et al. 2015, section 4.2: depth 6n + 2, widths 16, 32, 64.

Option A (the paper's choice there): the shortcut across a change of width takes every second pixel and pads
the channels with zeros, half of them before and half after. Option B: a 1x1 convolution with batch norm.
"""

from torch import nn
from torch.nn import functional as F


class Subsample(nn.Module):
    """Option A: no parameters."""

    def __init__(self, padding: int):
        super().__init__()
        self.padding = padding

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))


class Block(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, option: str):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            if option == "A":
                self.shortcut = Subsample((c_out - c_in) // 2)
            else:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
                )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class CifarResNet(nn.Module):
    def __init__(self, depth: int, option: str = "A", channels: int = 3, classes: int = 10):
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        assert rest == 0, "the depth of a CIFAR residual network is 6n + 2"
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        c_in = 16
        for stage, c_out in enumerate((16, 32, 64), start=1):
            layer = []
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layer.append(Block(c_in, c_out, stride, option))
                c_in = c_out
            setattr(self, f"layer{stage}", nn.Sequential(*layer))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))
