import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import neuromask as nm
from neuromask import schemes
from neuromask._recordings import read_to_fit, split_trials
from neuromask.errors import InvalidInputError, NeuromaskWarning, UnknownSessionError
from neuromask.masks import neuron_mask

from .conftest import TINY


def weights(pre):
    return pre.model_.state_dict()


def same_weights(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_fit_on_arrays_with_regions_as_documented(session):
    X, regions = session.counts, session.regions
    by_position = nm.MtMPretrainer(**TINY).fit(X, regions)
    by_name = nm.MtMPretrainer(**TINY).fit(X, regions=regions)
    by_constructor = nm.MtMPretrainer(**TINY, regions=regions).fit(X)
    assert by_position.regions_.tolist() == ["CA1", "VISp", "root"]
    assert by_position.n_features_in_ == 15
    for other in (by_name, by_constructor):
        assert same_weights(weights(by_position), weights(other))


def test_same_seed_same_weights_and_nothing_global_is_touched(session):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), session.counts.copy()
    first, second = (nm.MtMPretrainer(**TINY).fit(session) for _ in range(2))
    assert same_weights(weights(first), weights(second))
    other = nm.MtMPretrainer(**TINY | {"random_state": 1}).fit(session)
    assert not same_weights(weights(first), weights(other))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    np.testing.assert_array_equal(session.counts, before[2])


def test_it_learns_what_a_mean_cannot_know():
    session = nm.simulate(240, n_neurons=40, n_time=25, random_state=0)
    pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=40, random_state=0).fit(session[:200])
    bps = nm.summarise(pre.evaluate(session[200:])).set_index("task")["bps"]
    assert (bps[["co_smoothing", "intra_region", "inter_region"]] > 0.05).all()
    psth = nm.baselines.PSTH().fit(session[:200]).predict_rates
    null = nm.summarise(nm.evaluate(psth, session[200:])).set_index("task")["bps"]
    assert (bps > null).all()
    kept = pre.history_.loc[pre.history_["val_bps"].idxmax(), "val_bps"]
    assert kept == pre.history_["val_bps"].max()


def test_history_is_tidy(pre):
    columns = ["epoch", "step", "learning_rate", "train_loss", "val_loss", "val_bps"]
    assert list(pre.history_)[:6] == columns
    assert {f"val_bps_{s}" for s in ("neuron", "causal", "intra-region", "inter-region")} <= set(
        pre.history_
    )
    assert pre.history_["epoch"].tolist() == [1, 2, 3]


def test_predict_hides_what_is_hidden(pre, session):
    hidden = np.arange(15) < 4
    rates = pre.predict(session, scheme="inter-region", hidden=hidden)
    changed = session.counts.copy()
    changed[:, :, :4] += 3
    np.testing.assert_array_equal(rates, pre.predict(changed, scheme="inter_region", hidden=hidden))
    assert rates.shape == session.shape
    assert (rates > 0).all()
    assert not np.array_equal(rates, pre.predict(session, scheme="inter-region"))


def test_forward_prediction_uses_the_past_alone(pre, session):
    hidden = (np.arange(20) >= 15)[:, None]
    changed = session.counts.copy()
    changed[:, 10:] = 0
    a, b = (pre.predict(x, scheme="causal", hidden=hidden) for x in (session, changed))
    np.testing.assert_array_equal(a[:, :10], b[:, :10])


def test_evaluate_and_score(pre, session):
    table = pre.evaluate(session, neurons=[0, 5, 14], n_forward_bins=3)
    assert set(table["session"]) == {"sim-0"}
    assert set(table["task"]) == {
        "co_smoothing",
        "forward_prediction",
        "intra_region",
        "inter_region",
    }
    assert "root" not in set(table.loc[table["task"] == "inter_region", "region"])
    summary = nm.summarise(pre.evaluate(session))
    assert pre.score(session) == pytest.approx(summary["bps_weighted"].mean())


def test_translate(pre, session):
    rates = pre.translate(session, source="VISp", target="CA1")
    assert rates.shape == (48, 20, (session.regions == "CA1").sum())
    changed = session.counts.copy()
    changed[:, :, session.regions != "VISp"] += 1
    np.testing.assert_array_equal(rates, pre.translate(changed, source="VISp", target="CA1"))
    with pytest.raises(InvalidInputError, match=r"no region 'VIS'.*Did you mean 'VISp'"):
        pre.translate(session, source="VIS", target="CA1")
    with pytest.raises(InvalidInputError, match="both source and target"):
        pre.translate(session, source="CA1", target=["CA1", "VISp"])


