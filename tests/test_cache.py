"""Sessions kept on disk are those that were asked for, and are never lost to the cache."""

import shutil

import numpy as np
import pytest

import neuromask as nm
from neuromask.datasets import cache
from neuromask.datasets.cache import cached
from neuromask.errors import NeuromaskWarning


def make(seed):
    return lambda: nm.simulate(5, n_neurons=4, n_time=6, random_state=seed)


def never():
    raise AssertionError("the session is made again")


def same(one, other):
    return np.array_equal(one.counts, other.counts)


def test_a_session_is_made_once_for_the_same_name_and_parameters(tmp_path):
    first = cached(tmp_path, "a", {"x": 1}, make(0))
    assert same(cached(tmp_path, "a", {"x": 1}, never), first)
    for name, parameters in (("a", {"x": 2}), ("b", {"x": 1})):
        assert same(cached(tmp_path, name, parameters, make(1)), make(1)())
    assert len(list(tmp_path.iterdir())) == 3


def test_sessions_are_made_again_when_loaders_change_and_not_when_the_version_does(
    tmp_path, monkeypatch
):
    cached(tmp_path, "a", {}, make(0))
    monkeypatch.setattr(nm, "__version__", "99")
    cached(tmp_path, "a", {}, never)
    monkeypatch.setattr(cache, "ASSEMBLY", cache.ASSEMBLY + 1)
    assert same(cached(tmp_path, "a", {}, make(1)), make(1)())


def test_a_file_under_another_ones_name_is_not_taken_for_it(tmp_path):
    cached(tmp_path, "a", {}, make(0))
    (file,) = tmp_path.iterdir()
    cached(tmp_path, "b", {}, make(1))
    (other,) = set(tmp_path.iterdir()) - {file}
    shutil.copy(file, other)
    with pytest.warns(NeuromaskWarning, match="holds another session than its name says"):
        assert same(cached(tmp_path, "b", {}, make(1)), make(1)())
    assert same(cached(tmp_path, "b", {}, never), make(1)())
    make(0)().save(other, overwrite=True)  # says nothing of what it was made from
    with pytest.warns(NeuromaskWarning, match="holds another session"):
        assert same(cached(tmp_path, "b", {}, make(1)), make(1)())


def test_a_cache_that_cannot_be_written_costs_no_session(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(NeuromaskWarning, match="'sim-0' is loaded, but cannot be kept"):
        assert same(cached(tmp_path / "file" / "ibl", "a", {}, make(0)), make(0)())

    def odd():
        session = make(0)()
        session.trials["thing"] = [object()] * 5
        return session

    with pytest.warns(NeuromaskWarning, match=r"cannot be kept.*trials\['thing'\] holds object"):
        assert same(cached(tmp_path / "cache", "a", {}, odd), make(0)())
    assert not list((tmp_path / "cache").iterdir())
