import contextlib
import json
import os
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import neuromask as nm
from neuromask.errors import InvalidInputError

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


# Without the NUL, which ends numpy's text, and lone surrogates, which no file can hold.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
columns = st.sampled_from(
    [
        np.arange(3),
        np.array([0.5, np.nan, -np.inf]),
        np.array([True, False, True]),
        pd.date_range("2020-01-01", periods=3),
        pd.Categorical(["a", "b", "a"]),
    ]
) | st.lists(text, min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore:.*(all counts are multiples|no neuron fires|on average)")
@given(
    counts=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.just(3), st.integers(1, 4), st.just(3)),
    ),
    trials=st.dictionaries(text, columns, max_size=3),
    neurons=st.dictionaries(text.filter(lambda name: name != "region"), columns, max_size=2),
    session_id=text,
    bin_width=st.none() | st.floats(1e-4, 1),
    with_regions=st.booleans(),
)
def test_any_session_comes_back_as_it_was(
    counts, trials, neurons, session_id, bin_width, with_regions
):
    before = nm.Session(
        counts,
        ["a", "b", "b"] if with_regions else None,
        trials=trials,
        neurons=pd.DataFrame(neurons, index=range(3)),
        signals={name: np.ones(counts.shape[:2]) for name in trials},
        bin_width=bin_width,
        session_id=session_id,
    )
    with tempfile.TemporaryDirectory() as folder:
        after = nm.load_npz(before.save(Path(folder) / "one.npz"))
    assert after.counts.dtype == before.counts.dtype
    np.testing.assert_array_equal(after.counts, before.counts)
    for table in ("trials", "neurons"):
        there, here = getattr(before, table), getattr(after, table)
        assert list(here.columns) == list(there.columns)
        for name in there:
            np.testing.assert_array_equal(here[name].to_numpy(), there[name].to_numpy())
    assert list(after.signals) == list(before.signals)
    assert (after.session_id, after.bin_width) == (session_id, bin_width)
    assert (after.regions is None) == (before.regions is None)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_a_saved_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    saved = make().save(tmp_path / "one")
    assert saved.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_saving_where_it_cannot_be_done_names_the_path_and_leaves_nothing(tmp_path):
    with pytest.raises(InvalidInputError, match=r"none.one\.npz lies in a folder that does not"):
        make().save(tmp_path / "none" / "one")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError, match=r"folder\.npz"):
        make().save(tmp_path / "folder.npz", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.npz"]


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
    with pytest.raises(
        InvalidInputError, match=r"trials\['thing'\] holds object values, such as <o"
    ):
        bad.save(tmp_path / "bad.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
def test_gaps_in_tables_are_kept(tmp_path, gap):
    session = make()
    session.neurons["group"] = pd.Series(["good", gap, "", "mua", gap], dtype=object)
    session.trials["choice"] = pd.Series([1, gap, -1, 1, gap, 0], dtype=object)
    session.trials["nothing"] = pd.Series([gap] * 6, dtype=object)
    again = nm.load_npz(session.save(tmp_path / "gaps"))
    assert again.neurons["group"].isna().tolist() == [False, True, False, False, True]
    assert again.neurons["group"].dropna().tolist() == ["good", "", "mua"]
    np.testing.assert_array_equal(again.trials["choice"], [1, np.nan, -1, 1, np.nan, 0])
    assert again.trials["nothing"].isna().all()


TEXT = ["good", None, "", "mua", "good"]
NUMBERS = [1, None, -2, 3, 4]
TRUTH = [True, None, False, False, True]
COLUMNS = {
    "text": pd.array(TEXT, dtype="string"),
    "categories": pd.Categorical(TEXT),
    "bytes": [None if v is None else v.encode() for v in TEXT],
    "whole numbers": pd.array(NUMBERS, dtype="Int64"),
    "numbered categories": pd.Categorical(NUMBERS),
    "truth": TRUTH,
    "nullable truth": pd.array(TRUTH, dtype="boolean"),
    "times of day": pd.to_datetime([None, *["2026-11-27 10:00"] * 4]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_any_kind_keep_their_values_and_their_gaps(tmp_path, name):
    session = make()
    session.neurons["column"] = COLUMNS[name]
    expected = TEXT if name == "bytes" else session.neurons["column"].tolist()
    again = nm.load_npz(session.save(tmp_path / "gaps")).neurons["column"]
    assert again.isna().tolist() == [bool(pd.isna(v)) for v in expected]
    assert again.dropna().tolist() == [v for v in expected if not pd.isna(v)]


def test_ids_that_are_no_text_are_kept_as_text(tmp_path):
    session = make()
    ids = [uuid.UUID(int=i) for i in range(5)]
    session.neurons["uuid"] = ids
    assert nm.load_npz(session.save(tmp_path / "a")).neurons["uuid"].tolist() == list(map(str, ids))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", None, 2.5, "b", "c"], "holds str and float values, such as 2.5 in row 2"),
        (pd.to_datetime([None] + ["2026-11-27"] * 4, utc=True), "holds Timestamp .* in row 1"),
        ([True, True, 3, False, None], "holds bool and int values, such as 3 in row 2"),
    ],
)
def test_other_columns_are_refused_by_row_and_with_a_cure(tmp_path, values, message):
    session = make()
    session.neurons["column"] = values
    with pytest.raises(InvalidInputError, match=message + r".*\.astype\(str\)"):
        session.save(tmp_path / "bad")


def test_gaps_that_do_not_fit_their_column_are_refused(tmp_path):
    header = np.array(json.dumps({"version": 1}))
    arrays = {"header": header, "counts": make().counts, "trials/a": np.array(["x"] * 6)}
    for gaps in ({"gaps/trials/a": np.zeros(5, bool)}, {"gaps/trials/b": np.zeros(6, bool)}):
        np.savez(tmp_path / "bad.npz", **arrays, **gaps)
        with pytest.raises(InvalidInputError, match="has the keys"):
            nm.load_npz(tmp_path / "bad.npz")


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


@pytest.mark.parametrize(
    "arrays",
    [
        {"header": np.arange(3)},
        {"header": np.array(json.dumps({"version": 1}))},
        {"header": np.array(json.dumps({"version": 1})), "counts": np.ones(1), "extra": np.ones(1)},
        {"spikes": np.ones((2, 2, 2))},
    ],
)
def test_other_keys_are_listed(tmp_path, arrays):
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(InvalidInputError, match=r"^load_npz: /.*has the keys \['.*expected a file"):
        nm.load_npz(tmp_path / "other.npz")


def test_files_of_other_kinds_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.ones(3))
    for name in ("text.npz", "array.npz"):
        with pytest.raises(InvalidInputError, match=f"{name} cannot be read.*not an .npz file"):
            nm.load_npz(tmp_path / name)
    np.savez(tmp_path / "pickle.npz", spikes=np.array([None]), regions=np.array(["a"]))
    with pytest.raises(InvalidInputError, match=r"pickle\.npz cannot be read.*without pickled"):
        nm.load_npz(tmp_path / "pickle.npz")


def test_contents_that_do_not_fit_name_the_file(tmp_path):
    np.savez(tmp_path / "s.npz", spikes=make().counts, regions=np.array(["a"]))
    with pytest.raises(InvalidInputError, match=r"load_npz: .*s\.npz: regions has shape"):
        nm.load_npz(tmp_path / "s.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_anywhere_is_a_clear_error(tmp_path, save):
    path = tmp_path / "one.npz"
    save(path, spikes=make().counts, regions=np.array(list("abcde")))
    whole = path.read_bytes()
    for where in range(0, len(whole), 7):
        path.write_bytes(whole[:where] + bytes([whole[where] ^ 0xFF]) + whole[where + 1 :])
        with contextlib.suppress(InvalidInputError):  # some bytes, such as dates, do not matter
            s = nm.load_npz(path)
            assert s.counts.sum() == make().counts.sum()


def test_real_recording(steinmetz):
    s = nm.load_npz(steinmetz(12))
    assert s.shape == (340, 40, 698)
    assert s.subject == "Lederberg"
