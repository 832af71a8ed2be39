import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.model_selection import cross_val_score, train_test_split

import neuromask as nm
from neuromask._errors import InvalidInputError


def make(n_trials=6, n_time=4, n_neurons=5):
    rng = np.random.default_rng(0)
    return nm.Session(
        rng.poisson(1, (n_trials, n_time, n_neurons)),
        [f"r{i % 2}" for i in range(n_neurons)],
        neurons=pd.DataFrame({"depth": np.arange(n_neurons)}),
        trials={"choice": np.arange(n_trials), "name": [f"t{i}" for i in range(n_trials)]},
        signals={"wheel": np.arange(n_trials)[:, None] + np.zeros((n_trials, n_time))},
        bin_width=0.02,
        session_id="s1",
        subject="m1",
        rates=np.arange(n_trials)[:, None, None] + np.zeros((n_trials, n_time, n_neurons)),
    )


@given(st.lists(st.integers(-6, 5), max_size=8))
def test_everything_stays_aligned_when_trials_are_selected(trials):
    whole = make()
    if not trials:
        with pytest.raises(InvalidInputError, match="at least one trial"):
            whole[trials]
        return
    part = whole[trials]
    wanted = np.arange(6)[trials]
    assert part.trials["choice"].tolist() == wanted.tolist()
    np.testing.assert_array_equal(part.counts, whole.counts[wanted])
    np.testing.assert_array_equal(part.signals["wheel"][:, 0], wanted)
    np.testing.assert_array_equal(part.rates[:, 0, 0], wanted)
    assert (part.session_id, part.subject, part.bin_width) == ("s1", "m1", 0.02)
    assert part.regions.tolist() == whole.regions.tolist()


def test_indexing_like_an_array():
    whole = make()
    assert whole[2].shape == (4, 5)
    assert whole[:, :2].shape == (6, 2, 5)
    assert len(whole[1:3, ...]) == 2
    assert whole[np.arange(6) > 3].trials["choice"].tolist() == [4, 5]
    with pytest.raises(InvalidInputError, match=r"mask of shape \(3,\) for 6 trials"):
        whole[np.ones(3, bool)]
    with pytest.raises(IndexError, match="out of range"):
        whole[[7]]
    with pytest.raises(InvalidInputError, match="boolean mask or a list"):
        whole[["a"]]


def test_selecting_neurons_and_regions():
    whole = make()
    assert whole.select_neurons([3, 1]).neurons["depth"].tolist() == [3, 1]
    part = whole.select_regions("r1")
    assert part.neurons["depth"].tolist() == [1, 3]
    np.testing.assert_array_equal(part.counts, whole.counts[:, :, [1, 3]])
    with pytest.raises(InvalidInputError, match="no neuron in 'r3'"):
        whole.select_regions("r3")
    with pytest.raises(InvalidInputError, match="has no regions"):
        nm.Session(whole.counts).select_regions("r1")


def test_nothing_is_shared_with_the_input():
    table = pd.DataFrame({"choice": np.arange(6)})
    s = nm.Session(make().counts, trials=table)
    s.trials["choice"] = -1
    assert table["choice"].tolist() == list(range(6))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"regions": ["a"]}, "regions has shape"),
        ({"trials": {"a": [1, 2]}}, "trials has 2 rows; expected 6, one a trial"),
        ({"neurons": pd.DataFrame({"a": [1]})}, "neurons has 1 rows; expected 5"),
        ({"signals": {"w": np.zeros((6, 3))}}, r"signal 'w' has shape \(6, 3\)"),
        ({"rates": np.zeros((1, 2, 3))}, "rates has shape"),
        ({"bin_width": 0}, "positive number of seconds"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.Session(make().counts, **fields)


def test_pickle_and_array():
    whole = make()
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(np.asarray(again), whole.counts)
    assert again.regions.tolist() == whole.regions.tolist()
    assert np.asarray(whole, dtype=float).dtype == float


class RegionCount(BaseEstimator):
    """Scores how many regions reach it."""

    def fit(self, X, y=None):
        assert isinstance(X, nm.Session)
        return self

    def score(self, X, y=None):
        return len(set(X.regions))


@pytest.mark.parametrize("n_trials", [6, 5])  # 5 trials and 5 neurons: the square case
def test_scikit_learn_slices_trials_and_keeps_regions(n_trials):
    whole = make(n_trials)
    assert cross_val_score(RegionCount(), whole, cv=2).tolist() == [2, 2]
    train, test = train_test_split(whole, random_state=0)
    assert len(train) + len(test) == n_trials


def test_from_xarray():
    counts = make().counts
    data = xr.DataArray(
        counts,
        dims=("trial", "time", "neuron"),
        coords={"regions": ("neuron", list("abcde")), "choice": ("trial", np.arange(6))},
    )
    s = nm.Session.from_xarray(data, bin_width=0.01)
    assert s.regions.tolist() == list("abcde")
    assert s.trials["choice"].tolist() == list(range(6))
    with pytest.raises(InvalidInputError, match="xarray.DataArray of three dimensions"):
        nm.Session.from_xarray(counts)


def test_representation_tells_the_facts():
    text = repr(make())
    for fact in ("'s1'", "6 trials", "4 bins of 20 ms", "5 neurons", "r0 3", "subject m1"):
        assert fact in text
    assert "<li>" in make()._repr_html_()
