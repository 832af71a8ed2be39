import copy
import pickle
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neuromask as nm
from neuromask._random import random_streams
from neuromask.decoding import decoding_baselines
from neuromask.decoding.finetuning import _is_better, split_for_finetuning
from neuromask.decoding.readout import fit_readout, fit_temperature
from neuromask.decoding.targets import read_target
from neuromask.errors import InvalidInputError, NeuromaskWarning, UnknownSessionError
from neuromask.training import loop

from .conftest import TINY


@pytest.fixture(scope="module")
def planted():
    return make_planted(80, 0)


def make_planted(n_trials, seed):
    """Make a session whose label is told by VISp alone, from bin 10 of 20 on."""
    rng = np.random.default_rng(seed)
    label = np.arange(n_trials) % 2
    rates = np.full((n_trials, 20, 12), 0.4)
    rates[:, 10:, :4] += 1.2 * label[:, None, None]
    regions = np.repeat(["VISp", "CA1", "MOs"], 4)
    return nm.Session(
        rng.poisson(rates), regions, trials={"label": label}, bin_width=0.02, session_id="planted"
    )


@pytest.fixture(scope="module")
def pre_planted(planted):
    return nm.MtMPretrainer(**TINY).fit(planted)


def decoder(pre, **options):
    return nm.MtMDecoder(pre, random_state=0, **options)


def same_weights(a, b):
    a, b = a.model_.state_dict(), b.model_.state_dict()
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["left", "right"]),
        np.array([-1, 1]),
        np.array([False, True]),
        np.array([0.2, 0.5, 0.8]).astype(str),
        np.array([3, 1, 2]),
        np.array(["a", "b"], dtype=object),
    ],
)
def test_classes_of_any_type(pre, session, labels):
    y = labels[np.arange(48) % len(labels)]
    fitted = decoder(pre).fit(session, y)
    assert fitted.classes_.tolist() == sorted(labels.tolist())
    answer, chances = fitted.predict(session), fitted.predict_proba(session)
    assert answer.shape == (48,)
    assert set(answer.tolist()) <= set(labels.tolist())
    np.testing.assert_allclose(chances.sum(1), 1)
    np.testing.assert_array_equal(fitted.classes_[chances.argmax(1)], answer)
    assert fitted.score(session, y) == (answer == y).mean()


@pytest.mark.parametrize("shape", [(48,), (48, 20), (48, 20, 2), (48, 20, 1)])
def test_numbers_of_any_shape(pre, session, shape):
    y = np.random.default_rng(0).normal(3, 2, shape)
    fitted = decoder(pre).fit(session, session.trials["choice"])  # an earlier fit leaves no trace
    fitted.set_params(task="regression").fit(session, y)
    assert fitted.predict(session).shape == shape
    expected = nm.decoding.pooled_r2(y, fitted.predict(session))
    assert fitted.score(session, y) == pytest.approx(expected)
    assert not hasattr(fitted, "classes_")
    assert not hasattr(fitted, "predict_proba")


def test_units_do_not_matter(pre, session):
    y = session.signals["whisker"]
    small = decoder(pre, task="regression").fit(session, y)
    large = decoder(pre, task="regression").fit(session, 1000 * y + 7)
    np.testing.assert_allclose(large.predict(session), 1000 * small.predict(session) + 7)


def test_the_kind_of_task_is_known_before_fit():
    assert is_classifier(nm.MtMDecoder())
    assert is_regressor(nm.MtMDecoder(task="regression"))


def test_it_finds_what_is_planted(pre_planted, planted):
    y = planted.trials["label"].to_numpy()
    fitted = decoder(pre_planted).fit(planted[:60], y[:60])
    assert fitted.score(planted[60:], y[60:]) >= 0.95
    only = {
        region: decoder(pre_planted, regions=region).fit(planted[:60], y[:60])
        for region in ("VISp", "CA1")
    }
    fresh = make_planted(300, 1)
    assert only["VISp"].score(fresh, fresh.trials["label"]) >= 0.95
    assert only["CA1"].score(fresh, fresh.trials["label"]) <= 0.6


def test_regions_that_are_left_out_are_never_seen(pre_planted, planted):
    y = planted.trials["label"]
    fitted = decoder(pre_planted, regions=["CA1", "MOs"]).fit(planted, y)
    changed = planted.counts.copy()
    changed[:, :, :4] += 5
    np.testing.assert_array_equal(fitted.predict_proba(planted), fitted.predict_proba(changed))
    again = decoder(pre_planted, regions=["CA1", "MOs"]).fit(
        nm.Session(changed, planted.regions, session_id="planted"), y
    )
    np.testing.assert_array_equal(again.predict_proba(planted), fitted.predict_proba(planted))


