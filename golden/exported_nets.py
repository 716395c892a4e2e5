"""The networks of exported.py: torchvision's own classes in small where they can be made small, else the layers by hand."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.shufflenetv2 import ShuffleNetV2
from torchvision.models.vision_transformer import VisionTransformer
from torchvision.ops import SqueezeExcitation

CLASSES = 5


def vit():
    """torchvision's vision transformer: `nn.MultiheadAttention`, class token, learnt positions."""
    return VisionTransformer(16, 4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=CLASSES)


class Attention(nn.Module):
    """Attention as timm writes it: one linear layer for queries, keys and values, `scaled_dot_product_attention`."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(n, tokens, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.ls1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 2 * width)
        self.fc2 = nn.Linear(2 * width, width)
        self.ls2 = nn.Parameter(torch.ones(width))

    def forward(self, x):
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class VitMean(nn.Module):
    """A vision transformer as timm writes it, without class token: the mean over the patches is classified."""

    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, 16, 4, 4)
        self.pos_embed = nn.Parameter(torch.zeros(1, 16, 16))
        self.blocks = nn.Sequential(Block(16, 4), Block(16, 4))
        self.norm = nn.LayerNorm(16, eps=1e-6)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.pos_embed
        return self.head(self.norm(self.blocks(x).mean(1)))


def convnext():
    """torchvision's ConvNeXt: depthwise 7x7, layer normalisation with channels last, layer scale."""
    return ConvNeXt([CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)], num_classes=CLASSES)


class SeBlock(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.se = nn.Sequential(
            nn.Linear(c_out, c_out // 2), nn.ReLU(), nn.Linear(c_out // 2, c_out), nn.Sigmoid()
        )
        self.shortcut = None
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        n, c, _, _ = y.shape
        y = y * self.se(y.mean((2, 3))).view(n, c, 1, 1)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class SeResNet(nn.Module):
    """A residual network whose squeeze-and-excitation gates are linear layers on the mean, as in the first paper's code."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.blocks = nn.Sequential(SeBlock(8, 8, 1), SeBlock(8, 12, 2))
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def densenet():
    """torchvision's DenseNet, two dense blocks of two layers."""
    return DenseNet(4, (2, 2), num_init_features=8, bn_size=2, num_classes=CLASSES)


class Double(nn.Sequential):
    def __init__(self, c_in, c_out):
        conv = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
        super().__init__(
            conv(c_in, c_out), nn.BatchNorm2d(c_out), nn.ReLU(), conv(c_out, c_out), nn.BatchNorm2d(c_out), nn.ReLU()
        )


class UNet(nn.Module):
    """Up once by a transposed convolution, once bilinearly; the odd size of the image needs a padding in between."""

    def __init__(self):
        super().__init__()
        self.enc1, self.enc2, self.enc3 = Double(3, 4), Double(4, 6), Double(6, 8)
        self.up2 = nn.ConvTranspose2d(8, 6, 2, 2)
        self.dec2 = Double(12, 6)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.dec1 = Double(10, 4)
        self.head = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        a = self.enc1(x)
        b = self.enc2(F.max_pool2d(a, 2))
        c = self.enc3(F.max_pool2d(b, 2))
        y = self.up2(c)
        y = F.pad(y, (0, b.shape[3] - y.shape[3], 0, b.shape[2] - y.shape[2]))
        y = self.dec2(torch.cat([b, y], 1))
        return self.head(self.dec1(torch.cat([a, self.up1(y)], 1)))


def mobilenet_v3():
    """torchvision's MobileNetV3: hard swish, squeeze and excitation with a hard sigmoid."""
    layer = partial(InvertedResidualConfig, dilation=1, width_mult=1.0)
    layers = [layer(8, 3, 16, 8, True, "RE", stride=2), layer(8, 5, 16, 8, True, "HS", stride=1)]
    return MobileNetV3(layers, 24, num_classes=CLASSES)


def efficientnet():
    """torchvision's EfficientNet: SiLU, squeeze and excitation with a sigmoid, drop path."""
    layers = [MBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(4, 5, 2, 8, 12, 2)]
    return EfficientNet(layers, 0.2, stochastic_depth_prob=0.2, num_classes=CLASSES, last_channel=24)


def shufflenet():
    """torchvision's ShuffleNet V2: channels split, joined and shuffled."""
    return ShuffleNetV2([2, 1, 1], [8, 8, 16, 16, 24], num_classes=CLASSES)


class Unit(nn.Module):
    def __init__(self, c_in, c_out, **how):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, bias=False, **how)
        self.bn = nn.BatchNorm2d(c_out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, c_in, c1, c3, c5, c_pool):
        super().__init__()
        self.branch1 = Unit(c_in, c1, kernel_size=1)
        self.branch2 = nn.Sequential(Unit(c_in, c3, kernel_size=1), Unit(c3, c3, kernel_size=3, padding=1))
        self.branch3 = nn.Sequential(Unit(c_in, c5, kernel_size=1), Unit(c5, c5, kernel_size=5, padding=2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), Unit(c_in, c_pool, kernel_size=1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    def __init__(self, c_in, pool):
        super().__init__()
        self.pool = nn.AvgPool2d(pool)
        self.conv = Unit(c_in, 4, kernel_size=1)
        self.fc1 = nn.Linear(4 * 6, 8)
        self.fc2 = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(F.dropout(F.relu(self.fc1(x)), 0.7, self.training))


class GoogLeNet(nn.Module):
    """Inception modules with two auxiliary heads, all three outputs kept."""

    def __init__(self):
        super().__init__()
        self.conv1 = Unit(3, 8, kernel_size=5, stride=2, padding=2)
        self.norm = nn.LocalResponseNorm(3)
        self.inception1 = Inception(8, 3, 4, 2, 3)
        self.inception2 = Inception(12, 4, 4, 2, 2)
        self.aux1, self.aux2 = Auxiliary(12, 4), Auxiliary(12, 2)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.inception1(self.norm(self.conv1(x)))
        aux1 = self.aux1(x)
        x = self.inception2(F.max_pool2d(x, 3, 2, ceil_mode=True))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1)), aux1, self.aux2(x)


# The networks by name, with the sizes of their images.
NETS = {
    "vit": (vit, (16, 16)),
    "vit_mean": (VitMean, (16, 16)),
    "convnext": (convnext, (24, 16)),
    "se_resnet": (SeResNet, (9, 11)),
    "densenet": (densenet, (24, 20)),
    "unet": (UNet, (12, 10)),
    "mobilenet_v3": (mobilenet_v3, (17, 15)),
    "efficientnet": (efficientnet, (17, 15)),
    "shufflenet": (shufflenet, (48, 40)),
    "googlenet": (GoogLeNet, (15, 23)),
}