def test_transform_pools_over_time(session):
    pooled = nm.MtMPretrainer(**TINY).fit(session)
    full = nm.MtMPretrainer(**TINY, pooling="none").fit(session)
    Z = pooled.transform(session)
    np.testing.assert_allclose(Z, full.transform(session).mean(1), rtol=1e-5)
    assert Z.shape == (48, len(pooled.get_feature_names_out()))
    frame = pooled.set_output(transform="pandas").transform(session)
    assert frame.columns[0] == "mtmpretrainer0"


def test_many_sessions(session):
    a, b = nm.simulate(30, n_sessions=2, n_neurons=12, n_time=15, random_state=2)
    short = nm.simulate(20, n_neurons=9, n_time=10, random_state=3)
    short.session_id = "short"
    pre = nm.MtMPretrainer(**TINY).fit([a, b, short])
    assert list(pre.sessions_) == ["sim-0", "sim-1", "short"]
    assert not hasattr(pre, "n_features_in_")
    # Two sessions with as many neurons are not one.
    assert not np.array_equal(pre.predict(a), pre.predict(nm.Session(a.counts, session_id="sim-1")))
    assert set(pre.evaluate([a, short])["session"]) == {"sim-0", "short"}
    with pytest.raises(UnknownSessionError, match="X is an array and the model knows 3 sessions"):
        pre.predict(a.counts)
    with pytest.raises(InvalidInputError, match="share the session_id 'sim-0'"):
        nm.MtMPretrainer(**TINY).fit([a, a])
    arrays = nm.MtMPretrainer(**TINY).fit([a.counts, b.counts], regions=[a.regions, b.regions])
    assert list(arrays.sessions_) == ["session-0", "session-1"]
    with pytest.raises(InvalidInputError, match="regions has 1 entries for 2 sessions"):
        nm.MtMPretrainer(**TINY).fit([a.counts, b.counts], regions=[a.regions])


def test_validation_trials_may_be_given(session):
    pre = nm.MtMPretrainer(**TINY).fit(session[:40], X_val=session[40:])
    assert pre.history_["val_loss"].notna().any()
    none = nm.MtMPretrainer(**TINY | {"validation_fraction": 0}).fit(session)
    assert "val_loss" not in none.history_
    with pytest.raises(InvalidInputError, match=r"\(X_val\).*features"):
        nm.MtMPretrainer(**TINY).fit(session, X_val=session.counts[:, :, :3])


def test_trials_are_set_aside_of_sessions_that_have_many():
    sessions = nm.simulate(100, n_sessions=2, n_neurons=6, n_time=8, random_state=0)
    many, few = sessions[0], sessions[1][:99]
    recordings = read_to_fit([many, few], None, None, None)
    training, held_out = split_trials(
        recordings, "auto", np.random.default_rng(0), validation="blocked"
    )
    assert [len(r.counts) for r in training] == [90, 99]
    assert [(r.info.session_id, len(r.counts)) for r in held_out] == [("sim-0", 10)]
    every = np.concatenate([training[0].counts, held_out[0].counts])
    assert sorted(map(bytes, every)) == sorted(map(bytes, many.counts))
    options = TINY | {"validation_fraction": "auto", "max_epochs": 2}
    assert nm.MtMPretrainer(**options).fit(many).history_["val_bps"].notna().any()
    assert "val_bps" not in nm.MtMPretrainer(**options).fit(few).history_
    assert nm.MtMPretrainer().validation_fraction == "auto"
    with pytest.raises(InvalidInputError, match="fraction='some'; expected 'auto' or a number"):
        nm.MtMPretrainer(validation_fraction="some").fit(many)


def test_validation_trials_without_a_spike_are_refused(session):
    silent = session[:4]
    silent.counts = np.zeros_like(silent.counts)
    with pytest.raises(InvalidInputError, match=r"fit \(X_val\): X holds no spikes"):
        nm.MtMPretrainer(**TINY).fit(session, X_val=silent)


