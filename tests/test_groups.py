"""Groups of neurons that are hidden together are scored as a task of their own."""

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.baselines import PSTH, MeanRate, PoissonGLM
from neuromask.errors import InvalidInputError
from neuromask.evaluation import GROUP_TASK, TASKS, neuron_groups
from neuromask.metrics import bits_per_spike

from .conftest import TINY

LABELS = np.array(["x", "y", "z"] * 5)


def spy(calls):
    def predict_rates(counts, hidden, task):
        calls.append((counts, hidden, task))
        return np.full(counts.shape, 0.7)

    return predict_rates


def test_a_tenth_of_the_neurons_is_hidden_at_a_time_in_ten_passes():
    session, calls, steps = nm.simulate(6, n_neurons=23, n_time=5), [], []
    table = nm.evaluate(
        spy(calls),
        session,
        tasks=[GROUP_TASK],
        groups=10,
        max_bytes=4 * 6 * 5 * 23,  # a pass a call
        progress=lambda done, total: steps.append((done, total)),
    )
    assert len(calls) == 10
    assert steps[-1] == (10, 10)
    hidden = np.stack([hidden[0, 0] for _, hidden, _ in calls])
    assert set(hidden.sum(1)) == {2, 3}
    assert (hidden.sum(0) == 1).all()
    for counts, mask, task in calls:
        assert task == "group_co_smoothing"
        assert (mask == mask[:1, :1]).all()
        assert not counts[mask].any()
        assert (counts[~mask] == session.counts[~mask]).all()
    assert set(table["task"]) == {"group_co_smoothing"}
    assert table["neuron"].tolist() == list(range(23))


def test_scores_are_those_of_predictions_with_the_group_hidden(pre, session):
    table = pre.evaluate(session, groups=LABELS)
    part = table[table["task"] == GROUP_TASK].set_index("neuron")
    rates = np.empty(session.shape, dtype=np.float32)
    for label in "xyz":
        inside = label == LABELS
        shown = np.where(inside, 9, session.counts)  # what is hidden can be anything
        rates[:, :, inside] = pre.predict(shown, scheme="neuron", hidden=inside)[:, :, inside]
    np.testing.assert_allclose(part["bps"], bits_per_spike(session.counts, rates), rtol=1e-5)
    np.testing.assert_allclose(
        pre.predict_hidden(session, task=GROUP_TASK, groups=LABELS), rates, rtol=1e-5
    )
    alone = table[table["task"] == "co_smoothing"].set_index("neuron")
    assert not np.allclose(alone["bps"], part["bps"], rtol=1e-3)


def test_groups_are_one_task_more_and_change_no_other(pre, session):
    without, with_groups = pre.evaluate(session), pre.evaluate(session, groups=5)
    assert list(dict.fromkeys(with_groups["task"])) == [*TASKS, GROUP_TASK]
    pd.testing.assert_frame_equal(
        with_groups[with_groups["task"] != GROUP_TASK], without, check_like=False
    )
    assert GROUP_TASK not in set(without["task"])
    assert pre.score(session) == nm.summarise(without)["bps_weighted"].mean()
    only = pre.evaluate(session, tasks=[GROUP_TASK], groups=5)
    assert set(only["task"]) == {GROUP_TASK}
    both = pre.evaluate(session, tasks=["co_smoothing"], groups=5)
    assert list(dict.fromkeys(both["task"])) == ["co_smoothing", GROUP_TASK]


def test_groups_of_one_are_single_neurons(session):
    glm = PoissonGLM(["co_smoothing"]).fit(session).predict_rates
    rates = nm.predict_hidden(glm, session)
    table = nm.evaluate(
        lambda counts, hidden, task: glm(counts, hidden, "co_smoothing"),
        session,
        tasks=["co_smoothing"],
        groups=15,
    )
    for _, part in table.groupby("task"):
        np.testing.assert_allclose(part["bps"], bits_per_spike(session.counts, rates), rtol=1e-5)


def test_of_the_neurons_asked_for_only_their_groups_are_passed_and_they_are_scored(session):
    calls = []
    options = {"tasks": [GROUP_TASK], "groups": LABELS, "neurons": [0, 3, 4]}
    table = nm.evaluate(spy(calls), session, max_bytes=1, **options)
    assert table["neuron"].tolist() == [0, 3, 4]
    hidden = np.unique(np.concatenate([mask[:, 0] for _, mask, _ in calls]), axis=0)
    np.testing.assert_array_equal(hidden, np.stack([LABELS == "y", LABELS == "x"]))
    rates = nm.predict_hidden(spy([]), session, task=GROUP_TASK, groups=3, neurons=[2])
    assert np.isfinite(rates).any((0, 1)).nonzero()[0].tolist() == [2]


