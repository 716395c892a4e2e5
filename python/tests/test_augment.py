"""Images in, images out."""

import json
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from conftest import picture

import oculist
from oculist import Augment, DataError, SettingError

FLIP = [{"op": "horizontal_flip"}]


@pytest.mark.parametrize("shape", [(40, 48), (40, 48, 1), (40, 48, 3), (40, 48, 4)])
def test_the_result_has_the_form_of_the_image(shape):
    array = picture(40, 48, shape[2] if len(shape) == 3 else 1).reshape(shape)
    before = array.copy()
    flipped = Augment(FLIP)(array)
    assert flipped.dtype == np.uint8 and np.array_equal(flipped, array[:, ::-1])
    assert np.array_equal(array, before), "the image itself is not touched"
    assert Augment.crops(32, seed=1)(array).shape == (32, 32, *shape[2:])


def test_what_lies_otherwise_in_memory_is_the_same_image(image):
    aug = Augment.small(32, seed=3)
    want = aug(image, index=0)
    for other in (np.asfortranarray(image), np.pad(image, ((1, 1), (2, 2), (0, 0)))[1:-1, 2:-2], image[::-1][::-1]):
        assert np.array_equal(aug(other, index=0), want)
    frozen = image.copy()
    frozen.setflags(write=False)
    assert np.array_equal(aug(frozen, index=0), want)


