import numpy as np
import pytest

import neuromask as nm
from neuromask._errors import InvalidInputError
from neuromask.baselines import PSTH, MeanRate, PoissonGLM
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


def test_glm_on_a_real_recording(steinmetz):
    """Agrees with figures of an independent implementation of the same recipe."""
    session = nm.load_npz(steinmetz(12))
    order = np.random.default_rng(0).permutation(len(session))
    train, valid, test = np.split(order, [int(0.7 * 340), int(0.7 * 340) + 34])
    session = session.select_neurons(session.counts[train].mean((0, 1)) >= 0.01)
    subset = np.sort(np.random.default_rng(1).choice(session.n_neurons, 150, replace=False))
    glm = PoissonGLM(["inter_region"]).fit(session[train], X_val=session[valid])
    table = evaluate(
        glm.predict_rates, session[test], tasks=["inter_region"], neurons=subset, ignore_regions=()
    )
    assert table["bps"].mean() == pytest.approx(0.168, abs=0.01)
