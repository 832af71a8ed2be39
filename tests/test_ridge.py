import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from neuromask.decoding.ridge import PENALTIES, fit_ridge


def problem(n_trials=40, n_time=1, n_features=12, n_outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_trials, n_time, n_features)) + 3
    weights = rng.normal(size=(n_features, n_outputs))
    noise = 3 * rng.normal(size=(n_trials, n_time, n_outputs))
    course = rng.normal(size=(n_time, n_outputs))
    trial_weights = rng.uniform(0.5, 2, n_trials)
    folds = list(KFold(5, shuffle=True, random_state=0).split(features))
    return features, features @ weights + noise + course, trial_weights, folds


@settings(max_examples=25, deadline=None)
@given(
    n_features=st.integers(1, 60),
    penalty=st.sampled_from([1e-4, 1e-2, 1.0, 10.0]),
    seed=st.integers(0, 1000),
)
def test_it_is_scikit_learns_ridge(n_features, penalty, seed):
    features, outputs, weights, folds = problem(n_features=n_features, seed=seed)
    fit = fit_ridge(features, outputs, trial_weights=weights, folds=folds, penalties=[penalty])
    share = weights / weights.sum()
    centred = features[:, 0] - share @ features[:, 0]
    alpha = penalty * (share @ centred**2).sum()
    expected = Ridge(alpha=alpha).fit(features[:, 0], outputs[:, 0], sample_weight=share)
    np.testing.assert_allclose(fit.weights, expected.coef_.T, atol=1e-8)
    np.testing.assert_allclose(fit.intercept[0], expected.intercept_, atol=1e-7)
    new = np.random.default_rng(1).normal(size=(5, 1, n_features))
    np.testing.assert_allclose(fit.predict(new)[:, 0], expected.predict(new[:, 0]), atol=1e-7)


def test_trials_left_out_are_predicted_by_fits_that_have_not_seen_them():
    features, outputs, weights, folds = problem(n_time=3)
    fit = fit_ridge(features, outputs, trial_weights=weights, folds=folds)
    training, test = folds[2]
    alone = fit_ridge(
        features[training],
        outputs[training],
        trial_weights=weights[training],
        folds=[(np.arange(30), np.arange(30, 32)), (np.arange(2, 32), np.arange(2))],
        penalties=[fit.penalty],
    )
    np.testing.assert_allclose(fit.left_out[test], alone.predict(features[test]))
    changed = outputs.copy()
    changed[test] += 100
    other = fit_ridge(
        features, changed, trial_weights=weights, folds=folds, penalties=[fit.penalty]
    )
    np.testing.assert_allclose(other.left_out[test], fit.left_out[test])


def test_the_strength_with_the_least_error_is_chosen():
    features, outputs, weights, folds = problem()
    fit = fit_ridge(features, outputs, trial_weights=weights, folds=folds)
    losses = {
        p: fit_ridge(features, outputs, trial_weights=weights, folds=folds, penalties=[p]).loss
        for p in PENALTIES
    }
    assert fit.penalty == min(losses, key=losses.get)
    assert fit.loss == pytest.approx(losses[fit.penalty])


def test_every_bin_has_its_own_intercept():
    features, outputs, weights, folds = problem(n_time=4)
    shift = np.array([0.0, 10.0, -5.0, 2.0])[:, None]
    fit = fit_ridge(features, outputs, trial_weights=weights, folds=folds)
    moved = fit_ridge(features, outputs + shift, trial_weights=weights, folds=folds)
    np.testing.assert_allclose(moved.weights, fit.weights, atol=1e-10)
    difference = moved.intercept - fit.intercept
    np.testing.assert_allclose(difference, np.broadcast_to(shift, (4, 2)), atol=1e-10)


def test_features_that_do_not_vary_do_no_harm():
    features, outputs, weights, folds = problem()
    fit = fit_ridge(features * 0, outputs, trial_weights=weights, folds=folds)
    np.testing.assert_array_equal(fit.weights, 0)
