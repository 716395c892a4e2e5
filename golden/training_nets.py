"""Small networks whose training steps are pinned. Channel counts are no multiples of a SIMD width on purpose."""

from torch import nn
from torch.nn import functional as F

from cifar_resnet import Block


class Residual(nn.Module):
    """Convolutions, batch norm, a projected shortcut: what every residual network trains with."""

    layers = [
        "a = relu(bn1(conv1(x)))              conv1: 3x3, stride 1, padding 1, 3 -> 10",
        "b = bn2(conv2(a))                    conv2: 3x3, stride 2, padding 1, 10 -> 18",
        "s = shortcut.1(shortcut.0(a))        shortcut.0: 1x1, stride 2, 10 -> 18; shortcut.1: batch norm",
        "y = fc(global_average(relu(b + s)))  fc: 18 -> 5; no convolution has a bias",
    ]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(10)
        self.conv2 = nn.Conv2d(10, 18, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(18)
        self.shortcut = nn.Sequential(nn.Conv2d(10, 18, 1, 2, bias=False), nn.BatchNorm2d(18))
        self.fc = nn.Linear(18, 5)

    def forward(self, x):
        a = F.relu(self.bn1(self.conv1(x)))
        b = F.relu(self.bn2(self.conv2(a)) + self.shortcut(a))
        return self.fc(b.mean(dim=(2, 3)))


class PaddedShortcut(nn.Module):
    """An identity block, then a block whose shortcut subsamples and pads channels (option A)."""

    layers = [
        "a = relu(bn1(conv1(x)))      conv1: 3x3, stride 1, padding 1, 1 -> 6",
        "b = layer.0(a)               basic block, 6 -> 6, identity shortcut",
        "c = layer.1(b)               basic block, 6 -> 18, stride 2; shortcut: b[:, :, ::2, ::2], 6 zero",
        "                             channels before and 6 after",
        "y = fc(global_average(c))    fc: 18 -> 5",
        "basic block: relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)); 3x3, padding 1, no bias",
    ]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.layer = nn.Sequential(Block(6, 6, 1, "A"), Block(6, 18, 2, "A"))
        self.fc = nn.Linear(18, 5)

    def forward(self, x):
        x = self.layer(F.relu(self.bn1(self.conv1(x))))
        return self.fc(x.mean(dim=(2, 3)))


class Mobile(nn.Module):
    """MobileNetV3's block: expansion, depthwise, squeeze and excitation, projection."""

    layers = [
        "a = hardswish(expand_bn(expand(x)))        expand: 1x1, 3 -> 20",
        "d = hardswish(depthwise_bn(depthwise(a)))  depthwise: 5x5, stride 2, padding 2, groups 20",
        "g = hardsigmoid(se2(relu(se1(global_average(d)))))  se1: 1x1, 20 -> 8, bias; se2: 1x1, 8 -> 20, bias",
        "p = project_bn(project(d * g))             project: 1x1, 20 -> 18",
        "y = fc(global_average(p))                  fc: 18 -> 5",
        "batch norm as in MobileNetV3: eps 0.001, momentum 0.01; no bias but where said",
    ]

    def __init__(self):
        super().__init__()
        norm = {"eps": 1e-3, "momentum": 0.01}
        self.expand = nn.Conv2d(3, 20, 1, bias=False)
        self.expand_bn = nn.BatchNorm2d(20, **norm)
        self.depthwise = nn.Conv2d(20, 20, 5, 2, 2, groups=20, bias=False)
        self.depthwise_bn = nn.BatchNorm2d(20, **norm)
        self.se1 = nn.Conv2d(20, 8, 1)
        self.se2 = nn.Conv2d(8, 20, 1)
        self.project = nn.Conv2d(20, 18, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(18, **norm)
        self.fc = nn.Linear(18, 5)

    def forward(self, x):
        x = F.hardswish(self.expand_bn(self.expand(x)))
        x = F.hardswish(self.depthwise_bn(self.depthwise(x)))
        gate = F.hardsigmoid(self.se2(F.relu(self.se1(F.adaptive_avg_pool2d(x, 1)))))
        x = self.project_bn(self.project(x * gate))
        return self.fc(x.mean(dim=(2, 3)))


class Pooling(nn.Module):
    """Biased convolutions without norm, ReLU6, both poolings, and a linear layer on a flattened map."""

    layers = [
        "a = max_pool(relu6(conv1(x)))    conv1: 3x3, stride 1, padding 1, 3 -> 18, bias; pool 3x3, stride 2, padding 1",
        "b = avg_pool(relu6(conv2(a)))    conv2: 3x3, stride 1, padding 1, 18 -> 6, bias; pool 2x2, stride 2",
        "h = relu(fc1(dropout(flatten(b))))  flatten in NCHW order; dropout with probability 0; fc1: 6*h*w -> 20",
        "y = fc2(h)                       fc2: 20 -> 5",
    ]

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 18, 3, 1, 1)
        self.conv2 = nn.Conv2d(18, 6, 3, 1, 1)
        self.fc1 = nn.Linear(6 * 3 * 2, 20)
        self.fc2 = nn.Linear(20, 5)

    def forward(self, x):
        x = F.max_pool2d(F.relu6(self.conv1(x)), 3, 2, 1)
        x = F.avg_pool2d(F.relu6(self.conv2(x)), 2, 2)
        x = F.relu(self.fc1(F.dropout(x.flatten(1), 0.0)))
        return self.fc2(x)
