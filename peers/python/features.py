"""Features of photos by PyTorch: how many images a second, and what a logistic regression makes of them.

    python peers/python/features.py speed PHOTOS [ARCH] [--threads 2] [--weights FILE.pth] [--oculist PROGRAM]
        JPEG to features by a DataLoader with two workers: eager, channels last and compiled, each timed in turn, three times; with
        --weights also by `oculist features`, f32 and int8, each a program that is started anew (PyTorch's are warm)
    python peers/python/features.py accuracy FEATURES.csv WEIGHTS.pth
        top-1 on the test images of a table of `oculist features --output FEATURES.npy`: a logistic regression (penalty by five-fold
        cross-validation on standardised features) on PyTorch's features of the same images and splits

ARCH is mobilenet_v2 (torchvision) or tf_efficientnet_lite0 (timm); of speed, weights do not matter. Needs torch, torchvision, timm,
scikit-learn, NumPy and Pillow.
"""

import csv
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time


def network(arch):
    import torch

    if arch == "mobilenet_v2":
        import torchvision

        model = torchvision.models.mobilenet_v2()
        model.classifier = torch.nn.Identity()
    else:
        import timm

        model = timm.create_model(arch, num_classes=0)
    return model.eval()


def transform(arch):
    from torchvision import transforms as t

    lite = "lite" in arch
    mode = t.InterpolationMode.BICUBIC if lite else t.InterpolationMode.BILINEAR
    mean, std = ([127 / 255] * 3, [128 / 255] * 3) if lite else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return t.Compose([t.Resize(256, mode), t.CenterCrop(224), t.ToTensor(), t.Normalize(mean, std)])


class Photos:
    def __init__(self, paths, arch):
        self.paths, self.transform = paths, transform(arch)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        from PIL import Image

        return self.transform(Image.open(self.paths[i]).convert("RGB"))


def rows(model, paths, arch, workers=2, channels_last=False):
    import torch

    loader = torch.utils.data.DataLoader(Photos(paths, arch), batch_size=32, num_workers=workers)
    out = []
    with torch.inference_mode():
        for batch in loader:
            if channels_last:
                batch = batch.to(memory_format=torch.channels_last)
            out.append(model(batch))
    return torch.cat(out).numpy()


def ours(program, photos, weights, precision, threads):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--quiet", "features", photos, "--from", weights, "--precision", precision, "--threads", str(threads)]
        command += ["--feature-cache", "none", "--duplicates", "ignore", "--output", f"{folder}/features.npy"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def speed(photos, arch="mobilenet_v2", threads=2, weights=None, program="oculist"):
    import torch

    torch.set_num_threads(threads)
    paths = sorted(pathlib.Path(photos).rglob("*.jpg"))
    plain, last = network(arch), network(arch).to(memory_format=torch.channels_last)
    ways = {
        "eager": lambda p: rows(plain, p, arch),
        "channels last": lambda p: rows(last, p, arch, channels_last=True),
        "compiled": lambda p, m=torch.compile(network(arch)): rows(m, p, arch),
    }
    for way in ways.values():
        way(paths[:64])
    if weights:
        for precision in ("f32", "int8"):
            ways[f"oculist {precision}"] = lambda _, p=precision: ours(program, photos, weights, p, threads)
    times = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            began = time.perf_counter()
            way(paths)
            times[name].append(len(paths) / (time.perf_counter() - began))
    for name, rates in times.items():
        print(f"{arch}, {name}: {statistics.median(rates):.1f} images/s of {len(paths)}")


def accuracy(table, weights):
    import numpy as np
    import torch
    import torchvision
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.classifier = torch.nn.Identity()
    lines = list(csv.DictReader(open(table, newline="")))
    features = rows(model.eval(), [line["image"] for line in lines], "mobilenet_v2")
    labels = np.array([line["label"] for line in lines])
    split = np.array([line["split"] for line in lines])
    head = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 2, 13), cv=5, max_iter=2000))
    head.fit(features[split == "train"], labels[split == "train"])
    for part in ("val", "test"):
        print(f"{part}: {100 * head.score(features[split == part], labels[split == part]):.2f}%")


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]

    def option(name, usual):
        if name not in rest:
            return usual
        at = rest.index(name)
        return [rest.pop(at), rest.pop(at)][1]

    how = {"threads": int(option("--threads", 2)), "weights": option("--weights", None), "program": option("--oculist", "oculist")}
    if verb == "speed":
        speed(*rest, **how)
    else:
        accuracy(*rest)
