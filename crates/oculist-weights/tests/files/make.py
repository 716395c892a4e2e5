"""Writes the files of weights that the tests read, and expected.json with what PyTorch finds in them.

Needs torch, numpy, safetensors, timm, huggingface_hub and efficientnet-lite-pytorch (made with torch 2.15.0, safetensors
0.8.0, timm 1.0.31, huggingface_hub 0.36.2 and efficientnet-lite-pytorch 0.1.0). Files of the old format name storages by
addresses, so these change a little each time. Weights are small multiples of 1/8, which every float type holds exactly.
"""

import argparse
import io
import json
import pathlib
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import safetensors.torch
import torch
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parents[3] / "golden"))
import formula  # noqa: E402

warnings.filterwarnings("ignore")
EXPECTED = {}
STATES = []


def values(tensor, shift=0):
    count = tensor.numel()
    numbers = (torch.arange(count, dtype=torch.float64) * 5 + shift) % 23 / 8 - 1
    return numbers.reshape(tensor.shape)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(2)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(self.bn1(self.conv1(x)).mean((2, 3)))


class Bare(nn.Module):
    """A module whose source, which the old format keeps, is short."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))


def tiny(shift=0):
    torch.manual_seed(0)
    net = Tiny()
    state = net.state_dict()
    for i, (name, tensor) in enumerate(state.items()):
        if tensor.dtype.is_floating_point:
            tensor.copy_(values(tensor, i + shift))
        else:
            tensor.fill_(7)
    return net


def described(tensor):
    if isinstance(tensor, np.ndarray):
        tensor = torch.from_numpy(tensor)
    tensor = tensor.detach()
    dtype = str(tensor.dtype).replace("torch.", "")
    for long, short in [("bfloat", "bf"), ("float", "f"), ("uint", "u"), ("int", "i")]:
        dtype = dtype.replace(long, short) if dtype != "bf16" else dtype
    flat = [float(x) for x in tensor.to(torch.float64).reshape(-1)]
    return {"dtype": dtype, "shape": list(tensor.shape), "values": flat}


def expect(name, state, key=None, prefix="", choose=None, skipped=()):
    tensors = {}
    for full, tensor in state.items():
        if isinstance(tensor, (torch.Tensor, np.ndarray)):
            tensors[full.removeprefix(prefix)] = described(tensor)
    if tensors not in STATES:
        STATES.append(tensors)
    state = STATES.index(tensors)
    EXPECTED.setdefault(name, []).append(
        {"choose": choose, "key": key, "prefix": prefix, "skipped": list(skipped), "state": state}
    )


def save(name, thing, **how):
    torch.save(thing, HERE / name, **how)


LEGACY = {"_use_new_zipfile_serialization": False}


def plain():
    state = tiny().state_dict()
    for name, how in [
        ("plain.pth", {}),
        ("plain_legacy.pth", LEGACY),
        ("protocol1_legacy.pth", {"pickle_protocol": 1, **LEGACY}),
        ("protocol4.pth", {"pickle_protocol": 4}),
        ("protocol5.bin", {"pickle_protocol": 5}),
    ]:
        save(name, state, **how)
        expect(name, state)


def nested():
    net = tiny()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(2, 1, 3, 3)).sum().backward()
    optimizer.step()
    net = tiny()
    beside = {
        "epoch": 3,
        "arch": "tiny",
        "best_acc1": np.float64(91.5),
        "mean": np.array([0.5, 0.25]),
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 3).state_dict(),
        "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("data"), device=torch.device("cpu")),
        "dtype": torch.float32,
        "size": torch.Size([1, 28, 28]),
        "classes": {"cat", "dog"},
        "seed": 1 << 70,
    }
    state = OrderedDict(("module." + name, tensor) for name, tensor in net.state_dict().items())
    save("nested.pth", {**beside, "state_dict": state})
    expect("nested.pth", state, key="state_dict", prefix="module.")
    save("nested_legacy.pth", {**beside, "model_state_dict": state}, **LEGACY)
    expect("nested_legacy.pth", state, key="model_state_dict", prefix="module.")
    deep = {"checkpoint": {"model": dict(net.state_dict())}, "step": torch.tensor(4)}
    save("deep.pth", deep, **LEGACY)
    expect("deep.pth", net.state_dict(), key="checkpoint.model")
    save("unknown_key.pth", {"my_network": net.state_dict(), "optimizer": optimizer.state_dict()}, **LEGACY)
    expect("unknown_key.pth", net.state_dict(), key="my_network")


def several():
    net, average = tiny(), tiny(shift=4)
    ema = OrderedDict(("module." + name, tensor) for name, tensor in average.state_dict().items())
    ema["n_averaged"] = torch.tensor(9)
    save("several.pth", {"model": net.state_dict(), "model_ema": ema, "epoch": 1})
    expect("several.pth", net.state_dict(), key="model", choose="model")
    expect("several.pth", ema, key="model_ema", prefix="module.", choose="model_ema")


def prefixes():
    prefix = "module._orig_mod.model."
    state = OrderedDict((prefix + name, tensor) for name, tensor in tiny().state_dict().items())
    save("prefixes.pth", state, **LEGACY)
    expect("prefixes.pth", state, prefix=prefix)


def typed(new):
    types = [
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
    ]
    types += [torch.uint16, torch.uint32, torch.uint64] if new else []
    state = {}
    for dtype in types:
        base = values(torch.empty(2, 3))
        whole = base if dtype.is_floating_point else (base * 8 if dtype.is_signed else base * 8 + 8)
        state[str(dtype)] = whole.to(dtype)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.empty(0, 3)
    return state


def types():
    save("types.pth", typed(True))
    expect("types.pth", typed(True))
    save("types_legacy.pth", typed(False), **LEGACY)
    expect("types_legacy.pth", typed(False))
    safetensors.torch.save_file(typed(True), HERE / "types.safetensors", {"format": "pt"})
    expect("types.safetensors", typed(True))


class Marked(torch.Tensor):
    """A subclass, as libraries make them."""


def views():
    base = values(torch.empty(4, 6)).float()
    tied = nn.Parameter(base[:2])
    named = nn.Parameter(base.clone())
    named.note = "kept with it"
    state = {
        "whole": base,
        "transposed": base.t(),
        "sliced": base[1:3, 2:5],
        "every_second": base[::2, 1::2],
        "column": base[:, 3],
        "expanded": base[0, :3].expand(4, 3),
        "permuted": base.reshape(2, 2, 6).permute(2, 0, 1),
        "channels_last": base.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "element": base[2, 2],
        "tied": tied,
        "tied_again": tied,
        "parameter_with_state": named,
    }
    save("views.pth", state)
    expect("views.pth", state)
    save("views_legacy.pth", state, **LEGACY)
    expect("views_legacy.pth", state)
    subclass = {"marked": base.clone().as_subclass(Marked), "fc.weight": base}
    save("subclass.pth", subclass)
    expect("subclass.pth", subclass)


def arrays():
    state = {
        "fc.weight": values(torch.empty(2, 3)).float().numpy(),
        "fc.bias": values(torch.empty(2)).numpy(),
        "steps": np.array(3),
        "version": 2,
        "note": "made by hand",
    }
    save("arrays.pth", state)
    expect("arrays.pth", state, skipped=["version", "note"])


def repacked():
    source = zipfile.ZipFile(HERE / "plain.pth")
    with zipfile.ZipFile(HERE / "deflated.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in source.namelist():
            packed.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)
    expect("deflated.pth", tiny().state_dict())


def refused():
    save("module.pth", tiny())
    # The old format keeps where a class's source lies, which is nobody's business.
    source = torch.serialization.get_source_lines_and_file
    torch.serialization.get_source_lines_and_file = lambda thing: (*source(thing)[:2], "make.py")
    save("module_legacy.pth", Bare(), **LEGACY)
    torch.serialization.get_source_lines_and_file = source
    save("module_nested.pth", {"epoch": 1, "model": nn.Sequential(nn.Linear(1, 1)), "optimizer": None})
    archive = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 2)), archive)
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(HERE / "script.pt", "w") as packed:
        for name in whole.namelist():
            # These name folders of the machine.
            if not name.endswith(".debug_pkl"):
                packed.writestr(zipfile.ZipInfo(name), whole.read(name))
    save("complex.pth", {"fc.weight": torch.ones(2, dtype=torch.complex64)})
    save("float8.pth", {"fc.weight": torch.ones(2).to(torch.float8_e4m3fn)})
    save("no_tensors.pth", {"epoch": 1, "names": ["a", "b"]})
    quantized = torch.quantize_per_tensor(torch.ones(2), 0.5, 0, torch.qint8)
    save("quantized.pth", {"fc.weight": quantized, "fc.bias": torch.ones(2)})
    expect("quantized.pth", {"fc.bias": torch.ones(2)}, skipped=["fc.weight"])
    names = ["sys_info", "pickle", "tensors", "storages"]
    blocks = [tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT) for name in names]
    (HERE / "old.tar.pth").write_bytes(b"".join(blocks) + bytes(1024))
    safetensors.torch.save_file({"fc.weight": torch.ones(2).to(torch.float8_e5m2)}, HERE / "float8.safetensors")


def sharded():
    """The weights of plain.pth in two files and their index."""
    from huggingface_hub import save_torch_state_dict

    (HERE / "sharded").mkdir(exist_ok=True)
    save_torch_state_dict(tiny().state_dict(), HERE / "sharded", max_shard_size=64)


def compact(state):
    """Names and shapes of a state dict; beside a batch normalisation's weight lie its three other vectors."""
    entries = []
    for key, tensor in state.items():
        layer, role = key.rsplit(".", 1)
        if f"{layer}.running_var" in state:
            if role != "weight":
                continue
            key = layer + ".*"
        entries.append(key + " " + ",".join(map(str, tensor.shape)))
    return entries


