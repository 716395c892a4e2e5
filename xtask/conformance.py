"""Writes ONNX's own tests where `oculist-conformance` finds them.

    conformance.py FOLDER
    conformance.py FOLDER --roundtrip WRITTEN

Every test is a model with one data set. `index.json` lists them; it is written last, so that a folder that was left
half-way has none.

With `--roundtrip`, ONNX's checker reads the models in WRITTEN, which went through a graph, and ONNX Runtime runs them and
those that they were made from: their floats must be equal within 1e-5. What it does not run, the reference evaluator of
the package `onnx` does. `WRITTEN/roundtrip.json` says what came of it; spoilt models must be found.
"""

import json
import pathlib
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper


def save(value, path):
    """Writes a tensor and returns its slot of the index; other kinds are only named."""
    if isinstance(value, onnx.TensorProto):
        tensor = value
    elif value is None:
        return {"other": "optional values"}
    elif isinstance(value, (list, onnx.SequenceProto)):
        return {"other": "sequences"}
    elif isinstance(value, (dict, onnx.MapProto)):
        return {"other": "maps"}
    elif isinstance(value, onnx.OptionalProto):
        return {"other": "optional values"}
    else:
        value = np.asarray(value)
        if value.dtype.kind in "OSU":
            return {"other": "texts"}
        if value.dtype.kind == "c":
            return {"other": "complex numbers"}
        tensor = numpy_helper.from_array(value)
    path.write_bytes(tensor.SerializeToString())
    return {"file": f"{path.parent.name}/{path.name}"}


def full_name(node):
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def node_tests(folder):
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tests = collect_testcases(None)
    operators = {t.name: full_name(t.model.graph.node[0]) for t in tests if len(t.model.graph.node) == 1}
    for test in tests:
        # An expanded test tells its operator only by the name of the test that it was made from.
        base = test.name.split("_expanded")[0]
        operator = operators.get(base) or operators.get(test.name) or full_name(test.model.graph.node[-1])
        place = folder / test.name
        place.mkdir()
        (place / "model.onnx").write_bytes(test.model.SerializeToString())
        inputs, outputs = test.data_sets[0]
        yield {
            "name": test.name,
            "op": operator,
            "model": f"{test.name}/model.onnx",
            "rtol": test.rtol,
            "atol": test.atol,
            "inputs": [save(value, place / f"input_{i}.pb") for i, value in enumerate(inputs)],
            "outputs": [save(value, place / f"output_{i}.pb") for i, value in enumerate(outputs)],
        }


def light_tests(folder):
    """The small forms of known networks: their weights are computed, their input is a ramp."""
    import onnx.backend.test

    data = pathlib.Path(onnx.backend.test.__file__).parent / "data" / "light"
    for path in sorted(data.glob("*.onnx")):
        name = path.stem
        place = folder / name
        place.mkdir()
        shutil.copyfile(path, place / "model.onnx")
        model = onnx.load(path)
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = []
        for value in model.graph.input:
            if value.name in constants:
                continue
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            n = int(np.prod(shape))
            ramp = (np.arange(n).reshape(shape) / n).astype(np.float32)
            inputs.append(save(ramp, place / f"input_{len(inputs)}.pb"))
        shutil.copyfile(data / f"{name}_output_0.pb", place / "output_0.pb")
        yield {
            "name": name,
            "op": "(networks)",
            "model": f"{name}/model.onnx",
            "rtol": 1e-3,
            "atol": 1e-7,
            "inputs": inputs,
            "outputs": [{"file": f"{name}/output_0.pb"}],
        }


def external_test(folder):
    """A network whose weights lie in a file of their own."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    place = folder / "external_data"
    place.mkdir()
    rng = np.random.default_rng(7)
    weights = {
        "conv.weight": rng.normal(0, 0.2, (8, 3, 3, 3)),
        "conv.bias": rng.normal(0, 0.2, 8),
        "gemm.weight": rng.normal(0, 0.2, (5, 8 * 6 * 6)),
    }
    image = rng.normal(0, 1, (2, 3, 6, 6)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["map"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["map"], ["positive"]),
            helper.make_node("Flatten", ["positive"], ["flat"]),
            helper.make_node("Gemm", ["flat", "gemm.weight"], ["y"], transB=1),
        ],
        "external",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 6, 6])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": image})
    path = place / "model.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    if path.stat().st_size > 2000 or not (place / "weights.bin").exists():
        raise RuntimeError("the weights do not lie in a file of their own")
    yield {
        "name": "external_data",
        "op": "(networks)",
        "model": "external_data/model.onnx",
        "rtol": 1e-4,
        "atol": 1e-5,
        "inputs": [save(image, place / "input_0.pb")],
        "outputs": [save(expected, place / "output_0.pb")],
    }


def load(slot, folder):
    return numpy_helper.to_array(onnx.load_tensor(folder / slot["file"]))


class OnnxRuntime:
    """A model in ONNX Runtime, as it is written: nothing is optimised."""

    NAME = "ONNX Runtime"

    def __init__(self, path):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]

    def run(self, values):
        return self.session.run(None, dict(zip(self.names, values, strict=True)))


class Reference:
    """A model in the package `onnx` itself."""

    NAME = "the reference evaluator of `onnx`"

    def __init__(self, path):
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator(str(path))
        self.names = list(self.evaluator.input_names)

    def run(self, values):
        with np.errstate(all="ignore"):
            return self.evaluator.run(None, dict(zip(self.names, values, strict=True)))


def valid(path):
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception:
        return False
    return True


def equal(a, b):
    """Whether two arrays hold the same numbers, floats within 1e-5; types that NumPy does not know are compared as f64."""
    if b.dtype.kind in "biu":
        return bool(np.all(a == b))
    return bool(np.all(np.isclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-5, atol=1e-5, equal_nan=True)))


def original(path, values):
    """The first engine that runs a model, its inputs' names, its outputs, and why no other did; or the last alone."""
    problems = []
    for engine in (OnnxRuntime, Reference):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                before = engine(path)
                return engine, before.names, before.run(values), problems
        except Exception as error:
            problems.append(str(error).splitlines()[0])
    return None, None, None, problems


