"""Models that tell any number of labels, and what is said of names and tables of labels."""

import json
import pickle

import numpy as np
import pytest
from conftest import QUICK, oracle, patterns

import oculist
from oculist import Model, ModelError, SettingError

NAMES = ["across", "down", "checks"]


def table(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images of the three patterns; every fourth also counts as the next one."""
    images, labels = patterns(n, seed=seed)
    found = np.zeros((n, 3), int)
    found[np.arange(n), labels] = 1
    found[np.arange(0, n, 4), (labels[::4] + 1) % 3] = 1
    return images, found


@pytest.fixture(scope="module")
def several():
    return oculist.train(table(120), class_names=NAMES, **QUICK).model


@pytest.fixture(scope="module")
def one():
    return oculist.train(patterns(120), class_names=NAMES, **QUICK).model


def test_probabilities_of_several_labels_are_sigmoids(several, one, tmp_path):
    images = patterns(9, seed=3)[0]
    assert (several.task, one.task) == ("multi-label", "single-label")
    logits = several.logits(images).astype(np.float64)
    want = 1 / (1 + np.exp(-logits))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(several.probabilities(images), want, atol=1e-6)
    assert not np.allclose(want, softmax, atol=1e-3), "twin: the softmax is something else"
    for found, row in zip(several.predict(images, top=1), want):
        order = np.argsort(-row)
        assert found.labels == [NAMES[c] for c in order if row[c] >= 0.5]
        assert len(found.top) == max(1, len(found.labels))
        assert [p for _, p in found.top] == pytest.approx(sorted(row, reverse=True)[: len(found.top)], abs=1e-6)
        again = pickle.loads(pickle.dumps(found))
        assert (again.labels, again.top, repr(again)) == (found.labels, found.top, repr(found))
    assert one.predict(images[0])[0].labels is None
    with pytest.raises(ModelError, match="reject: expected a model that tells one class of an image"):
        several.predict(images, reject=True)
    assert one.predict(images[0], reject=True)[0].rejected in (True, False) and several.reject_threshold is None
    # ONNX Runtime gives the same logits of the file, whose metadata say the task.
    several.save(tmp_path / "m.onnx")
    session = oracle("onnxruntime").InferenceSession(tmp_path / "m.onnx")
    assert session.get_modelmeta().custom_metadata_map["oculist.task"] == "multi-label"
    assert Model(tmp_path / "m.onnx").task == "multi-label"


def test_images_in_memory_take_the_task_of_the_model(several, one, tmp_path):
    images, labels = patterns(60, seed=5)
    found = oculist.evaluate(several, (images, labels), class_names=NAMES)
    assert "map" in found.scores and "top1" not in found.scores
    several.save(tmp_path / "m.onnx")
    assert oculist.evaluate(tmp_path / "m.onnx", (images, labels), class_names=NAMES).scores == found.scores
    assert "top1" in oculist.evaluate(one, (images, labels), class_names=NAMES).scores, "twin: a model of one"
    how = {name: value for name, value in QUICK.items() if name not in ("arch", "width")}
    result = oculist.compress(
        patterns(90), several, class_names=NAMES, max_drop=50, **{**how, "epochs": 1, "finetune_epochs": 1}
    )
    assert result.metric == "map"


def test_class_names_are_as_many_as_there_are_classes():
    images, labels = patterns(60)
    for names, words in (
        (["a", "b"], "class_names: expected 3 names or more, for labels of 0 to 2, found 2: a, b"),
        (["a", "b", "a"], "class_names: expected different names, found 'a' twice"),
        (["a", "b", "c", "d"], "class_names: expected a name for each of the 3 classes .* found 4: no image has 'd'"),
        ("abc", "class_names: expected a list of names, found str"),
        (3, "class_names: expected a list of names, found int"),
    ):
        with pytest.raises(SettingError, match=words):
            oculist.train((images, labels), class_names=names, **QUICK)
    with pytest.raises(SettingError, match="class_names: expected a name for the label 'checks', found across, down"):
        oculist.train((images, [NAMES[label] for label in labels]), class_names=NAMES[:2], **QUICK)
    with pytest.raises(SettingError, match="class_names: expected 3 names, one for each column of the labels, found 2"):
        oculist.train(table(60), class_names=NAMES[:2], **QUICK)


def test_fewer_classes_than_the_model_has_may_be_measured(one):
    images, labels = patterns(60)
    found = oculist.evaluate(one, (images[labels < 2], labels[labels < 2]), class_names=NAMES)
    assert found.images == 40


def test_names_of_a_models_classes_differ(one, tmp_path):
    one.save(tmp_path / "m.onnx")
    for names, words in (
        (["a", "b", "a"], 'classes: expected different names, found "a" twice'),
        (["a", "b"], "classes: expected 3 names"),
        (7, "classes: expected a list of names or the file of one, found int"),
    ):
        with pytest.raises(SettingError, match=words):
            Model(tmp_path / "m.onnx", classes=names)
    assert Model(tmp_path / "m.onnx", classes=["a", "b", "c"]).classes == ["a", "b", "c"]


def test_a_column_without_an_image_is_told():
    images, labels = table(120)
    labels = np.insert(labels, 1, 0, axis=1)
    quick = {**QUICK, "epochs": 1}
    with pytest.warns(UserWarning, match="the column of class '1' has no image"):
        oculist.train((images, labels), **quick)
    with pytest.warns(UserWarning, match="the column of class 'nothing' has no image"):
        model = oculist.train((images, labels), class_names=["across", "nothing", "down", "checks"], **quick).model
    assert model.classes == NAMES


def test_bytes_of_a_model_in_every_form(one):
    data, images = one.to_bytes(), patterns(4)[0]
    for form in (data, bytearray(data), memoryview(data)):
        assert np.array_equal(Model.from_bytes(form).logits(images), one.logits(images))
    for wrong, words in ((b"", "data: expected the bytes .* found none"), (b"no model", "data")):
        with pytest.raises(oculist.ModelError, match=words) as error:
            Model.from_bytes(wrong)
        assert "tmp" not in str(error.value) and ".onnx" not in str(error.value)
    with pytest.raises(SettingError, match="data: expected the bytes .* found str"):
        Model.from_bytes("text")
    assert json.dumps(one.classes)
