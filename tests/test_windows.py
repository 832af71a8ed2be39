"""Trials that are shorter or longer than the fitted ones, and whole recordings."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuromask as nm
from neuromask._windows import cut, stitch
from neuromask.decoding import pooled_r2
from neuromask.errors import InvalidInputError, NeuromaskWarning

TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def session():
    return nm.simulate(30, n_neurons=9, n_time=20, mean_rate=20, random_state=0)


@pytest.fixture(scope="module")
def pre(session):
    return nm.MtMPretrainer(**TINY).fit(session)


def part(session, bins, t_start=None):
    """Take some bins of all trials."""
    return nm.Session(
        session.counts[:, bins],
        session.regions,
        bin_width=session.bin_width,
        t_start=t_start,
        session_id=session.session_id,
    )


@given(st.integers(1, 12), st.integers(0, 30), st.integers(1, 3))
def test_windows_put_together_are_the_trial(length, more, n_trials):
    x = np.random.default_rng(0).normal(size=(n_trials, length + more, 2))
    np.testing.assert_array_equal(stitch(cut(x, length), *x.shape[:2]), x)


@given(st.integers(4, 12), st.integers(1, 40))
def test_no_bin_is_taken_from_the_edge_of_a_window_but_at_the_ends(length, more):
    n_time = length + more
    places = np.broadcast_to(np.arange(length), (len(cut(np.zeros((1, n_time)), length)), length))
    taken = stitch(places, 1, n_time)[0]
    inner = taken[length // 2 : n_time - length // 2]
    assert (inner >= length // 4).all()
    assert (inner < length - length // 4).all()


def test_trials_stand_at_their_own_time(session):
    timed = part(session, slice(0, 20), t_start=-0.1)
    pre = nm.MtMPretrainer(**TINY).fit(timed)
    given = part(session, slice(5, 15), t_start=0.0)
    hidden = np.ones(timed.shape, bool)
    hidden[:, 5:15] = False
    whole = pre.predict(timed, hidden=hidden)
    # Bins after the given ones are not there at all, so that only those before count as hidden.
    before = part(session, slice(0, 15), t_start=-0.1)
    expected = pre.predict(before, hidden=hidden[:, :15])[:, 5:]
    np.testing.assert_allclose(pre.predict(given), expected, rtol=1e-5)
    assert whole[:, 5:15].shape == expected.shape
    elsewhere = pre.predict(part(session, slice(5, 15)))
    assert not np.allclose(elsewhere, expected, rtol=1e-3)


def test_scores_of_trials_that_stand_at_their_own_time_are_of_these_bins(session):
    timed = part(session, slice(0, 20), t_start=-0.1)
    pre = nm.MtMPretrainer(**TINY).fit(timed)
    given = part(session, slice(5, 15), t_start=0.0)
    rates = pre.predict_hidden(given)
    assert rates.shape == given.shape
    table = pre.evaluate(given, tasks=["co_smoothing"])
    assert table["n_spikes"].tolist() == given.counts.sum((0, 1)).tolist()


def test_validation_trials_stand_at_their_own_time(session):
    timed, late = (
        part(session, slice(0, 20), t_start=-0.1),
        part(session, slice(10, 20), t_start=0.1),
    )
    observed = np.zeros(timed.shape, bool)
    observed[:, 10:] = True
    unseen = nm.Session(
        np.where(observed, timed.counts, 0),
        timed.regions,
        observed=observed,
        bin_width=timed.bin_width,
        t_start=-0.1,
        session_id=timed.session_id,
    )
    shorter, whole = (nm.MtMPretrainer(**TINY).fit(timed, X_val=x) for x in (late, unseen))
    pd.testing.assert_frame_equal(shorter.history_, whole.history_)
    np.testing.assert_array_equal(shorter.predict(timed), whole.predict(timed))


@pytest.mark.parametrize(
    ("t_start", "message"),
    [
        (0.2, r"cover 0.2 to 0.4 s from their event and the fitted ones -0.1 to 0.3 s"),
        (-0.5, r"cover -0.5 to -0.3 s"),
        (0.013, "trials begin at 0.013 s, which is no edge of the fitted bins"),
    ],
)
def test_trials_of_another_time_are_warned_of(session, t_start, message):
    pre = nm.MtMPretrainer(**TINY).fit(part(session, slice(0, 20), t_start=-0.1))
    with pytest.warns(NeuromaskWarning, match=message):
        pre.predict(part(session, slice(5, 15), t_start=t_start))


def test_a_saved_model_knows_when_its_trials_begin(session, tmp_path):
    pre = nm.MtMPretrainer(**TINY).fit(part(session, slice(0, 20), t_start=-0.1))
    again = nm.load(pre.save(tmp_path / "model"))
    assert again.sessions_["sim-0"].t_start == -0.1
    given = part(session, slice(5, 15), t_start=0.0)
    np.testing.assert_array_equal(again.predict(given), pre.predict(given))


def test_longer_trials_are_predicted_by_windows_and_it_is_said(session, pre):
    longer = part(session, np.r_[0:20, 0:20, 0:20])
    with pytest.warns(
        NeuromaskWarning, match="of 60 bins are longer than the fitted 20.*overlap by half"
    ):
        rates = pre.predict(longer)
    assert rates.shape == longer.shape
    np.testing.assert_allclose(
        rates[:, :15], pre.predict(part(session, slice(0, 20)))[:, :15], rtol=1e-5
    )
    np.testing.assert_allclose(
        rates[:, 25:35], pre.predict(part(session, slice(0, 20)))[:, 5:15], rtol=1e-5
    )


def test_a_whole_recording_is_predicted_and_embedded(session, pre):
    recording = session.counts[:10].reshape(200, 9)
    rates, features = pre.predict(recording), pre.transform(recording)
    assert rates.shape == (200, 9)
    assert features.shape == (200, pre.model_.n_features)
    np.testing.assert_array_equal(pre.predict(recording[None])[0], rates)
    hidden = np.zeros((200, 9), bool)
    hidden[:, 0] = True
    again = pre.predict(np.where(hidden, 7, recording), hidden=hidden)
    np.testing.assert_array_equal(again, pre.predict(recording, hidden=hidden))


def test_gaps_of_a_whole_recording_change_nothing_far_from_them(session, pre):
    recording = session.counts[:10].reshape(200, 9).astype(float)
    gap = recording.copy()
    gap[90:110] = np.nan
    rates, around = pre.predict(recording), pre.predict(gap)
    assert np.isfinite(around).all()
    np.testing.assert_array_equal(rates[:75], around[:75])
    np.testing.assert_array_equal(rates[125:], around[125:])
    assert not np.allclose(rates[85:90], around[85:90], rtol=1e-4)


def test_an_embedding_is_pooled_over_observed_bins(session, pre):
    observed = np.ones(session.shape, bool)
    observed[:, 12:] = False
    gappy = nm.Session(session.counts, session.regions, observed=observed, session_id="sim-0")
    bins = pre.set_params(pooling="none").transform(gappy)
    pooled = pre.set_params(pooling="mean").transform(gappy)
    np.testing.assert_allclose(pooled, bins[:, :12].mean(1), rtol=1e-4, atol=1e-5)


def test_validation_trials_may_not_be_longer(session):
    longer = np.tile(session.counts, (1, 2, 1))
    with pytest.raises(InvalidInputError, match="X_val.*has 40 bins.*fitted with 20"):
        nm.MtMPretrainer(**TINY).fit(session.counts, session.regions, X_val=longer)


def test_signals_are_decoded_of_shorter_and_longer_trials(session, pre):
    y = session.signals["whisker"]
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0).fit(session, y)
    assert decoder.predict(part(session, slice(0, 12))).shape == (30, 12)
    assert np.isfinite(decoder.score(part(session, slice(0, 12)), y[:, :12]))
    recording = session.counts.reshape(1, 600, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one long trial is a recording, and meant so
        whole = decoder.predict(recording)
    assert whole.shape == (1, 600)
    np.testing.assert_array_equal(decoder.predict(recording[0]), whole[0])
    assert decoder.score(recording, y.reshape(1, 600)) > 0


def test_a_decoder_is_scored_on_a_whole_recording(session, pre):
    y = session.signals["whisker"]
    recording, signal = session.counts.reshape(600, 9), y.reshape(600)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0).fit(session, y)
    score = decoder.score(recording, signal)
    assert score == decoder.score(recording[None], signal[None])
    assert score == pytest.approx(pooled_r2(signal, decoder.predict(recording)))
    gappy, unknown = recording.astype(float), signal.copy()
    gappy[100:150], unknown[100:150] = np.nan, np.nan
    known = ~np.isnan(unknown)
    assert decoder.score(gappy, unknown) == pytest.approx(
        pooled_r2(signal[known], decoder.predict(gappy)[known])
    )
    both = np.stack([y, 1 - y], axis=2)
    decoder.fit(session, both)
    assert decoder.score(recording, both.reshape(600, 2)) == pytest.approx(
        pooled_r2(both.reshape(1, 600, 2), decoder.predict(recording)[None])
    )


@pytest.mark.parametrize("y", [np.zeros(599), np.zeros((1, 600)), 0.0], ids=lambda y: np.shape(y))
def test_a_signal_that_is_not_one_of_the_recording_is_refused(session, pre, y):
    whisker = session.signals["whisker"]
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0).fit(session, whisker)
    said = r"score: y has shape .* a whole recording of 600 bins; expected \(600,\)"
    with pytest.raises(InvalidInputError, match=said):
        decoder.score(session.counts.reshape(600, 9), y)


def test_a_shorter_trial_is_decoded_as_one_that_ended_early(session, pre):
    decoder = nm.MtMDecoder(pre, random_state=0).fit(session, session.trials["choice"])
    observed = np.ones(session.shape, bool)
    observed[:, 12:] = False
    ended = nm.Session(session.counts, session.regions, observed=observed, session_id="sim-0")
    np.testing.assert_allclose(
        decoder.predict_proba(part(session, slice(0, 12))), decoder.predict_proba(ended)
    )


@pytest.mark.parametrize("finetune", ["head", "full"])
def test_a_decoder_of_a_part_of_the_trial_stands_at_its_time(session, finetune):
    pre = nm.MtMPretrainer(**TINY).fit(part(session, slice(0, 20), t_start=-0.1))
    given, y = part(session, slice(5, 15), t_start=0.0), session.signals["whisker"][:, 5:15]
    options = {"task": "regression", "finetune": finetune, "max_epochs": 2, "random_state": 0}
    decoder = nm.MtMDecoder(pre, **options).fit(given, y)
    answer = decoder.predict(given)
    assert answer.shape == (30, 10)
    later = decoder.predict(part(session, slice(8, 15), t_start=0.06))
    assert later.shape == (30, 7)
    # As it knows less, it answers otherwise, but of the same bins.
    agree = [np.corrcoef(later.ravel(), answer[:, i : i + 7].ravel())[0, 1] for i in range(4)]
    assert int(np.argmax(agree)) == 3


def test_forward_prediction_of_a_longer_trial_hides_no_more_than_that_of_a_fitted_one(session, pre):
    recording = session.counts.reshape(1, 600, 9)
    rates = pre.predict_hidden(recording, task="forward_prediction")
    assert np.isfinite(rates[0, :, 0]).sum() == 2
    with pytest.raises(
        InvalidInputError, match="n_forward_bins=20 of trials that are predicted in windows"
    ):
        pre.predict_hidden(recording, task="forward_prediction", n_forward_bins=20)


def test_labels_of_a_whole_recording_are_not_ignored(session, pre):
    frame = pd.DataFrame(session.counts.reshape(600, 9))
    with pytest.raises(InvalidInputError, match="X is a DataFrame of .time, neurons.*cut_windows"):
        pre.predict(frame)


def test_a_decoder_stays_as_it_was_when_its_pretrainer_is_fitted_again(session):
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, random_state=0).fit(session, session.trials["choice"])
    before = decoder.predict_proba(session)
    pre.set_params(max_epochs=3).fit(session)
    np.testing.assert_array_equal(decoder.predict_proba(session), before)