@pytest.mark.parametrize(("n_groups", "n_neurons"), [(2, 2), (10, 23), (10, 100), (7, 15)])
def test_neurons_are_dealt_as_the_page_says(n_groups, n_neurons):
    found = neuron_groups(n_groups, n_neurons)
    sizes = np.bincount(found, minlength=n_groups)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1
    order = np.random.default_rng(0).permutation(n_neurons)
    np.testing.assert_array_equal(found[order], np.arange(n_neurons) % n_groups)
    np.testing.assert_array_equal(found, neuron_groups(np.int64(n_groups), n_neurons))


def test_labels_may_be_of_any_kind():
    for labels in (
        [3, 3, 7, 3],
        np.array(["a", "a", "b", "a"]),
        pd.Series(["a", "a", "b", "a"], index=[9, 8, 7, 6]),
        pd.Categorical(["a", "a", "b", "a"]),
        np.array([False, False, True, False]),
    ):
        assert neuron_groups(labels, 4).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (0, "groups=0; expected at least 2"),
        (1, "groups=1; expected at least 2"),
        (-3, "groups=-3; expected at least 2"),
        (True, "groups=True; expected a whole number"),
        (2.5, "groups=2.5; expected a whole number"),
        ("CA1", "groups='CA1'; expected a whole number"),
        (16, "groups=16 and X has 15 neurons; expected as many groups at most"),
        (["a", "b"], r"groups has shape \(2,\); expected a number of groups or \(15,\)"),
        (np.zeros((15, 1)), r"groups has shape \(15, 1\)"),
        ([], r"groups has shape \(0,\)"),
        (["a"] * 15, "groups puts all 15 neurons into one group; expected two groups at least"),
        (["a"] * 14 + [None], "groups has 1 missing values, the first at neuron 14"),
        ([float("nan"), *range(14)], "groups has 1 missing values, the first at neuron 0"),
        ([["a"], ["a", "b"]], "groups is a list that cannot be read"),
    ],
    ids=repr,
)
def test_groups_that_are_none_are_refused(pre, session, groups, message):
    for evaluate in (pre.evaluate, lambda X, groups: nm.evaluate(spy([]), X, groups=groups)):
        with pytest.raises(InvalidInputError, match=f"evaluate: {message}"):
            evaluate(session, groups=groups)
    with pytest.raises(InvalidInputError, match=message):
        pre.predict_hidden(session, task=GROUP_TASK, groups=groups)
    with pytest.raises(InvalidInputError, match=message):
        PoissonGLM(groups=groups).fit(session)
    with pytest.raises(InvalidInputError, match=f"compare: {message}"):
        nm.compare(session, variants={"a": {}}, groups=groups)


def test_the_task_needs_groups_and_groups_the_task(pre, session):
    said = "asks for 'group_co_smoothing' and there are no groups; expected groups=10"
    with pytest.raises(InvalidInputError, match=f"evaluate: tasks {said}"):
        pre.evaluate(session, tasks=[GROUP_TASK])
    with pytest.raises(InvalidInputError, match=f"predict_hidden: task {said}"):
        pre.predict_hidden(session, task=GROUP_TASK)
    with pytest.raises(InvalidInputError, match=f"fit: tasks {said}"):
        PoissonGLM([GROUP_TASK]).fit(session)
    with pytest.raises(InvalidInputError, match="groups are given for task='co_smoothing'"):
        pre.predict_hidden(session, groups=3)


def test_several_sessions_have_groups_of_their_own():
    sessions = nm.simulate(20, n_sessions=2, n_neurons=9, n_time=10)
    sessions[1] = sessions[1].select_neurons(np.arange(7))
    pre = nm.MtMPretrainer(**TINY, encode_neurons=False).fit(sessions)
    options = {"tasks": [GROUP_TASK]}
    labels = [np.arange(9) % 2, np.arange(7) % 3]
    table = pre.evaluate(sessions, groups=labels, **options)
    single = [pre.evaluate(s, groups=g, **options) for s, g in zip(sessions, labels, strict=True)]
    pd.testing.assert_frame_equal(table, pd.concat(single, ignore_index=True))
    assert len(pre.evaluate(sessions, groups=3, **options)) == 16
    with pytest.raises(InvalidInputError, match="groups has 3 entries for 2 sessions"):
        pre.evaluate(sessions, groups=[1, 2, 3])
    with pytest.raises(InvalidInputError, match=r"groups has shape \(9,\); expected .*\(7,\)"):
        pre.evaluate(sessions, groups=[labels[0], labels[0]])


