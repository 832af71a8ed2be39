"""What was not observed has no say in anything: it is neither silence nor data."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

import neuromask as nm
from neuromask._recordings import read_to_fit
from neuromask._splits import consecutive_folds
from neuromask.decoding.ridge import fit_ridge
from neuromask.errors import InvalidInputError, NeuromaskWarning
from neuromask.nn.neuron_statistics import PopulationStatistics
from neuromask.nn.session_weights import SessionStatistics
from neuromask.nn.smoothing import smooth
from neuromask.schemes import SchemeSampler, resolve_schemes
from neuromask.training.batches import Masker, SessionTensors

COUNTS = np.arange(24).reshape(2, 4, 3) % 5


def gappy(shape=(2, 4, 3)):
    observed = np.ones(shape, bool)
    observed[0, 2:] = False  # a short trial
    observed[1, :, 1] = False  # a neuron that was lost
    return observed


@pytest.mark.parametrize(
    "make",
    [
        lambda there: nm.Session(COUNTS, observed=there),
        lambda there: nm.Session(np.where(there, COUNTS, np.nan)),
        lambda there: nm.Session(np.ma.masked_array(COUNTS, mask=~there)),
        lambda there: nm.Session(np.ma.masked_array(np.where(there, COUNTS, np.nan), mask=~there)),
        lambda there: nm.Session(np.where(there, COUNTS, 9), observed=there.tolist()),
        lambda there: nm.Session.from_xarray(
            xr.DataArray(np.where(there, COUNTS, np.nan), dims=("trial", "time", "neuron"))
        ),
        lambda there: nm.Session(nm.Session(COUNTS, observed=there)),
    ],
)
def test_all_ways_to_say_what_was_observed_give_the_same_session(make):
    session = make(gappy())
    np.testing.assert_array_equal(session.observed, gappy())
    np.testing.assert_array_equal(session.counts, np.where(gappy(), COUNTS, 0))


def test_what_is_observed_everywhere_says_nothing():
    assert nm.Session(COUNTS).observed is None
    assert nm.Session(COUNTS, observed=True).observed is None
    assert nm.Session(COUNTS, observed=np.ones(3, bool)).observed is None


def test_two_ways_at_once_are_joined():
    counts = COUNTS.astype(float)
    counts[0, 0, 0] = np.nan
    session = nm.Session(counts, observed=gappy())
    expected = gappy()
    expected[0, 0, 0] = False
    np.testing.assert_array_equal(session.observed, expected)


def test_the_given_counts_are_left_as_they_are():
    counts, observed = COUNTS.astype(np.uint8), gappy()
    kept = counts.copy()
    nm.Session(counts, observed=observed)
    np.testing.assert_array_equal(counts, kept)
    np.testing.assert_array_equal(observed, gappy())


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (
            np.ones((2, 4), bool),
            r"observed has shape \(2, 4\); expected one that broadcasts to \(2, 4, 3\)",
        ),
        (np.ones((2, 4, 3)), "observed holds float64 values; expected booleans.*astype"),
        ([[True], [True, False]], "observed is a list that cannot be read"),
    ],
)
def test_an_observed_that_does_not_fit_is_refused(observed, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.Session(COUNTS, observed=observed)


def test_it_is_sliced_with_trials_and_neurons():
    session = nm.Session(COUNTS, observed=gappy())
    np.testing.assert_array_equal(session[1:].observed, gappy()[1:])
    assert session[[0]].select_neurons([0]).observed.tolist() == [
        [[True], [True], [False], [False]]
    ]
    assert session[1:].select_neurons([0, 2]).observed is None
    assert session[1:].select_neurons([1]).observed.any() == np.False_


def test_an_array_of_a_session_says_nan_where_nothing_was_observed():
    session = nm.Session(COUNTS, observed=gappy())
    expected = np.where(gappy(), COUNTS, np.nan)
    np.testing.assert_array_equal(np.asarray(session), expected)
    np.testing.assert_array_equal(session[0], expected[0])
    np.testing.assert_array_equal(session[:, 1:], expected[:, 1:])
    assert np.asarray(session).dtype == session.dtype
    with pytest.raises(InvalidInputError, match="was not observed everywhere.*session.counts"):
        np.asarray(session, dtype=int)


def test_a_wider_bin_was_observed_if_all_of_its_bins_were():
    observed = np.ones((2, 4, 3), bool)
    observed[0, 1:] = False
    session = nm.Session(np.ones((2, 4, 3), int), observed=observed, bin_width=0.01).rebin(0.02)
    assert session.observed[:, :, 0].tolist() == [[False, False], [True, True]]
    assert session.counts[:, :, 0].tolist() == [[0, 0], [2, 2]]


def test_it_survives_the_disk(tmp_path):
    session = nm.Session(COUNTS, observed=gappy())
    again = nm.load_npz(session.save(tmp_path / "a"))
    np.testing.assert_array_equal(again.observed, gappy())
    np.testing.assert_array_equal(again.counts, session.counts)


def test_a_session_says_how_much_of_it_was_observed():
    session = nm.Session(np.ones((2, 4, 3), int), observed=gappy(), bin_width=0.5)
    assert "58.3 % observed" in repr(session)
    assert "2.0 Hz" in repr(session)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_session_does_not_depend_on_counts_that_were_not_observed(seed):
    chance = np.random.default_rng(seed)
    observed = chance.random((3, 4, 2)) < 0.7
    counts = chance.poisson(1.0, observed.shape)
    others = np.where(observed, counts, chance.poisson(50.0, observed.shape))
    one, other = (nm.Session(c, observed=observed) for c in (counts, others))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert repr(one) == repr(other)


TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 2, "random_state": 0}


def recording(n_trials=30, seed=0, n_sessions=None):
    return nm.simulate(
        n_trials, n_neurons=9, n_time=16, n_sessions=n_sessions, mean_rate=20, random_state=seed
    )


def holes(shape, seed=0):
    """Say that trials end early, that a neuron is lost, and that another came late."""
    chance = np.random.default_rng(seed)
    observed = np.arange(shape[1])[:, None] < chance.integers(8, 17, (shape[0], 1, 1))
    observed = np.broadcast_to(observed, shape).copy()
    observed[shape[0] // 2 :, :, 2] = False
    observed[: shape[0] // 3, :, 4] = False
    return observed


def with_holes(session, *, garbage, seed=0):
    """Put garbage where nothing was observed."""
    observed = holes(session.shape, seed)
    counts = np.where(observed, session.counts, garbage)
    signal = session.rates.mean(2) + 0.0
    signal[~observed.any(2)] = np.nan
    return nm.Session(
        counts,
        session.regions,
        observed=observed,
        trials=session.trials,
        signals={"signal": signal},
        bin_width=session.bin_width,
        session_id=session.session_id,
        subject=session.subject,
    )


def everything(first, second, new):
    """Compute all that the library computes from recordings."""
    pre = nm.MtMPretrainer(**TINY, validation_fraction=0.2).fit([first, second])
    yield from pre.model_.state_dict().values()
    yield pre.history_.drop(columns="seconds", errors="ignore")
    yield pre.predict(first)
    yield pre.transform(first)
    yield pre.predict_hidden(first, task="inter_region")
    yield pre.evaluate(first)
    regions = sorted(set(first.regions))
    yield pre.translate(first, source=regions[0], target=regions[1])
    yield pre.calibrate(new).predict(new)
    yield pre.finetune(new, max_epochs=2).predict(new)
    choice, signal = first.trials["choice"].to_numpy(), first.signals["signal"]
    decoder = nm.MtMDecoder(pre, random_state=0).fit(first, choice)
    yield decoder.predict_proba(first)
    tuned = nm.MtMDecoder(
        pre, task="regression", random_state=0, finetune="full", max_epochs=2
    ).fit(first, signal)
    yield tuned.predict(first)
    yield np.array(tuned.score(first, signal))
    yield tuned.evaluate(first, signal, cv=2)
    yield nm.MtMDecoder(pre, random_state=0).evaluate(first, choice, cv=2)
    for baseline in (nm.baselines.MeanRate(), nm.baselines.PSTH(), nm.baselines.PoissonGLM()):
        yield nm.evaluate(baseline.fit(first[:20]).predict_rates, first[20:])


@pytest.mark.filterwarnings("ignore::neuromask.errors.NeuromaskWarning")
def test_nothing_depends_on_counts_that_were_not_observed():
    sessions = recording(n_sessions=3)
    zero, many = (
        everything(*[with_holes(s, garbage=g, seed=i) for i, s in enumerate(sessions)])
        for g in (0, 200)
    )
    n_compared = 0
    for one, other in zip(zero, many, strict=True):
        if hasattr(one, "columns"):
            pd.testing.assert_frame_equal(one, other, check_exact=True)
        else:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        n_compared += 1
    assert n_compared > 30


def padded(session, *, n_more=10):
    """Add trials in which nothing was observed, among the others."""
    order = np.random.default_rng(1).permutation(len(session) + n_more)
    counts = np.concatenate([session.counts, session.counts[:n_more] * 0 + 77])[order]
    observed = (order < len(session))[:, None, None]
    return nm.Session(
        counts, session.regions, observed=observed, bin_width=session.bin_width
    ), nm.Session(counts[order < len(session)], session.regions, bin_width=session.bin_width)


@pytest.mark.parametrize("baseline", [nm.baselines.MeanRate, nm.baselines.PSTH])
def test_trials_that_were_not_observed_are_as_if_they_were_not_there(baseline):
    more, session = padded(recording())
    rates = [baseline().fit(s).rates_ for s in (more, session)]
    np.testing.assert_allclose(*rates, rtol=1e-12)
    tables = [nm.evaluate(baseline().fit(session).predict_rates, s) for s in (more, session)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_a_glm_is_as_if_trials_that_were_not_observed_were_not_there():
    more, session = padded(recording())
    validation = recording(10)
    glms = [
        nm.baselines.PoissonGLM(ridges=[100.0]).fit(s, X_val=validation) for s in (more, session)
    ]
    for task in ("co_smoothing", "inter_region"):
        one, other = (
            g.predict_rates(validation.counts, np.zeros(validation.shape, bool), task) for g in glms
        )
        np.testing.assert_allclose(one, other, rtol=0.02)


def test_the_statistics_of_neurons_are_of_what_was_observed():
    more, session = padded(recording(40))
    one, other = (SessionStatistics.of(s.counts, "a", None, s.observed) for s in (more, session))
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-6)
    np.testing.assert_allclose(one.scale, other.scale, rtol=1e-6)
    options = {"known_regions": (), "n_factors": 3, "smoothing": 2.0}
    one, other = (
        PopulationStatistics(
            torch.tensor(s.counts),
            None,
            observed=None if s.observed is None else torch.tensor(s.observed),
            **options,
        )
        for s in (more, session)
    )
    for name in ("mean", "scale", "correlation", "descriptors", "factor_in", "evidence"):
        torch.testing.assert_close(
            getattr(one.whole(), name), getattr(other.whole(), name), rtol=1e-3, atol=1e-4
        )


def test_neurons_are_correlated_over_the_bins_that_both_were_observed_in():
    session = recording(40)
    observed = np.ones(session.shape, bool)
    observed[20:, :, 0] = False
    options = {"known_regions": (), "n_factors": 3, "smoothing": 2.0}
    lost = PopulationStatistics(
        torch.tensor(session.counts), None, observed=torch.tensor(observed), **options
    )
    x = np.where(observed, session.counts, 0).astype(np.float32)
    y = smooth(torch.tensor(x), 2.0).numpy()[:20].reshape(-1, session.n_neurons)
    mean, scale = lost.mean.numpy(), (lost.scale * lost.slow).numpy()
    expected = ((y - mean) / scale).T @ ((y - mean) / scale) / len(y)
    np.testing.assert_allclose(lost.whole().correlation[0, 1:], expected[0, 1:], atol=2e-3)


def test_leaving_trials_out_leaves_out_what_was_observed_in_them():
    session = recording(20)
    observed = torch.tensor(holes(session.shape))
    counts = torch.tensor(session.counts) * observed
    options = {"known_regions": (), "n_factors": 3, "smoothing": 2.0}
    whole = PopulationStatistics(counts, None, observed=observed, **options)
    rest = whole.without(torch.arange(5))
    total = torch.zeros(9, 9)
    there = observed[5:].float()
    smoothed = whole._smooth(counts[5:].float(), observed[5:]).flatten(0, 1)
    total = smoothed.T @ smoothed / (there.flatten(0, 1).T @ there.flatten(0, 1)).clamp_min(1)
    torch.testing.assert_close(rest.correlation, total.fill_diagonal_(0), rtol=1e-3, atol=1e-3)


def test_what_was_not_observed_is_hidden_from_a_callable_and_never_scored():
    session = with_holes(recording(), garbage=9)
    seen = []

    def predict_rates(counts, hidden, task):
        stacked = np.tile(session.observed, (len(counts) // len(session), 1, 1))
        seen.append((hidden[~stacked].all(), counts[~stacked].any()))
        return np.where(stacked, 0.1, 1e6)

    table = nm.evaluate(predict_rates, session, tasks=["co_smoothing"])
    assert seen
    assert all(hidden and not spikes for hidden, spikes in seen)
    assert table["n_spikes"].tolist() == session.counts.sum((0, 1)).tolist()
    assert table["bps"].min() > -5
    mean = session.counts.sum((0, 1)) / session.observed.sum((0, 1)) / session.bin_width
    np.testing.assert_allclose(table["rate"], mean)


def test_targets_of_training_were_all_observed():
    session = with_holes(recording(), garbage=9)
    (r,) = read_to_fit(session, None, None, None)
    tensors = SessionTensors.of(r, (), torch.device("cpu"))
    sampler = SchemeSampler(resolve_schemes(("neuron", "causal", "inter-region"), mask_ratio=0.3))
    generator = torch.Generator().manual_seed(0)
    masked = Masker([tensors], sampler)([(0, torch.arange(30))], generator)
    observed = torch.tensor(session.observed)
    assert not (masked.target > 0)[~observed].any()
    assert (masked.batch.visible == 0)[~observed].all()
    assert masked.target.any()
    assert tensors.entries.tolist() == session.observed.sum((1, 2)).tolist()


def test_a_lost_neuron_keeps_the_rate_that_it_had():
    session = recording(40)
    observed = np.ones(session.shape, bool)
    observed[20:, :, 0] = False
    pre = nm.MtMPretrainer(**TINY).fit(
        nm.Session(session.counts, session.regions, observed=observed)
    )
    base = float(pre.model_.stitch("session").mean[0])
    np.testing.assert_allclose(base, session.counts[:20, :, 0].mean(), rtol=1e-5)


def test_a_ridge_is_of_the_bins_that_are_known():
    chance = np.random.default_rng(0)
    features, noise = chance.normal(size=(12, 6, 3)), chance.normal(size=(12, 6, 1))
    outputs = features[:, :, :1] * 2 + noise * 0.1
    known = np.ones((12, 6), bool)
    known[:4] = False
    options = {"trial_weights": np.ones(12), "penalties": [1e-3]}
    folds = consecutive_folds(12, 3)
    spoiled = np.where(known[:, :, None], outputs, 1e3)
    fit = fit_ridge(features, spoiled, folds=folds, known=known, **options)
    rest = fit_ridge(
        features[4:],
        outputs[4:],
        trial_weights=np.ones(8),
        penalties=[1e-3],
        folds=consecutive_folds(8, 2),
    )
    np.testing.assert_allclose(fit.weights, rest.weights, rtol=1e-6)
    np.testing.assert_allclose(fit.intercept, rest.intercept, atol=1e-6)


def test_a_signal_may_be_missing_where_nothing_was_observed_and_only_there():
    session = with_holes(recording(), garbage=0)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    signal = session.signals["signal"].copy()
    assert np.isnan(signal).any()
    answer = decoder.fit(session, signal).predict(session)
    assert np.isfinite(answer).all()
    signal[0, 0] = np.nan
    with pytest.raises(InvalidInputError, match="contains NaN.*first at"):
        decoder.fit(session, signal)


def test_the_pooled_r2_leaves_out_bins_without_a_true_signal():
    truth, answer = np.array([[0.0, 2.0], [4.0, np.nan]]), np.array([[0.0, 2.0], [4.0, 9.0]])
    assert nm.decoding.pooled_r2(truth, answer) == 1.0
    with pytest.raises(InvalidInputError, match="finite number"):
        nm.decoding.pooled_r2(answer, truth)


def test_trials_in_which_nothing_was_observed_are_left_out_of_a_fit():
    session = recording(30)
    observed = np.ones(session.shape, bool)
    observed[20:] = False
    gappy = nm.Session(session.counts, session.regions, observed=observed)
    whole = nm.Session(session.counts[:20], session.regions)
    with pytest.warns(NeuromaskWarning, match="nothing was observed in 10 of 30 trials of session"):
        pre = nm.MtMPretrainer(**TINY, validation_fraction=0.2).fit(gappy)
    other = nm.MtMPretrainer(**TINY, validation_fraction=0.2).fit(whole)
    np.testing.assert_allclose(pre.predict(whole), other.predict(whole), rtol=1e-5)
    assert np.isfinite(pre.history_["val_bps"].dropna()).all()


def test_a_neuron_that_was_never_observed_is_an_average_one():
    session = recording(30)
    observed = np.ones(session.shape, bool)
    observed[:, :, 3] = False
    gappy = nm.Session(session.counts, session.regions, observed=observed)
    others = np.delete(np.arange(9), 3)
    average = session.counts[:, :, others].mean()
    with pytest.warns(
        NeuromaskWarning, match="1 of 9 neurons of session 'session' were never observed"
    ):
        pre = nm.MtMPretrainer(**TINY).fit(gappy)
    np.testing.assert_allclose(float(pre.model_.stitch("session").mean[3]), average, rtol=1e-5)
    assert pre.excluded_.query("item == 'neuron'")[["name", "reason"]].values.tolist() == [
        ["3", "never observed"]
    ]
    for baseline in (nm.baselines.MeanRate(), nm.baselines.PSTH(), nm.baselines.PoissonGLM()):
        rates = baseline.fit(gappy).predict_rates(
            session.counts, np.ones(session.shape, bool), "co_smoothing"
        )
        np.testing.assert_allclose(rates[:, :, 3].mean(), average, rtol=0.1)


def test_trials_without_data_neither_train_nor_judge_a_decoder():
    session = recording(40)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    observed = np.ones(session.shape, bool)
    observed[5:15] = False
    gappy = nm.Session(session.counts, session.regions, observed=observed, session_id="sim-0")
    kept = np.delete(np.arange(40), np.arange(5, 15))
    y = session.trials["choice"].to_numpy()
    number = session.rates.mean((1, 2))
    for task, target, wild in (
        ("classification", y, y[::-1].copy()),
        ("regression", number, number + 99),
    ):
        decoder = nm.MtMDecoder(pre, task=task, random_state=0)
        wild = np.where(observed.any((1, 2)), target, wild)
        with pytest.warns(NeuromaskWarning, match="nothing was observed in 10 of 40 trials"):
            decoder.fit(gappy, wild)
        other = nm.MtMDecoder(pre, task=task, random_state=0).fit(gappy[kept], target[kept])
        one, two = decoder.predict(session), other.predict(session)
        np.testing.assert_allclose(one, two, rtol=1e-9)
        one, two = decoder.score(gappy, wild), other.score(gappy[kept], target[kept])
        np.testing.assert_allclose(one, two, rtol=1e-9)
        folds = nm.decoding.compare_decoders({"MtM": decoder}, gappy, wild, cv=KFold(4))
        assert folds["n_test"].sum() == 30


def test_what_was_observed_is_a_copy_that_the_caller_cannot_change():
    observed = gappy()
    session = nm.Session(COUNTS, observed=observed)
    observed[:] = True
    np.testing.assert_array_equal(session.observed, gappy())


def test_masks_of_a_list_of_trials_are_kept():
    masked = [np.ma.masked_array(c, mask=~o) for c, o in zip(COUNTS, gappy(), strict=True)]
    np.testing.assert_array_equal(nm.Session(masked).observed, gappy())


def test_a_baseline_is_not_fitted_to_nothing():
    nothing = nm.Session(COUNTS, observed=False)
    for baseline in (
        nm.baselines.MeanRate(),
        nm.baselines.PSTH(),
        nm.baselines.PoissonGLM(["co_smoothing"]),
    ):
        with pytest.raises(InvalidInputError, match="nothing of X was observed"):
            baseline.fit(nothing)
    pre = nm.MtMPretrainer(**TINY).fit(recording())
    nothing = nm.Session(recording().counts, observed=False, session_id="sim-0")
    with pytest.raises(InvalidInputError, match="nothing was observed in any trial"):
        nm.MtMDecoder(pre, random_state=0).fit(nothing, np.arange(30) % 2)
    assert (pre.transform(nothing) != 0).any()
