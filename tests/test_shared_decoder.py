"""One decoder of several sessions reads those of which no label is known."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import neuromask as nm

from .conftest import TINY


def animal(number, n_trials=60, n_neurons=16, n_time=20):
    """Give a session in which one of two regions is more active, by the trial's side and by the signal."""
    rng = np.random.default_rng(number)
    side = rng.choice([-1, 1], n_trials)
    course = np.cumsum(rng.normal(size=(n_trials, n_time)), 1)
    signal = (course - course.mean()) / course.std()
    regions = np.array(["VISp", "CA1"]).repeat(n_neurons // 2)
    sign = np.where(regions == "VISp", 1, -1)
    drive = 0.5 * (side[:, None] + signal)[:, :, None] * sign
    rates = rng.uniform(0.1, 0.5, n_neurons) * np.exp(drive)
    return nm.Session(
        rng.poisson(rates),
        regions,
        trials={"stimulus": side},
        signals={"whisker": signal},
        bin_width=0.02,
        session_id=f"sim-{number}",
        subject=f"mouse-{number}",
    )


@pytest.fixture(scope="module")
def sessions():
    return [animal(i) for i in range(4)]


@pytest.fixture(scope="module")
def pre(sessions):
    """Give a model of three sessions that was calibrated on a fourth."""
    fitted = nm.MtMPretrainer(**TINY | {"precision": "fp32"}).fit(sessions[:3])
    return fitted.calibrate(sessions[3])


def stimulus(session):
    return session.trials["stimulus"].to_numpy()


@pytest.fixture(scope="module")
def decoder(pre, sessions):
    known = sessions[:3]
    return nm.MtMDecoder(pre, random_state=0).fit(known, [stimulus(s) for s in known])


def test_a_session_without_labels_is_read(decoder, sessions):
    assert decoder.predict(sessions[3]).shape == (60,)
    np.testing.assert_allclose(decoder.predict_proba(sessions[3]).sum(1), 1)
    assert decoder.classes_.tolist() == [-1, 1]
    assert not hasattr(decoder, "n_features_in_")
    assert sorted(decoder.selection_["scheme"]) == sorted(nm.schemes.MTM_SCHEMES)
    assert decoder.selection_["loss"].min() == decoder.readouts_[decoder.scheme_].loss
    # Chance is 0.5; two standard errors of 60 trials are 0.13.
    assert decoder.score(sessions[3], stimulus(sessions[3])) > 0.75


def test_classes_may_have_any_names(pre, sessions, decoder):
    named = nm.MtMDecoder(pre, random_state=0)
    known = sessions[:3]
    other = named.fit(known, [np.where(stimulus(s) > 0, "right", "left") for s in known])
    np.testing.assert_array_equal(
        other.predict(sessions[3]) == "right", decoder.predict(sessions[3]) > 0
    )


def test_sessions_of_the_fit_are_read_in_their_own_units(decoder, sessions):
    one = sessions[0]
    whole = decoder.predict_proba(one)
    for rows in ([3], [7, 2], np.arange(30)):
        np.testing.assert_allclose(decoder.predict_proba(one[rows]), whole[rows], atol=1e-4)


def test_a_session_that_was_adapted_to_is_too(decoder, sessions):
    new = sessions[3]
    adapted = decoder.adapt(new[:40])
    whole = adapted.predict_proba(new)
    np.testing.assert_allclose(adapted.predict_proba(new[[50]]), whole[[50]], atol=1e-4)
    for ask in (decoder.predict, decoder.adapt):
        with pytest.warns(nm.NeuromaskWarning, match="3 trials of session 'sim-3' are few"):
            ask(new[:3])


@pytest.mark.filterwarnings("ignore:.*are few")
def test_adapting_again_knows_the_session_anew(decoder, sessions):
    new, y = sessions[3], stimulus(sessions[3])
    expected = decoder.adapt(new).predict_proba(new)
    again = decoder.adapt(new[:3]).adapt(new)
    np.testing.assert_allclose(
        again.predict_proba(new), expected, atol=0.02
    )  # a little calibrated apart
    labelled = decoder.adapt(new).adapt(new[:30], y[:30])
    np.testing.assert_allclose(labelled.adapt(new).predict_proba(new), expected, atol=0.02)
    with pytest.raises(nm.InvalidInputError, match="X is a ndarray; expected a Session"):
        decoder.adapt(new.counts)


def test_windows_of_the_fitted_trials_are_read_alike_in_fit_and_later(sessions):
    whole = [
        nm.Session(s.counts, s.regions, session_id=s.session_id, bin_width=0.02, t_start=0.0)
        for s in sessions[:3]
    ]
    pre = nm.MtMPretrainer(**TINY | {"precision": "fp32"}).fit(whole)
    late = [
        nm.Session(
            s.counts[:, 8:], s.regions, session_id=s.session_id, bin_width=0.02, t_start=0.16
        )
        for s in sessions[:3]
    ]
    y = [stimulus(s) for s in sessions[:3]]
    decoder = nm.MtMDecoder(pre, scheme="neuron", random_state=0).fit(late, y)
    standard = decoder._standards["sim-0", "neuron"]
    features = decoder.adapt(late[0])._standards["sim-0", "neuron"]
    np.testing.assert_allclose(features.mean, standard.mean, atol=1e-5)


def test_a_session_that_the_model_does_not_know_is_calibrated(sessions):
    pre = nm.MtMPretrainer(**TINY | {"precision": "fp32"}).fit(sessions[:3])
    known, new = sessions[:3], sessions[3]
    fitted = nm.MtMDecoder(pre, random_state=0).fit(known, [stimulus(s) for s in known])
    with pytest.raises(nm.UnknownSessionError, match="calibrate or finetune"):
        fitted.predict(new)
    adapted = fitted.adapt(new)
    assert new.session_id in adapted.pretrainer_.sessions_
    assert new.session_id not in pre.sessions_
    assert adapted.predict(new).shape == (60,)


def test_a_session_with_weights_of_its_own_is_adapted_to_first(pre, sessions):
    known = sessions[:2]
    fitted = nm.MtMDecoder(pre, random_state=0).fit(known, [stimulus(s) for s in known])
    with pytest.raises(
        nm.InvalidInputError, match="'sim-2' has weights that were trained.*Call adapt"
    ):
        fitted.predict(sessions[2])
    found = fitted.adapt(sessions[2]).predict_proba(sessions[2])
    fresh = pre.forget("sim-2").calibrate(sessions[2])
    served = nm.MtMDecoder(fresh, random_state=0).fit(known, [stimulus(s) for s in known])
    np.testing.assert_allclose(served.predict_proba(sessions[2]), found, atol=1e-6)


def test_few_labels_start_from_what_other_animals_tell(decoder, sessions):
    new, y = sessions[3], stimulus(sessions[3])
    before = decoder.predict_proba(new)
    adapted = decoder.adapt(new, y)
    assert adapted.score(new, y) >= decoder.score(new, y)
    np.testing.assert_array_equal(decoder.predict_proba(new), before)
    np.testing.assert_array_equal(adapted.predict(sessions[0]), decoder.predict(sessions[0]))
    # Labels of nothing leave what was known: the strongest ridge has no slope.
    noise = np.random.default_rng(0).permutation(y)
    agree = (decoder.adapt(new, noise).predict(new) == decoder.predict(new)).mean()
    assert agree > 0.6


def test_a_signal_is_read_of_a_session_without_it(pre, sessions):
    known, new = sessions[:3], sessions[3]
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    decoder.fit(known, [s.signals["whisker"] for s in known])
    assert decoder.predict(new).shape == new.signals["whisker"].shape
    assert decoder.score(new, new.signals["whisker"]) > 0.3
    adapted = decoder.adapt(new[:30], new.signals["whisker"][:30])
    later = new[30:]
    assert adapted.score(later, later.signals["whisker"]) > 0.3


def test_it_clones_pickles_and_is_fitted_anew(decoder, sessions):
    assert not hasattr(clone(decoder), "classes_")
    again = pickle.loads(pickle.dumps(decoder))
    np.testing.assert_array_equal(again.predict(sessions[3]), decoder.predict(sessions[3]))
    one = copy.copy(decoder).fit(sessions[0], stimulus(sessions[0]))
    assert one.n_features_in_ == 16
    assert one.predict(sessions[0]).shape == (60,)
    with pytest.raises(nm.UnknownSessionError):
        one.predict(sessions[3])


def test_an_unfitted_pretrainer_is_pretrained_on_all_sessions(sessions):
    known = sessions[:2]
    decoder = nm.MtMDecoder(nm.MtMPretrainer(**TINY), random_state=0)
    decoder.fit(known, [stimulus(s) for s in known])
    assert list(decoder.pretrainer_.sessions_) == ["sim-0", "sim-1"]
    assert decoder.adapt(sessions[2]).predict(sessions[2]).shape == (60,)


def test_regions_may_be_chosen(pre, sessions):
    known = sessions[:3]
    y = [stimulus(s) for s in known]
    decoder = nm.MtMDecoder(pre, regions="CA1", random_state=0).fit(known, y)
    blind = sessions[3].counts.copy()
    blind[:, :, sessions[3].regions != "CA1"] = 1
    same = nm.Session(blind, sessions[3].regions, session_id="sim-3", bin_width=0.02)
    np.testing.assert_allclose(
        decoder.predict_proba(same), decoder.predict_proba(sessions[3]), atol=1e-4
    )
    table = decoder.region_importance(sessions[3], stimulus(sessions[3]), n_bootstrap=5)
    assert table["region"].tolist() == ["CA1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:1], y[:1]), "a list of 1 recording"),
        (lambda X, y: (X, y[:2]), "y is 2 entries and X is a list of 3 sessions"),
        (lambda X, y: (X, np.concatenate(y)), "y is a ndarray and X is a list of 3"),
        (lambda X, y: (X, [*y[:2], y[2][:5]]), r"session 'sim-2'\): y has 5 entries"),
        (lambda X, y: (X, [*y[:2], np.ones(60)]), r"session 'sim-2'\): y has one class"),
        (
            lambda X, y: (X, [*y[:2], y[2].astype(str)]),
            "text in some sessions and numbers in others",
        ),
        (lambda X, y: (X, [*y[:2], np.array([*y[2][:-1], "a"], object)]), "Unknown label type"),
        (lambda X, y: ([X[0], X[1], X[1]], y), "share the session_id 'sim-1'"),
        (lambda X, y: ([x.counts for x in X], y), "X holds a ndarray; expected Sessions"),
    ],
)
def test_sessions_and_labels_must_go_together(pre, sessions, change, message):
    X, y = change(sessions[:3], [stimulus(s) for s in sessions[:3]])
    with pytest.raises(nm.InvalidInputError, match=message):
        nm.MtMDecoder(pre).fit(X, y)


