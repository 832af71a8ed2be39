"""A stream says bin by bin what a whole pass over the past says, at a cost that does not grow."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import neuromask as nm
from neuromask._recordings import read_known
from neuromask.nn import TrialGroup
from neuromask.nn.ndt1 import NDT1, NDT1Config
from neuromask.nn.streaming import CausalWindows
from neuromask.pretrainer import fitted_network

from .conftest import TINY
from .memory import LiveBytes
from .test_one_by_one import network

N_NEURONS = 11
FP32 = TINY | {"precision": "fp32"}


def begins(bin_, n_answered):
    """Say where the window begins that answers for a bin, as the docstring of Stream has it."""
    step = -(-n_answered // 2)
    return max(0, -(-(bin_ + 1 - n_answered) // step)) * step


def poisson(n_bins, n_neurons=N_NEURONS, seed=0):
    return np.random.default_rng(seed).poisson(0.4, (n_bins, n_neurons)).astype(np.float32)


def observed(kind, n_bins):
    rng, seen = np.random.default_rng(1), np.ones((n_bins, N_NEURONS), bool)
    if kind == "no neuron 3 to 5":
        seen[:, 3:6] = False
    if kind == "some entries":
        seen = rng.random(seen.shape) < 0.7
    if kind == "some bins":
        seen[rng.random(n_bins) < 0.4] = False
    return seen


def whole_pass(net, counts, seen, start):
    """Return features and log-rates of one trial under causal attention, with hidden bins before it."""
    pad = ((start, 0), (0, 0))
    counts, seen = torch.tensor(np.pad(counts, pad)), torch.tensor(np.pad(seen, pad))
    with torch.no_grad():
        (state,) = net.states([TrialGroup.masked("s", counts[None], ~seen[None], 1, True)])
    return state.features[0, start:], state.log_rates[0, start:]


@pytest.mark.parametrize("kind", ["all", "no neuron 3 to 5", "some entries", "some bins"])
@pytest.mark.parametrize(("n_ahead", "start"), [(0, 0), (0, 4), (1, 0), (3, 4), (10, 0)])
@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("ndt1", {}),
        ("ndt1", {"positions": "rope"}),
        ("ndt1", {"n_layers": 1, "prompted": False}),
        ("ndt1", {"evidence": True}),
        ("ndt1", {"n_linear": 0}),
        ("ndt1", {"n_time": 150}),
        ("ndt2", {"patch_size": 4}),
    ],
)
def test_windows_equal_a_pass_over_the_past(backbone, options, n_ahead, start, kind):
    net = network(backbone, N_NEURONS, **options)
    n_time = options.get("n_time", 20) - start
    n_bins = 2 * n_time + 7
    counts, seen = poisson(n_bins), observed(kind, n_bins)
    counts *= seen
    windows = CausalWindows(net, "s", 1, n_time=n_time, n_ahead=n_ahead, start=start)
    for t in range(n_bins - n_ahead):
        answer = windows.push(counts[t], seen[t])
        if n_time > 100 and t % 10:  # of long trials some bins will do
            continue
        first = begins(t, n_time - n_ahead)
        window = slice(first, t + 1 + n_ahead)
        visible = seen[window] & (np.arange(window.start, window.stop) <= t)[:, None]
        features, log_rates = whole_pass(net, counts[window] * visible, visible, start)
        place = t - first
        expected = log_rates[place + 1 :] if n_ahead else log_rates[place:]
        assert answer.position == place
        assert not n_ahead or answer.window == 0
        close = {"atol": 1e-5, "rtol": 1e-5}
        torch.testing.assert_close(answer.features[answer.window], features[place], **close)
        torch.testing.assert_close(answer.log_rates[answer.window], expected, **close)


@pytest.fixture(scope="module")
def sessions():
    return nm.simulate(24, n_sessions=3, n_neurons=12, n_time=20, random_state=0)


@pytest.fixture(scope="module")
def fitted(sessions):
    """Give a model of two sessions that was calibrated on a third."""
    return nm.MtMPretrainer(**FP32).fit(sessions[:2]).calibrate(sessions[2])


@pytest.mark.parametrize("n_ahead", [1, 4])
@pytest.mark.parametrize("number", [0, 2])
def test_rates_are_those_that_predict_gives_hidden_bins(fitted, sessions, number, n_ahead):
    session = sessions[number]
    stream = fitted.stream(session.session_id, n_ahead=n_ahead)
    counts = poisson(60, 12, seed=number)
    counts[:, 2] = np.nan
    counts[[7, 33]] = np.nan
    for t in range(60 - n_ahead):
        rates, embedding = stream.push(counts[t])
        window = counts[None, begins(t, 20 - n_ahead) : t + 1 + n_ahead]
        trial = nm.Session(window, session.regions, session_id=session.session_id)
        hidden = np.arange(trial.n_time)[:, None] >= trial.n_time - n_ahead
        expected = fitted.predict(trial, scheme=stream.scheme, hidden=hidden)
        np.testing.assert_allclose(rates, expected[0, -n_ahead:], rtol=1e-5, atol=1e-6)
        assert embedding.shape == (fitted.model_.n_features,)
    assert stream.n_bins == 60 - n_ahead


def test_the_whole_of_a_trial_is_seen(fitted, sessions):
    session = sessions[0]
    stream = fitted.stream(session.session_id)
    network = fitted_network(fitted)
    recording = read_known(session, fitted.sessions_)
    features = network.run(
        recording,
        np.zeros((1, 1, 1), bool),
        network.index("causal"),
        lambda group: network.model.states([group])[0].features,
    )
    for trial in range(2):
        stream.reset()
        for t in range(19):
            _, embedding = stream.push(session.counts[trial, t])
            np.testing.assert_allclose(embedding, features[trial, t], rtol=1e-5, atol=1e-5)


def test_what_came_before_a_window_has_no_part(pre):
    first, second = pre.stream(), pre.stream()
    for counts in poisson(100, 15, seed=1):
        first.push(counts)
    for counts in poisson(100, 15, seed=2):
        second.push(counts)
    answers = [(first.push(c), second.push(c)) for c in poisson(60, 15)]
    assert not np.array_equal(answers[0][0].rates, answers[0][1].rates)
    for a, b in answers[20:]:
        np.testing.assert_array_equal(a.rates, b.rates)
        np.testing.assert_array_equal(a.embedding, b.embedding)


def test_a_stream_that_was_reset_is_as_new(pre):
    used, new = pre.stream(n_ahead=2), pre.stream(n_ahead=2)
    for counts in poisson(33, 15, seed=1):
        used.push(counts)
    used.reset()
    assert used.n_bins == 0
    for counts in poisson(50, 15):
        for a, b in zip(used.push(counts), new.push(counts), strict=True):
            np.testing.assert_array_equal(a, b)


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def operations(stream, counts):
    found = []
    for x in counts:
        with Operations() as mode:
            stream.push(x)
        found.append(mode.n)
    return found


def bytes_made(stream, counts):
    """Return what is left of what pushes made, and the most that was there at once."""
    with LiveBytes() as mode:
        for x in counts:
            stream.push(x)
    return mode.live, mode.peak


def test_a_bin_costs_the_same_however_many_came_before(fitted, sessions):
    stream = fitted.stream(sessions[2].session_id)
    early, memory = operations(stream, poisson(50, 12)), bytes_made(stream, poisson(50, 12))
    for x in poisson(4900, 12):
        stream.push(x)
    late = operations(stream, poisson(50, 12))
    assert stream.n_bins == 5050
    assert len(set(early)) == 1
    assert set(early) == set(late)
    assert bytes_made(stream, poisson(50, 12)) == memory


@pytest.mark.slow
def test_nothing_drifts_in_20_000_bins(fitted, sessions):
    session = sessions[2]
    stream = fitted.stream(session.session_id)
    counts = poisson(20_000, 12)
    for x in counts[:-1]:
        stream.push(x)
    rates, embedding = stream.push(counts[-1])
    new = fitted.stream(session.session_id)
    for x in counts[begins(19_999, 19) :]:
        answer = new.push(x)
    np.testing.assert_allclose(rates, answer.rates, rtol=1e-5)
    np.testing.assert_allclose(embedding, answer.embedding, rtol=1e-5, atol=1e-5)


def test_what_was_not_observed_may_be_nan_or_masked(pre):
    counts = poisson(30, 15)
    mask = np.zeros((30, 15), bool)
    mask[:, 4] = mask[11] = True
    streams = [pre.stream() for _ in range(3)]
    for x, hidden in zip(counts, mask, strict=True):
        whole, gaps, masked = (
            s.push(given)
            for s, given in zip(
                streams,
                [x, np.where(hidden, np.nan, x), np.ma.masked_array(x, hidden)],
                strict=True,
            )
        )
        np.testing.assert_array_equal(gaps.rates, masked.rates)
        np.testing.assert_array_equal(gaps.embedding, masked.embedding)
        assert not np.array_equal(gaps.rates, whole.rates)


def test_a_bin_may_come_in_any_form_and_stays_as_it_is(pre):
    counts = poisson(1, 15)[0]
    kept = counts.copy()
    kept[3] = counts[3] = np.nan
    expected = pre.stream().push(counts).rates
    np.testing.assert_array_equal(counts, kept)
    for form in (list, pd.Series, np.float64, torch.tensor):
        np.testing.assert_array_equal(pre.stream().push(form(counts)).rates, expected)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros(14), r"counts has shape \(14,\); expected \(15,\)"),
        (np.zeros((1, 15)), r"counts has shape \(1, 15\); expected \(15,\)"),
        (np.full(15, -1), "counts holds -1 for neuron 0; expected whole, non-negative"),
        (np.full(15, 0.5), "counts holds 0.5 for neuron 0"),
        (np.full(15, np.inf), "counts holds inf for neuron 0"),
        (["many"] * 15, "counts cannot be read as numbers"),
    ],
)
def test_what_is_no_bin_is_refused_and_changes_nothing(pre, counts, message):
    stream, other = pre.stream(), pre.stream()
    with pytest.raises(nm.InvalidInputError, match=rf"Stream.push: {message}"):
        stream.push(counts)
    x = poisson(1, 15)[0]
    assert stream.n_bins == 0
    np.testing.assert_array_equal(stream.push(x).rates, other.push(x).rates)


def test_a_session_must_be_known_and_named(fitted, pre):
    with pytest.raises(nm.UnknownSessionError, match="knows 3 sessions.*expected session_id="):
        fitted.stream()
    with pytest.raises(nm.UnknownSessionError, match="'nobody' is not among"):
        pre.stream("nobody")
    with pytest.raises(nm.UnknownSessionError, match="Did you mean"):
        fitted.stream(next(iter(fitted.sessions_))[:-1])


def test_counts_are_pushed_and_not_given_to_open_a_stream(pre, session):
    with pytest.raises(nm.InvalidInputError, match="session_id is a Session; expected the name"):
        pre.stream(session)


def test_a_stream_says_what_it_is(pre):
    stream = pre.stream(n_ahead=2)
    stream.push(poisson(1, 15)[0])
    assert repr(stream).endswith("15 neurons, scheme='causal', n_ahead=2, n_bins=1)")


@pytest.mark.parametrize("n_ahead", [0, 11, 1.5])
def test_bins_ahead_are_at_most_half_a_trial(pre, n_ahead):
    with pytest.raises(nm.InvalidInputError, match="MtMPretrainer.stream: n_ahead="):
        pre.stream(n_ahead=n_ahead)


def test_a_causal_scheme_must_have_been_fitted(session):
    pre = nm.MtMPretrainer(schemes="neuron", **TINY).fit(session)
    with pytest.raises(nm.InvalidInputError, match=r"no fitted scheme attends causally.*'neuron'"):
        pre.stream()


def test_a_network_that_may_do_anything_else_is_refused(session):
    class Own(NDT1):
        pass

    backbone = nm.Backbone("own", NDT1Config, Own)
    nm.register_backbone(backbone)
    try:
        pre = nm.MtMPretrainer(backbone="own", **TINY).fit(session)
        with pytest.raises(nm.InvalidInputError, match="is a Own, which cannot run bin by bin"):
            pre.stream()
    finally:
        nm.nn.backbones._REGISTRY.pop("own")


@pytest.mark.parametrize("regions", [None, "VISp"])
@pytest.mark.parametrize("n_variables", [None, 2])
@pytest.mark.parametrize("bins", [slice(None), slice(6, 15)], ids=["whole", "part"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_signal_is_decoded_as_by_predict(fitted, sessions, number, bins, n_variables, regions):
    session = sessions[number]
    y = session.signals["whisker"]
    y = y if n_variables is None else np.stack([y, y**2], -1)

    def trials(counts):
        return nm.Session(
            counts,
            session.regions,
            session_id=session.session_id,
            bin_width=session.bin_width,
            t_start=session.t_start + (bins.start or 0) * session.bin_width,
        )

    decoder = nm.MtMDecoder(
        fitted, task="regression", scheme="causal", regions=regions, random_state=0
    ).fit(trials(session.counts[:, bins]), y[:, bins])
    counts = poisson(60, 12)
    counts[[5, 31]] = np.nan
    n_time, stream = len(range(20)[bins]), decoder.stream()
    scale = y.std((0, 1))
    for t in range(60):
        value = stream.push(counts[t])
        expected = decoder.predict(trials(counts[None, begins(t, n_time) : t + 1]))[0, -1]
        assert np.shape(value) == np.shape(expected)
        np.testing.assert_allclose(value / scale, expected / scale, rtol=0, atol=1e-5)
    stream.reset()
    assert stream.n_bins == 0


def test_a_decoder_that_sees_the_future_or_one_value_a_trial_cannot_stream(pre, session):
    whisker = session.signals["whisker"]
    decoder = nm.MtMDecoder(pre, task="regression", scheme="neuron", random_state=0)
    with pytest.raises(nm.InvalidInputError, match=r"MtMDecoder.stream: .*scheme 'neuron'.*later"):
        decoder.fit(session, whisker).stream()
    decoder = nm.MtMDecoder(pre, task="regression", scheme="causal", random_state=0)
    with pytest.raises(nm.InvalidInputError, match="one value a trial"):
        decoder.fit(session, whisker.mean(1)).stream()
