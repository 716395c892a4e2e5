"""Small networks exported by PyTorch's two exporters -> models/*.onnx, PyTorch's answers -> exported.json.

Run by `cargo xtask golden exported`. Weights, inputs and labels follow README.md's formula; a parameter that is neither
a weight nor a bias, such as a class token, is `0.5 u`. Everything is computed in f64. Every file is run by ONNX Runtime
and compared with PyTorch here; where it looks different, or PyTorch's own f32 gradients are off, the script fails.
"""

import os
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

import exported_common as common
import formula
import golden_json
from exported_nets import NETS


def load(model: nn.Module) -> None:
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        shape = tuple(value.shape)
        if name.endswith(("weight", "bias", "running_mean", "running_var")):
            data = formula.parameter(name.replace("in_proj_", "in_proj."), shape)
        else:
            data = np.float32(0.5) * formula.tensor(name, shape)
        state[name] = torch.from_numpy(data).to(value.dtype)
    model.load_state_dict(state)


def built(kind, dtype, training: bool) -> nn.Module:
    """In training only batch normalisation behaves as in training: nothing random is left."""
    model = kind().to(dtype).eval()
    load(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train(training)
    return model


def outputs(model, x) -> tuple:
    y = model(x)
    return y if isinstance(y, tuple) else (y,)


def loss_of(ys) -> torch.Tensor:
    """Cross-entropy, the mean over images and pixels; of several outputs the weighted sum."""
    total = 0.0
    for weight, y in zip(common.OUTPUT_WEIGHTS, ys):
        rows = y.flatten(2) if y.dim() > 2 else y[:, :, None]
        labels = torch.from_numpy(common.labels(rows.shape[2], rows.shape[1]))
        total = total + weight * F.cross_entropy(rows, labels)
    return total


def step(kind, x, training: bool) -> dict:
    """The loss and the gradients of all parameters, with batch statistics or with running ones."""

    def run(dtype):
        model = built(kind, dtype, training)
        loss = loss_of(outputs(model, x.to(dtype)))
        loss.backward()
        return loss.item(), {k: p.grad.double().numpy() for k, p in model.named_parameters()}

    loss, gradients = run(torch.float64)
    error = common.gradient_error(gradients, run(torch.float32)[1])
    assert error < 3e-5, f"{kind.__name__}: f32 gradients are {error} off; is a value close to a kink?"
    return {
        "loss": loss,
        "f32_error": float(f"{error:.1e}"),
        "gradients": {k: common.summary(k, g) for k, g in gradients.items()},
    }


def forget_where(path: str) -> None:
    """Removes the stack traces that the newer exporter stores: they name folders of the machine."""
    model = onnx.load(path)
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
    onnx.save(model, path)


def export(kind, name: str, x, count: int) -> dict:
    """Three files: with open batch and nothing folded by each exporter, and what the newer one gives unasked."""
    model = built(kind, torch.float32, False)
    names = {"input_names": ["x"], "output_names": ["y", "aux1", "aux2"][:count]}
    paths = {way: os.path.join(common.FOLDER, f"{name}.{way}.onnx") for way in ("legacy", "dynamo", "default")}
    torch.onnx.export(
        model,
        (x,),
        paths["legacy"],
        dynamo=False,
        opset_version=17,
        dynamic_axes={k: {0: "batch"} for k in ["x", *names["output_names"]]},
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        **names,
    )
    torch.onnx.export(
        model,
        (x,),
        paths["dynamo"],
        dynamo=True,
        opset_version=20,
        optimize=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
        **names,
    )
    torch.onnx.export(model, (x[:1],), paths["default"], dynamo=True, external_data=False, verbose=False, **names)
    return paths


def network(name: str, kind, size) -> dict:
    x = torch.from_numpy(formula.tensor("input", (common.BATCH, 3, *size)))
    with torch.no_grad():
        want = outputs(built(kind, torch.float64, False), x.double())
        files = export(kind, name, x, len(want))
    want = [y.numpy() for y in want]
    state = built(kind, torch.float32, False).state_dict()
    for way, path in files.items():
        forget_where(path)
        common.check_file(path, x.numpy(), want)
        kept = {t.name for t in onnx.load(path).graph.initializer}
        folded = [k for k in state if k not in kept and not k.endswith("num_batches_tracked")]
        assert way == "default" or not folded, f"{path} lacks {folded}"
    return {
        "name": name,
        "input_shape": list(x.shape),
        "outputs": common.outputs_entry(want),
        "eval": step(kind, x, False),
        "train": step(kind, x, True),
    }


def main() -> None:
    warnings.filterwarnings("ignore")
    # The fused attention of PyTorch's inference cannot be exported.
    torch.backends.mha.set_fastpath_enabled(False)
    os.makedirs(common.FOLDER, exist_ok=True)
    networks = [network(name, kind, size) for name, (kind, size) in NETS.items()]
    golden_json.write(
        "exported.json",
        {
            "made_by": "golden/exported.py",
            "torch": torch.__version__.split("+")[0],
            "output_weights": list(common.OUTPUT_WEIGHTS),
            "networks": networks,
        },
    )


main()
