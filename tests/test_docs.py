"""What the pages say is there, is true of the code, and can be read."""

import ast
import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest

import neuromask as nm

from .test_backbones import Filter
from .test_layers import LAYERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, ROOT / "README.md"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def called(node):
    """Return the dotted name that a call or attribute spells, or None for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def found(name):
    value = nm
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_python_in_the_docs_uses_names_and_parameters_that_exist(path):
    # Methods of objects are known by the names that the pages give these objects.
    kinds = {"pre": nm.MtMPretrainer, "decoder": nm.MtMDecoder, "session": nm.Session}
    for block in blocks(path.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            name = called(node)
            if name is None or "." not in name:
                continue
            first, rest = name.split(".", 1)
            if first == "nm":
                found(name)
            elif first in kinds and not rest.endswith("_") and "." not in rest:
                made = inspect.getsource(kinds[first].__init__)
                assert hasattr(kinds[first], rest) or f"self.{rest} =" in made, name
        for call in (n for n in ast.walk(ast.parse(block)) if isinstance(n, ast.Call)):
            name = called(call.func)
            if name is None or not name.startswith("nm."):
                continue
            parameters = inspect.signature(found(name)).parameters
            for keyword in call.keywords:
                assert keyword.arg is None or keyword.arg in parameters, f"{name}({keyword.arg}=)"


def sentences(text):
    """Yield the sentences of a page; cells of tables and items of lists stand alone."""
    text = re.sub(r"^```.*?^```", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"^(\s*([-*]|\d+\.|\|.*\||#+.*|\([\w-]+\)=|: ))", r"\n\n\1", text, flags=re.M)
    for paragraph in re.split(r"\n\s*\n", text):
        for cell in paragraph.split("|") if paragraph.lstrip().startswith("|") else [paragraph]:
            yield from re.split(r"(?<=[.!?])[)*]*\s+", " ".join(cell.split()))


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_no_sentence_is_longer_than_forty_words(path):
    long = [s for s in sentences(path.read_text()) if len(s.split()) > 40]
    assert not long, "\n".join(long)


def test_the_sentence_reader_counts_across_lines_and_not_across_items():
    text = "One two\nthree. Four.\n\n- five\n- six seven\n\n| a b | c |\n| --- | --- |\n"
    assert [len(s.split()) for s in sentences(text) if s] == [3, 1, 2, 3, 2, 1, 1, 1]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_links_and_pictures_lead_somewhere(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (path.parent / target).exists(), target
    for page in re.findall(r"\{doc\}`(\w+)`", text):
        assert (ROOT / "docs" / f"{page}.md").exists(), page
    labels = {x for p in PAGES for x in re.findall(r"^\((\w+)\)=$", p.read_text(), re.MULTILINE)}
    assert set(re.findall(r"\{ref\}`(\w+)`", text)) <= labels


def test_every_page_is_in_the_table_of_contents():
    (tree,) = blocks((ROOT / "docs" / "index.md").read_text(), r"\{toctree\}")
    assert {p.stem for p in PAGES} - {"index"} == set(tree.split()) - {":hidden:"}


def test_every_example_is_linked_from_a_page():
    text = "".join(p.read_text() for p in PAGES)
    assert EXAMPLES
    for example in EXAMPLES:
        assert f"(../examples/{example.name})" in text, example.name


def test_every_public_name_is_on_the_page_of_the_api():
    listed = set()
    for block in blocks((ROOT / "docs" / "api.md").read_text(), r"\{eval-rst\}"):
        listed |= {line.strip() for line in block.splitlines() if re.fullmatch(r" +\w+", line)}
    assert listed == set(nm.__all__) - {"PAPER_SIZES", "__version__"}


def test_every_constant_has_the_value_that_the_page_of_the_method_gives():
    text = (ROOT / "docs" / "method.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(rows) >= 20
    for module, name, value, _ in rows:
        assert getattr(importlib.import_module(f"neuromask.{module}"), name) == ast.literal_eval(
            value
        ), name


def test_the_page_of_the_architecture_lists_the_layers():
    text = (ROOT / "docs" / "architecture.md").read_text()
    listed = re.findall(r"^\d+\. ((?:`\w+`(?:, )?)+)$", text, re.MULTILINE)
    found = [set(re.findall(r"`(\w+)`", line)) for line in listed]
    public = [{name for name in layer if not name.startswith("_")} for layer in LAYERS]
    assert found == [layer for layer in public if layer]


def test_the_layout_names_files_and_folders_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    layout = re.search(r"^```\nneuromask/\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    named = set(re.findall(r"^  ([\w.]+)/? ", layout, re.MULTILINE))
    rooms = [p for p in (ROOT / "neuromask").iterdir() if p.is_dir() or p.suffix == ".py"]
    assert named == {p.name for p in rooms if not p.name.startswith("_")}


def test_the_backbone_that_the_page_shows_is_the_tested_one():
    assert inspect.getsource(Filter) in (ROOT / "docs" / "architecture.md").read_text()


def test_the_page_of_benchmarks_is_short():
    assert len((ROOT / "docs" / "benchmarks.md").read_text().splitlines()) <= 120


def shown_small(first_line):
    """Return the README's block that begins so, with toy sizes in place of those of real use."""
    shown = blocks((ROOT / "README.md").read_text(), "python")
    (block,) = [b for b in shown if b.startswith(first_line)]
    toy = "dim=8, n_heads=1, n_layers=1, max_epochs=1"
    for given, small in (
        (r"max_epochs=\d+, |, verbose=1", ""),
        (r"simulate\(300, n_neurons=80\)", "simulate(60, n_neurons=12, n_time=20)"),
        (r"simulate\(200, n_sessions=5\)", "simulate(24, n_sessions=3, n_neurons=8, n_time=20)"),
        (r"240", "40"),
        (r"cv=5", "cv=2"),
        (r"finetune\(new\)", "finetune(new, max_epochs=1)"),
        (r"MtMPretrainer\(", f"MtMPretrainer({toy}, "),
    ):
        block = re.sub(given, small, block)
    return block


@pytest.mark.parametrize(
    ("first_line", "name", "expected"),
    [
        ("import neuromask as nm", "rates", (20, 20, 12)),
        ("*known, new", "new", (24, 20, 8)),
        ("pre = nm.", "test", (20, 20, 12)),
    ],
)
def test_what_the_readme_shows_runs(first_line, name, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    session = nm.simulate(60, n_neurons=12, n_time=20)
    names = {"nm": nm, "session": session, "train": session[:40], "test": session[40:]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nm.NeuromaskWarning)  # a toy model loses to baselines
        exec(compile(shown_small(first_line), "README.md", "exec"), names)
    assert names[name].shape == expected
    shown = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 and " ... " not in line for line in shown)
    served = names.get("tuned", names["pre"])
    assert served.predict(names[name] if name == "new" else names["test"]).shape == expected
