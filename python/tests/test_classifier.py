"""``ImageClassifier``: an estimator of scikit-learn."""

import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import oracle, patterns

from oculist import ImageClassifier, SettingError

HOW = {
    "arch": "resnet8",
    "epochs": 3,
    "width": 0.25,
    "lr": 0.05,
    "batch_size": 16,
    "threads": 1,
    "settings": {"measure_seconds": 0.02},
}


def test_images_are_classified():
    images, numbers = patterns(240)
    labels = np.array(["owl", "cat", "hen"])[numbers]
    classifier = ImageClassifier(**HOW)
    assert classifier.fit(images, labels) is classifier
    assert classifier.classes_.tolist() == ["cat", "hen", "owl"]
    probe, numbers = patterns(60, seed=4)
    want = np.array(["owl", "cat", "hen"])[numbers]
    p = classifier.predict_proba(probe)
    assert p.shape == (60, 3) and np.allclose(p.sum(1), 1, atol=1e-5)
    assert np.array_equal(classifier.predict(probe), classifier.classes_[p.argmax(1)])
    assert classifier.score(probe, want) > 0.9
    assert classifier.score(probe, want[::-1]) < 0.9, "twin: other labels"
    again = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(again.predict_proba(probe), p) and again.get_params() == classifier.get_params()
    assert np.array_equal(ImageClassifier(**HOW).fit(images, labels).predict_proba(probe), p), "the seed decides"


def test_labels_may_be_numbers_with_gaps():
    images, numbers = patterns(90)
    classifier = ImageClassifier(**{**HOW, "epochs": 1}).fit(list(images), (10 - 3 * numbers).tolist())
    assert classifier.classes_.tolist() == [4, 7, 10] and set(classifier.predict(images)) <= {4, 7, 10}


def test_parameters_are_those_of_scikit_learn():
    classifier = ImageClassifier("resnet8", 2, seed=5)
    assert classifier.get_params()["arch"] == "resnet8" and classifier.get_params()["seed"] == 5
    assert classifier.set_params(epochs=7).epochs == 7
    with pytest.raises(ValueError):
        classifier.set_params(epoch=7)
    assert "resnet8" in repr(classifier)
    with pytest.raises(ValueError, match="not fitted"):
        classifier.predict(patterns(3)[0])
    with pytest.raises(SettingError, match="epoch: unknown setting"):
        ImageClassifier(settings={"epoch": 3}).fit(*patterns(30))


# The checks fit tables of numbers, which are no images, and ask for certain words in errors.
_TABLE = "it fits a table of floats; images are of uint8"
_WORDS = "it asks for the words of scikit-learn about a table; the error tells of the type of the images first"
EXPECTED = {
    "check_fit_score_takes_y": _TABLE,
    "check_estimators_overwrite_params": _TABLE,
    "check_dont_overwrite_parameters": _TABLE,
    "check_estimators_fit_returns_self": _TABLE,
    "check_readonly_memmap_input": _TABLE,
    "check_n_features_in_after_fitting": _TABLE,
    "check_estimators_dtypes": _TABLE,
    "check_dtype_object": _TABLE,
    "check_pipeline_consistency": _TABLE,
    "check_estimators_pickle": _TABLE,
    "check_f_contiguous_array_estimator": _TABLE,
    "check_classifiers_classes": _TABLE,
    "check_classifiers_train": _TABLE,
    "check_supervised_y_2d": _TABLE,
    "check_methods_sample_order_invariance": _TABLE,
    "check_methods_subset_invariance": _TABLE,
    "check_dict_unchanged": _TABLE,
    "check_fit_idempotent": _TABLE,
    "check_fit_check_is_fitted": _TABLE,
    "check_n_features_in": _TABLE,
    "check_fit2d_predict1d": _TABLE,
    "check_positive_only_tag_during_fit": _WORDS,
    "check_complex_data": _WORDS,
    "check_estimators_empty_data_messages": _WORDS,
    "check_estimators_nan_inf": _WORDS,
    "check_fit2d_1sample": _WORDS,
    "check_fit2d_1feature": _WORDS,
    "check_classifier_data_not_an_array": "it gives an object that says __array__ alone, without a shape",
    "check_classifiers_one_label": "a network needs two classes to tell apart",
}


def test_scikit_learn_checks_it():
    checks = oracle("sklearn.utils.estimator_checks")

    class Checked(ImageClassifier):
        """Says that it takes tables, since nothing but its parameters is checked otherwise."""

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.input_tags.two_d_array = True
            return tags

    found = checks.check_estimator(Checked(), expected_failed_checks=EXPECTED, on_skip=None)
    passed = {check["check_name"] for check in found if check["status"] == "passed"}
    assert {check["check_name"] for check in found if check["status"] == "xfail"} == set(EXPECTED)
    assert {"check_no_attributes_set_in_init", "check_set_params", "check_estimators_unfitted"} <= passed
    assert ImageClassifier().__sklearn_tags__().input_tags.three_d_array


def test_it_is_a_step_of_a_pipeline_and_of_a_search():
    base, selection = oracle("sklearn.base"), oracle("sklearn.model_selection")
    images, labels = patterns(120)
    classifier = ImageClassifier(**{**HOW, "epochs": 1})
    assert base.clone(classifier).get_params() == classifier.get_params() and base.is_classifier(classifier)
    scores = selection.cross_val_score(classifier, images, labels, cv=2)
    assert scores.shape == (2,) and np.isfinite(scores).all()


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import oculist
c = oculist.ImageClassifier("resnet8", 2)
assert c.set_params(epochs=3).get_params()["epochs"] == 3 and "epochs=3" in repr(c)
try:
    c.set_params(epoch=3)
except ValueError as error:
    print(error)
"""


def test_it_works_without_scikit_learn():
    told = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True).stdout
    assert told.startswith("epoch: unknown parameter")
    light = "import sys, oculist; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", light], capture_output=True, text=True).stdout == "False\n"


def test_no_fit_waits_for_a_latency():
    images, labels = patterns(90)
    how = {**HOW, "epochs": 1, "settings": None}
    seconds = []
    for settings in (None, {"measure_seconds": 2.0}):
        began = time.monotonic()
        found = ImageClassifier(**{**how, "settings": settings}).fit(images, labels)
        seconds.append(time.monotonic() - began)
    assert seconds[0] + 1 < seconds[1], "twin: what waits takes longer"


def test_what_the_docstring_says_is_held_out():
    images, labels = patterns(90)
    how = {**HOW, "epochs": 1}
    found = ImageClassifier(**how).fit(images, labels).result_
    facts = found.summary["data"]
    assert facts["train"] + facts["val"] == 90 and facts["test"] == 0 and abs(facts["val"] - 13.5) < 2
    assert found.candidate.scores == {} and 0 <= found.candidate.val_scores["top1"] <= 100
    assert "test images" not in repr(found) and not found.warnings
    # Twin: who asks for test images has some.
    asked = ImageClassifier(**{**how, "settings": {"test_fraction": 0.2}}).fit(images, labels).result_
    assert abs(asked.summary["data"]["test"] - 18) < 2 and "top1" in asked.candidate.scores