def test_what_a_decoder_of_several_sessions_cannot_do_is_refused(pre, sessions, decoder):
    y = [stimulus(s) for s in sessions[:3]]
    with pytest.raises(nm.InvalidInputError, match="expected finetune='head' and no groups"):
        nm.MtMDecoder(pre, finetune="full").fit(sessions[:3], y)
    with pytest.raises(nm.InvalidInputError, match="expected finetune='head' and no groups"):
        nm.MtMDecoder(pre).fit(sessions[:3], y, groups=y)
    with pytest.raises(nm.InvalidInputError, match="fitted to several sessions, and streams"):
        decoder.stream()
    one = nm.MtMDecoder(pre).fit(sessions[0], y[0])
    with pytest.raises(nm.InvalidInputError, match="was fitted to one session"):
        one.adapt(sessions[3])


@pytest.mark.parametrize(
    ("options", "regions", "message"),
    [
        ({"encode_neurons": False}, None, "encode_neurons=False.*Set it to 'auto'"),
        ({}, "VIS", "no region 'VIS' in this session"),
    ],
)
def test_nothing_is_pretrained_where_the_decoder_cannot_be(
    sessions, monkeypatch, options, regions, message
):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)
    decoder = nm.MtMDecoder(nm.MtMPretrainer(**TINY, **options), regions=regions)
    with pytest.raises(nm.InvalidInputError, match=message):
        decoder.fit(sessions[:2], [stimulus(s) for s in sessions[:2]])