def test_images_of_pillow_come_back_in_their_mode():
    pillow = pytest.importorskip("PIL.Image")
    for channels, mode in ((1, "L"), (3, "RGB"), (4, "RGBA")):
        array = picture(20, 30, channels).squeeze()
        image = pillow.fromarray(array)
        assert image.mode == mode
        out = Augment.rand(seed=5)(image, index=2)
        assert out.mode == mode and out.size == image.size
        assert np.array_equal(np.asarray(out), Augment.rand(seed=5)(array, index=2))
    with pytest.raises(DataError, match='found P; image.convert."RGB"'):
        Augment(FLIP)(pillow.fromarray(picture(4, 4)).convert("P"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.zeros((4, 4, 3), np.float32), "expected uint8 .* found an array of float32"),
        (np.zeros((4, 4, 2), np.uint8), r"found an array of shape \[4, 4, 2\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"\[2, 4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        ([[1, 2]], "found .*list"),
    ],
)
def test_what_is_no_image_is_refused(value, words):
    with pytest.raises(DataError, match=words):
        Augment(FLIP)(value)


def test_wrong_calls_are_type_errors(image):
    aug = Augment(FLIP)
    for call in (lambda: aug(), lambda: aug(image, image=image), lambda: aug(image, mask=image), lambda: aug(mask=image)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError, match="unknown argument boxes"):
        aug(image=image, boxes=[])
    with pytest.raises(SettingError, match="index"):
        aug(image, index=-1)


def test_a_pipeline_comes_from_anything(tmp_path, image):
    steps = [{"op": "random_crop", "width": 32, "height": 32, "padding": 4}, {"op": "posterize", "bits": [3, 5]}]
    aug = Augment(steps, seed=9)
    (tmp_path / "p.toml").write_text(aug.to_toml())
    aug.save(tmp_path / "p.json")
    forms = [
        {"steps": steps},
        aug.to_toml(),
        aug.to_json(),
        tmp_path / "p.toml",
        str(tmp_path / "p.json"),
        tuple(steps),
        [steps[0], Augment([]), Augment(steps[1:])],
        [{**steps[0], "width": np.int64(32)}, steps[1]],
    ]
    for form in forms:
        other = Augment(form, seed=9)
        assert other.to_dict() == aug.to_dict()
        assert np.array_equal(other(image), Augment(steps, seed=9)(image))
    assert json.loads((tmp_path / "p.json").read_text()) == aug.to_dict()
    assert Augment({"op": "invert"}).steps == [{"op": "invert"}]


def test_wrong_pipelines_are_named(tmp_path):
    with pytest.raises(SettingError, match="rotate: degrees must be within 0..=180, found 999"):
        Augment([{"op": "rotate", "degrees": 999}])
    with pytest.raises(ValueError, match="unknown variant `turn`"):
        Augment([{"op": "turn"}])
    with pytest.raises(SettingError, match="trivial, rand"):
        Augment("triviall")
    (tmp_path / "bad.toml").write_text("[[steps]]\nop = 3\n")
    with pytest.raises(SettingError, match="bad.toml"):
        Augment(tmp_path / "bad.toml")
    with pytest.raises(FileNotFoundError):
        Augment("nowhere.toml")
    with pytest.raises(SettingError, match="normalize"):
        Augment([], normalize=([0.5, 0.5], [0.5, 0.5]))
    with pytest.raises(SettingError, match="std"):
        Augment([], normalize=(0.5, 0))
    with pytest.raises(SettingError, match="bbox_format"):
        Augment([], bbox_format="voc")


def test_policies_are_those_of_the_names(image):
    for name in ("trivial", "rand", "auto", "augmix", "three", "erasing"):
        named, made = Augment(name, seed=4), getattr(Augment, name)(seed=4)
        assert named.to_dict() == made.to_dict()
        assert np.array_equal(named(image), made(image))
        assert any(not np.array_equal(named(image), image) for _ in range(20)), name
    assert Augment.rand(3, 12).steps[0]["count"] == 3
    both = Augment.photos(24, seed=8) + Augment.trivial(seed=1)
    assert both.seed == 8 and len(both.steps) == 4 and both(image).shape == (24, 24, 3)


def test_a_new_seed_leaves_an_augment_in_its_place_in_a_set():
    one, other = Augment(FLIP, seed=1), Augment(FLIP, seed=2)
    kept = {one}
    one.set_seed(2)
    assert one in kept and one == other and hash(one) == hash(other)
    other.set_seed(1)
    assert one != other and len({one, other}) == 2, "twin: they are told apart all the same"
    assert hash(Augment(FLIP, seed=1)) != hash(Augment([*FLIP, *FLIP], seed=1))


def test_within_a_pipeline_nothing_is_made_of_results(image):
    for how in ({"normalize": (0.5, 0.5)}, {"tensor": True}):
        ready = Augment(FLIP, 1, **how)
        with pytest.raises(SettingError, match="pipeline: step 1: expected no normalize and tensor, which belong to the whole"):
            Augment([*FLIP, ready])
        with pytest.raises(SettingError, match="pipeline: expected no normalize and tensor"):
            Augment(ready)
    # Twins: what changes steps alone may stand there, the whole may have both, and a sum has those of its first.
    inner = Augment(FLIP, 1, background=3)
    whole = Augment([inner, *FLIP], 1, normalize=(0.5, 0.5))
    assert len(whole.steps) == 2 and whole(image).dtype == np.float32
    assert (whole + Augment(FLIP, 1)).normalize is not None


PROGRAM = """
import resource, numpy as np
from oculist import Augment, OutOfMemoryError
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
image, mask = np.zeros((30, 30, 3), np.uint8), np.zeros((30, 30), np.uint8)
resize = {"op": "resize", "width": 30000, "height": 30000}
pad = {"op": "pad", "padding": 15000}
for step in (resize, {**resize, "interpolation": "nearest"}, pad, {**resize, "width": 60000, "height": 60000}):
    for tries in ({"image": image}, {"image": image, "mask": mask}):
        try:
            Augment([step], 0)(**tries)
        except OutOfMemoryError as error:
            print(error)
small = Augment([{"op": "resize", "width": 8000, "height": 8000}], 0)
print(small(image).shape)
try:
    Augment([{"op": "resize", "width": 16000, "height": 16000}], 0, normalize=(0.5, 0.5))(image)
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory")
def test_what_does_not_fit_into_memory_is_an_exception():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line in lines[:4]:
        assert line == "there is no memory for an image of 30000x30000 with 3 channels"
    for line in lines[4:6]:
        assert line == "there is no memory for an image of 30030x30030 with 3 channels"
    for line in lines[6:8]:
        assert line == "an image of 60000x60000 with 3 channels has more than the 4 GiB that one may have"
    assert lines[8] == "(8000, 8000, 3)", "twin: what fits"
    assert lines[9:] == ["there is no memory for the 768000000 numbers of an image"]


def test_no_memory_is_an_error_of_the_package_and_a_memory_error(image):
    with pytest.raises(oculist.OculistError, match="more than the 4 GiB") as found:
        Augment([{"op": "resize", "width": 60000, "height": 60000}], 0)(image)
    assert isinstance(found.value, MemoryError) and type(found.value) is oculist.OutOfMemoryError


def test_every_operation_is_known():
    names = Augment.operations()
    assert len(names) > 60 and "trivial_augment_wide" in names


def test_the_same_seed_draws_the_same(image):
    aug = Augment.rand(seed=11) + Augment(FLIP, seed=11)
    first = [aug(image) for _ in range(5)]
    assert len({x.tobytes() for x in first}) > 1
    aug.set_seed(11)
    assert all(np.array_equal(aug(image), want) for want in first)
    # The first process counts from 0 in epoch 0.
    assert all(np.array_equal(aug(image, index=i), want) for i, want in enumerate(first))
    assert not np.array_equal(aug(image, index=0, epoch=1), aug(image, index=0, epoch=0))
    assert Augment([]).seed != Augment([]).seed
    workers = [Augment.rand(seed=11) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.set_seed(worker=number)
    drawn = {b"".join(w(image).tobytes() for _ in range(4)) for w in workers}
    assert len(drawn) == 3


def test_a_copy_goes_on_where_the_original_was(image):
    aug = Augment.rand(seed=2, bbox_format="yolo", normalize=(0.5, 0.25))
    aug(image)
    again = pickle.loads(pickle.dumps(aug))
    assert type(again) is Augment and repr(again) == repr(aug) and again.bbox_format == "yolo"
    assert all(np.array_equal(again(image), aug(image)) for _ in range(3))


def test_results_may_be_normalised(image):
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    out = Augment(FLIP, normalize=(mean, std))(image)
    want = (image[:, ::-1].astype(np.float64) / 255 - mean) / std
    assert out.dtype == np.float32 and np.abs(out - want).max() < 1e-5
    assert np.abs(out - want[:, ::-1]).max() > 0.1, "twin: the image that is not mirrored"
    grey = Augment([], normalize=(0, 1))(image[..., 0])
    assert grey.shape == (40, 48) and np.abs(grey - image[..., 0] / 255).max() < 1e-6
    with pytest.raises(DataError, match="3 channels, found 1"):
        Augment([], normalize=(mean, std))(image[..., 0])


def test_threads_work_at_the_same_time(image):
    aug = Augment.photos(64, seed=1)
    large = picture(600, 800)
    want = [aug(large, index=i) for i in range(16)]
    got = [None] * 16
    threads = [threading.Thread(target=lambda i=i: got.__setitem__(i, aug(large, index=i))) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(got, want))


def test_it_explains_itself():
    aug = Augment.small(32, seed=1)
    assert repr(aug) == "Augment([random_crop, horizontal_flip 0.5, shift_scale_rotate 0.5], seed=1)"
    for thing in (oculist, Augment, Augment.trivial, oculist.Model, oculist.Model.predict, oculist.Prediction.top):
        assert len(thing.__doc__) > 20
    assert oculist.__version__.count(".") == 2
    assert issubclass(DataError, oculist.OculistError) and issubclass(SettingError, ValueError)
