import subprocess
import sys

import pytest

import neuromask

HEAVY = {"torch", "one", "iblatlas", "matplotlib", "sklearn", "pandas", "scipy", "rich"}
NWB = {"pynwb", "hdmf", "h5py", "temporaldata"}


def loaded_by(code, heavy):
    """Give the heavy modules that code loads in a fresh interpreter, which must print nothing."""
    code = f"import sys\n{code}\nloaded = sorted({heavy!r} & set(sys.modules)); print(loaded)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_import_is_light_and_silent():
    assert loaded_by("import neuromask", HEAVY | NWB) == "[]\n"


def test_pynwb_is_loaded_only_to_read_a_file():
    assert loaded_by("import neuromask\nneuromask.load_nwb", NWB) == "[]\n"
    assert loaded_by("import neuromask\nneuromask.load_brainset", NWB) == "[]\n"


def test_torch_is_loaded_on_first_use():
    code = "import neuromask\nneuromask.Session, neuromask.simulate, neuromask.bits_per_spike"
    assert loaded_by(code, {"torch", "matplotlib", "one"}) == "[]\n"
    assert loaded_by("import neuromask\nneuromask.MtMPretrainer", {"torch"}) == "['torch']\n"


def test_plots_and_command_line_load_matplotlib_only_to_draw():
    for module in ("plots", "cli", "pretrainer"):
        assert loaded_by(f"import neuromask.{module}", {"matplotlib", "one"}) == "[]\n"


def test_public_names_exist_and_are_documented():
    for name in neuromask.__all__:
        assert getattr(neuromask, name) is not None
        assert name in dir(neuromask)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neuromask.nothing
