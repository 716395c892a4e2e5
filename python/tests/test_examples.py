"""The notebook, cell by cell."""

import ast
import json
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name: str) -> dict:
    """Runs the code of a notebook as a kernel does; gives its names, with the values that cells end in as ``shown``."""
    space: dict = {"shown": []}
    notebook = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [], "kept without outputs"
        body = ast.parse("".join(cell["source"]))
        last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
        exec(compile(body, name, "exec"), space)
        if last is not None:
            space["shown"].append(eval(compile(ast.Expression(last.value), name, "eval"), space))
    return space


def test_the_notebook_runs():
    space = run("classify.ipynb")
    assert space["found"].scores["top1"] > 60 and space["shown"][-1] > 0.8
    assert "<table" in space["small"]._repr_html_()
