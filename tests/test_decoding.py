import numpy as np
import pytest
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import neuromask as nm
from neuromask.decoding import (
    ArgmaxClassifier,
    PerBinRegressor,
    ReducedRankRegressor,
    compare_decoders,
    decoding_baselines,
    pooled_r2,
    summarise_decoders,
)
from neuromask.decoding.baselines import _mean
from neuromask.errors import InvalidInputError, NeuromaskWarning


@pytest.fixture(scope="module")
def labelled():
    rng = np.random.default_rng(0)
    y = np.where(np.arange(60) % 3 == 0, "rare", "common")
    rates = np.full((60, 12, 8), 0.5) + 0.8 * (y == "rare")[:, None, None] * (np.arange(8) < 4)
    return rng.poisson(rates), y


def test_pooled_r2_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    y, answer = rng.normal(size=(2, 20, 7, 3))
    expected = r2_score(y.reshape(-1, 3), answer.reshape(-1, 3))
    assert pooled_r2(y, answer) == pytest.approx(expected)
    assert pooled_r2(y[..., 0], answer[..., 0]) == pytest.approx(
        r2_score(y[..., 0].ravel(), answer[..., 0].ravel())
    )
    assert pooled_r2(np.ones(5), np.zeros(5)) == 0
    with pytest.raises(InvalidInputError, match=r"shape \(5,\) and y_pred \(4,\)"):
        pooled_r2(np.ones(5), np.ones(4))


@pytest.mark.parametrize("name", list(decoding_baselines("classification")))
def test_every_baseline_classifies(labelled, name):
    X, y = labelled
    model = clone(decoding_baselines("classification")[name]).fit(X[:45], y[:45])
    assert (model.predict(X[45:]) == y[45:]).mean() > 0.8


@pytest.mark.parametrize("per_bin", [False, True])
def test_every_baseline_regresses(per_bin):
    session = nm.simulate(100, n_neurons=20, n_time=20, random_state=0)
    y = session.signals["whisker"] if per_bin else session.signals["whisker"].mean(1)
    for name, model in decoding_baselines("regression", per_bin=per_bin).items():
        answer = model.fit(session[:80], y[:80]).predict(session[80:])
        assert answer.shape == y[80:].shape, name
        assert pooled_r2(y[80:], answer) > 0.2, name


def test_the_strength_for_signals_is_chosen_over_trials():
    # Each trial has a level of its own that many inputs hold too: a bin that is left out alone is
    # told from its trial, whatever the strength, where a new trial needs a strong ridge.
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(30, 1, 60)), 15, axis=1) + 0.01 * rng.normal(size=(30, 15, 60))
    y = np.repeat(rng.normal(size=(30, 1)), 15, axis=1)
    baseline = decoding_baselines("regression", per_bin=True)["smoothed counts"].fit(X, y)
    search = baseline[-1]
    assert search.best_params_["estimator__ridge__alpha"] >= 1e4
    for training, test in search.cv.split(X):
        assert not set(training) & set(test)
        assert (np.diff(test) == 1).all()  # trials, as runs
    over_bins = RidgeCV(alphas=search.param_grid["estimator__ridge__alpha"])
    assert over_bins.fit(X.reshape(-1, 60), y.ravel()).alpha_ < 1e4


def test_unknown_tasks_are_refused():
    with pytest.raises(InvalidInputError, match="task='both'"):
        decoding_baselines("both")


def test_bins_are_samples():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 6, 3))
    y = np.stack([X[..., 0] - X[..., 1], X[..., 2]], -1)
    model = PerBinRegressor(Ridge(alpha=1e-6)).fit(X, y)
    np.testing.assert_allclose(model.predict(X[:2]), y[:2], atol=1e-5)


def test_the_rank_is_cut_to_what_the_data_allow():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 4)), rng.normal(size=6)
    many, all_of_them = (ReducedRankRegressor(rank).fit(X, y).predict(X) for rank in (50, 4))
    np.testing.assert_allclose(many, all_of_them)
    assert many.shape == y.shape


def test_the_largest_excess_over_the_mean_wins():
    X = np.r_[np.zeros(8), np.ones(2)][:, None]
    y = np.array(["often"] * 8 + ["seldom"] * 2)
    model = ArgmaxClassifier(Ridge(alpha=1.0)).fit(X, y)
    assert (model.predict(X) == y).all()


def test_decoders_are_compared_on_the_same_folds(labelled):
    X, y = labelled
    pipe = make_pipeline(FunctionTransformer(_mean), DummyClassifier())
    models = {"one": decoding_baselines("classification")["trial mean"], "chance": pipe}
    table = compare_decoders(models, X, y, cv=4)
    assert list(table) == ["model", "fold", "n_train", "n_test", "score"]
    assert (table.groupby("fold")["n_test"].nunique() == 1).all()
    np.testing.assert_allclose(table.loc[table["model"] == "chance", "score"], 0.5)
    accuracy = compare_decoders({"chance": pipe}, X, y, cv=KFold(3), scoring="accuracy")
    np.testing.assert_allclose(accuracy["score"].mean(), 2 / 3)