def logits(net, size, gamma=1.0):
    """Of the formula's weights under the network's own names, computed in f64."""
    formula.load_into(net, gamma)
    net = net.double().eval()
    image = torch.from_numpy(formula.tensor("input", (1, 3, size, size))).double()
    with torch.no_grad():
        return net(image).reshape(-1).tolist()


def timm_names():
    """Names, shapes and logits of timm's networks."""
    import timm

    models = {}
    # The last number is the centre of the normalisations' weights, under which the logits are of order 1.
    for name, ours, gamma in [
        ("resnet18", "resnet18", 1.0),
        ("mobilenetv2_100", "mobilenet_v2", 1.0),
        ("mobilenetv3_small_100", "mobilenet_v3_small", 1.0),
        ("mobilenetv3_large_100", "mobilenet_v3_large", 1.0),
        ("vgg11_bn", "vgg11_bn", 1.0),
        ("efficientnet_b0", "efficientnet_b0", 1.2),
        ("tf_efficientnetv2_s", "efficientnet_v2_s", 0.85),
        ("regnety_004", "regnet_y_400mf", 0.95),
        ("convnext_tiny", "convnext_tiny", 1.0),
    ]:
        net = timm.create_model(name, num_classes=5)
        models[name] = {"ours": ours, "gamma": gamma, "entries": compact(net.state_dict())}
        if name != "vgg11_bn":
            models[name]["logits"] = logits(net, 32, gamma)
    (HERE / "timm.json").write_text(json.dumps(models, indent=0) + "\n")


