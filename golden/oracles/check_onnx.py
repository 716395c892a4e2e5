"""Checks an ONNX file with ONNX's own checker and prints what it holds as one JSON object.

usage: check_onnx.py MODEL

Exit code 0 and `"ok": true` if the full check and strict shape inference accept the file; otherwise exit
code 1 and `"ok": false` with the `error`.
"""

import collections
import json
import sys

import onnx


def value_info(value) -> dict:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "type": onnx.TensorProto.DataType.Name(tensor.elem_type),
        "shape": [d.dim_param if d.HasField("dim_param") else d.dim_value for d in tensor.shape.dim],
    }


def check(path: str) -> dict:
    # By path rather than by message: this also covers files with external data.
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    known = {v.name for v in inferred.graph.value_info} | {v.name for v in inferred.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                raise ValueError(f"shape inference finds no type for {name}, an output of {node.name}")
    initializers = {t.name for t in model.graph.initializer}
    return {
        "ok": True,
        "ir_version": model.ir_version,
        "opset": {o.domain or "ai.onnx": o.version for o in model.opset_import},
        "producer": model.producer_name,
        "inputs": [value_info(v) for v in model.graph.input if v.name not in initializers],
        "outputs": [value_info(v) for v in inferred.graph.output],
        "operators": dict(sorted(collections.Counter(n.op_type for n in model.graph.node).items())),
        "initializers": {t.name: list(t.dims) for t in model.graph.initializer},
        "metadata": {p.key: p.value for p in model.metadata_props},
    }


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(json.dumps(check(sys.argv[1])))
        return 0
    except Exception as error:  # whatever the checker or the parser throws is its verdict
        print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"}))
        return 1


if __name__ == "__main__":
    sys.exit(main())
