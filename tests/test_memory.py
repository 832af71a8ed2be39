"""What a fit and predictions hold in memory, counted in bytes."""

import tracemalloc

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.nn import fitted

from .conftest import TINY
from .memory import LiveBytes

SHAPE = (400, 20, 24)  # trials, time, neurons


def sessions(n):
    rng = np.random.default_rng(0)
    counts = (rng.random((n, *SHAPE), dtype=np.float32) < 0.2).astype(np.uint8)
    regions = np.repeat(["CA1", "TH", "VISp"], 8)
    made = [nm.Session(c.copy(), regions, session_id=str(i)) for i, c in enumerate(counts)]
    for session in made:
        session.counts.flags.writeable = False
    return made


def most_of_a_fit(X):
    """Fit, and return the most bytes that numpy and torch held at once, and those of the weights."""
    options = TINY | {"max_epochs": 1, "encode_neurons": False, "batch_size": 32}
    tracemalloc.start()
    try:
        with LiveBytes() as live:
            pre = nm.MtMPretrainer(**options).fit(X)
        arrays = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    weights = sum(p.numel() for p in pre.model_.stitches.parameters()) * 4
    return arrays + live.peak, weights


def test_a_fit_of_more_sessions_holds_no_copies_of_their_counts():
    few, many = sessions(2), sessions(5)
    (a, weights_a), (b, weights_b) = most_of_a_fit(few), most_of_a_fit(many)
    counts = 3 * np.prod(SHAPE)
    # Weights, their gradients and moments, and the best ones so far.
    assert b - a < 0.2 * counts + 8 * (weights_b - weights_a)


@pytest.mark.parametrize("call", ["predict", "transform", "evaluate"])
def test_predictions_of_more_trials_hold_one_pass_and_what_they_return(call, monkeypatch):
    monkeypatch.setattr(fitted, "BYTES_A_PASS", 2**22)
    pre = nm.MtMPretrainer(**TINY).fit(sessions(1)[0][:64])
    peaks = []
    for n_trials in (100, 400):
        X = sessions(1)[0][:n_trials]
        options = {"tasks": ["co_smoothing"], "neurons": [0, 5]} if call == "evaluate" else {}
        with LiveBytes() as live:
            getattr(pre, call)(X, **options)
        peaks.append(live.peak)
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 2 * fitted.BYTES_A_PASS


def test_long_trials_take_memory_in_proportion_to_their_length():
    peaks = []
    for n_time in (192, 384):
        counts = np.random.default_rng(0).poisson(0.2, (4, n_time, 10)).astype(np.uint8)
        session = nm.Session(counts, np.repeat(["CA1", "TH"], 5), session_id="a")
        pre = nm.MtMPretrainer(**TINY | {"max_epochs": 1, "precision": "fp32"}).fit(session)
        with LiveBytes() as live, torch.no_grad():
            pre.predict(session)
        peaks.append(live.peak)
    assert peaks[1] < 2.3 * peaks[0]
