import subprocess
import sys

import pytest

import neuromask


def test_import_is_light_and_silent():
    code = (
        "import sys, neuromask; "
        "heavy = {'torch', 'one', 'matplotlib', 'sklearn', 'pandas'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_public_names_exist_and_are_documented():
    for name in neuromask.__all__:
        assert getattr(neuromask, name) is not None
        assert name in dir(neuromask)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neuromask.nothing