def test_the_glm_of_groups_reads_other_groups_alone(session):
    labels = LABELS
    glm = PoissonGLM(groups=labels).fit(session)
    assert set(glm.weights_) == {*TASKS, GROUP_TASK}
    weights = glm.weights_[GROUP_TASK][:-1]
    same = labels[:, None] == labels[None]
    assert (weights[same] == 0).all()
    assert (weights[~same] != 0).any()
    only = PoissonGLM([GROUP_TASK], groups=labels).fit(session)
    assert set(only.weights_) == {GROUP_TASK}
    table = nm.evaluate(only.predict_rates, session, tasks=[GROUP_TASK], groups=labels)
    assert len(table) == 15
    with pytest.raises(
        InvalidInputError, match="no group that was fitted; expected the same groups"
    ):
        nm.evaluate(only.predict_rates, session, tasks=[GROUP_TASK], groups=4)
    with pytest.raises(InvalidInputError, match="'group_co_smoothing' was not fitted"):
        nm.evaluate(PoissonGLM().fit(session).predict_rates, session, groups=4)


def test_baselines_are_scored_on_groups_and_know_less_than_of_single_neurons():
    session = nm.simulate(160, n_neurons=24, n_time=30, random_state=3)
    train, test = session[:120], session[120:]
    options = {"tasks": ["co_smoothing"], "groups": 3}
    bps = {
        type(b).__name__: nm.summarise(
            nm.evaluate(b.fit(train).predict_rates, test, **options)
        ).set_index("task")["bps"]
        for b in (MeanRate(), PSTH(), PoissonGLM(["co_smoothing"], groups=3))
    }
    for name in ("MeanRate", "PSTH"):  # which look at nothing
        assert bps[name][GROUP_TASK] == pytest.approx(bps[name]["co_smoothing"])
    glm = bps["PoissonGLM"]
    assert bps["PSTH"][GROUP_TASK] + 0.02 < glm[GROUP_TASK] < glm["co_smoothing"]


def test_the_prompt_is_that_of_hidden_neurons(session):
    pre = nm.MtMPretrainer(**TINY, schemes=("causal", "random", "neuron")).fit(session)
    inside = LABELS == "x"
    expected = pre.predict(session, scheme="neuron", hidden=inside)[:, :, inside]
    found = pre.predict_hidden(session, task=GROUP_TASK, groups=LABELS)[:, :, inside]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_comparisons_and_pictures_show_the_task(session, tmp_path):
    tiny = nm.MtMPretrainer(**TINY)
    options = {"variants": ["MtM", "temporal"], "estimator": tiny, "path": tmp_path / "t.csv"}
    plain = nm.compare(session, tasks=["co_smoothing"], **options)
    table = nm.compare(session, tasks=["co_smoothing"], groups=3, **options)
    assert set(table["task"]) == {"co_smoothing", GROUP_TASK}
    again = nm.compare(session, tasks=["co_smoothing"], **options)
    pd.testing.assert_frame_equal(again, plain)
    assert set(nm.comparison.contrast(table, "MtM", "temporal")["task"]) == set(table["task"])
    figure = nm.plots.plot_paired(table)
    assert any("group co-smoothing" in ax.get_title() for ax in figure.axes)


def test_a_glm_refuses_groups_that_are_several_of_its_own():
    session = nm.simulate(30, n_neurons=20, n_time=10, random_state=0)
    glm = nm.baselines.PoissonGLM(["group_co_smoothing"], groups=10).fit(session)
    glm_table = nm.evaluate(glm.predict_rates, session, tasks=["group_co_smoothing"], groups=10)
    assert len(glm_table) == 20
    for n_groups in (2, 5):
        with pytest.raises(nm.InvalidInputError, match="no group that was fitted"):
            nm.evaluate(glm.predict_rates, session, tasks=["group_co_smoothing"], groups=n_groups)
