import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.comparison import VARIANTS, contrast
from neuromask.errors import InvalidInputError
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
    wide = table.pivot_table(index="task", columns="model", values="bps")
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
            "bps": [0.3, 0.1, 0.2, 0.1, 0.1, 0.2, 0.4, 0.3],
        }
    )
    found = contrast(table, "MtM", "temporal").set_index("task")
    assert found.loc["one", "difference"] == pytest.approx(0.15)
    assert found.loc["one", "se"] == pytest.approx(0.05)
    assert found["n_better"].tolist() == [2, 1]
    with pytest.raises(InvalidInputError, match="model"):
        contrast(table, "MtM", "temperal")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": ["temperal"]}, "unknown variant 'temperal'.*Did you mean 'temporal'"),
        ({"variants": {"a": {"dims": 3}}}, r"sets \['dims'\].*Did you mean 'dim'"),
        ({"variants": {"a": {"dim": 3}}}, "dim=3 is not a multiple"),
        ({"variants": []}, "no variants"),
        ({"test_fraction": 1.0}, "test_fraction"),
    ],
)
def test_bad_variants_are_refused_before_any_fit(sessions, options, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.compare(sessions, progress=pytest.fail, **options)


def test_bad_sessions_are_refused(sessions):
    with pytest.raises(InvalidInputError, match="X holds a ndarray; expected Sessions"):
        nm.compare(sessions[0].counts)
    with pytest.raises(InvalidInputError, match=r"no test trials of \['sim-1'\]"):
        nm.compare(sessions, [sessions[0]])