def test_warm_start_goes_on(session):
    pre = nm.MtMPretrainer(**TINY, warm_start=True).fit(session)
    before = {k: v.clone() for k, v in weights(pre).items()}
    first = pre.history_
    pre.set_params(learning_rate=1e-9, max_epochs=2).fit(session)
    torch.testing.assert_close(weights(pre), before, atol=1e-6, rtol=1e-4)
    assert pre.history_["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert pre.history_["step"].tolist() == [2, 4, 6, 8, 10]
    assert pre.history_["train_loss"][:3].tolist() == first["train_loss"].tolist()
    assert (pre.history_["learning_rate"] <= 1e-9).tolist() == [False] * 3 + [True] * 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dim": 32}, "dim=16; dim=32 was given"),
        ({"n_layers": 2, "n_heads": 4}, "n_layers=1, n_heads=2; n_layers=2, n_heads=4 was given"),
        ({"dropout": 0.1}, "dropout=0.3; dropout=0.1"),
        ({"backbone": "ndt2"}, "backbone='ndt1'; backbone='ndt2'"),
        ({"positions": "rope"}, "positions='learned'; positions='rope'"),
        ({"prompted": False}, "prompted=True; prompted=False"),
        ({"schemes": ("neuron",)}, r"schemes=\['neuron', .*\]; schemes=\['neuron'\] was given"),
        ({"encode_neurons": True}, "encode_neurons=False; encode_neurons=True"),
    ],
)
def test_warm_start_refuses_what_its_weights_were_not_made_for(session, tmp_path, changed, message):
    pre = nm.MtMPretrainer(**TINY, warm_start=True).fit(session)
    before = pre.predict(session)
    for again in (pre, nm.load(pre.save(tmp_path / "model"))):
        with pytest.raises(InvalidInputError, match=f"{message}.*or warm_start=False"):
            again.set_params(**changed).fit(session)
        np.testing.assert_array_equal(again.predict(session), before)
    anew = pre.set_params(warm_start=False).fit(session)
    assert len(anew.history_) == 3


def test_warm_start_of_other_trials_and_sessions(session):
    pre = nm.MtMPretrainer(**TINY, warm_start=True).fit(session)
    longer = nm.Session(
        np.concatenate([session.counts, session.counts[:, :10]], 1),
        session.regions,
        session_id="sim-0",
    )
    with pytest.raises(InvalidInputError, match="trials of 30 bins.*up to 20. Cut"):
        pre.fit(longer)
    fewer = session.select_neurons(slice(0, 10))
    with pytest.warns(NeuromaskWarning, match="not those of the last fit.*starts anew"):
        pre.set_params(dim=32).fit(fewer)
    assert pre.n_features_in_ == 10
    assert len(pre.history_) == 3


def test_training_stops_where_nothing_gets_better(session):
    options = TINY | {"max_epochs": 60, "n_iter_no_change": 5, "learning_rate": 1e-9}
    stopped = nm.MtMPretrainer(**options).fit(session)
    best = stopped.history_.loc[stopped.history_["val_bps"].idxmax(), "epoch"]
    assert len(stopped.history_) == best + 5 < 60


@pytest.mark.parametrize("per_batch", [False, True])
@pytest.mark.parametrize("name", sorted(schemes.available_schemes()))
def test_every_scheme_trains_and_is_evaluated(session, name, per_batch):
    pre = nm.MtMPretrainer(**TINY, schemes=[name], mask_per_batch=per_batch).fit(session)
    assert np.isfinite(pre.score(session))
    assert f"val_bps_{name}" in pre.history_


def test_a_users_scheme_gets_its_own_prompt(session, monkeypatch):
    monkeypatch.setattr(schemes, "_REGISTRY", dict(schemes._REGISTRY))
    nm.register_scheme(nm.Scheme("mine", neuron_mask, attention="causal"))
    pre = nm.MtMPretrainer(**TINY, schemes=["neuron", "mine"]).fit(session)
    assert len(pre.model_.prompts) == 2
    assert not np.array_equal(
        pre.predict(session, scheme="mine"), pre.predict(session, scheme="neuron")
    )
    with pytest.raises(InvalidInputError, match="scheme 'causal' was not fitted"):
        pre.predict(session, scheme="causal")


