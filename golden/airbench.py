"""A network of the fast-training records for CIFAR-10 in the form that the zoo builds (crates/oculist-zoo/src/airbench.rs).

The layers and their order are those of Jordan 2024 (arXiv 2404.00498); ReLU stands for GELU, batch normalisations have a
gamma, and the logits are not divided by 9.
"""

from torch import nn
from torch.nn import functional as F


class Group(nn.Module):
    def __init__(self, c_in: int, c_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)

    def forward(self, x):
        x = F.relu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.relu(self.norm2(self.conv2(x)))


class Airbench(nn.Module):
    def __init__(self, channels: int = 3, classes: int = 10):
        super().__init__()
        patch = 2 * 2 * channels
        self.whiten = nn.Conv2d(channels, 2 * patch, 2)
        widths = [2 * patch, 64, 256, 256]
        self.layers = nn.Sequential(*(Group(*pair) for pair in zip(widths, widths[1:])))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x):
        x = self.layers(F.relu(self.whiten(x)))
        return self.head(x.amax(dim=(2, 3)))
