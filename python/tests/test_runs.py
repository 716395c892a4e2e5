"""Training, compression, recipes, measurement and audits as functions."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import QUICK, oracle, patterns

import oculist
from oculist import DataError, Model, ModelError, Recipe, SettingError
from oculist._data import settings_of, sorted_out

NAMES = ["across", "down", "checks"]


@pytest.fixture(scope="module")
def trained():
    return oculist.train(patterns(240), class_names=NAMES, **QUICK)


def folder(root: Path, n: int = 90) -> Path:
    """Images as files, in a folder for each class."""
    pillow = pytest.importorskip("PIL.Image")
    images, labels = patterns(n)
    for i, (image, label) in enumerate(zip(images, labels)):
        (root / NAMES[label]).mkdir(parents=True, exist_ok=True)
        pillow.fromarray(image).save(root / NAMES[label] / f"{i}.png")
    return root


def test_a_training_on_arrays_gives_a_model_that_knows_the_classes(trained):
    images, labels = patterns(60, seed=9)
    assert trained.model.classes == NAMES and trained.model.path is None
    assert (trained.model.probabilities(images).argmax(1) == labels).mean() > 0.9
    assert (trained.model.probabilities(images).argmax(1) == labels[::-1]).mean() < 0.9, "twin: other labels"
    assert [epoch["epoch"] for epoch in trained.history] == [1, 2, 3]
    assert trained.metric == "top1" and trained.candidate.scores["top1"] > 90
    assert trained.candidate.cost.params > 100 and trained.candidate.cost.latency_ms > 0
    assert [candidate.name for candidate in trained.candidates] == ["baseline"] and trained.tried == []
    assert trained.summary["data"]["classes"] == 3 and "baseline" in repr(trained)


def test_the_table_of_a_notebook_is_escaped():
    result = oculist.train(patterns(90), class_names=["<b>x</b>", "b", "c"], **{**QUICK, "epochs": 1})
    page = result._repr_html_()
    assert "<table" in page and "<b>x" not in page


def test_the_same_seed_trains_the_same_from_every_form_of_the_images(trained, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    images, labels = patterns(240)
    texts = [NAMES[label] for label in labels]
    probe = patterns(6, seed=3)[0]
    want = trained.model.logits(probe)
    pictures = [pillow.fromarray(image) for image in images]
    pictures[0].save(tmp_path / "0.png")
    forms = [
        (images[..., None], texts),
        list(zip([tmp_path / "0.png", *pictures[1:]], labels.tolist())),
    ]
    for form in forms:
        got = oculist.train(form, class_names=NAMES, **QUICK).model.logits(probe)
        assert np.array_equal(got, want)
    other = oculist.train((images, labels), class_names=NAMES, seed=1, **QUICK).model.logits(probe)
    assert not np.array_equal(other, want), "twin: another seed"


def test_several_labels_for_each_image():
    images, labels = patterns(120)
    lists = [[NAMES[label]] if i % 4 else [NAMES[label], NAMES[(label + 1) % 3]] for i, label in enumerate(labels)]
    result = oculist.train((images, lists), **{**QUICK, "epochs": 1})
    assert result.model.classes == sorted(NAMES) and result.metric == "map"
    table = np.zeros((120, 3), int)
    for row, names in zip(table, lists):
        row[[sorted(NAMES).index(name) for name in names]] = 1
    same = oculist.train((images, table), class_names=sorted(NAMES), **{**QUICK, "epochs": 1})
    assert np.array_equal(same.model.logits(images[:3]), result.model.logits(images[:3]))
    found = oculist.evaluate(result.model, (images, lists))
    assert "map" in found.scores and found.confusion == [] and len(found.per_class) == 3


def test_a_table_is_one_as_an_array_and_as_lists():
    """Oracle: a naive reading of the table, row by row."""

    def classes(labels, names=None):
        return sorted_out(([0] * len(labels), labels), {}, names)[1:]

    for rows in ([[0, 1], [1, 0]], [[1, 1], [0, 1]], [[0, 0], [0, 1], [1, 0]], [[0, 1, 1], [1, 0, 0]], [(True, False), (False, True)]):
        want = [[i for i, one in enumerate(row) if one] for row in rows]
        names = [str(i) for i in range(len(rows[0]))]
        for labels in (rows, np.array(rows), [[float(one) for one in row] for row in rows]):
            assert classes(labels, names) == (want, names), rows
            assert classes(labels)[0] == want, rows
    # Twins: lists of class numbers stay what they are.
    for lists in ([[0], [1], [0]], [[0, 1], [1]], [[0, 2], [1, 0]], [{0, 1}, {1, 0}], [[], [0, 1]]):
        assert classes(lists)[0] == [sorted(one) for one in lists], lists
    three = ["a", "b", "c"]
    for lists in ([[0, 1], [0, 1]], [{0, 1}, {1, 0}], [[0, 1], [1]], [[0, 1], [1, 2]]):
        assert classes(lists, three)[0] == [sorted(one) for one in lists], lists
    # Rows out of order are those of a table, whose columns are as many as the names: as of an array.
    for rows in ([[1, 0], [0, 1], [1, 0]], [[0, 1], [1, 0]], [(1, 0), (1, 0)], [[1.0, 0.0], [0.0, 1.0]]):
        with pytest.raises(DataError, match="a column for each of 3 class names in a table, found 2; class numbers may"):
            classes(rows, three)
        with pytest.raises(SettingError, match="expected 2 names, one for each column of the labels, found 3"):
            classes(np.array(rows), three)
        assert classes(rows, ["a", "b"])[0] == [[i for i, one in enumerate(row) if one] for row in rows], "twin"
    with pytest.raises(DataError, match="every row is .0, 1., which is a row of a table or a list of the classes"):
        classes([[0, 1], [0, 1]])
    with pytest.raises(DataError, match="a column for each of 3 class names in a table, found 2"):
        classes([[0, 0], [0, 1]], ["a", "b", "c"])


def test_results_are_saved_and_pickled(trained, tmp_path):
    probe = patterns(4)[0]
    want = trained.model.logits(probe)
    trained.save(tmp_path / "one.onnx")
    trained.save(tmp_path / "all")
    for path in ("one.onnx", "all/model.onnx"):
        assert np.array_equal(Model(tmp_path / path).logits(probe), want)
    assert not (tmp_path / "all" / "baseline.onnx").exists()
    assert "<html" in (tmp_path / "all" / "report.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "all" / "summary.json").read_text(encoding="utf-8"))["verb"] == "train"
    again = pickle.loads(pickle.dumps(trained))
    assert np.array_equal(again.model.logits(probe), want) and again.summary == trained.summary
    with pytest.raises(SettingError, match="found a file"):
        (tmp_path / "file").write_text("")
        trained.save(tmp_path / "file")


def test_a_folder_of_a_run_is_that_of_the_program(tmp_path):
    data = folder(tmp_path / "data")
    quick = {**QUICK, "epochs": 1}
    result = oculist.train(data, output=tmp_path / "run", **quick)
    assert {"model.onnx", "report.html", "settings.toml", "summary.json"} <= set(os.listdir(tmp_path / "run"))
    probe = patterns(2)[0]
    assert np.array_equal(Model(tmp_path / "run" / "model.onnx").logits(probe), result.model.logits(probe))
    with pytest.raises(SettingError, match="run"):
        oculist.train(data, output=tmp_path / "run", **quick)
    with pytest.raises(SettingError):
        oculist.train(patterns(90), output=tmp_path / "run", **quick)
    oculist.train(patterns(90), output=tmp_path / "run", existing="replace", **quick)
    with pytest.raises(SettingError, match="cannot be continued"):
        oculist.train(patterns(90), output=tmp_path / "run", existing="resume", **quick)
    with pytest.raises(SettingError, match="refuse, replace or resume, found no"):
        oculist.train(data, output=tmp_path / "run", existing="no", **quick)


def test_a_model_is_compressed(trained):
    data, told = patterns(90), []
    how = {**QUICK, "width": None, "arch": None, "finetune_epochs": 1, "max_drop": 20}
    result = oculist.compress(data, trained.model, class_names=NAMES, progress=told.append, **how)
    assert result.tried and all(tried.reason for tried in result.tried)
    assert result.candidates[0].name == "baseline" and set(result.models) >= {"baseline"}
    assert result.model is result.models[result.recommended]
    assert {"stage", "epoch", "tried", "model"} <= {event["event"] for event in told}
    with pytest.raises(SettingError, match="model"):
        oculist.compress(data, None, **QUICK)


def test_without_test_images_costs_are_measured_and_nothing_else(trained, tmp_path):
    data = patterns(90)
    how = {**QUICK, "width": None, "arch": None, "finetune_epochs": 1, "max_drop": 40, "test_fraction": 0}
    result = oculist.compress(data, trained.model, class_names=NAMES, **how)
    assert result.summary["data"]["test"] == 0 and result.summary["data"]["train"] > 70
    for one in result.candidates:
        assert one.scores == {} and one.val_scores["top1"] > 0 and one.cost.latency_ms > 0
    result.save(tmp_path / "saved")
    page = (tmp_path / "saved" / "report.html").read_text(encoding="utf-8")
    assert "There are no test images" in page and "NaN" not in page
    assert "test images" not in repr(result) and result._repr_html_()
    with pytest.raises(SettingError, match="test_fraction: expected a share of 0 to 0.5, found 0.6"):
        oculist.train(data, **{**QUICK, "test_fraction": 0.6})


def test_recipes_in_every_form(tmp_path, trained):
    stages = [{"kind": "train", "epochs": 1}, {"kind": "quantize"}]
    recipe = Recipe(stages, name="small", settings={"seed": 3})
    assert Recipe.from_toml(recipe.to_toml()) == recipe and pickle.loads(pickle.dumps(recipe)) == recipe
    assert recipe != Recipe(stages)
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert Recipe.read(tmp_path / "recipe.toml") == recipe
    assert oculist.stages()[:2] == ["load", "train"] and len(oculist.stages()) == 11
    quick = {name: value for name, value in QUICK.items() if name != "epochs"}
    plan = recipe.plan(patterns(90), **quick)
    assert "1. " in plan and "3. " in plan and "in all" in plan
    result = oculist.run(recipe, patterns(90), **quick)
    assert "compressed-int8" in result.models and result.summary["seed"] == 3 and len(result.history) == 1
    # Saved, they have the names that a run folder of the program has.
    run = oculist.run(recipe, folder(tmp_path / "data"), output=tmp_path / "run", **quick)
    run.save(tmp_path / "saved")
    models = sorted(path.name for path in (tmp_path / "run").glob("*.onnx"))
    assert models == sorted(path.name for path in (tmp_path / "saved").glob("*.onnx"))
    assert models == ["baseline.onnx", "model.int8.onnx", "model.onnx"]
    for name in models:
        assert (tmp_path / "saved" / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    for wrong, words in (
        ([{"kind": "trian"}], "expected one of best"),
        ([{"kind": "train", "max_drop": 1}], "unknown setting `max_drop`"),
        ([], "at least one stage"),
        ([{"kind": object()}], "recipe"),
    ):
        with pytest.raises(SettingError, match=words):
            Recipe(wrong)


def test_a_model_is_measured(trained, tmp_path):
    images, labels = patterns(60, seed=5)
    found = oculist.evaluate(trained.model, (images, labels), class_names=NAMES)
    told = trained.model.probabilities(images).argmax(1)
    assert found.scores["top1"] == pytest.approx(100 * (told == labels).mean())
    want = np.zeros((3, 3), int)
    np.add.at(want, (labels, told), 1)
    assert np.array_equal(found.confusion, want) and found.classes == NAMES and found.images == 60
    assert [row["class"] for row in found.per_class] == NAMES
    trained.save(tmp_path / "m.onnx")
    data = folder(tmp_path / "data")
    of_files = oculist.evaluate(tmp_path / "m.onnx", data, split="all")
    assert of_files.images == 90 and of_files.split == "all"
    with pytest.raises(SettingError, match="split"):
        oculist.evaluate(trained.model, data, split="some")


def test_what_is_none_of_the_classes_is_told(trained, tmp_path):
    onnx = oracle("onnx")
    images, _ = patterns(12, seed=3)
    images = np.concatenate([images, np.zeros_like(images[:2]), 255 - np.zeros_like(images[:2])])
    logits = trained.model.logits(images).astype(np.float64)
    energies = np.log(np.exp(logits).sum(1))
    trained.model.save(tmp_path / "m.onnx")
    file = onnx.load(tmp_path / "m.onnx")
    entry = next(one for one in file.metadata_props if one.key == "oculist.reject.threshold")
    assert trained.model.reject_threshold == pytest.approx(float(entry.value), rel=1e-6)
    # A threshold in the midst of these images.
    entry.value = str(float(np.sort(energies)[6:8].mean()))
    onnx.save(file, tmp_path / "m.onnx")
    model = Model(tmp_path / "m.onnx")
    plain, asked = model.predict(images), model.predict(images, reject=True)
    assert [p.rejected for p in asked] == [bool(none) for none in energies < float(entry.value)]
    assert sum(p.rejected for p in asked) == 7
    np.testing.assert_allclose([p.score for p in asked], energies, atol=1e-4)
    for one, before in zip(pickle.loads(pickle.dumps(asked)), plain):
        assert one.top == before.top, "the likeliest classes are told all the same"
        assert (before.rejected, before.score) == (None, None)
        if one.rejected:
            assert (one.class_name, one.class_index, one.probability) == (None, None, None)
            assert repr(one) == "Prediction(none of these)"
        else:
            assert (one.class_name, one.probability) == (before.class_name, before.probability)
    assert model.predict([tmp_path / "none.png"], strict=False, reject=True)[0].rejected is None
    # Without a threshold there is no answer to give.
    told = {one.key: one.value for one in file.metadata_props if not one.key.startswith("oculist.reject.")}
    onnx.helper.set_model_props(file, told)
    onnx.save(file, tmp_path / "without.onnx")
    without = Model(tmp_path / "without.onnx")
    assert without.reject_threshold is None and without.predict(images[:1])[0].class_name
    with pytest.raises(ModelError, match="^reject: expected a threshold in the metadata"):
        without.predict(images, reject=True)


def test_severities_are_those_of_the_documentation(trained):
    for wrong in (0, 6, -1):
        with pytest.raises(SettingError, match=f"corruptions: expected a whole number of 1 to 5, found {wrong}"):
            oculist.evaluate(trained.model, patterns(6), class_names=NAMES, corruptions=[wrong])


def test_arrays_are_lists_in_settings():
    text, away = settings_of({"classes": np.array(["a", "b"]), "epochs": np.int64(3), "data": Path("x"), "lr": None})
    with away:
        assert json.loads(text) == {"classes": ["a", "b"], "epochs": 3, "data": "x"}


def test_of_an_augmentation_in_memory_only_the_steps_count():
    step = {"op": "horizontal_flip", "probability": 0.5}
    ready = [oculist.Augment([step], 1, normalize=(0.5, 0.5)), oculist.Augment([step], 1, tensor=True)]
    for wrong in (*ready, *([step, one] for one in ready), *(iter((one, step)) for one in ready)):
        with pytest.raises(SettingError, match="expected no normalize and tensor"):
            settings_of({"augmentation": wrong})
    # Twin: what makes nothing of the results is taken, and steps and generators as well.
    texts = []
    for good in (oculist.Augment([step], 1, background=3), [step], [oculist.Augment([step], 2)], iter([step]), step):
        text, away = settings_of({"augmentation": good})
        with away:
            texts.append(Path(json.loads(text)["augmentation"]).read_text())
    assert len(set(texts)) == 1


def test_a_run_with_what_is_in_memory_goes_on(tmp_path, trained):
    data = folder(tmp_path / "data")
    steps = [{"op": "horizontal_flip", "probability": 0.5}, {"op": "rotate", "degrees": 10, "probability": 0.5}]
    quick = {**QUICK, "epochs": 3}

    class Enough(Exception):
        pass

    def stop(event):
        if event["event"] == "epoch" and event["epoch"] == 2:
            raise Enough

    # Another object with the same steps, and the steps alone: the file of each lies in a folder of its own.
    begun, again = oculist.Augment(steps, 1), oculist.Augment(steps, 2)
    want = oculist.train(data, augmentation=begun, output=tmp_path / "whole", **quick)
    probe = patterns(4)[0]
    for name, resumed in (("object", again), ("list", steps)):
        run = tmp_path / name
        with pytest.raises(Enough):
            oculist.train(data, augmentation=begun, output=run, progress=stop, **quick)
        for other in ([*steps, steps[0]], steps[:1]):
            with pytest.raises(SettingError, match="begun with other data: augmentation=.*has other content"):
                oculist.train(data, augmentation=other, output=run, existing="resume", **quick)
        with pytest.raises(SettingError, match="augmentation: .* in the run, none if not given"):
            oculist.train(data, output=run, existing="resume", **quick)
        events = []
        got = oculist.train(
            data, augmentation=resumed, output=run, existing="resume", progress=events.append, **quick
        )
        assert np.array_equal(got.model.logits(probe), want.model.logits(probe))
        assert [event["epoch"] for event in events if event["event"] == "epoch"] == [3], "the rest alone"

    def stop_tuning(event):
        if event["event"] == "tried":
            raise Enough

    how = {**QUICK, "width": None, "arch": None, "epochs": None, "finetune_epochs": 1, "max_drop": 20}
    run = tmp_path / "compressed"
    with pytest.raises(Enough):
        oculist.compress(data, trained.model, output=run, progress=stop_tuning, **how)
    # A finished training of other weights is another model.
    with pytest.raises(SettingError, match="begun with other data: model=.*has other content"):
        oculist.compress(data, want.model, output=run, existing="resume", **how)
    got = oculist.compress(data, pickle.loads(pickle.dumps(trained.model)), output=run, existing="resume", **how)
    same = oculist.compress(data, trained.model, output=tmp_path / "at-once", **how)
    assert np.array_equal(got.models["compressed"].logits(probe), same.models["compressed"].logits(probe))


def test_data_are_checked(tmp_path):
    images, labels = patterns(60, size=32)
    images[7] = images[1]
    found = oculist.check_data((images, labels), output=tmp_path / "audit")
    assert all(isinstance(issue, oculist.Issue) for issue in found)
    assert any("duplicate" in issue.kind and issue.index in (1, 7) for issue in found), found
    assert (tmp_path / "audit" / "audit.html").exists()
    assert oculist.check_data(folder(tmp_path / "data")) is not None


def test_what_is_wrong_is_an_exception():
    data = patterns(90)
    for settings, words in (
        ({"epoch": 3}, "epoch: unknown setting, expected one of data, .*epochs"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": "many"}, "epochs"),
        ({"epochs": object()}, "epochs: expected numbers, texts"),
        ({"epochs": float("nan")}, "epochs: expected a finite number"),
        ({"arch": "resnet7"}, "resnet7"),
    ):
        with pytest.raises(SettingError, match=words):
            oculist.train(data, **{**QUICK, **settings})
    images, labels = data
    for wrong, words in (
        ((images, labels[:-1]), "a label for each of 90"),
        ((images.astype(float), labels), "uint8"),
        ((images, [None] * 90), "labels.0."),
        ((images, ["a", *[1] * 89]), "found both"),
        ((images[:0], []), "found none"),
        (3, "pairs of an image"),
        ([(images[0],)], r"data\[0\]"),
        ((images, np.zeros(90, int)), "class"),
    ):
        with pytest.raises(DataError, match=words):
            oculist.train(wrong, **QUICK)
    with pytest.raises(oculist.OculistError, match="nowhere"):
        oculist.train("nowhere", **QUICK)


def test_what_listens_may_end_the_call():
    events = []

    def listen(event):
        events.append(event)
        if event["event"] == "train_step":
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        oculist.train(patterns(240), progress=listen, **{**QUICK, "epochs": 1000})
    assert events[0]["event"] == "stage" and events[-1]["event"] == "train_step"


def test_a_line_tells_where_a_training_is(capsys):
    oculist.train(patterns(90), progress=True, **{**QUICK, "epochs": 1})
    told = capsys.readouterr().err
    assert "epoch 1/1" in told and "100%" in told and told.endswith("\r")
    oculist.train(patterns(90), **{**QUICK, "epochs": 1})
    assert capsys.readouterr().err == "", "nobody sees it"


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from conftest import QUICK, patterns
import oculist
def listen(event):
    if event["event"] == "train_step":
        print("training", flush=True)
try:
    oculist.train(patterns(240), progress=listen, **{**QUICK, "epochs": 100000})
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_a_training():
    here = os.fspath(Path(__file__).parent)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, here], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "training\n"
    program.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert program.communicate(timeout=60)[0].endswith("interrupted\n") and program.returncode == 0
    assert time.monotonic() - began < 30


def test_what_a_model_for_other_classes_has_learned_is_carried_over(trained, tmp_path):
    images, labels = patterns(90)
    names = ["un", "deux", "trois"]
    result = oculist.transfer((images, labels), trained.model, class_names=names, mode="features", head="lda", threads=2)
    assert sorted(result.model.classes) == sorted(names)
    right = [p.class_name == names[label] for p, label in zip(result.model.predict(images), labels)]
    assert np.mean(right) > 0.9, "most of them"
    saved = tmp_path / "source.onnx"
    trained.model.save(saved)
    again = oculist.transfer((images, labels), [saved], class_names=names, mode="features", head="lda", threads=2)
    assert np.array_equal(again.model.logits(images[:5]), result.model.logits(images[:5]))
    # No class in common: every row of the last layer is made anew, from the mean features of its images.
    fresh = oculist.transfer((images, labels), trained.model, class_names=names, mode="fc", threads=2).model
    right = [p.class_name == names[label] for p, label in zip(fresh.predict(images), labels)]
    assert np.mean(right) > 0.9
