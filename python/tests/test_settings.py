"""Arguments that cannot be meant, and the texts that say so."""

import copy
import pickle
import threading

import numpy as np
import pytest
from conftest import QUICK, patterns

import oculist
from oculist import Augment, DataError, Model, Recipe, SettingError


@pytest.fixture(scope="module")
def trained():
    return oculist.train(patterns(90), **{**QUICK, "epochs": 1})


def test_a_training_begins_with_no_model(trained, tmp_path):
    trained.model.save(tmp_path / "m.onnx")
    for data in (patterns(90), "demo"):
        with pytest.raises(SettingError, match="model: expected none, .*oculist.compress.*oculist.evaluate"):
            oculist.train(data, model=tmp_path / "m.onnx", epochs=5)


def test_settings_that_mean_nothing_are_refused(trained):
    data = patterns(90)
    for existing in ("replace", "resume"):
        with pytest.raises(SettingError, match="existing: expected output= with it"):
            oculist.train(data, existing=existing, **QUICK)
    for progress in ("yes", 1, object()):
        with pytest.raises(SettingError, match="progress: expected something to call, True, False or None"):
            oculist.train(data, progress=progress, **QUICK)
    for name, value in (("epochs", 3), ("lr", 0.1), ("max_drop", 1.0), ("measure_seconds", 1.0)):
        with pytest.raises(SettingError, match=f"{name}: means nothing to a measurement"):
            oculist.evaluate(trained.model, data, **{name: value})
    assert oculist.evaluate(trained.model, data, threads=1, seed=3, task="single-label").images == 90


def test_numbers_that_are_none_name_their_setting():
    for name, value in (("lr", float("nan")), ("max_drop", float("inf")), ("width", np.float32("nan"))):
        with pytest.raises(SettingError, match=f"{name}: expected a finite number, found"):
            oculist.optimize(patterns(90), **{**QUICK, name: value})
    with pytest.raises(SettingError, match="keep: expected a finite number, found nan"):
        Recipe([{"kind": "train"}, {"kind": "prune", "keep": float("nan")}])
    with pytest.raises(SettingError, match="probability: expected a finite number, found nan"):
        Augment([{"op": "horizontal_flip", "probability": float("nan")}])


def test_recipes_of_other_things():
    for wrong, words in (
        ("train", "expected a list of stages, a dictionary each, found str; Recipe.read"),
        (3, "found int"),
        (None, "found NoneType"),
        ({"kind": "train"}, "found dict"),
        ([3], "stage 0: expected a dictionary, found int"),
        (["train"], "stage 0: expected a dictionary, found str"),
    ):
        with pytest.raises(SettingError, match=words):
            Recipe(wrong)
    with pytest.raises(SettingError, match="settings: expected a dictionary"):
        Recipe([{"kind": "train"}], settings=3)
    with pytest.raises(SettingError, match="recipe: expected the text"):
        Recipe.from_toml(None)
    assert Recipe([{"kind": "train", "epochs": np.int64(3)}]) == Recipe([{"kind": "train", "epochs": 3}])


def test_pipelines_of_other_things(image):
    for wrong in (None, 3, object()):
        with pytest.raises(SettingError, match="pipeline: expected steps"):
            Augment(wrong)
    with pytest.raises(SettingError, match="step 0: expected a dictionary"):
        Augment([None])
    for normalize in ("imagenet", 3, (0.5,), ("a", "b")):
        with pytest.raises(SettingError, match=r"normalize: expected a pair \(mean, std\)"):
            Augment("trivial", normalize=normalize)
    for seed in (-1, 2**64, 0.5, "one"):
        with pytest.raises(SettingError, match="seed: expected a whole number"):
            Augment("trivial", seed)
        with pytest.raises(SettingError, match="seed: expected a whole number"):
            Augment("trivial", 1).set_seed(seed)
    with pytest.raises(SettingError, match="background: expected a whole number of 0 to 255"):
        Augment("trivial", 1, background=256)
    with pytest.raises(SettingError, match="label_fields: expected a list"):
        Augment("trivial", 1, label_fields="labels")
    with pytest.raises(DataError, match="masks: expected a list of masks .* found NoneType"):
        Augment("trivial", 1)(image=image, masks=None)
    with pytest.raises(SettingError, match="description: expected a pipeline of Albumentations"):
        Augment.from_albumentations(3)


class Mine(Augment):
    def __new__(cls, name):
        self = super().__new__(cls, "trivial", 5)
        self.name = name
        return self


def test_a_subclass_keeps_its_attributes(image):
    mine = Mine("a name")
    mine(image)
    for again in (pickle.loads(pickle.dumps(mine)), copy.copy(mine), copy.deepcopy(mine)):
        assert type(again) is Mine and again.name == "a name" and again == mine
    assert np.array_equal(copy.copy(mine)(image), mine(image))
    both = mine + Augment.small(32)
    assert type(both) is Mine and both.name == "a name" and len(both.steps) > 1


def test_equal_pipelines():
    a = Augment.small(32, seed=3)
    assert a == Augment.small(32, seed=3) and hash(a) == hash(Augment.small(32, seed=3))
    for other in (Augment.small(32, seed=4), Augment.small(28, seed=3), Augment.small(32, seed=3, tensor=True), "a"):
        assert a != other


