"""The house: each module imports only from those above it."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "neuromask"
ORDER = [
    "_errors",
    "_random",
    "_validation",
    "metrics",
    "session",
    "masks",
    "schemes",
    "datasets",
    "datasets.simulate",
    "datasets.npz",
    "nn",
    "nn.layers",
    "nn.smoothing",
    "nn.stitching",
    "nn.ndt1",
    "nn.registry",
    "_batching",
    "_training",
    "_progress",
    "_checkpoint",
    "evaluation",
    "baselines",
    "_recordings",
    "_inference",
    "_base",
    "pretrainer",
    "persistence",
    "plots",
    "cli",
    "__main__",
]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(p for p in parts if p != "__init__"), path


def imports(name, path):
    """Yield the package's modules that a module imports, at any depth of its code."""
    package = name.split(".")[: -1 if path.name != "__init__.py" else None]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                deeper = ".".join([*target, alias.name])
                yield deeper if deeper in ORDER else ".".join(target)


def test_every_module_has_its_place():
    assert {name for name, _ in modules() if name} == set(ORDER)


def test_no_module_imports_from_below():
    for name, path in modules():
        if not name:
            continue
        for target in imports(name, path):
            assert target in ORDER, f"{name} imports {target}"
            assert ORDER.index(target) < ORDER.index(name), f"{name} imports {target} below it"


def test_the_import_reader_sees_imports():
    found = set(imports("pretrainer", PACKAGE / "pretrainer.py"))
    assert {"_training", "_base", "schemes"} <= found


def test_matplotlib_is_only_imported_inside_functions():
    for _, path in modules():
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in getattr(node, "names", [])] + [
                getattr(node, "module", "") or ""
            ]
            assert not any(n.startswith("matplotlib") for n in names), path


def code_lines(path):
    """Count lines that are neither blank, comment nor docstring."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [
        n.body[0] for n in ast.walk(tree) if isinstance(n, documented) and ast.get_docstring(n)
    ]
    docs = {line for text in texts for line in range(text.lineno, text.end_lineno + 1)}
    lines = enumerate(path.read_text().splitlines(), 1)
    return sum(1 for i, x in lines if i not in docs and x.strip() and x.strip()[0] != "#")


def test_files_have_one_idea():
    for _, path in modules():
        assert code_lines(path) <= 280, path