@pytest.mark.slow
def test_whisker_and_choice_come_near_the_decoder_that_sees_the_true_rates():
    session = nm.simulate(300, n_neurons=60, n_time=30, random_state=0)
    training, test = np.arange(240), np.arange(240, 300)
    pre = nm.MtMPretrainer(dim=32, max_epochs=60, random_state=0).fit(session[training])
    whisker = session.signals["whisker"]
    fitted = decoder(pre, task="regression").fit(session[training], whisker[training])
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 7)))
    ceiling = nm.decoding.PerBinRegressor(ridge).fit(
        np.log(session.rates[training]), whisker[training]
    )
    best = nm.decoding.pooled_r2(whisker[test], ceiling.predict(np.log(session.rates[test])))
    assert fitted.score(session[test], whisker[test]) >= 0.85 * best
    choice = session.trials["choice"].to_numpy()
    assert (
        decoder(pre).fit(session[training], choice[training]).score(session[test], choice[test])
        >= 0.7
    )


def test_a_fitted_pretrainer_keeps_its_weights_wherever_the_decoder_goes(
    pre, session, monkeypatch, tmp_path
):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)  # pretraining would fail
    y = session.trials["choice"].to_numpy()
    plain = decoder(pre)
    assert len(cross_val_score(plain, session, y, cv=3)) == 3
    fitted = clone(plain).fit(session, y)
    assert same_weights(fitted.pretrainer_, pre)
    assert clone(clone(plain)).pretrainer is not pre  # a copy, so that its parameters are its own
    assert clone(plain).pretrainer.model_ is pre.model_
    search = GridSearchCV(plain, {"class_weight": [None, "balanced"]}, cv=2, n_jobs=2)
    search.fit(session, y)
    assert same_weights(search.best_estimator_.pretrainer_, pre)
    frozen = GridSearchCV(plain, {"pretrainer": [FrozenEstimator(pre)]}, cv=2).fit(session, y)
    assert same_weights(frozen.best_estimator_.pretrainer_, pre)
    for copied in (pickle.loads(pickle.dumps(fitted)), dumped(fitted, tmp_path)):
        np.testing.assert_array_equal(copied.predict_proba(session), fitted.predict_proba(session))
    np.testing.assert_array_equal(
        clone(fitted).fit(session, y).predict_proba(session), fitted.predict_proba(session)
    )


def dumped(fitted, folder):
    joblib.dump(fitted, folder / "decoder.joblib")
    return joblib.load(folder / "decoder.joblib")


def test_a_path_and_a_frozen_pretrainer_are_taken(pre, session, tmp_path):
    y = session.trials["choice"]
    expected = decoder(pre).fit(session, y).predict_proba(session)
    for given in (pre.save(tmp_path / "model"), str(tmp_path / "model"), FrozenEstimator(pre)):
        found = clone(decoder(given)).fit(session, y).predict_proba(session)
        np.testing.assert_array_equal(found, expected)


def test_an_unfitted_pretrainer_is_pretrained_on_each_folds_training_trials_alone(
    session, monkeypatch
):
    seen = []
    real = nm.MtMPretrainer.fit
    monkeypatch.setattr(
        nm.MtMPretrainer,
        "fit",
        lambda self, X, *rest, **options: seen.append(len(X)) or real(self, X, *rest, **options),
    )
    given = nm.MtMPretrainer(**TINY)
    scores = cross_val_score(decoder(given), session, session.trials["choice"], cv=4)
    assert len(scores) == 4
    assert seen == [36] * 4
    assert not hasattr(given, "model_")


def test_without_a_pretrainer_it_makes_its_own_from_its_own_seed(monkeypatch):
    # With smaller defaults; which they are does not matter to where the seed comes from.
    defaults = nm.MtMPretrainer.__init__.__kwdefaults__
    for name, value in {"dim": 16, "n_layers": 1, "max_epochs": 2}.items():
        monkeypatch.setitem(defaults, name, value)
    small = nm.simulate(20, n_neurons=6, n_time=8, regions=("A", "B"), random_state=0)
    first, second = (nm.MtMDecoder(random_state=3).fit(small, np.arange(20) % 2) for _ in range(2))
    assert same_weights(first.pretrainer_, second.pretrainer_)
    other = nm.MtMDecoder(random_state=4).fit(small, np.arange(20) % 2)
    assert not same_weights(first.pretrainer_, other.pretrainer_)


def test_the_scheme_is_chosen_on_trials_left_out(pre, session):
    fitted = decoder(pre).fit(session, session.trials["choice"])
    table = fitted.selection_
    assert table["scheme"].tolist() == ["neuron", "causal", "intra-region", "inter-region"]
    assert fitted.scheme_ == table.loc[table["loss"].idxmin(), "scheme"]
    one_region = nm.Session(session.counts, ["CA1"] * 15, session_id="one")
    single = decoder(nm.MtMPretrainer(**TINY)).fit(one_region, session.trials["choice"])
    assert "inter-region" not in set(single.selection_["scheme"])  # it was never pretrained
    asked = decoder(pre, scheme="inter_region").fit(session, session.trials["choice"])
    assert asked.scheme_ == "inter-region"
    assert asked.selection_["scheme"].tolist() == ["inter-region"]


