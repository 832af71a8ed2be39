"""The house: each module imports only from those above it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "neuromask"
ORDER = [
    "_errors",
    "_random",
    "_validation",
    "metrics",
    "_tables",
    "session",
    "masks",
    "schemes",
    "datasets",
    "datasets.simulate",
    "datasets.npz",
    "datasets.report",
    "datasets.binning",
    "datasets.trials",
    "datasets.spike_times",
    "datasets.cache",
    "datasets.ibl",
    "datasets.ibl.lists",
    "datasets.ibl.behaviour",
    "datasets.ibl.units",
    "datasets.ibl.files",
    "datasets.ibl.assembly",
    "datasets.ibl.loader",
    "datasets.nwb_tables",
    "datasets.nwb_signals",
    "datasets.nwb",
    "nn",
    "nn.layers",
    "nn.smoothing",
    "nn.stitching",
    "nn.pooling",
    "nn.calibration",
    "nn.encoder",
    "nn.ndt1",
    "nn.ndt2",
    "nn.registry",
    "_batching",
    "_training",
    "_starts",
    "_pretraining",
    "_shrinkage",
    "_progress",
    "_checkpoint",
    "evaluation",
    "baselines",
    "decoding",
    "_recordings",
    "_inference",
    "_targets",
    "_ridge",
    "_readout",
    "_finetuning",
    "_interpretation",
    "_base",
    "_adaptation",
    "_unseen",
    "pretrainer",
    "persistence",
    "_pretrained",
    "decoder",
    "comparison",
    "_benchmark_tasks",
    "_benchmark_files",
    "benchmark",
    "plots._axes",
    "plots.scores",
    "plots.behaviour",
    "plots.comparisons",
    "plots",
    "_arguments",
    "cli",
    "__main__",
]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(p for p in parts if p != "__init__"), path


def imports(name, tree, *, is_package=False):
    """Yield the package's modules that a module imports, at any depth of its code."""
    package = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "neuromask":
                    yield alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                target = [*package[: len(package) - node.level + 1], *parts]
            elif parts[0] == "neuromask":
                target = parts[1:]
            else:
                continue
            for alias in node.names:
                deeper = ".".join([*target, alias.name])
                yield deeper if deeper in ORDER else ".".join(target)


def outside_imports(tree):
    """Yield what a module imports from elsewhere, with the line, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, node.lineno


def lines_of_functions(tree):
    """Give the lines that run only when a function is called, or never but for type checkers."""
    lines = set()
    for node in ast.walk(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if is_function or is_typing:
            lines.update(range(node.lineno, node.end_lineno + 1))
    return lines


def test_every_module_has_its_place():
    assert {name for name, _ in modules() if name} == set(ORDER)


def test_no_module_imports_from_below():
    for name, path in modules():
        if not name:
            continue
        tree = ast.parse(path.read_text())
        for target in imports(name, tree, is_package=path.name == "__init__.py"):
            if target == "":  # the package itself, for its version
                continue
            assert target in ORDER, f"{name} imports {target}"
            assert ORDER.index(target) < ORDER.index(name), f"{name} imports {target} below it"


def test_the_package_itself_imports_nothing_at_once():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not list(imports("", tree, is_package=True))


def test_the_order_follows_the_method():
    rooms = ["session", "masks", "schemes", "datasets", "nn", "_batching", "_training"]
    rooms += ["_checkpoint", "evaluation", "baselines", "_base", "pretrainer", "plots", "cli"]
    assert [name for name in ORDER if name in rooms] == rooms


@pytest.mark.parametrize(
    "line",
    [
        "from .pretrainer import MtMPretrainer",
        "from . import pretrainer",
        "import neuromask.pretrainer",
        "from neuromask.pretrainer import MtMPretrainer",
        "from neuromask import pretrainer",
        "def late():\n    from .pretrainer import MtMPretrainer",
    ],
)
def test_the_import_reader_sees_every_form(line):
    assert list(imports("masks", ast.parse(line))) == ["pretrainer"]


def test_the_import_reader_climbs_folders():
    tree = ast.parse("from ..session import Session\nfrom . import npz\nimport numpy")
    assert list(imports("datasets.simulate", tree)) == ["session", "datasets.npz"]


def test_matplotlib_is_only_imported_inside_functions():
    for _, path in modules():
        tree = ast.parse(path.read_text())
        later = lines_of_functions(tree)
        for name, line in outside_imports(tree):
            assert name.split(".")[0] != "matplotlib" or line in later, f"{path}:{line}"


def test_one_is_only_imported_by_its_data_source():
    for name, path in modules():
        for imported, line in outside_imports(ast.parse(path.read_text())):
            is_one = imported.split(".")[0] in ("one", "iblatlas")
            assert not is_one or name == "datasets.ibl.files", f"{path}:{line}"


def test_nwb_is_only_imported_by_its_data_source_and_inside_functions():
    for name, path in modules():
        tree = ast.parse(path.read_text())
        later = lines_of_functions(tree)
        for imported, line in outside_imports(tree):
            if imported.split(".")[0] in ("pynwb", "hdmf", "h5py"):
                assert name == "datasets.nwb", f"{path}:{line}"
                assert line in later, f"{path}:{line}"


def test_the_benchmarks_package_is_only_imported_by_one_module():
    users = {name for name, path in modules() if '(f"ibl_bwb_eval' in path.read_text()}
    assert users == {"_benchmark_files"}
    for _, path in modules():
        for imported, line in outside_imports(ast.parse(path.read_text())):
            assert not imported.startswith("ibl_bwb_eval"), f"{path}:{line}"


def test_nothing_loads_a_pickle_or_uses_global_chance():
    for _, path in modules():
        tree = ast.parse(path.read_text())
        assert not {"pickle", "random"} & {name for name, _ in outside_imports(tree)}, path
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
                allowed = ("default_rng", "Generator", "RandomState", "SeedSequence")
                assert node.attr in allowed, f"{path}:{node.lineno}"
            assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}"


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
