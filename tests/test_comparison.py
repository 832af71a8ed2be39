import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.comparison import VARIANTS, contrast
from neuromask.errors import InvalidInputError, NeuromaskWarning
from neuromask.schemes import MTM_SCHEMES

TINY = nm.MtMPretrainer(dim=16, n_layers=1, n_heads=2, max_epochs=2)


@pytest.fixture(scope="module")
def sessions():
    return nm.simulate(24, n_sessions=2, n_neurons=12, n_time=12)


def test_variants_cover_the_ablations():
    assert VARIANTS["temporal"] == {"schemes": ("temporal",)}
    assert VARIANTS["MtM without prompt"]["prompted"] is False
    assert {f"{name} only" for name in MTM_SCHEMES} <= set(VARIANTS)


def test_all_variants_on_every_session_and_seed(sessions):
    seen = []
    table = nm.compare(sessions, estimator=TINY, seeds=(0, 1), progress=seen.append)
    assert len(seen) == 2 * 2 * len(VARIANTS)
    sizes = table.groupby(["session", "seed", "model"]).size()
    assert len(sizes) == len(seen)
    assert (sizes == 4).all()
    assert not hasattr(TINY, "model_")


def test_variants_are_scored_on_the_same_trials_and_repeat(sessions):
    twice = {"a": {"dim": 16}, "b": {"dim": 16}}
    table = nm.compare(sessions[0], variants=twice, estimator=TINY)
    wide = table.pivot_table(index="task", columns="model", values="bps_weighted")
    np.testing.assert_array_equal(wide["a"], wide["b"])
    given = nm.compare(
        sessions[0][:16], sessions[0][16:], variants=twice, estimator=TINY, tasks=["co_smoothing"]
    )
    assert set(given["task"]) == {"co_smoothing"}