@pytest.mark.parametrize("strategy", ["gradual", "full"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_fine_tuning_changes_a_copy(pre, session, strategy, task):
    before = copy.deepcopy(pre.model_.state_dict())
    y = session.trials["choice"] if task == "classification" else session.signals["whisker"]
    fitted = decoder(pre, task=task, finetune=strategy, max_epochs=6, learning_rate=3e-3)
    fitted.fit(session, y)
    assert all(torch.equal(before[k], v) for k, v in pre.model_.state_dict().items())
    assert fitted.history_["stage"].iloc[0] == "head"
    stages = {"gradual": {"head", "session", "all"}, "full": {"head", "all"}}
    assert set(fitted.history_["stage"]) == stages[strategy]
    assert fitted.history_["val_loss"].notna().all()
    assert same_weights(fitted.pretrainer_, pre) is not fitted.finetuned_
    again = clone(fitted).fit(session, y)
    np.testing.assert_array_equal(again.predict(session), fitted.predict(session))


def test_no_trial_that_judges_fine_tuning_has_a_part_in_it(pre, session, monkeypatch):
    """Neither training, nor the choice of the epoch, nor the head that it is compared with."""
    y = (np.arange(48) % 3 == 0).astype(int)
    split = split_for_finetuning(read_target(y, "classification", n_trials=48, n_time=20), 0.3, 7)
    parts = [split.training, split.choosing, split.judging]
    assert sorted(np.concatenate(parts)) == list(range(48))
    assert all(set(y[part]) == {0, 1} for part in parts)
    monkeypatch.setattr("neuromask.decoder.split_for_finetuning", lambda *_: split)
    changed = session.counts.copy()
    changed[split.judging] = 1 + np.random.default_rng(1).poisson(3, changed[split.judging].shape)
    histories = []
    for counts in (session.counts, changed):
        trials = nm.Session(counts, session.regions, session_id=session.session_id)
        fitted = decoder(pre, finetune="full", scheme="neuron", max_epochs=3).fit(trials, y)
        histories.append(fitted.history_)
    pd.testing.assert_frame_equal(*histories)


def test_fine_tuning_is_kept_where_it_beats_the_head_by_more_than_chance():
    losses, others, weights = np.array([0.1, 0.3, 0.2]), np.array([0.4, 0.5, 0.6]), np.ones(3)
    assert _is_better(losses, others, weights)
    assert not _is_better(others, losses, weights)
    assert not _is_better(losses, losses, weights)
    assert not _is_better(np.array([0.1, 0.9]), np.array([0.7, 0.4]), np.ones(2))  # one of two
    assert _is_better(np.array([0.1, 0.9]), np.array([0.7, 0.4]), np.array([1.0, 0.01]))


def test_fine_tuning_that_helps_is_kept_with_the_temperature_of_the_judging_trials():
    session = nm.simulate(120, n_neurons=15, n_time=20, strength=2.0, random_state=5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    y = session.trials["choice"].to_numpy()
    target = read_target(y, "classification", n_trials=120, n_time=20)
    options = {"finetune": "full", "max_epochs": 12, "learning_rate": 1e-3}
    fitted = decoder(pre, **options, class_weight=None, validation_fraction=0.4).fit(session, y)
    assert fitted.finetuned_
    split = split_for_finetuning(target, 0.4, random_streams(0).split)
    rows, readout = split.judging, fitted.readouts_[fitted.scheme_]
    outputs = fitted._outputs(fitted._known(session[rows]), fitted._hidden, fitted.scheme_)[:, 0]
    temperature, offset = fit_temperature(outputs, target.codes[rows], np.ones(len(rows)))
    assert readout.temperature == pytest.approx(temperature, rel=1e-2)
    np.testing.assert_allclose(readout.offset, offset, atol=1e-2)


def test_fine_tuning_never_asks_for_a_region_that_is_ignored(session, monkeypatch):
    drawn = []
    pre = nm.MtMPretrainer(**TINY, schemes=["intra-region", "inter-region"]).fit(session)
    scheme = pre.schemes_[1]
    spied = replace(scheme, mask=lambda *given: drawn.append(scheme.mask(*given)) or drawn[-1])
    pre.schemes_ = (pre.schemes_[0], spied)
    fitted = decoder(pre, finetune="full", scheme="inter-region", max_epochs=3)
    fitted.fit(session, session.trials["choice"])
    asked = torch.cat([mask.target.flatten(0, 1).any(0)[None] for mask in drawn]).any(0).numpy()
    assert asked[session.regions != "root"].all()
    assert not asked[session.regions == "root"].any()


def test_gradual_trains_the_session_first(pre, session, monkeypatch):
    trained = []
    original = loop.train

    def train(model, *rest, **options):
        trained.append({n for n, p in model.named_parameters() if p.requires_grad})
        return original(model, *rest, **options)

    monkeypatch.setattr(loop, "train", train)
    fitted = decoder(pre, finetune="gradual", max_epochs=2)
    fitted.fit(session, session.trials["choice"])
    first, second = trained
    assert {"weights", "intercept"} < first < second
    assert all("stitches" in name for name in first - {"weights", "intercept"})


def test_fine_tuning_that_does_not_help_keeps_the_head_of_all_trials(pre, session, monkeypatch):
    nothing = pd.DataFrame({"epoch": [1], "val_loss": [9.0]})
    monkeypatch.setattr(loop, "train", lambda *_, **options: nothing.copy())
    y = session.trials["choice"]
    head = decoder(pre).fit(session, y)
    useless = decoder(pre, finetune="full").fit(session, y)
    np.testing.assert_array_equal(useless.predict_proba(session), head.predict_proba(session))
    assert same_weights(useless.pretrainer_, pre)
    assert useless.history_["stage"].tolist() == ["head", "all"]


@pytest.mark.filterwarnings("ignore:.*have no\\s+spikes")
def test_stimulus_side_of_a_real_recording(steinmetz):
    session = nm.load_npz(steinmetz(7))
    side = np.sign(session.trials["contrast_right"] - session.trials["contrast_left"]).to_numpy()
    session = session[side != 0].select_neurons(session.counts.mean((0, 1)) >= 0.02)
    side = side[side != 0]
    given = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=4, random_state=0)
    scores = cross_val_score(decoder(given), session, side, cv=4, scoring="balanced_accuracy")
    assert scores.mean() > 0.58  # chance is 0.5, with a standard error of about 0.03


def test_class_weights(pre, session):
    y = np.where(np.arange(48) % 6 == 0, "rare", "common")
    balanced = decoder(pre).fit(session, y).predict_proba(session)[:, 1]
    natural = decoder(pre, class_weight=None).fit(session, y).predict_proba(session)[:, 1]
    assert balanced.mean() > natural.mean() + 0.1
    assert natural.mean() == pytest.approx(8 / 48, abs=0.1)
    weighted = decoder(pre, class_weight={"rare": 50, "common": 1}).fit(session, y)
    assert (weighted.predict(session) == "rare").mean() > (balanced > 0.5).mean()


def test_probabilities_hold_on_later_trials():
    session = nm.simulate(400, n_neurons=20, n_time=20, strength=0.6, random_state=0)
    pre = nm.MtMPretrainer(**TINY).fit(session[:200])
    y = session.trials["choice"].to_numpy()
    fitted = decoder(pre).fit(session[:200], y[:200])
    chances = fitted.predict_proba(session[200:])
    assert 0.5 < fitted.score(session[200:], y[200:]) < 0.95
    assert log_loss(y[200:], chances) < 0.67  # of a coin: 0.693
    sure = np.clip(chances.max(1), 0, 1)
    assert sure.mean() == pytest.approx(fitted.score(session[200:], y[200:]), abs=0.1)


def shuffled_folds(target, groups=None):
    cut = StratifiedKFold(10, shuffle=True, random_state=0)
    return list(cut.split(target.codes, target.codes))


def test_ordinary_sessions_are_decoded_as_well_as_with_shuffled_folds(monkeypatch):
    scores = {"runs": [], "shuffled": []}
    for seed in range(4):
        session = nm.simulate(400, n_neurons=20, n_time=20, strength=0.8, random_state=seed)
        y = session.trials["choice"].to_numpy()
        pre = nm.MtMPretrainer(**(TINY | {"max_epochs": 1})).fit(session[:200])
        for name, found in scores.items():
            with monkeypatch.context() as patch:
                if name == "shuffled":
                    patch.setattr("neuromask.decoding.readout.make_folds", shuffled_folds)
                fitted = decoder(pre, scheme="neuron").fit(session[:200], y[:200])
            found.append(fitted.score(session[200:], y[200:]))
    assert np.mean(scores["runs"]) > 0.6
    assert np.mean(scores["runs"]) > np.mean(scores["shuffled"]) - 0.015


def drifting(seed, effect=0.0):
    """Give 400 trials whose rates drift, and a variable in blocks that moves the rates by `effect`."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(0.06 * rng.normal(size=(400, 30)), axis=0)
    first = rng.integers(2)
    lengths = rng.integers(20, 60, 20)
    block = ((np.arange(20) + first) % 2).repeat(lengths)[:400]
    preference = rng.normal(size=30)
    log_rates = np.log(0.3) + drift - drift.mean(0) + effect * (2 * block - 1)[:, None] * preference
    rates = np.broadcast_to(np.exp(log_rates).clip(max=20)[:, None], (400, 10, 30))
    return nm.Session(rng.poisson(rates), ["A", "B"] * 15, bin_width=0.02), block


def stated_and_true(effect, **options):
    """Give mean confidence and accuracy on the later quarter, over seven sessions."""
    stated, true = [], []
    for seed in range(7):
        session, block = drifting(seed, effect)
        pre = nm.MtMPretrainer(**(TINY | {"max_epochs": 1})).fit(session[:300])
        fitted = decoder(pre, scheme="neuron", **options).fit(session[:300], block[:300])
        stated.append(fitted.predict_proba(session[300:]).max(1).mean())
        true.append(fitted.score(session[300:], block[300:]))
    return np.mean(stated), np.mean(true)


def test_confidence_holds_on_later_trials_under_drift():
    # Blocks have nothing to do with the neurons, so that the truth is a coin.
    stated, true = stated_and_true(effect=0.0)
    assert 0.5 <= stated <= 0.55
    assert abs(stated - true) <= 0.05
    # Where neurons know the block, the decoder is as good as one that chooses on shuffled trials.
    stated, true = stated_and_true(effect=0.2)
    assert true > 0.85
    assert abs(stated - true) <= 0.05


def test_the_square_case_and_bare_arrays(pre, session):
    square = session[:15]  # 15 trials and 15 neurons
    y = np.where(np.arange(15) % 2, "left", "right")
    with_session = decoder(pre).fit(square, y)
    with_array = decoder(pre).fit(square.counts, y)
    np.testing.assert_array_equal(
        with_session.predict_proba(square), with_array.predict_proba(square.counts)
    )
    given = nm.MtMPretrainer(**TINY, regions=session.regions)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no\\s+spikes.*")
        assert len(cross_val_score(decoder(given), square.counts, y, cv=3)) == 3
    assert decoder(given, regions="CA1").fit(square, y).predict(square).shape == (15,)


def test_several_sessions_one_decoder_each():
    a, b = nm.simulate(30, n_sessions=2, n_neurons=12, n_time=15, random_state=2)
    pre = nm.MtMPretrainer(**TINY).fit([a, b])
    fitted = decoder(pre).fit(b, b.trials["choice"])
    assert fitted.predict(b.counts).shape == (30,)
    with pytest.raises(UnknownSessionError, match="'sim-0' is not among the fitted sessions"):
        fitted.predict(a)


def test_nothing_global_is_touched_and_nothing_is_printed(pre, session, capsys):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), session.counts.copy()
    y = session.trials["choice"].to_numpy()
    decoder(pre, finetune="full", max_epochs=2).fit(session, y).predict(session)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    np.testing.assert_array_equal(session.counts, before[2])
    assert capsys.readouterr() == ("", "")
    decoder(pre, finetune="full", max_epochs=2, verbose=1).fit(session, y)
    assert "epoch" in capsys.readouterr().err
    decoder(pre, finetune="gradual", max_epochs=4, verbose=1).fit(session, y)
    assert "epoch 4/4" in capsys.readouterr().err  # the second stage goes on counting


def test_region_importance_finds_the_region(pre_planted, planted):
    y = planted.trials["label"].to_numpy()
    fitted = decoder(pre_planted).fit(planted[:60], y[:60])
    table = fitted.region_importance(planted[60:], y[60:], n_bootstrap=20)
    assert list(table) == [
        "region",
        "n_neurons",
        "score",
        "score_hidden",
        "importance",
        "importance_se",
    ]
    assert table["region"][0] == "VISp"
    assert table["importance"][0] > 0.3
    assert table["importance"][1:].abs().max() < 0.15
    np.testing.assert_allclose(table["importance"], table["score"] - table["score_hidden"])
    partial = decoder(pre_planted, regions=["VISp", "CA1"]).fit(planted, y)
    assert set(partial.region_importance(planted, y)["region"]) == {"VISp", "CA1"}


def test_importance_of_signals(pre, session):
    y = session.signals["whisker"]
    fitted = decoder(pre, task="regression").fit(session, y)
    table = fitted.region_importance(session, y, n_bootstrap=5)
    assert table["score"].nunique() == 1
    assert (table["importance_se"] >= 0).all()


def test_time_resolved_finds_the_time(pre_planted, planted):
    y = planted.trials["label"]
    table = decoder(pre_planted).time_resolved(planted, y, cv=4, step=3)
    assert list(table) == ["fold", "bin", "time", "score"]
    assert table["bin"].unique().tolist() == [0, 3, 6, 9, 12, 15, 18]
    np.testing.assert_allclose(table["time"], (table["bin"] + 1) * 0.02)
    means = table.groupby("bin")["score"].mean()
    assert means[[0, 3, 6, 9]].max() < 0.75
    assert means[[15, 18]].min() > 0.8


def test_time_resolved_signals_are_scored_bin_by_bin(pre, session):
    y = session.signals["whisker"]
    table = decoder(pre, task="regression").time_resolved(session, y, cv=3, step=5)
    fitted = decoder(pre, task="regression")
    training, test = np.arange(16, 48), np.arange(16)
    answer = fitted.fit(session[training], y[training]).predict(session[test])
    expected = nm.decoding.pooled_r2(y[test][:, 5:6], answer[:, 5:6])
    found = table[(table["fold"] == 0) & (table["bin"] == 5)]["score"]
    assert found.item() == pytest.approx(expected)
    scalar = decoder(pre, task="regression").time_resolved(session, y.mean(1), cv=3, step=10)
    assert scalar["score"].notna().all()


def test_times_count_from_the_event(session):
    moved = session._with(t_start=-0.1)
    pre = nm.MtMPretrainer(**TINY).fit(moved)
    table = decoder(pre).time_resolved(moved, session.trials["choice"], cv=2, step=5)
    np.testing.assert_allclose(table["time"], -0.1 + (table["bin"] + 1) * 0.02)


def test_groups_are_kept_together_wherever_trials_are_left_out(pre, session, monkeypatch):
    y, groups = session.trials["choice"].to_numpy(), np.repeat(list("abcdef"), 8)
    options = {"cv": GroupKFold(3), "groups": groups}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuromaskWarning)
        table = decoder(pre).evaluate(session, y, **options)
    assert {row["n_test"] for row in table.attrs["folds"]} == {16}
    assert len(decoder(pre).time_resolved(session, y, step=10, **options)) == 3 * 2
    seen = []

    def spy(*args, folds, **rest):
        seen.append(folds)
        return fit_readout(*args, folds=folds, **rest)

    monkeypatch.setattr("neuromask.decoding.readout.fit_readout", spy)
    fitted = decoder(pre, scheme="neuron").fit(session, y, groups=groups)
    assert len(fitted.classes_) == 2
    (folds,) = seen
    assert len(folds) == 6
    assert all(not set(groups[a]) & set(groups[b]) for a, b in folds)
    with pytest.raises(InvalidInputError, match=r"groups has shape \(5,\) and X has 48 trials"):
        decoder(pre).fit(session, y, groups=groups[:5])
    with pytest.raises(InvalidInputError, match="groups has one group for all trials"):
        decoder(pre).fit(session, y, groups=np.zeros(48))
    with pytest.raises(InvalidInputError, match="groups has 2 missing values, the first at 0"):
        decoder(pre).fit(session, y, groups=[None, None, *groups[2:]])
    split = split_for_finetuning(
        read_target(y, "classification", n_trials=48, n_time=20), 0.4, 0, groups
    )
    parts = [set(groups[p]) for p in (split.training, split.choosing, split.judging)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 6
    with pytest.raises(InvalidInputError, match="groups has 2 groups; expected at least three"):
        decoder(pre, finetune="full").fit(session, y, groups=np.arange(48) // 24)


@pytest.mark.parametrize("is_fitted", [True, False])
def test_a_pretrainer_that_rebins(session, is_fitted):
    y, pre = session.trials["choice"].to_numpy(), nm.MtMPretrainer(**TINY, rebin=0.04)
    pre = pre.fit(session) if is_fitted else pre
    assert decoder(pre).fit(session, y).predict(session).shape == (48,)
    number = decoder(pre, task="regression").fit(session, y.astype(float))
    assert number.predict(session).shape == (48,)
    wide = session.rebin(0.04)
    signal = decoder(pre, task="regression").fit(session, wide.signals["whisker"])
    assert signal.predict(session).shape == (48, 10)
    np.testing.assert_array_equal(signal.predict(session), signal.predict(wide))
    with pytest.raises(InvalidInputError, match=r"10 bins of 0.04 s.*from X.rebin\(0.04\)"):
        signal.fit(session, session.signals["whisker"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuromaskWarning)
        table = signal.evaluate(session, wide.signals["whisker"], cv=2)
    assert table["score"].notna().all()
    assert len(table) == 3
    times = decoder(pre).time_resolved(session, y, cv=2, step=5)
    np.testing.assert_allclose(times["time"], (times["bin"] + 1) * 0.04)
    assert times["bin"].max() == 5
    labels = decoder(pre).evaluate(session, y, cv=2, baselines=False)
    assert labels["model"].tolist() == ["MtM"]


def test_evaluate_stands_beside_the_baselines(pre, session):
    y = session.trials["choice"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuromaskWarning)
        table = decoder(pre).evaluate(session, y, cv=3)
    assert table["model"].tolist()[0] == "MtM"
    assert set(table["model"]) == {"MtM", *nm.decoding.decoding_baselines("classification")}
    assert (table["ci_low"] <= table["score"]).all()
    assert (table["score"] <= table["ci_high"]).all()
    assert len(table.attrs["folds"]) == 3 * len(table)
    signals = decoder(pre, task="regression").evaluate(
        session, session.signals["whisker"], cv=3, baselines=False
    )
    assert signals["model"].tolist() == ["MtM"]


def test_losing_to_a_baseline_is_never_silent(pre_planted, planted):
    blind = decoder(pre_planted, regions="CA1")
    with pytest.warns(NeuromaskWarning, match="baselines do better than MtM.*trial mean by 0"):
        blind.evaluate(planted, planted.trials["label"], cv=3)


@pytest.mark.parametrize(
    ("task", "y", "message"),
    [
        ("classification", lambda n: None, "requires y to be passed, but the target y is None"),
        ("classification", lambda n: np.arange(n - 1) % 2, "y has 47 entries and X has 48 trials"),
        ("classification", lambda n: 3, "y has a single value and X has 48 trials"),
        ("classification", lambda n: np.r_[np.nan, np.arange(n - 1) % 2], "1.*the first at 0"),
        ("classification", lambda n: ["left", None] * (n // 2), "missing labels.*the first at 1"),
        ("classification", lambda n: ["left", np.nan] * (n // 2), "missing labels.*first at 1"),
        ("classification", lambda n: ["left", pd.NA] * (n // 2), "missing labels.*first at 1"),
        ("classification", lambda n: np.zeros(n), "y has one class, 0.0, in all 48 trials"),
        (
            "classification",
            lambda n: np.linspace(0, 1, n),
            "Unknown label type: continuous.*task='reg",
        ),
        ("classification", lambda n: np.zeros((n, 20)), "one class a trial.*task='regression'"),
        ("regression", lambda n: ["left", "right"] * (n // 2), "such as 'left'.*task='classifica"),
        ("regression", lambda n: np.arange(n) % 2 == 0, "holds bool values.*task='classification'"),
        ("regression", lambda n: np.full((n, 20), np.inf), r"infinity.*the first at \(0, 0\)"),
        ("regression", lambda n: np.zeros((n, 19)), r"shape \(48, 19\) and X has 20 bins"),
        ("regression", lambda n: np.zeros((n, 20, 2, 2)), r"expected \(48,\), \(48, 20\) or"),
        ("regression", lambda n: [[1.0], [1.0, 2.0]] * (n // 2), "y is a list that cannot be read"),
        ("regression", lambda n: np.ma.masked_less(np.arange(n), 3), "y has masked entries"),
        ("classification", lambda n: np.ma.masked_less(np.arange(n) % 2, 1), "y has masked"),
        ("regression", lambda n: np.zeros(n) + 1j, "Complex data not supported"),
    ],
)
def test_bad_targets_are_refused_before_any_work(session, monkeypatch, task, y, message):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)
    with pytest.raises(InvalidInputError, match=message):
        nm.MtMDecoder(nm.MtMPretrainer(**TINY), task=task).fit(session, y(48))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task": "classify"}, "task='classify'.*Did you mean 'classification'"),
        ({"finetune": "ful"}, "finetune='ful'.*Did you mean 'full'"),
        ({"scheme": "nueron"}, "scheme='nueron'.*Did you mean 'neuron'"),
        (
            {"scheme": "causal", "pretrainer": nm.MtMPretrainer(schemes="neuron", **TINY)},
            "scheme='causal' is not among the pretrainer's schemes.*Fit a pretrainer with",
        ),
        ({"regions": "VIS"}, r"no region 'VIS' in this session.*Did you mean 'VISp'"),
        ({"regions": []}, "no region is named"),
        ({"class_weight": "balance"}, "class_weight='balance'.*Did you mean 'balanced'"),
        ({"class_weight": [1, 2]}, r"class_weight=\[1, 2\]; expected 'balanced', None or"),
        ({"class_weight": {-1: -1, 1: 1}}, "class_weight gives class -1 the weight -1; expected"),
        ({"class_weight": {-1: 0, 1: 0}}, "class_weight gives class -1 the weight 0; expected"),
        ({"class_weight": {-1: np.nan, 1: 1}}, "class_weight gives class -1 the weight nan"),
        ({"class_weight": {-1: "a", 1: 1}}, "class_weight gives class -1 the weight 'a'"),
        ({"class_weight": {9: 1}}, r"class_weight names \[9\], which are no classes of y"),
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"learning_rate": -1}, "learning_rate=-1"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"validation_fraction": 1.5}, "validation_fraction=1.5"),
        ({"pretrainer": 3}, "pretrainer is a int; expected an MtMPretrainer"),
        (
            {"pretrainer": FrozenEstimator(nm.MtMPretrainer())},
            "frozen but not fitted.*Fit it first",
        ),
        ({"pretrainer": "nowhere/model"}, "there is no model.json in nowhere/model"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_bad_parameters_are_refused_before_any_work(session, monkeypatch, parameters, message):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)
    found = nm.MtMDecoder(**{"pretrainer": nm.MtMPretrainer(**TINY)} | parameters)
    with pytest.raises(InvalidInputError, match=message):
        found.fit(session, session.trials["choice"])
    assert not hasattr(found, "pretrainer_")


def test_sessions_and_trials_that_do_not_suit(pre, session):
    y = session.trials["choice"].to_numpy()
    stranger = nm.Session(session.counts, session_id="sim-7")
    match = r"'sim-7' is not among the fitted sessions \['sim-0'\]\. A model predicts"
    with pytest.raises(UnknownSessionError, match=match):
        decoder(pre).fit(stranger, y)
    with pytest.raises(InvalidInputError, match="sessions share the session_id 'sim-0'"):
        decoder(pre).fit([session, session], [y, y])
    with pytest.raises(InvalidInputError, match="expected three axes"):
        decoder(pre).fit(session.counts[0], y)
    fitted = decoder(pre).fit(session, y)
    with pytest.raises(InvalidInputError, match="X has 3 features"):
        fitted.predict(session.counts[:, :, :3])
    with pytest.raises(
        InvalidInputError, match="X has 40 bins; session 'sim-0' was fitted with 20"
    ):
        fitted.predict(np.tile(session.counts, (1, 2, 1)))
    named = np.where(y > 0, "left", "right")
    heard = decoder(pre).fit(session, named)
    with pytest.raises(InvalidInputError, match=r"y holds \['unheard'\], which fit has not seen"):
        heard.score(session, ["unheard", *named[1:]])
    with pytest.raises(InvalidInputError, match="y has 5 entries and X has 48 trials"):
        fitted.score(session, y[:5])
    signals = decoder(pre, task="regression").fit(session, session.signals["whisker"])
    with pytest.raises(InvalidInputError, match="y has one number a trial; expected"):
        signals.score(session, np.zeros(48))


def test_parameters_of_a_fitted_pretrainer_are_not_changed_in_vain(pre):
    with pytest.raises(InvalidInputError, match=r"'dim' can no longer.*clone\(pretrainer\)"):
        clone(decoder(pre)).set_params(pretrainer__dim=32)
    assert clone(decoder(pre)).set_params(pretrainer__precision="fp32").pretrainer.dim == 16
    assert pre.precision == "auto"
    unfitted = decoder(nm.MtMPretrainer()).set_params(pretrainer__dim=32)
    assert unfitted.pretrainer.dim == 32


def test_what_interpretation_needs(pre, session):
    y = session.trials["choice"]
    with pytest.raises(ValueError, match="not fitted yet"):
        decoder(pre).region_importance(session, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NeuromaskWarning)
        bare = nm.MtMPretrainer(**TINY).fit(session.counts)
    with pytest.raises(InvalidInputError, match="no regions are known for session 'session'"):
        decoder(bare).fit(session.counts, y).region_importance(session.counts, y)
    without = nm.MtMPretrainer(**TINY, schemes=["neuron"]).fit(session)
    with pytest.raises(InvalidInputError, match="no pretrained scheme attends causally"):
        decoder(without).time_resolved(session, y)
    with pytest.raises(InvalidInputError, match="step=0"):
        decoder(pre).time_resolved(session, y, step=0)


def test_a_class_too_small_for_fine_tuning(pre, session, monkeypatch):
    y = np.where(np.arange(48) == 0, "once", "often")
    assert decoder(pre).fit(session, y).predict_proba(session).shape == (48, 2)
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)  # refused before pretraining
    with pytest.raises(InvalidInputError, match="a class has 1 of 48 trials.*finetune='head'"):
        decoder(nm.MtMPretrainer(**TINY), finetune="full").fit(session, y)


def test_a_class_that_a_fold_lacks_may_have_a_weight(pre, session):
    y = np.arange(48) % 2
    weighed = {"class_weight": {0: 2.0, 1: 1.0, 7: 3.0}}
    assert decoder(pre, **weighed).fit(session, y).classes_.tolist() == [0, 1]


def test_masked_groups_are_refused(pre, session):
    groups = np.ma.masked_less(np.arange(48) // 6, 1)
    with pytest.raises(InvalidInputError, match="MtMDecoder.fit: groups has masked entries"):
        decoder(pre).fit(session, np.arange(48) % 2, groups=groups)


def test_a_fit_answers_as_it_was_fitted_whatever_is_set_later(pre, session):
    y = session.trials["choice"].to_numpy()
    classes = decoder(pre).fit(session, y)
    answer, score = classes.predict(session), classes.score(session, y)
    classes.set_params(task="regression")
    np.testing.assert_array_equal(classes.predict(session), answer)
    assert classes.score(session, y) == score
    assert classes.predict_proba(session).shape == (48, 2)
    assert is_regressor(classes)  # which the next fit will be
    numbers = decoder(pre, task="regression").fit(session, session.signals["whisker"])
    answer = numbers.predict(session)
    numbers.set_params(task="classification")
    np.testing.assert_array_equal(numbers.predict(session), answer)
    assert not hasattr(numbers, "predict_proba")


def test_a_baseline_that_cannot_be_fitted_leaves_the_others(planted):
    alike = nm.Session(np.repeat(planted.counts[:1], 30, axis=0), planted.regions)
    pre = nm.MtMPretrainer(**TINY).fit(alike)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = decoder(pre).evaluate(alike, np.arange(30) % 2, cv=3)
    told = [str(w.message) for w in caught if issubclass(w.category, NeuromaskWarning)]
    left_out = {"reduced rank"}
    assert set(table["model"]) == {"MtM", *decoding_baselines("classification")} - left_out
    assert any("MtMDecoder.evaluate: 'reduced rank' cannot be fitted" in text for text in told)


@pytest.mark.parametrize("cv", [[], 1, "a", GroupKFold(3)])
def test_folds_that_cannot_be_cut_are_refused(pre, session, cv):
    for call in (decoder(pre).evaluate, decoder(pre).time_resolved):
        with pytest.raises(InvalidInputError, match=rf"{call.__qualname__}: cv="):
            call(session, session.trials["choice"], cv=cv)


def test_a_single_trial_is_too_few(pre, session):
    for found in (decoder(pre, task="regression"), nm.MtMDecoder(task="regression")):
        with pytest.raises(
            InvalidInputError, match=r"MtMDecoder.fit: X has 1 trial\(s\); expected"
        ):
            found.fit(session[:1], [1.0])
