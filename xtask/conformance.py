"""Writes ONNX's own tests where `oculist-conformance` finds them.

    conformance.py FOLDER
    conformance.py FOLDER --roundtrip WRITTEN

Every test is a model with one data set. `index.json` lists them; it is written last, so that a folder that was left
half-way has none.

With `--roundtrip`, ONNX's checker reads the models in WRITTEN, which went through a graph, and ONNX Runtime runs them and
those that they were made from: their floats must be equal within 1e-5.
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


def load(slot, folder):
    return numpy_helper.to_array(onnx.load_tensor(folder / slot["file"]))


def session(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def valid(path):
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception:
        return False
    return True


def compare(case, folder, path):
    """What is wrong with a written model; None if nothing, and a word in brackets if it cannot be told."""
    values = [load(slot, folder) for slot in case["inputs"]]
    try:
        before = session(folder / case["model"])
        names = [value.name for value in before.get_inputs()]
        expected = before.run(None, dict(zip(names, values, strict=True)))
    except Exception:
        return "(ONNX Runtime does not run the original)"
    try:
        # What ONNX's checker says of the original is not ours to answer for.
        if valid(folder / case["model"]):
            onnx.checker.check_model(path, full_check=True)
        after = session(path)
    except Exception as error:
        return f"refused: {str(error).splitlines()[0]}"
    if [value.name for value in after.get_inputs()] != names:
        return "the inputs have other names"
    try:
        found = after.run(None, dict(zip(names, values, strict=True)))
    except Exception as error:
        return f"does not run: {str(error).splitlines()[0]}"
    if len(found) != len(expected):
        return f"{len(found)} outputs, expected {len(expected)}"
    for i, (a, b) in enumerate(zip(found, expected)):
        if not isinstance(b, np.ndarray):
            return "(no tensors)"
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"output {i} is {a.dtype}{a.shape}, expected {b.dtype}{b.shape}"
        same = a == b if b.dtype.kind not in "f" else np.isclose(a, b, rtol=1e-5, atol=1e-5, equal_nan=True)
        if not np.all(same):
            return f"output {i} differs"
    return None


def roundtrip(folder, written):
    cases = json.loads((folder / "index.json").read_text())["cases"]
    same, untold, wrong = 0, 0, 0
    for case in cases:
        path = written / f"{case['name']}.onnx"
        # What is zeroed is drawn anew in each run.
        drawn = case["name"].startswith("test_training_dropout")
        if drawn or not path.exists() or not all("file" in slot for slot in case["inputs"]):
            continue
        problem = compare(case, folder, path)
        if problem is None:
            same += 1
        elif problem.startswith("("):
            untold += 1
        else:
            wrong += 1
            print(f"FAILED {case['name']} [roundtrip] {problem}")
    print(f"{same} written models compute the same, {wrong} do not, {untold} cannot be told")
    sys.exit(1 if wrong else 0)


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
    cases = sorted([*node_tests(folder), *light_tests(folder)], key=lambda case: case["name"])
    (folder / "index.json").write_text(json.dumps({"onnx": onnx.__version__, "cases": cases}))
    stamp.write_text(made_by)
    print(f"    wrote {len(cases)} tests of onnx {onnx.__version__}")


if __name__ == "__main__":
    main()
