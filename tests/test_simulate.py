import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import neuromask as nm
from neuromask._errors import InvalidInputError


def test_counts_follow_the_rates():
    s = nm.simulate(300, random_state=0)
    error = (s.counts.mean((0, 1)) - s.rates.mean((0, 1))) / np.sqrt(s.rates.mean((0, 1)) / 15000)
    assert np.abs(error).max() < 5
    hertz = s.rates.mean((0, 1)) / s.bin_width
    assert hertz.min() >= 0.499
    assert hertz.max() <= 30.001
    # Poisson: the variance of the counts given the rates is the rate.
    assert ((s.counts - s.rates) ** 2).mean() == pytest.approx(s.rates.mean(), rel=0.02)


def test_regions_lag_by_the_delay():
    s = nm.simulate(300, regions=("first", "second"), delay=3, private=0.0, random_state=1)
    first, second = (np.log(s.select_regions(r).rates) for r in ("first", "second"))
    # The regions mix the latents differently, so compare the spaces that their neurons span.
    fits = []
    for lag in range(7):
        a = first[:, : 50 - lag].reshape(-1, first.shape[2])
        b = second[:, lag:].reshape(-1, second.shape[2])
        residual = np.linalg.lstsq(a - a.mean(0), b - b.mean(0), rcond=None)[1].sum()
        fits.append(residual / (50 - lag))
    assert int(np.argmin(fits)) == 3


def test_private_share_cannot_be_read_from_other_regions():
    def unexplained(private):
        s = nm.simulate(200, private=private, delay=0, random_state=2)
        a, b = (np.log(s.select_regions(r).rates).reshape(-1, 40) for r in ("CA1", "TH"))
        a, b = a - a.mean(0), b - b.mean(0)
        return np.linalg.lstsq(a, b, rcond=None)[1].sum() / (b**2).sum()

    assert unexplained(0.0) < 1e-6
    assert 0.2 < unexplained(0.5) < 0.8


def test_behaviour_follows_the_latents():
    s = nm.simulate(300, random_state=0)
    logs = np.log(s.rates[:, 30:]).mean(1)
    assert cross_val_score(LogisticRegression(max_iter=1000), logs, s.trials["choice"]).mean() > 0.8
    x = np.log(s.rates).reshape(-1, s.n_neurons)
    y = s.signals["whisker"].ravel()
    fit = np.linalg.lstsq(x - x.mean(0), y - y.mean(), rcond=None)[0]
    assert np.corrcoef((x - x.mean(0)) @ fit, y)[0, 1] > 0.9
    assert set(s.trials["stimulus"]) == {-1, 1}


def test_sessions_differ_and_repeat():
    state = np.random.get_state()[1].copy()
    a, b = nm.simulate(10, n_sessions=2, random_state=5)
    again = nm.simulate(10, n_sessions=2, random_state=5)
    assert (a.session_id, b.session_id, b.subject) == ("sim-0", "sim-1", "mouse-1")
    assert not np.array_equal(a.counts, b.counts)
    np.testing.assert_array_equal(b.counts, again[1].counts)
    assert (np.random.get_state()[1] == state).all()


def test_bad_parameters():
    with pytest.raises(InvalidInputError, match="n_trials=0"):
        nm.simulate(0)
    with pytest.raises(InvalidInputError, match="private=1.0"):
        nm.simulate(private=1.0)
    with pytest.raises(InvalidInputError, match="different names"):
        nm.simulate(regions=("A", "A"))
