import numpy as np
import pytest

import neuromask as nm
from neuromask.baselines import PSTH, MeanRate, PoissonGLM
from neuromask.errors import InvalidInputError
from neuromask.evaluation import evaluate, summarise


@pytest.fixture(scope="module")
def halves():
    session = nm.simulate(160, n_neurons=24, n_time=30, random_state=3)
    return session[:120], session[120:]


def scores(baseline, train, test):
    return summarise(evaluate(baseline.fit(train).predict_rates, test)).set_index("task")["bps"]


def test_each_baseline_knows_more_than_the_one_before(halves):
    mean, psth, glm = (scores(b, *halves) for b in (MeanRate(), PSTH(), PoissonGLM()))
    assert (mean <= 0).all()
    assert psth["co_smoothing"] > mean["co_smoothing"]
    for task in ("co_smoothing", "intra_region", "inter_region"):
        assert glm[task] > psth[task] + 0.02
    assert glm["forward_prediction"] > psth["forward_prediction"]


def test_glm_reads_only_what_its_task_shows(halves):
    train, _ = halves
    glm = PoissonGLM().fit(train)
    same = train.regions[:, None] == train.regions[None]
    assert (np.diag(glm.weights_["co_smoothing"][:-1]) == 0).all()
    assert (glm.weights_["intra_region"][:-1][~same] == 0).all()
    assert (glm.weights_["inter_region"][:-1][same] == 0).all()


def test_glm_without_regions(halves):
    train, test = halves
    glm = PoissonGLM().fit(train.counts, X_val=test.counts)
    assert set(glm.weights_) == {"co_smoothing", "forward_prediction"}
    with pytest.raises(InvalidInputError, match="region tasks need regions"):
        PoissonGLM(["inter_region"]).fit(train.counts)


@pytest.fixture(scope="module")
def recording(steinmetz):
    session = nm.load_npz(steinmetz(12))
    order = np.random.default_rng(0).permutation(len(session))
    train, valid, test = np.split(order, [int(0.7 * 340), int(0.7 * 340) + 34])
    session = session.select_neurons(session.counts[train].mean((0, 1)) >= 0.01)
    return session[train], session[valid], session[test]


@pytest.mark.parametrize(
    ("task", "reference"),
    [
        ("co_smoothing", 0.186),
        ("intra_region", 0.119),
        ("inter_region", 0.168),
        ("forward_prediction", -0.031),
    ],
)
def test_glm_on_a_real_recording(recording, task, reference):
    """Reaches the figures of an independent implementation of the same recipe."""
    train, valid, test = recording
    subset = np.sort(np.random.default_rng(1).choice(train.n_neurons, 150, replace=False))
    table = evaluate(
        PoissonGLM([task]).fit(train, X_val=valid).predict_rates,
        test,
        tasks=[task],
        neurons=None if task == "forward_prediction" else subset,
        n_forward_bins=4,
        ignore_regions=(),
    )
    # Weaker ridges and unwhitened components gain a little on that implementation.
    assert reference - 0.01 < table["bps"].mean() < reference + 0.02


@pytest.mark.parametrize("baseline", [MeanRate(), PSTH(), PoissonGLM(["co_smoothing"])])
def test_baselines_refuse_what_they_were_not_fitted_on(halves, baseline):
    train, test = halves
    hidden = np.zeros(test.shape, dtype=bool)
    name = type(baseline).__name__
    with pytest.raises(InvalidInputError, match=f"{name}.predict_rates: not fitted yet"):
        type(baseline)().predict_rates(test.counts, hidden, "co_smoothing")
    baseline.fit(train)
    with pytest.raises(
        InvalidInputError, match=rf"{name}.predict_rates: counts has shape .*, 23\)"
    ):
        baseline.predict_rates(test.counts[..., :23], hidden[..., :23], "co_smoothing")


def test_bad_glms(halves):
    train, test = halves
    with pytest.raises(InvalidInputError, match="Did you mean 'co_smoothing'"):
        PoissonGLM(["co_smothing"]).fit(train)
    with pytest.raises(InvalidInputError, match="expected positive numbers"):
        PoissonGLM(ridges=()).fit(train)
    with pytest.raises(InvalidInputError, match="X_val has shape .* Select the same neurons"):
        PoissonGLM().fit(train, X_val=test.counts[..., :5])
    with pytest.raises(InvalidInputError, match="forward prediction of 30 of 30 bins"):
        PoissonGLM("forward_prediction", n_forward_bins=30).fit(train)
    glm = PoissonGLM("co_smoothing").fit(train)
    with pytest.raises(InvalidInputError, match="task 'inter_region' was not fitted"):
        glm.predict_rates(test.counts, np.zeros(test.shape, dtype=bool), "inter_region")


def test_fitting_neither_changes_input_nor_varies(halves):
    train, _ = halves
    before = train.counts.copy()
    first, second = (PoissonGLM(["intra_region"]).fit(train) for _ in range(2))
    np.testing.assert_array_equal(train.counts, before)
    np.testing.assert_array_equal(first.weights_["intra_region"], second.weights_["intra_region"])