def cost(net, size):
    """Parameters, and multiply-accumulates of convolutions and linear layers for one image."""
    macs = 0

    def add(module, _inputs, y):
        nonlocal macs
        macs += y[0].numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(add) for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return [sum(p.numel() for p in net.parameters()), macs]


# The size of the published networks' inputs, for EfficientNet-Lite 0 to 4.
LITE_SIZES = [224, 240, 260, 280, 300]


def efficientnet_lite():
    """Names, shapes, costs and logits of EfficientNet-Lite in timm (both forms) and in efficientnet-lite-pytorch.

    At 46 pixels maps of even and of odd sizes (23, 3) are halved, which TensorFlow pads differently. The package pads for
    one size, which it is told when the network is made.
    """
    import timm
    from efficientnet_lite_pytorch import EfficientNet

    # Centres of the batch-norm weights under which the logits are of order 1.
    gammas = [0.9, 0.9, 0.9, 0.9, 0.9]
    models = {}
    for n, (native, gamma) in enumerate(zip(LITE_SIZES, gammas)):
        for form in ["", "tf_"]:
            name = f"{form}efficientnet_lite{n}"
            counted = cost(timm.create_model(name), native)
            net = timm.create_model(name, num_classes=5)
            entries = compact(net.state_dict())
            models[name] = {"ours": name, "gamma": gamma, "cost": counted, "entries": entries}
            models[name]["logits"] = logits(net, 46, gamma)
        net = EfficientNet.from_name(f"efficientnet-lite{n}", num_classes=5, image_size=46)
        name = f"efficientnet-lite{n}-pytorch"
        models[name] = {"ours": f"efficientnet_lite{n}", "gamma": gamma, "entries": compact(net.state_dict())}
        models[name]["logits"] = logits(net, 46, gamma)
    text = json.dumps(models, separators=(",", ":"))
    (HERE / "efficientnet_lite.json").write_text(text.replace('","', '",\n"').replace('},"', '},\n"') + "\n")


PARTS = [plain, nested, several, prefixes, types, views, arrays, repacked, refused, timm_names, efficientnet_lite, sharded]
if sys.argv[1:]:
    # One part alone, whose file is its own: `timm_names`, `efficientnet_lite`, `sharded`.
    next(part for part in PARTS if part.__name__ == sys.argv[1])()
    sys.exit()
for part in PARTS:
    part()
text = json.dumps({"files": EXPECTED, "states": STATES}, separators=(",", ":"))
(HERE / "expected.json").write_text(text.replace('],"', '],\n"').replace('},"', '},\n"') + "\n")
