import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromask as nm
from neuromask._random import random_streams
from neuromask._splits import (
    N_RUNS,
    blocks_of,
    consecutive_folds,
    every_tenth,
    hold_out,
    hold_out_groups,
    hold_out_runs,
    n_held_out,
)
from neuromask.errors import InvalidInputError


def runs(trials):
    return 1 + int((np.diff(trials) > 1).sum())


@settings(max_examples=50, deadline=None)
@given(
    n_trials=st.integers(2, 300),
    fraction=st.floats(0.01, 0.9),
    seed=st.integers(0, 100),
    way=st.sampled_from(["one by one", "runs", "groups"]),
)
def test_every_trial_is_on_one_side_and_both_have_some(n_trials, fraction, seed, way):
    chance = np.random.default_rng(seed)
    if way == "one by one":
        parts = hold_out(n_trials, n_held_out(n_trials, fraction), chance)
    elif way == "runs":
        parts = hold_out_runs(n_trials, fraction, chance)
    else:
        parts = (
            hold_out_groups(np.arange(n_trials) // 2 * 2, fraction, chance)
            if n_trials > 3
            else None
        )
    if parts is None:
        return
    assert sorted(np.concatenate(parts)) == list(range(n_trials))
    assert all(len(part) and (np.diff(part) > 0).all() for part in parts)
    if way != "groups":
        assert len(parts[1]) == n_held_out(n_trials, fraction)


@pytest.mark.parametrize("n_trials", [50, 100, 333])
def test_runs_are_spread_over_the_session(n_trials):
    _, out = hold_out_runs(n_trials, 0.2, np.random.default_rng(0))
    assert runs(out) <= N_RUNS
    parts = np.histogram(out, bins=np.linspace(0, n_trials, N_RUNS + 1))[0]
    assert parts.min() >= 0.2 * n_trials / N_RUNS - 1
    other = hold_out_runs(n_trials, 0.2, np.random.default_rng(1))[1]
    assert not np.array_equal(out, other)


def test_runs_hold_some_of_every_class_on_both_sides():
    for seed in range(20):
        chance = np.random.default_rng(seed)
        classes = chance.permutation(np.repeat([0, 1, 2], [40, 15, 2]))
        for part in hold_out_runs(57, 0.1, chance, classes=classes):
            assert set(classes[part]) == {0, 1, 2}


def test_groups_are_held_out_whole():
    groups = np.repeat(np.arange(10), 7)
    rest, out = hold_out_groups(groups, 0.25, np.random.default_rng(0))
    assert not set(groups[rest]) & set(groups[out])
    assert len(out) == 21


def test_every_tenth_trial():
    assert every_tenth(30)[1].tolist() == [9, 19, 29]
    assert every_tenth(4)[1].tolist() == [0]


@settings(max_examples=50, deadline=None)
@given(
    n_trials=st.integers(2, 200),
    n_folds=st.integers(2, 12),
    n_classes=st.integers(1, 4),
    sticky=st.booleans(),
    seed=st.integers(0, 100),
)
def test_folds_are_runs_whose_rest_has_every_class(n_trials, n_folds, n_classes, sticky, seed):
    classes = np.random.default_rng(seed).integers(0, n_classes, n_trials)
    classes = np.sort(classes) if sticky else classes
    folds = consecutive_folds(n_trials, n_folds, classes=classes)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(n_trials))
    often = {c for c in classes.tolist() if (classes == c).sum() > 1}
    for training, test in folds:
        assert runs(test) == 1
        assert sorted([*training, *test]) == list(range(n_trials))
        assert often <= set(classes[training])
    if n_classes == 1:
        sizes = [len(test) for _, test in folds]
        assert len(folds) == min(n_folds, n_trials)
        assert max(sizes) - min(sizes) <= 1


def test_folds_of_groups_that_come_back():
    groups = np.array(["b", "a", "b", "c", "a", "d"])
    folds = consecutive_folds(6, 4, groups=groups)
    assert all(not set(groups[training]) & set(groups[test]) for training, test in folds)
    assert folds[0][1].tolist() == [0, 2]  # groups are in the order of their first trials
    with pytest.raises(InvalidInputError, match="groups has one group for all trials"):
        consecutive_folds(6, 4, groups=np.zeros(6))


def test_blocks_are_told_from_chance():
    assert blocks_of(np.random.default_rng(0).integers(0, 2, 200)) is None
    assert blocks_of(np.repeat([0, 1, 0, 1], 10)).tolist() == np.repeat(range(4), 10).tolist()
    assert blocks_of(np.repeat([0, 1], 50)) is None  # a class of one block cannot be left out


class Stopped(Exception):
    pass


@pytest.mark.parametrize("validation", ["blocked", "random", None])
def test_validation_trials_of_a_fit(monkeypatch, validation):
    """Trial i has i spikes in its first bin, by which it is known again."""
    counts = np.ones((100, 5, 3), int)
    counts[:, 0, 0] = np.arange(100)
    session = nm.Session(counts, ["a", "a", "b"])
    found = []

    def stop(model, recordings, held_out, *rest, **options):
        found.extend(part[0].counts[:, 0, 0].astype(int) for part in (recordings, held_out))
        raise Stopped

    monkeypatch.setattr("neuromask.pretrainer.fit_network", stop)
    options = {} if validation is None else {"validation": validation}
    with pytest.raises(Stopped):
        nm.MtMPretrainer(dim=16, n_layers=1, random_state=3, **options).fit(session)
    training, held_out = found
    assert sorted([*training, *held_out]) == list(range(100))
    assert len(held_out) == 10
    if validation == "random":
        order = random_streams(3).numpy("split").permutation(100)
        assert held_out.tolist() == sorted(order[:10])
    else:
        assert runs(held_out) <= N_RUNS
        assert np.histogram(held_out, bins=5, range=(0, 100))[0].tolist() == [2] * 5


def test_an_unknown_way_to_validate_is_refused():
    session = nm.simulate(10, n_neurons=4, n_time=5)
    with pytest.raises(InvalidInputError, match="validation='block'.*Did you mean 'blocked'"):
        nm.MtMPretrainer(validation="block").fit(session)
