"""Other processes: each draws something else, the same in every run, and a model that was used before goes on working."""

import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import MODELS, picture

import oculist
from oculist import Augment

METHODS = [m for m in ("fork", "forkserver", "spawn") if m in multiprocessing.get_all_start_methods()]
IMAGE = picture(24, 24)


def draws(aug, count=4):
    return [aug(IMAGE).tobytes() for _ in range(count)]


def send_draws(aug, place, results, count=4):
    results.put((place, draws(aug, count), aug(IMAGE, index=7).tobytes()))


def run_workers(method, aug, count=3):
    """What each of some processes draws, in the order of their starts."""
    context = multiprocessing.get_context(method)
    results = context.Queue()
    workers = [context.Process(target=send_draws, args=(aug, i, results)) for i in range(count)]
    for worker in workers:
        worker.start()
    found = sorted(results.get(timeout=120) for _ in workers)
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    return found


@pytest.mark.parametrize("method", METHODS)
def test_each_process_draws_something_else(method):
    aug = Augment.rand(seed=3)
    here = draws(aug, 2)
    found = run_workers(method, aug)
    by_index = Augment.rand(seed=3)(IMAGE, index=7).tobytes()
    assert all(index == by_index for _, _, index in found), "an index draws the same everywhere"
    streams = [tuple(stream) for _, stream, _ in found]
    assert len(set(streams)) == 3
    assert not set(here) & {x for stream in streams for x in stream if x != IMAGE.tobytes()}
    assert draws(aug, 2) == draws_of_a_fresh_one(2, 2), "the parent's own count goes on"


def draws_of_a_fresh_one(skip, count):
    aug = Augment.rand(seed=3)
    draws(aug, skip)
    return draws(aug, count)


PROGRAM = """
import sys, multiprocessing, hashlib
sys.path[:0] = {path!r}
from test_processes import run_workers
from oculist import Augment
if __name__ == "__main__":
    found = run_workers({method!r}, Augment.rand(seed=3))
    print(hashlib.sha256(repr(found).encode()).hexdigest())
"""


def test_every_run_and_every_way_of_starting_draws_the_same(tmp_path):
    outputs = []
    for i, method in enumerate([*METHODS, METHODS[0]]):
        program = tmp_path / f"p{i}.py"
        program.write_text(PROGRAM.format(path=[os.path.dirname(__file__)], method=method))
        run = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=240)
        assert run.returncode == 0, run.stderr
        outputs.append(run.stdout)
    assert len(set(outputs)) == 1


def augmented(aug_and_image):
    aug, image = aug_and_image
    return aug(image).tobytes()


@pytest.mark.parametrize("method", METHODS)
def test_a_pipeline_sent_with_every_task_does_not_repeat_itself(method):
    aug = Augment([{"op": "gaussian_noise", "std": [0.2, 0.4]}], seed=3)
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(augmented, [(aug, IMAGE)] * 12, chunksize=1)
        results += pool.map(aug, [IMAGE] * 4, chunksize=2) and []
    assert len(set(results)) == 12


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_bare_fork_draws_something_else():
    aug = Augment.rand(seed=3)
    draws(aug, 2)
    streams = []
    for _ in range(2):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with os.fdopen(write, "wb") as out:
                    pickle.dump(draws(aug), out)
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            streams.append(tuple(pickle.load(pipe)))
        os.waitpid(child, 0)
    assert len({*streams, tuple(draws(aug))}) == 3


def send_logits(model, images, results):
    results.put((model.logits(images), model.predict(list(images))[0].class_index))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_that_was_used_goes_on_in_another_process(method, threads):
    model = oculist.Model(MODELS / "se_resnet.default.onnx", preprocessing="unit", threads=threads)
    side = model.preprocessing["width"]
    images = [picture(side, side, seed=i) for i in range(5)]
    want = model.logits(images)
    context = multiprocessing.get_context(method)
    results = context.Queue()
    workers = [context.Process(target=send_logits, args=(model, images, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        logits, best = results.get(timeout=120)
        assert np.array_equal(logits, want) and best == want[0].argmax()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert np.array_equal(model.logits(images), want)
