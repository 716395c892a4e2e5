"""Models: what they say of images, compared with ONNX Runtime."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import MODELS, oracle, picture

from oculist import DataError, Model, ModelError, OculistError, SettingError

CLASSIFIERS = [
    "convnext.default",
    "convnext.tf2onnx",
    "densenet.legacy",
    "efficientnet.dynamo",
    "mobilenet_v3.default",
    "mobilenet_v3.tf2onnx",
    "se_resnet.default",
    "shufflenet.legacy",
    "vit.default",
    "vit_mean.default",
]
NAMES = ["cat", "dog, small", "owl", "fox", "hen"]


def model(name="se_resnet.default", **how):
    return Model(MODELS / f"{name}.onnx", **{"preprocessing": "unit", **how})


def ready(m, n, seed=0):
    p = m.preprocessing
    rng = np.random.default_rng(seed)
    channels = 1 if p["color"] == "grey" else 3
    return rng.normal(0, 1, (n, channels, p["height"], p["width"])).astype(np.float32)


def of_runtime(path, images, outputs=None):
    """Outputs of ONNX Runtime, an image at a time or in the file's batch."""
    ort = oracle("onnxruntime")
    session = ort.InferenceSession(path if isinstance(path, bytes) else os.fspath(path))
    entry = session.get_inputs()[0]
    if entry.shape[-1] in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    batch = entry.shape[0] if isinstance(entry.shape[0], int) else 1
    rows = [session.run(outputs, {entry.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    return np.concatenate(rows)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_logits_are_those_of_onnx_runtime(name):
    m = model(name)
    images = ready(m, 6)
    want = of_runtime(MODELS / f"{name}.onnx", images)
    scale = np.abs(want).max()
    assert m.logits(images).shape == want.shape
    assert np.abs(m.logits(images) - want).max() < 1e-4 * scale
    assert np.abs(m.logits(images[::-1].copy()) - want).max() > 1e-2 * scale, "twin: the images in another order"
    singles = np.concatenate([m.logits(image) for image in images])
    assert np.abs(singles - want).max() < 1e-4 * scale
    exps = np.exp(want - want.max(1, keepdims=True))
    assert np.abs(m.probabilities(images) - exps / exps.sum(1, keepdims=True)).max() < 1e-4


@pytest.mark.parametrize("name", ["se_resnet.default", "mobilenet_v3.default", "vit.default", "vit_mean.default"])
def test_features_are_what_the_last_layer_reads(name):
    onnx = oracle("onnx")
    m = model(name)
    images = ready(m, 4)
    graph = onnx.load(MODELS / f"{name}.onnx")
    last = [node for node in graph.graph.node if node.op_type in ("Gemm", "MatMul")][-1]
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
    want = of_runtime(graph.SerializeToString(), images, [last.input[0]])
    got = m.features(images)
    assert got.shape == want.reshape(4, -1).shape
    assert np.abs(got - want.reshape(4, -1)).max() < 1e-4 * np.abs(want).max()
    assert np.abs(got[::-1] - want.reshape(4, -1)).max() > 1e-3 * np.abs(want).max(), "twin"


def test_inputs_are_what_pillow_makes_of_images():
    pillow = oracle("PIL.Image")
    m = model("mobilenet_v3.default", preprocessing="imagenet")
    arrays = [picture(w, h, seed=w) for w, h in ((200, 300), (333, 250), (96, 96))]
    height, width = m.preprocessing["height"], m.preprocessing["width"]
    assert max(height, width) < 96, "resized as they are"
    resized = [pillow.fromarray(array).resize((width, height), pillow.Resampling.BILINEAR) for array in arrays]
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    want = ((np.stack([np.asarray(image) for image in resized]) / 255 - mean) / std).transpose(0, 3, 1, 2)
    got = m.inputs(arrays)
    assert got.shape == want.shape
    level = 1 / 255 / 0.229
    assert np.abs(got - want).mean() < level
    assert np.abs(got[:, ::-1] - want).mean() > 5 * level, "twin: blue first"
    # It is what the network takes.
    assert np.array_equal(m.logits(got), m.logits(arrays))


def test_images_in_every_form(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    m = model(classes=NAMES, preprocessing="unit")
    arrays = [picture(50 + i, 40, seed=i) for i in range(3)]
    images = [pillow.fromarray(array) for array in arrays]
    paths = []
    for i, image in enumerate(images):
        paths.append(tmp_path / f"{i}.png")
        image.save(paths[-1])
    want = m.logits(arrays)
    assert want.shape == (3, 5) and m.classes == NAMES
    for form in (images, paths, [str(p) for p in paths], tuple(arrays), iter(images), tmp_path, [paths[0], *arrays[1:]]):
        assert np.array_equal(m.logits(form), want)
    same = np.stack([picture(40, 40, seed=i) for i in range(3)])
    assert np.array_equal(m.logits(same), m.logits(list(same)))
    assert np.array_equal(m.logits(arrays[0]), want[:1])
    found = m.predict(paths, top=2)
    assert [p.path for p in found] == [str(p) for p in paths]
    for prediction, row in zip(found, m.probabilities(arrays)):
        best = np.argsort(-row)[:2]
        assert prediction.class_index == best[0] and prediction.class_name == NAMES[best[0]]
        assert prediction.top == [(NAMES[c], pytest.approx(row[c])) for c in best]
        assert prediction.probability == prediction.top[0][1] and prediction.error is None
        assert prediction.class_name in repr(prediction)
    assert len(m.predict(arrays * 30)) == 90 and m.predict([]) == []
    sent = pickle.loads(pickle.dumps(found[0]))
    assert (sent.top, sent.path, sent.class_index) == (found[0].top, found[0].path, found[0].class_index)


def test_tensors_of_pytorch_are_arrays():
    torch = pytest.importorskip("torch")
    m = model()
    images = ready(m, 2)
    assert np.array_equal(m.logits(torch.from_numpy(images)), m.logits(images))


def test_images_that_cannot_be_read_are_named_or_kept(tmp_path):
    m = model()
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="bad.png"):
        m.predict(tmp_path / "bad.png")
    good = picture(30, 30)
    kept = m.predict([good, tmp_path / "bad.png", tmp_path / "none.png", good], strict=False)
    assert [p.error is None for p in kept] == [True, False, False, True]
    assert kept[1].class_name is None and kept[1].top == [] and kept[0].top == kept[3].top
    for wrong in (np.zeros((1, 3, 7, 7), np.float32), np.zeros((3, 4, 5, 6, 7), np.float32), 3, [None]):
        with pytest.raises(DataError):
            m.logits(wrong)
    with pytest.raises(ModelError, match=r"images\[1\]"):
        m.logits(np.stack([ready(m, 1)[0], np.full_like(ready(m, 1)[0], np.nan)]))


def test_files_that_do_not_say_enough_ask_for_it(tmp_path):
    path = MODELS / "se_resnet.default.onnx"
    with pytest.raises(ModelError, match="preprocessing"):
        Model(path)
    with pytest.raises(SettingError, match="expected 5 names, one for each logit, found 2"):
        model(classes=["a", "b"])
    with pytest.raises(ModelError, match="unit2"):
        model(preprocessing="unit2")
    with pytest.raises(SettingError, match="at least one thread"):
        model(threads=0)
    with pytest.raises(OculistError, match="nowhere.onnx"):
        Model("nowhere.onnx")
    with pytest.raises(ModelError, match="no classifier"):
        model("unet.default")
    (tmp_path / "p.toml").write_text('based_on = "imagenet"\nresize = "exact"\n')
    m = model(preprocessing=tmp_path / "p.toml", classes="a,b,c,d,e")
    assert m.classes == list("abcde") and m.preprocessing["mean"] == pytest.approx([0.485, 0.456, 0.406])
    assert any("p.toml" in note for note in m.notes)
    assert model().classes == list("01234")


def test_a_pickled_model_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(MODELS)
    m = Model("vit.default.onnx", preprocessing="unit", classes=NAMES, threads=2)
    monkeypatch.chdir(tmp_path)
    again = pickle.loads(pickle.dumps(m))
    assert repr(again) == repr(m) and again.classes == NAMES and again.threads == 2
    assert np.array_equal(again.logits(ready(m, 3)), m.logits(ready(m, 3)))
    assert "vit.default.onnx" in repr(m) and "5 classes" in repr(m)


def test_texts_of_the_hub_name_arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", os.fspath(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="is not in the cache.*give its path instead .model=") as found:
        Model("hf:owner/name")
    assert " --" not in str(found.value)


PROGRAM = """
import sys, numpy as np
from oculist import Model
m = Model(sys.argv[1], preprocessing="unit")
images = [np.zeros((1200, 1200, 3), np.uint8)] * 100_000
print("ready", flush=True)
try:
    m.predict(images)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_a_long_call():
    path = os.fspath(MODELS / "se_resnet.default.onnx")
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, path], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    time.sleep(0.3)
    program.send_signal(signal.SIGINT)
    assert program.communicate(timeout=60)[0] == "interrupted\n" and program.returncode == 0