def kind(problem):
    """Why ONNX Runtime does not run a model, in a few words."""
    if "NOT_IMPLEMENTED" in problem:
        return "it has no kernel for a node of that type or opset"
    if "MLDataType" in problem or "Numpy type" in problem:
        return "its Python interface does not take or give the type (bfloat16, 4-bit integers)"
    return "its kernel refuses a valid node"


def compare(case, folder, path, first):
    """What is wrong with a written model; None if nothing."""
    engine, names, expected, _ = first
    values = [load(slot, folder) for slot in case["inputs"]]
    try:
        # What ONNX's checker says of the original is not ours to answer for.
        if valid(folder / case["model"]):
            onnx.checker.check_model(path, full_check=True)
        after = engine(path)
    except Exception as error:
        return f"refused: {str(error).splitlines()[0]}"
    if after.names != names:
        return "the inputs have other names"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = after.run(values)
    except Exception as error:
        return f"does not run: {str(error).splitlines()[0]}"
    if len(found) != len(expected):
        return f"{len(found)} outputs, expected {len(expected)}"
    for i, (a, b) in enumerate(zip(found, expected)):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"output {i} is {a.dtype}{a.shape}, expected {b.dtype}{b.shape}"
        if not equal(a, b):
            return f"output {i} differs"
    return None


def roundtrip(folder, written):
    cases = json.loads((folder / "index.json").read_text())["cases"]
    same, untold, wrong, not_run = {}, {}, [], {}

    def add(counts, key):
        counts[key] = counts.get(key, 0) + 1

    for case in cases:
        path = written / f"{case['name']}.onnx"
        if not path.exists():
            continue
        if case["name"].startswith("test_training_dropout"):
            add(untold, "what is zeroed is drawn anew in each run")
            continue
        if not all("file" in slot for slot in case["inputs"]):
            add(untold, "an input is no tensor")
            continue
        first = original(folder / case["model"], [load(slot, folder) for slot in case["inputs"]])
        if first[0] is None:
            add(untold, "neither runs the original")
            print(f"untold {case['name']}: {' / '.join(first[3])}")
            continue
        if first[0] is Reference:
            add(not_run, kind(first[3][0]))
        problem = compare(case, folder, path, first)
        if problem is None:
            add(same, first[0].NAME)
        else:
            wrong.append(case["name"])
            print(f"FAILED {case['name']} [roundtrip] {problem}")
        if case["name"] in SPOILT and problem is None:
            must_be_found(case, folder, written, first)
    told = sum(same.values())
    print(f"{told} written models compute the same, {len(wrong)} do not, {sum(untold.values())} cannot be told")
    result = {"same": same, "not_run": not_run, "untold": untold, "wrong": wrong}
    (written / "roundtrip.json").write_text(json.dumps(result))
    sys.exit(1 if wrong else 0)


def other_operator(model):
    model.graph.node[0].op_type = "Sub"


def other_weight(model):
    # Outputs are of the size of 1: this is a hundred times what may differ.
    for tensor in model.graph.initializer:
        if tensor.name == "gemm.weight":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.001), tensor.name))


def other_input_name(model):
    model.graph.input[0].name = model.graph.node[0].input[0] = "renamed"


def other_output_type(model):
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


# Wrong models, of tests that are written right: what is done to them, and what must be said.
SPOILT = {
    "test_add": [(other_operator, "differs"), (other_input_name, "names"), (other_output_type, "refused")],
    "external_data": [(other_weight, "differs")],
}


def must_be_found(case, folder, written, first):
    """The twin of `compare`: it says what is wrong with a model that is wrong."""
    for spoil, word in SPOILT[case["name"]]:
        model = onnx.load(written / f"{case['name']}.onnx")
        spoil(model)
        path = written / f"{case['name']}.spoilt"
        onnx.save(model, path)
        problem = compare(case, folder, path, first)
        if problem is None or word not in problem:
            sys.exit(f"{case['name']} with {spoil.__name__}: expected that it {word}, found {problem}")


def main():
    folder = pathlib.Path(sys.argv[1])
    if sys.argv[2:3] == ["--roundtrip"]:
        roundtrip(folder, pathlib.Path(sys.argv[3]))
    source = pathlib.Path(__file__).read_text()
    stamp = folder / "made-by"
    made_by = f"{onnx.__version__}\n{source}"
    if stamp.exists() and stamp.read_text() == made_by:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    tests = [*node_tests(folder), *light_tests(folder), *external_test(folder)]
    cases = sorted(tests, key=lambda case: case["name"])
    (folder / "index.json").write_text(json.dumps({"onnx": onnx.__version__, "cases": cases}))
    stamp.write_text(made_by)
    print(f"    wrote {len(cases)} tests of onnx {onnx.__version__}")


if __name__ == "__main__":
    main()
