"""What a fit and predictions hold in memory, counted in bytes."""

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask._recordings import read_to_fit, split_trials
from neuromask.nn import fitted
from neuromask.training.fitting import session_tensors

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


@pytest.mark.parametrize("validation", ["blocked", "random"])
def test_a_fit_trains_on_the_very_memory_of_the_counts_that_it_is_given(validation):
    X = sessions(2)
    parts = split_trials(
        read_to_fit(X, None, None, None), 0.2, np.random.default_rng(0), validation=validation
    )
    shares = [share for part in parts for share in part]
    tensors = session_tensors(shares, (), torch.device("cpu"))
    for share, own, session in zip(shares, tensors, [*X, *X], strict=True):
        assert np.shares_memory(own.counts.numpy(), session.counts)
        found = own.take(torch.arange(len(own)))
        np.testing.assert_array_equal(found, session.counts[share.rows])
    assert sum(map(len, tensors)) == sum(map(len, X))


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
