"""The house: each module imports only from those above it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "neuromask"
# From the ground up: a file or folder of the top imports from those below it alone.
LAYERS = [
    {"errors", "_axes", "_cells"},
    {
        "_random",
        "_checks",
        "_tables",
        "_files",
        "_splits",
        "_estimator",
        "_observed",
        "_windows",
        "_mask_rules",
    },
    {"_counts"},
    {"metrics", "masks", "_plausible", "_xarray"},
    {"schemes", "session"},
    {"_known"},
    {"datasets", "_recordings"},
    {"nn", "_checkpoint"},
    {"training", "streaming"},
    {"evaluation"},
    {"baselines", "pretrainer"},
    {"decoding", "pretrained"},
    {"decoder", "comparison"},
    {"benchmark", "plots"},
    {"cli"},
    {"__main__"},
]
FLOOR = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(p for p in parts if p != "__init__"), path


def imports(name, tree, *, is_package=False):
    """Yield the package's modules that a module imports, at any depth of its code."""
    known = {name for name, _ in modules()}
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
                yield deeper if deeper in known else ".".join(target)


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


def test_every_room_has_its_floor():
    assert {name.split(".")[0] for name, _ in modules() if name} == set(FLOOR)


def test_no_room_imports_from_its_own_floor_or_above():
    for name, path in modules():
        room = name.split(".")[0]
        tree = ast.parse(path.read_text())
        for target in imports(name, tree, is_package=path.name == "__init__.py"):
            other = target.split(".")[0]
            if name and target and other != room:  # the package itself is asked for its version
                assert FLOOR[other] < FLOOR[room], f"{name} imports {target}"


def test_no_module_imports_itself_in_a_circle():
    below = {}
    for name, path in modules():
        found = imports(name, ast.parse(path.read_text()), is_package=path.name == "__init__.py")
        below[name] = set(found) - {""}
    while below:
        ground = [name for name, found in below.items() if not found & below.keys() - {name}]
        assert ground, f"a circle among {sorted(below)}"
        for name in ground:
            del below[name]


def test_the_package_itself_imports_nothing_at_once():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    assert not list(imports("", tree, is_package=True))


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
                own = ("datasets.nwb.files", "datasets.brainset.files")
                assert name in own, f"{path}:{line}"
                assert line in later, f"{path}:{line}"


def test_the_benchmarks_package_is_only_imported_by_one_module():
    users = {name for name, path in modules() if '(f"ibl_bwb_eval' in path.read_text()}
    assert users == {"benchmark.files"}
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
