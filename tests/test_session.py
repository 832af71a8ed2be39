import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline

import neuromask as nm
from neuromask.errors import InvalidInputError


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


keys = st.one_of(
    st.lists(st.integers(-6, 5), max_size=8),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6).map(np.array),
    st.slices(6),
)


@given(keys, st.booleans())
def test_everything_stays_aligned_when_trials_are_selected(trials, as_scikit_learn):
    whole = make()
    wanted = np.arange(6)[trials]
    key = (trials, ...) if as_scikit_learn else trials
    if not len(wanted):
        with pytest.raises(InvalidInputError, match="at least one trial"):
            whole[key]
        return
    part = whole[key]
    assert part.trials.index.tolist() == list(range(len(wanted)))
    assert part.trials["name"].tolist() == [f"t{i}" for i in wanted]
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
    with pytest.raises(IndexError, match="out of range for 6 trials"):
        whole[[7]]
    with pytest.raises(IndexError, match="out of bounds"):
        whole[7]
    with pytest.raises(InvalidInputError, match=r"mask of shape \(\) for 6 trials"):
        whole[True]
    assert [trial.shape for trial in whole] == [(4, 5)] * 6
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
    assert whole.select_neurons(slice(1, 3)).neurons["depth"].tolist() == [1, 2]
    with pytest.raises(IndexError, match="out of range for 5 neurons"):
        whole.select_neurons([5])
    with pytest.raises(InvalidInputError, match="boolean mask or a list"):
        whole.select_neurons(3)


@given(st.lists(st.integers(0, 4), min_size=1, unique=True))
def test_everything_stays_aligned_when_neurons_are_selected(neurons):
    whole = make()
    part = whole.select_neurons(neurons)
    np.testing.assert_array_equal(part.counts, whole.counts[:, :, neurons])
    np.testing.assert_array_equal(part.rates, whole.rates[:, :, neurons])
    assert part.neurons["depth"].tolist() == neurons
    assert part.regions.tolist() == whole.regions[neurons].tolist()
    assert part.trials.equals(whole.trials)


def test_without_regions():
    bare = nm.Session(make().counts)
    assert bare.regions is None
    assert "region" not in bare.neurons
    assert bare[:2].select_neurons([0]).regions is None


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
        ({"signals": {"w": np.full((6, 4), "x", dtype=object)}}, "'w' holds object values"),
        (
            {"trials": pd.DataFrame(np.ones((6, 2)), columns=["a", "a"])},
            "trials has more than one column 'a'",
        ),
        ({"neurons": pd.DataFrame({"region": ["a", None, "a", "b", "b"]})}, "first at neuron 1"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.Session(make().counts, **fields)


def by_joblib(session, folder):
    joblib.dump(session, folder / "session.joblib")
    return joblib.load(folder / "session.joblib")


@pytest.mark.parametrize("copied", [lambda s, _: pickle.loads(pickle.dumps(s)), by_joblib])
def test_pickle_joblib_and_array(copied, tmp_path):
    whole = make()
    again = copied(whole, tmp_path)
    assert again.trials.equals(whole.trials)
    assert again.neurons.equals(whole.neurons)
    np.testing.assert_array_equal(again.signals["wheel"], whole.signals["wheel"])
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


class RegionMeans(TransformerMixin, BaseEstimator):
    """Mean count of each region: useless without the regions of X."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.names_ = sorted(set(X.regions.tolist()))
        return self

    def transform(self, X):
        means = [X.select_regions(name).counts.mean((1, 2)) for name in self.names_]
        return self.scale * np.stack(means, axis=1)


@pytest.mark.parametrize("n_neurons", [9, 24])  # 24 neurons and 24 trials: the square case
def test_pipeline_and_grid_search(n_neurons):
    rng = np.random.default_rng(0)
    side = np.tile([0, 1], 12)
    labels = np.where(np.arange(n_neurons) % 2, "left", "right")
    wide = (labels == "left")[None, None] & (side == 1)[:, None, None]
    X = nm.Session(rng.poisson(1 + 3 * wide, (24, 10, n_neurons)), labels)
    pipeline = make_pipeline(RegionMeans(), LogisticRegression())
    assert cross_val_score(pipeline, X, side, cv=3).min() == 1
    n_jobs = 2 if n_neurons == 24 else 1
    grid = {"regionmeans__scale": [1e-9, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, side)
    assert search.best_params_ == {"regionmeans__scale": 1.0}
    assert search.predict(X[:4]).tolist() == side[:4].tolist()


def test_representation_tells_the_facts():
    text = repr(make())
    for fact in ("'s1'", "6 trials", "4 bins of 20 ms", "5 neurons", "r0 3", "subject m1"):
        assert fact in text
    assert "<li>" in make()._repr_html_()
    assert "&lt;b&gt;x" in nm.Session(make().counts, session_id="<b>x")._repr_html_()


def test_rebin_sums_counts_and_averages_signals():
    counts = (np.arange(2 * 7 * 3) % 5).reshape(2, 7, 3)
    session = nm.Session(
        counts,
        ["a", "b", "c"],
        bin_width=0.01,
        signals={"wheel": counts[:, :, 0].astype(float)},
        rates=counts / 10,
        trials={"choice": [1, -1]},
    )
    wide = session.rebin(0.03)
    assert wide.shape == (2, 2, 3)
    assert wide.bin_width == 0.03
    np.testing.assert_array_equal(wide.counts[:, 1], counts[:, 3:6].sum(1))
    np.testing.assert_allclose(wide.rates[:, 1], counts[:, 3:6].sum(1) / 10, rtol=1e-6)
    np.testing.assert_allclose(wide.signals["wheel"][:, 0], counts[:, :3, 0].mean(1))
    assert wide.trials["choice"].tolist() == [1, -1]
    assert session.rebin(0.01) is session
    assert session.shape == (2, 7, 3)


@pytest.mark.parametrize(
    ("width", "given", "message"),
    [
        (0.025, 0.01, "do not add up to 0.025 s"),
        (0.005, 0.01, "do not add up"),
        (-0.01, 0.01, "expected a positive number"),
        (0.1, 0.01, "lasts 0.07 s"),
        (0.02, None, "bin width .* not known"),
    ],
)
def test_rebin_refuses_what_does_not_fit(width, given, message):
    session = nm.Session(np.ones((2, 7, 3), int), bin_width=given)
    with pytest.raises(InvalidInputError, match=message):
        session.rebin(width)


def test_the_time_of_the_first_bin_is_kept(tmp_path):
    counts = np.ones((6, 10, 4), int)
    session = nm.Session(counts, list("aabb"), bin_width=0.02, t_start=-0.1)
    kept = [
        session[:3],
        session[[0, 2]],
        session.select_neurons([0, 3]),
        session.select_regions("a"),
        session.rebin(0.1),
        nm.load_npz(session.save(tmp_path / "session")),
        pickle.loads(pickle.dumps(session)),
    ]
    assert [x.t_start for x in kept] == [-0.1] * 7
    unknown = nm.Session(counts)
    assert unknown.t_start is None
    assert nm.load_npz(unknown.save(tmp_path / "unknown")).t_start is None
    with pytest.raises(nm.InvalidInputError, match="t_start=nan; expected seconds"):
        nm.Session(counts, t_start=np.nan)