def test_contrast_pairs_by_session():
    table = pd.DataFrame(
        {
            "session": ["a", "a", "b", "b"] * 2,
            "seed": 0,
            "model": ["MtM", "temporal"] * 4,
            "task": ["one"] * 4 + ["two"] * 4,
            "bps_weighted": [0.3, 0.1, 0.2, 0.1, 0.1, 0.2, 0.4, 0.3],
        }
    )
    found = contrast(table, "MtM", "temporal").set_index("task")
    assert found.loc["one", "difference"] == pytest.approx(0.15)
    assert found.loc["one", "se"] == pytest.approx(0.05)
    assert found["n_better"].tolist() == [2, 1]
    with pytest.raises(InvalidInputError, match="model"):
        contrast(table, "MtM", "temperal")
    with pytest.raises(InvalidInputError, match="contrast: metric='bpss'"):
        contrast(table, "MtM", "temporal", metric="bpss")
    with pytest.raises(InvalidInputError, match="contrast: model and baseline are both 'MtM'"):
        contrast(table, "MtM", "MtM")
    with pytest.raises(InvalidInputError, match=r"contrast: the table lacks \['model'\]"):
        contrast(table.drop(columns="model"), "MtM", "temporal")
    with pytest.raises(InvalidInputError, match="contrast: the table is a NoneType"):
        contrast(None, "MtM", "temporal")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": ["temperal"]}, "unknown variant 'temperal'.*Did you mean 'temporal'"),
        ({"variants": {"a": {"dims": 3}}}, r"sets \['dims'\].*Did you mean 'dim'"),
        ({"variants": {"a": {"dim": 3}}}, "dim=3 is not a multiple"),
        ({"variants": []}, "no variants"),
        ({"test_fraction": 1.0}, "test_fraction"),
        ({"variants": None}, "variants=None; expected some of"),
        ({"variants": 5}, "variants=5; expected some of"),
        ({"variants": [["MtM"]]}, r"unknown variant \['MtM'\]"),
        ({"variants": {"a": 5}}, "variant 'a' is 5; expected a mapping"),
        ({"variants": {"a": {"random_state": 3}}}, "variant 'a' sets 'random_state'.*Pass seeds"),
        ({"seeds": ()}, r"seeds=\(\); expected one whole number or more"),
        ({"seeds": 5}, "seeds=5; expected one whole number or more"),
        ({"seeds": ["a"]}, "seeds='a'; expected a whole number"),
        ({"estimator": "x"}, "estimator='x'; expected an MtMPretrainer"),
        ({"path": 5}, "path=5; expected a path"),
        ({"path": ""}, "path='' cannot be read as a table"),
    ],
)
def test_bad_arguments_are_refused_before_any_fit(sessions, options, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.compare(sessions, progress=pytest.fail, **options)


def test_bad_sessions_are_refused(sessions):
    with pytest.raises(InvalidInputError, match="X holds a ndarray; expected Sessions"):
        nm.compare(sessions[0].counts)
    with pytest.raises(InvalidInputError, match=r"no test trials of \['sim-1'\]"):
        nm.compare(sessions, [sessions[0]])


def test_sessions_that_share_a_name_are_refused(sessions):
    other = nm.Session(sessions[1].counts, sessions[1].regions, session_id="sim-0")
    twice, said = [sessions[0], other], "sessions share the session_id 'sim-0'"
    with pytest.raises(InvalidInputError, match=rf"compare \(X\): {said}"):
        nm.compare(twice, progress=pytest.fail)
    with pytest.raises(InvalidInputError, match=rf"compare \(X_test\): {said}"):
        nm.compare(sessions[0], twice, progress=pytest.fail)
    with pytest.raises(InvalidInputError, match="X_test holds a ndarray; expected Sessions"):
        nm.compare(sessions[0], sessions[0].counts, progress=pytest.fail)


FORWARD = {"estimator": TINY, "tasks": ["forward_prediction"], "variants": ["MtM", "temporal"]}


@pytest.fixture
def fits(monkeypatch):
    """Note the schemes and seed of each fit, and let some of them fail."""
    made, fit = [], nm.MtMPretrainer.fit

    def noted(self, *args, **kwargs):
        made.append((self.schemes, self.random_state))
        if (failure := failures.get(len(made))) is not None:
            raise failure
        return fit(self, *args, **kwargs)

    failures = {}
    monkeypatch.setattr(nm.MtMPretrainer, "fit", noted)
    made_and_failures = type("Fits", (), {"made": made, "failures": failures})
    return made_and_failures


def test_a_fit_that_fails_is_named_and_the_others_are_kept(sessions, fits):
    fits.failures[3] = RuntimeError("out of\nmemory")
    said = r"compare: the fit of sim-1, seed 0: MtM failed .*\(RuntimeError: out of memory\)"
    with pytest.warns(NeuromaskWarning, match=said):
        table = nm.compare(sessions, **FORWARD)
    assert list(zip(table["session"], table["model"], strict=True)) == [
        ("sim-0", "MtM"),
        ("sim-0", "temporal"),
        ("sim-1", "temporal"),
    ]


def test_where_all_fits_fail_the_reason_is_raised(sessions, fits):
    fits.failures.update({1: RuntimeError("no room"), 2: RuntimeError("no room")})
    with pytest.warns(NeuromaskWarning, match="failed"), pytest.raises(RuntimeError, match="no ro"):
        nm.compare(sessions[0], **FORWARD)


def test_a_comparison_that_was_stopped_goes_on(sessions, fits, tmp_path):
    path = tmp_path / "new" / "scores.csv"
    fits.failures[3] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        nm.compare(sessions, path=path, **FORWARD)
    assert len(pd.read_csv(path)) == 2
    fits.made.clear()
    fits.failures.clear()
    table = nm.compare(sessions, path=path, **FORWARD)
    assert len(fits.made) == 2
    pd.testing.assert_frame_equal(table, nm.compare(sessions, **FORWARD))
    assert [p.name for p in path.parent.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(
    "change",
    [
        {"estimator": nm.MtMPretrainer(**TINY.get_params() | {"dim": 8})},
        {"seeds": (1,)},
        {"n_forward_bins": 3},
        {"test_fraction": 0.4},
    ],
)
def test_a_fit_of_anything_else_is_not_taken_for_done(sessions, fits, tmp_path, change):
    path = tmp_path / "scores.csv"
    options = FORWARD | {"variants": ["MtM"], "path": path}
    first = nm.compare(sessions[0], **options)
    second = nm.compare(sessions[0], **options | change)
    assert len(fits.made) == 2
    assert first["bps_weighted"].item() != second["bps_weighted"].item()
    assert len(pd.read_csv(path)) == 2


def test_names_that_look_like_numbers_survive_the_file(sessions, tmp_path):
    session = nm.Session(sessions[0].counts, sessions[0].regions, session_id="007")
    options = FORWARD | {"variants": {"01": {}}, "path": tmp_path / "scores.csv"}
    for _ in range(2):
        table = nm.compare(session, **options)
        assert (table["session"].item(), table["model"].item()) == ("007", "01")


def test_a_file_of_something_else_is_refused_before_any_fit(sessions, fits, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InvalidInputError, match="compare: .*was not written by compare"):
        nm.compare(sessions, path=path, **FORWARD)
    assert not fits.made
    assert path.read_text() == "a,b\n1,2\n"


def test_a_scheme_of_ones_own_is_kept_and_found_again(sessions, fits, tmp_path):
    mine = nm.Scheme("mine", lambda *given: nm.masks.temporal_mask(*given))
    options = FORWARD | {
        "variants": {"mine": {"schemes": (mine,)}},
        "path": tmp_path / "scores.csv",
    }
    table = nm.compare(sessions[0], **options)
    assert len(fits.made) == 1
    pd.testing.assert_frame_equal(nm.compare(sessions[0], **options), table)
    assert len(fits.made) == 1


@pytest.mark.parametrize("cut", [1, 12])
def test_a_fit_whose_rows_are_cut_off_is_made_again(sessions, fits, tmp_path, cut):
    path = tmp_path / "scores.csv"
    options = {"estimator": TINY, "variants": ["MtM", "temporal"], "path": path}
    whole = nm.compare(sessions[0], **options)
    text = path.read_text()
    path.write_text(text[: text.rindex("\n", 0, -1) + cut])  # of the last row little is left
    fits.made.clear()
    pd.testing.assert_frame_equal(nm.compare(sessions[0], **options), whole)
    assert [seed for _, seed in fits.made] == [0]
    assert path.read_text() == text


def test_files_that_hold_no_table_are_refused(sessions, tmp_path):
    empty = tmp_path / "scores.csv"
    empty.touch()
    for path in (empty, tmp_path):
        with pytest.raises(InvalidInputError, match="compare: path=.*cannot be read as a table"):
            nm.compare(sessions, path=path, progress=pytest.fail)