def test_what_is_left_out_is_reported():
    s = nm.simulate(30, n_neurons=9, n_time=10)
    counts = s.counts.copy()
    counts[:, :, 2] = 0
    regions = ["A", "A", "A", "B", "root", "root", "A", "A", "A"]
    with pytest.warns(NeuromaskWarning, match="1 of 9 neurons of session 'session' have no spikes"):
        pre = nm.MtMPretrainer(**TINY).fit(counts, regions)
    found = set(map(tuple, pre.excluded_[["item", "name", "reason"]].to_numpy()))
    assert found == {
        ("neuron", "2", "no spikes"),
        ("region", "B", "one neuron: never intra-region"),
        ("region", "root", "in ignore_regions"),
    }
    assert pre.predict(counts)[:, :, 2].max() < 0.01
    with pytest.warns(NeuromaskWarning, match="no regions are known"):
        alone = nm.MtMPretrainer(**TINY).fit(s.counts)
    assert "inter-region" in set(alone.excluded_["name"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X * np.nan, "nothing of X was observed"),
        (lambda X: np.where(X > 0, np.inf, 0), "infinite values"),
        (lambda X: -X, "negative"),
        (lambda X: X / 2, "fractional"),
        (lambda X: X[0], "expected three axes"),
        (lambda X: X[:1], "at least 2"),
        (lambda X: X * 0, "no spikes"),
        (lambda X: X[:, :, :5], "regions has shape"),
    ],
)
def test_bad_counts_are_refused_before_any_work(session, monkeypatch, change, message):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)
    pre = nm.MtMPretrainer(**TINY, regions=session.regions)
    with pytest.raises(InvalidInputError, match=message):
        pre.fit(change(session.counts.astype(float)))
    assert not hasattr(pre, "model_")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dim": 0}, "dim=0; expected at least 1"),
        ({"n_heads": 3}, "dim=16 is not a multiple of n_heads=3"),
        ({"dropout": 1.5}, "dropout=1.5"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"mask_ratio": (0.5, 0.1)}, "mask_ratio"),
        ({"mask_ratio": 0}, "mask_ratio"),
        ({"pooling": "max"}, "pooling='max'"),
        ({"backbone": "ndt9"}, "unknown backbone 'ndt9'"),
        ({"schemes": ["nueron"]}, "Did you mean 'neuron'"),
        ({"device": "tpu?"}, "device='tpu"),
        ({"precision": "fp8"}, "precision='fp8'"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_bad_parameters_are_refused_in_fit(session, monkeypatch, parameters, message):
    monkeypatch.setattr("neuromask.pretrainer.fit_network", None)
    with pytest.raises(ValueError, match=message):
        nm.MtMPretrainer(**TINY | parameters).fit(session)


def test_what_the_model_does_not_know(pre, session):
    stranger = nm.Session(session.counts, session_id="simm-0")
    with pytest.raises(UnknownSessionError, match=r"'simm-0' is not among.*Did you mean 'sim-0'"):
        pre.predict(stranger)
    other = nm.Session(session.counts, session_id="sim-7")
    alone = (
        r"'sim-7' is not among the fitted sessions \['sim-0'\]\. A model .*only if it is the same"
    )
    with pytest.raises(UnknownSessionError, match=alone):
        pre.predict(other)
    with pytest.raises(InvalidInputError, match="X has 3 features"):
        pre.predict(session.counts[:, :, :3])
    wide = nm.Session(session.counts, session_id="sim-0", bin_width=0.05)
    with pytest.raises(InvalidInputError, match="bins of 0.05 s.*fitted with 0.02 s"):
        pre.transform(wide)
    other = nm.Session(session.counts, session.regions, bin_width=0.05)
    with pytest.raises(InvalidInputError, match="different bin widths"):
        nm.MtMPretrainer(**TINY).fit([session, other])
    with pytest.raises(InvalidInputError, match="hidden has dtype"):
        pre.predict(session, hidden=np.ones(15))
    with pytest.raises(InvalidInputError, match="hidden has shape"):
        pre.predict(session, hidden=np.ones(4, bool))


def test_scikit_learn_protocols(pre, session):
    for copy in (pickle.loads(pickle.dumps(pre)), joblib.load(_dumped(pre))):
        np.testing.assert_array_equal(copy.predict(session), pre.predict(session))
    assert clone(pre).get_params() == pre.get_params()
    assert not hasattr(clone(pre), "model_")


def _dumped(pre):
    import io

    file = io.BytesIO()
    joblib.dump(pre, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("n_trials", [48, 15])  # 15 trials and 15 neurons: the square case
def test_pipelines_and_searches(session, n_trials):
    part = session[:n_trials]
    choice = np.arange(n_trials) % 2
    pipe = make_pipeline(nm.MtMPretrainer(**TINY), LogisticRegression(max_iter=5000))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no\\s+spikes.*")
        assert len(cross_val_score(pipe, part, choice, cv=3)) == 3
        search = GridSearchCV(
            nm.MtMPretrainer(**TINY | {"max_epochs": 1}), {"mask_ratio": [0.1, 0.3]}, cv=2, n_jobs=1
        ).fit(part)
        assert search.best_params_["mask_ratio"] in (0.1, 0.3)
        with_regions = nm.MtMPretrainer(**TINY, regions=session.regions)
        bare = make_pipeline(with_regions, LogisticRegression(max_iter=5000))
        assert bare.fit(part.counts, choice).score(part.counts, choice) >= 0.5


def test_a_target_is_never_taken_for_regions(session):
    square = session.counts[:15]
    labels = np.where(np.arange(15) % 2, "left", "right")
    pre = nm.MtMPretrainer(**TINY)
    with pytest.warns(NeuromaskWarning, match="no regions are known"):
        pre.fit_transform(square, labels)
    assert pre.regions_.size == 0


def test_progress_is_shown_only_when_asked(session, capsys):
    nm.MtMPretrainer(**TINY).fit(session)
    assert capsys.readouterr() == ("", "")
    nm.MtMPretrainer(**TINY, verbose=1).fit(session)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 3/3, loss" in shown.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": "rotary"}, "positions='rotary'.*'rope'"),
        ({"positions": "rope", "dim": 6, "n_heads": 2}, "positions='rope' turns pairs"),
        ({"session_sampling": "equal"}, "session_sampling='equal'.*'balanced'"),
        ({"encode_neurons": "always"}, "encode_neurons='always'"),
        ({"neuron_dropout": 1.0}, "neuron_dropout=1.0"),
        ({"region_dropout": -0.1}, "region_dropout=-0.1"),
        ({"rebin": 0.0}, "rebin=0.0"),
    ],
)
def test_options_of_many_animals_are_checked(session, options, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.MtMPretrainer(**TINY | options).fit(session)


def test_sessions_of_several_bin_widths_are_refused_or_rebinned():
    sessions = [
        nm.simulate(12, n_neurons=8, n_time=n, bin_width=w, random_state=0)
        for n, w in ((24, 0.01), (12, 0.02))
    ]
    for i, s in enumerate(sessions):
        s.session_id = f"animal-{i}"
    with pytest.raises(InvalidInputError, match=r"different bin widths.*set rebin"):
        nm.MtMPretrainer(**TINY).fit(sessions)
    pre = nm.MtMPretrainer(**TINY, rebin=0.02).fit(sessions)
    assert {info.n_time for info in pre.sessions_.values()} == {12}
    assert pre.predict(sessions[0]).shape == (12, 12, 8)
    assert sessions[0].shape == (12, 24, 8)
    with pytest.raises(InvalidInputError, match="do not add up to 0.015 s"):
        nm.MtMPretrainer(**TINY, rebin=0.015).fit(sessions)


def test_sessions_may_differ_in_neurons_trials_and_bins():
    shapes = ((14, 8, 20), (10, 15, 12), (8, 5, 16))
    sessions = [
        nm.simulate(k, n_neurons=n, n_time=t, mean_rate=20, random_state=i)
        for i, (k, n, t) in enumerate(shapes)
    ]
    for i, s in enumerate(sessions):
        s.session_id = f"animal-{i}"
    pre = nm.MtMPretrainer(**TINY).fit(sessions)
    for s in sessions:
        assert pre.predict(s).shape == s.shape


def test_counts_in_another_order_in_memory_give_the_same_fit(session):
    every = np.arange(session.n_neurons)
    picked = session.select_neurons(every)  # numpy lays out what it picks with neurons first
    fitted = [
        nm.MtMPretrainer(**TINY).fit(X, session.regions).predict(session.counts)
        for X in (session.counts, picked.counts, np.asfortranarray(session.counts))
    ]
    np.testing.assert_array_equal(fitted[0], fitted[1])
    np.testing.assert_array_equal(fitted[0], fitted[2])


def test_a_trial_is_predicted_alike_whatever_else_is_asked(session, pre):
    rates, embedding = pre.predict(session), pre.transform(session)
    for rows in (slice(0, 1), slice(5, 12), slice(40, 48)):
        np.testing.assert_allclose(pre.predict(session[rows]), rates[rows], rtol=0.02)
        np.testing.assert_allclose(pre.transform(session[rows]), embedding[rows], atol=0.05)
    pre = clone(pre).set_params(precision="fp32").fit(session)
    whole = pre.predict(session)
    np.testing.assert_allclose(pre.predict(session[3:5]), whole[3:5], rtol=1e-4)


def test_a_fit_needs_no_gradients_of_its_caller(session):
    new = nm.Session(session.counts, session.regions, session_id="new")
    expected = nm.MtMPretrainer(**TINY).fit(session)
    with torch.no_grad():
        pre = nm.MtMPretrainer(**TINY).fit(session)
        tuned = pre.finetune(new, max_epochs=1)
    np.testing.assert_array_equal(pre.predict(session), expected.predict(session))
    after = expected.finetune(new, max_epochs=1)
    np.testing.assert_array_equal(tuned.predict(new), after.predict(new))