def test_a_training_takes_a_pipeline(tmp_path):
    steps = [{"op": "horizontal_flip", "probability": 0.5}]
    Augment(steps).save(tmp_path / "a.toml")
    quick, probe = {**QUICK, "epochs": 1}, patterns(4)[0]
    want = oculist.train(patterns(90), augmentation=tmp_path / "a.toml", **quick).model.logits(probe)
    for form in (Augment(steps), steps, {"steps": steps}):
        assert np.array_equal(oculist.train(patterns(90), augmentation=form, **quick).model.logits(probe), want)
    other = oculist.train(patterns(90), augmentation=Augment("erasing"), **quick).model.logits(probe)
    assert not np.array_equal(other, want), "twin: another pipeline"
    with pytest.raises(SettingError, match="augmentation: expected no normalize"):
        oculist.train(patterns(90), augmentation=Augment(steps, normalize=(0.5, 0.5)), **quick)


def test_two_runs_do_not_write_one_folder(tmp_path):
    training, go_on = threading.Event(), threading.Event()

    def listen(event):
        if event["event"] == "train_step":
            training.set()
            go_on.wait(60)

    results = []
    how = {**QUICK, "epochs": 1}
    first = threading.Thread(
        target=lambda: results.append(oculist.train(patterns(90), output=tmp_path / "run", progress=listen, **how))
    )
    first.start()
    try:
        assert training.wait(60) and (tmp_path / "run").is_dir()
        for existing in ("refuse", "replace"):
            with pytest.raises(SettingError, match="run"):
                oculist.train(patterns(90), output=tmp_path / "run", existing=existing, **how)
    finally:
        go_on.set()
        first.join()
    assert len(results) == 1 and (tmp_path / "run" / "model.onnx").exists()
    oculist.train(patterns(90), output=tmp_path / "run", existing="replace", **how)


def test_a_folder_that_cannot_be_is_told_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    events = []
    with pytest.raises(SettingError, match="file"):
        oculist.train(patterns(90), output=tmp_path / "file" / "run", progress=events.append, **QUICK)
    assert not any(event["event"] == "train_step" for event in events)
    with pytest.raises(SettingError, match="resnet7"):
        oculist.train(patterns(90), output=tmp_path / "run", **{**QUICK, "arch": "resnet7"})
    assert not (tmp_path / "run").exists(), "nothing came of it"


def test_texts_name_arguments(tmp_path, trained):
    how = {**QUICK, "epochs": 1}
    trained.save(tmp_path / "run")
    with pytest.raises(SettingError, match='existing="replace"') as error:
        oculist.train(patterns(90), output=tmp_path / "run", **how)
    assert "force" not in str(error.value)
    with pytest.raises(oculist.OculistError, match=r"max_memory") as error:
        oculist.train(patterns(90), max_memory="1M", **how)
    assert "--" not in str(error.value)
    with pytest.raises(SettingError, match="oculist.architectures") as error:
        oculist.train(patterns(90), **{**how, "arch": "qqqqqqqqqqq"})
    assert "zoo list" not in str(error.value)
    assert "resnet8" in oculist.architectures()


def test_the_package_has_what_it_tells():
    assert "ImageClassifier" in dir(oculist) and set(oculist.__all__) <= set(dir(oculist))
    assert not {"Any", "TYPE_CHECKING"} & set(dir(oculist))
    assert Model is oculist.Model


def test_arguments_of_another_kind_are_named(trained, image, tmp_path):
    trained.model.save(tmp_path / "m.onnx")
    aug, model, data, path = Augment("trivial", 1), trained.model, patterns(90), tmp_path / "m.onnx"
    for call, words in (
        (lambda: aug(image, index=-1), "index: expected a whole number of 0 or more, found -1"),
        (lambda: aug(image, epoch="a"), "epoch: expected a whole number of 0 or more, found 'a'"),
        (lambda: aug(image=image, bboxes=[[1, 2, 3, 4]], labels=3), "labels: expected one for each of 1 boxes"),
        (lambda: aug(image=image, bboxes=None), "bboxes: expected .* found NoneType"),
        (lambda: Model(3), "path: expected a path, found int"),
        (lambda: Model(path, threads=-1), "threads: expected a whole number of 0 or more, found -1"),
        (lambda: Model(path, image_size=-1), "image_size: expected"),
        (lambda: Model(path, preprocessing=3), "preprocessing: expected a path"),
        (lambda: model.predict(image, top=-1), "top: expected"),
        (lambda: model.save(None), "path: expected a path, found NoneType"),
        (lambda: oculist.evaluate(None, data), "model: expected a file or a Model, found NoneType"),
        (lambda: oculist.evaluate(model, data, split=3), "split: expected train, val, test or all, found 3"),
        (lambda: oculist.evaluate(model, data, corruptions=3), "corruptions: expected a list of severities"),
        (lambda: oculist.evaluate(model, data, corruptions=[300]), "corruptions: expected a whole number of 1 to 5"),
        (lambda: oculist.check_data(data, folds=-1), "folds: expected a whole number"),
        (lambda: oculist.train(data, output=3, **QUICK), "output: expected a folder, found int"),
        (lambda: oculist.train(data, output=tmp_path / "x", existing=None, **QUICK), "existing: expected .* found None"),
    ):
        with pytest.raises((SettingError, DataError), match=words):
            call()
