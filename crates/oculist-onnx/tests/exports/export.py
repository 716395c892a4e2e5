"""Writes the models in this folder with PyTorch's two exporters, and PyTorch's own logits for them.

Needs the packages of golden/requirements-golden.txt, and onnx and onnxscript.
"""

import json
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[3] / "golden"))
import formula  # noqa: E402

SHAPE = (2, 3, 17, 17)


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.down = nn.Conv2d(channels, 2, 1)
        self.up = nn.Conv2d(2, channels, 1)

    def forward(self, x):
        gate = self.up(functional.relu(self.down(self.pool(x))))
        return functional.hardsigmoid(gate) * x


class Net(nn.Module):
    """One layer of every kind that classifiers use."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False)
        self.bn2 = nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)
        self.gate = Gate(4)
        self.project = nn.Conv2d(4, 6, 1)
        self.widen = nn.Conv2d(4, 6, 1, groups=2)
        self.average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.dropout = nn.Dropout(0.2)
        self.fc1 = nn.Linear(10 * 25, 7)
        self.fc2 = nn.Linear(7, 5)

    def forward(self, x):
        x = self.pool(functional.relu(self.bn1(self.conv1(x))))
        y = functional.relu6(self.bn2(self.depthwise(x)))
        y = functional.hardswish(self.gate(y)) + x
        z = self.average(self.widen(x)) + torch.sigmoid(self.project(y))
        y = torch.cat([y, z], 1)
        y = self.dropout(y.view(y.size(0), -1))
        return self.fc2(functional.relu(self.fc1(y)))


def forget_where(path):
    """Removes the stack traces that this exporter stores: they name folders of the machine."""
    model = onnx.load(str(path))
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
    for part in (*model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
    onnx.save(model, str(path))


def main():
    warnings.filterwarnings("ignore")
    net = Net().eval()
    formula.load_into(net)
    x = torch.from_numpy(formula.tensor("input", SHAPE))
    with torch.no_grad():
        logits = net.double()(x.double())
        net.float()
        open_batch = {"x": {0: "batch"}, "y": {0: "batch"}}
        names = {"input_names": ["x"], "output_names": ["y"]}
        torch.onnx.export(net, (x[:1],), str(HERE / "legacy_13.onnx"), dynamo=False, opset_version=13, **names)
        torch.onnx.export(
            net,
            (x,),
            str(HERE / "legacy_17.onnx"),
            dynamo=False,
            opset_version=17,
            dynamic_axes=open_batch,
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            **names,
        )
        torch.onnx.export(
            net,
            (x,),
            str(HERE / "dynamo_20.onnx"),
            dynamo=True,
            opset_version=20,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
            **names,
        )
        forget_where(HERE / "dynamo_20.onnx")
    answer = {"torch": torch.__version__, "shape": list(SHAPE), "logits": logits.tolist()}
    (HERE / "logits.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


main()