def test_groups_are_never_parted(labelled):
    X, y = labelled
    pipe = make_pipeline(FunctionTransformer(_mean), DummyClassifier())
    groups = np.repeat(["a", "b", "c", "d"], [30, 10, 15, 5])
    table = compare_decoders({"chance": pipe}, X, y, cv=GroupKFold(4), groups=groups)
    assert sorted(table["n_test"]) == [5, 10, 15, 30]
    with pytest.raises(InvalidInputError, match="compare_decoders: cv=GroupKFold.* without groups"):
        compare_decoders({"chance": pipe}, X, y, cv=GroupKFold(4))
    with pytest.raises(InvalidInputError, match=r"groups has shape \(5,\) and X has 60 trials"):
        compare_decoders({"chance": pipe}, X, y, cv=GroupKFold(4), groups=groups[:5])


def test_summaries_are_of_pairs(labelled):
    X, y = labelled
    pipe = make_pipeline(FunctionTransformer(_mean), DummyClassifier())
    models = {"one": decoding_baselines("classification")["trial mean"], "chance": pipe}
    table = compare_decoders(models, X, y, cv=5)
    found = summarise_decoders(table).set_index("model")
    one = table.loc[table["model"] == "one", "score"]
    assert found.loc["one", "score"] == pytest.approx(one.mean())
    reach = student_t.ppf(0.975, 4) * one.std(ddof=1) / np.sqrt(5)
    assert found.loc["one", "ci_high"] == pytest.approx(one.mean() + reach)
    assert found.loc["one", "difference"] == 0
    assert found.loc["chance", "difference"] == pytest.approx(one.mean() - 0.5)
    assert found.loc["chance", "difference_se"] == pytest.approx(one.sem())


def test_comparisons_need_decoders_of_one_kind(labelled):
    X, y = labelled
    with pytest.raises(InvalidInputError, match="models is empty"):
        compare_decoders({}, X, y)
    with pytest.raises(InvalidInputError, match="classifiers and regressors are mixed"):
        compare_decoders({"a": DummyClassifier(), "b": DummyRegressor()}, X, y)


CHANCE = make_pipeline(FunctionTransformer(_mean), DummyClassifier())


class Broken(DummyClassifier):
    """Cannot be fitted."""

    def fit(self, X, y, sample_weight=None):
        raise ZeroDivisionError("no\nvariance")


def test_a_decoder_that_fails_is_named_and_the_others_are_kept(labelled):
    X, y = labelled
    models = {"chance": CHANCE, "broken": Broken(), "again": CHANCE}
    said = r"compare_decoders: 'broken' cannot be fitted .*\(ZeroDivisionError: no variance\)"
    with pytest.warns(NeuromaskWarning, match=said):
        table = compare_decoders(models, X, y, cv=3)
    assert table["model"].tolist() == ["chance"] * 3 + ["again"] * 3
    with pytest.raises(ZeroDivisionError):  # nothing is left that others could be compared with
        compare_decoders({"broken": Broken(), "chance": CHANCE}, X, y, cv=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": [CHANCE]}, "models is a list; expected a mapping"),
        ({"models": CHANCE}, "models is a Pipeline; expected a mapping"),
        ({"models": {"a": "ridge"}}, r"models\['a'\] is a str; expected a decoder"),
        ({"X": 3}, "X is a int"),
        ({"y": np.arange(50) % 2}, "y has 50 entries and X has 60 trials"),
        ({"y": np.r_[np.nan, np.arange(59) % 2]}, "Input y contains NaN"),
        ({"cv": []}, r"cv=\[\] gives no folds"),
        ({"cv": 1}, "cv=1 cannot cut 60 trials without groups"),
        ({"cv": 0}, "cv=0 cannot cut 60 trials"),
        ({"cv": "a"}, "cv='a' cannot cut 60 trials"),
        ({"cv": GroupKFold(9), "groups": np.arange(60) % 2}, "cv=GroupKFold.* with these groups"),
        ({"scoring": {"a": "accuracy"}}, r"scoring=\{'a': 'accuracy'\}; expected one name"),
        ({"scoring": "acuracy"}, "scoring='acuracy'.*Did you mean 'accuracy'"),
    ],
)
def test_comparisons_that_cannot_be_made_are_refused_before_any_fit(labelled, change, message):
    X, y = labelled
    given = {"models": {"broken": Broken()}, "X": X, "y": y, "cv": 3} | change
    with pytest.raises(InvalidInputError, match=f"compare_decoders: {message}"):
        compare_decoders(**given)


@pytest.mark.parametrize("table", [None, [1], {"model": ["a"]}])
def test_summaries_are_of_tables(table):
    with pytest.raises(InvalidInputError, match="summarise_decoders: the table is a"):
        summarise_decoders(table)


@pytest.mark.parametrize("bad", [None, [np.nan, 1.0], [np.inf, 1.0], "text", [[1.0], [1.0, 2.0]]])
def test_r2_is_of_finite_numbers(bad):
    with pytest.raises(InvalidInputError, match="pooled_r2: y_true"):
        pooled_r2(bad, [0.0, 1.0])
    with pytest.raises(InvalidInputError, match="pooled_r2: y_pred"):
        pooled_r2([0.0, 1.0], bad)
