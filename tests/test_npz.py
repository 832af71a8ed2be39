import json

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask._errors import InvalidInputError

from .test_session import make


def test_round_trip(tmp_path):
    before = make()
    after = nm.load_npz(before.save(tmp_path / "one"))
    np.testing.assert_array_equal(after.counts, before.counts)
    assert after.counts.dtype == before.counts.dtype
    pd.testing.assert_frame_equal(after.trials, before.trials, check_dtype=False)
    pd.testing.assert_frame_equal(
        after.neurons[before.neurons.columns], before.neurons, check_dtype=False
    )
    np.testing.assert_array_equal(after.signals["wheel"], before.signals["wheel"])
    np.testing.assert_array_equal(after.rates, before.rates)
    assert (after.session_id, after.subject, after.bin_width) == ("s1", "m1", 0.02)


def test_an_existing_file_is_kept(tmp_path):
    path = make().save(tmp_path / "one.npz")
    before = path.read_bytes()
    with pytest.raises(InvalidInputError, match="exists; choose another name"):
        make(3).save(path)
    assert path.read_bytes() == before
    assert len(nm.load_npz(make(3).save(path, overwrite=True))) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["one.npz"]


def test_objects_are_refused_and_nothing_is_left(tmp_path):
    bad = make()
    bad.trials["thing"] = [object()] * 6
    with pytest.raises(InvalidInputError, match=r"trials\['thing'\] holds object values"):
        bad.save(tmp_path / "bad.npz")
    assert not list(tmp_path.iterdir())


def test_steinmetz_layout(tmp_path):
    np.savez(
        tmp_path / "s.npz",
        spikes=make().counts,
        regions=np.array(list("abcde")),
        contrast_left=np.zeros(6),
        contrast_right=np.ones(6),
        feedback=np.ones(6),
        mouse="Cori",
        date="2016-12-14",
    )
    s = nm.load_npz(tmp_path / "s.npz")
    assert (s.session_id, s.subject, s.bin_width) == ("Cori_2016-12-14", "Cori", 0.01)
    assert list(s.trials) == ["contrast_left", "contrast_right", "feedback"]


def test_bad_files(tmp_path):
    make().save(tmp_path / "monday.npz")
    with pytest.raises(InvalidInputError, match=r"no file .*Did you mean 'monday.npz'"):
        nm.load_npz(tmp_path / "mondey.npz")
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "monday.npz").read_bytes()[:200])
    with pytest.raises(InvalidInputError, match="cannot be read"):
        nm.load_npz(tmp_path / "damaged.npz")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(InvalidInputError, match=r"has the keys \['a'\]"):
        nm.load_npz(tmp_path / "other.npz")
    header = json.dumps({"version": 99})
    np.savez(tmp_path / "future.npz", header=np.array(header), counts=make().counts)
    with pytest.raises(InvalidInputError, match="format version 99.*Upgrade"):
        nm.load_npz(tmp_path / "future.npz")


def test_real_recording(steinmetz):
    s = nm.load_npz(steinmetz(12))
    assert s.shape == (340, 40, 698)
    assert s.subject == "Lederberg"
