import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import neuromask as nm
from neuromask.errors import InvalidInputError


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


def test_sessions_share_their_couplings_but_not_their_neurons():
    sessions = nm.simulate(200, n_sessions=2, delay=0, private=0.0, random_state=3)

    def answer(session):
        """Stimulus response of each region, as a distance between the mean log-rates."""
        logs = np.log(session.rates).mean(1)
        side = session.trials["stimulus"].to_numpy() > 0
        return logs[side].mean(0) - logs[~side].mean(0)

    a, b = (answer(s) for s in sessions)
    assert not np.allclose(a, b, atol=0.1)
    spread = [np.abs(x).mean() for x in (a, b)]
    assert spread[0] == pytest.approx(spread[1], rel=0.3)
    alone = nm.simulate(200, n_sessions=1, delay=0, private=0.0, random_state=3)
    np.testing.assert_array_equal(alone[0].counts, sessions[0].counts)


def test_mean_rates_are_spread_like_a_log_normal():
    s = nm.simulate(60, n_neurons=400, random_state=0)
    hertz = s.rates.mean((0, 1)) / s.bin_width
    assert 4.5 < np.median(hertz) < 8
    assert hertz.mean() > 1.1 * np.median(hertz)
    assert 0.6 < np.log(hertz).std() < 0.9


def test_the_true_rates_are_worth_knowing():
    s = nm.simulate(200, random_state=0)
    bps = nm.bits_per_spike(s.counts, s.rates)
    assert 0.2 < np.nanmean(bps) < 1.0


def test_latents_are_smooth_on_the_given_time():
    s = nm.simulate(200, timescale=5.0, random_state=0)
    logs = np.log(s.rates)
    # Remove what the stimulus evokes; the kernel's width then sets the correlation over lags.
    for side in (-1, 1):
        chosen = (s.trials["stimulus"] == side).to_numpy()
        logs[chosen] -= logs[chosen].mean(0)
    for lag in (2, 5, 10):
        found = (logs[:, lag:] * logs[:, :-lag]).mean() / (logs**2).mean()
        assert found == pytest.approx(np.exp(-(lag**2) / (4 * 5.0**2)), abs=0.05)


def test_generators_are_random_states():
    a = nm.simulate(5, random_state=np.random.default_rng(0))
    b = nm.simulate(5, random_state=np.random.default_rng(0))
    np.testing.assert_array_equal(a.counts, b.counts)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_trials": 0}, "n_trials=0; expected at least 1"),
        ({"n_trials": 2.5}, "n_trials=2.5; expected a whole number"),
        ({"n_sessions": 0}, "n_sessions=0; expected at least 1"),
        ({"n_time": 1}, "n_time=1; expected at least 2"),
        ({"n_latents": 0}, "n_latents=0"),
        ({"delay": -1}, "delay=-1; expected at least 0"),
        ({"private": 1.0}, "private=1.0"),
        ({"timescale": float("nan")}, "timescale=nan"),
        ({"strength": 100.0}, "strength=100.0"),
        ({"mean_rate": 50.0}, "mean_rate=50.0"),
        ({"bin_width": -0.02}, "bin_width=-0.02"),
        ({"regions": ("A", "A")}, "expected different names"),
        ({"regions": ("A", "B"), "n_neurons": 1}, "at least one neuron in each"),
        ({"regions": "VISp"}, "expected a sequence of names"),
        ({"regions": ()}, "expected a sequence of names"),
        ({"random_state": -1}, "expected a non-negative int"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.simulate(**parameters)


def latents_of(session, region, n=3):
    """Return the leading directions of a region's log-rates, (trials, time, n), whitened."""
    x = np.log(session.rates[:, :, session.regions == region])
    flat = x.reshape(-1, x.shape[2]) - x.mean((0, 1))
    u = np.linalg.svd(flat, full_matrices=False)[0][:, :n]
    return u.reshape(*x.shape[:2], n)


def canonical(one, other):
    """Mean canonical correlation of whitened courses."""
    flat = [x.reshape(-1, x.shape[2]) - x.mean((0, 1)) for x in (one, other)]
    bases = [np.linalg.qr(x)[0] for x in flat]
    return np.linalg.svd(bases[0].T @ bases[1])[1].mean()


def test_couplings_are_correlations_at_the_delay_and_only_where_asked():
    strengths = np.zeros((4, 4))
    strengths[0, 1], strengths[2, 3] = 0.9, 0.5
    session = nm.simulate(
        300,
        n_neurons=80,
        n_time=30,
        regions=("A", "B", "C", "D"),
        couplings=strengths,
        delay=4,
        timescale=3.0,
        random_state=0,
    )
    trials = session.trials["stimulus"].to_numpy()
    # What the stimulus evokes is in all regions; what is left of its means is not.
    rates = np.log(session.rates)
    for sign in (-1, 1):
        rates[trials == sign] -= rates[trials == sign].mean(0)
    apart = nm.Session(session.counts, session.regions, rates=np.exp(rates))
    latents = {name: latents_of(apart, name) for name in "ABCD"}
    for source, target, expected in (
        ("A", "B", 0.9),
        ("C", "D", 0.5),
        ("A", "C", 0.0),
        ("B", "D", 0.0),
    ):
        before, after = latents[source][:, :-4], latents[target][:, 4:]
        assert canonical(before, after) == pytest.approx(expected, abs=0.1)
    at_once = canonical(latents["A"], latents["B"])
    assert at_once < 0.8 * canonical(latents["A"][:, :-4], latents["B"][:, 4:])


@pytest.mark.parametrize(
    ("couplings", "message"),
    [
        (np.zeros((3, 3)), r"couplings has shape \(3, 3\); expected \(2, 2\)"),
        ([[0, 1.5], [0, 0]], "expected strengths between 0 and 1"),
        ([[0, np.nan], [0, 0]], "expected strengths between 0 and 1"),
        ([[0.5, 0], [0, 0]], "zeros on the diagonal"),
    ],
)
def test_couplings_that_cannot_be_are_refused(couplings, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.simulate(10, n_neurons=4, regions=("A", "B"), couplings=couplings)
