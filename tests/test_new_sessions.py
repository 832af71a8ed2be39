"""Sessions that a model was not pretrained on."""

import copy

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.errors import InvalidInputError, UnknownSessionError
from neuromask.nn.neuron_statistics import PopulationStatistics
from neuromask.pretrainer import ADAPTING_RATE
from neuromask.training import fitting, loop
from tests.conftest import TINY


@pytest.fixture(scope="module")
def sessions():
    return nm.simulate(40, n_sessions=4, n_neurons=16, n_time=16, random_state=2)


@pytest.fixture(scope="module")
def many(sessions):
    return nm.MtMPretrainer(**TINY).fit(sessions[:3])


def state(pre):
    return {name: value.clone() for name, value in pre.model_.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_calibration_serves_a_new_session_and_leaves_the_model_alone(many, sessions):
    before = state(many)
    with pytest.raises(UnknownSessionError, match="calibrate or finetune"):
        many.predict(sessions[3])
    new = many.calibrate(sessions[3])
    assert new.predict(sessions[3]).shape == sessions[3].shape
    assert list(new.sessions_) == ["sim-0", "sim-1", "sim-2", "sim-3"]
    assert list(many.sessions_) == ["sim-0", "sim-1", "sim-2"]
    assert same(before, state(many))
    for known in sessions[:3]:
        np.testing.assert_array_equal(new.predict(known), many.predict(known))


def test_calibration_is_the_same_each_time_and_in_any_order_of_neurons(many, sessions):
    new = sessions[3]
    rates = many.calibrate(new).predict(new)
    np.testing.assert_array_equal(many.calibrate(new).predict(new), rates)
    order = np.random.default_rng(0).permutation(new.n_neurons)
    shuffled = new.select_neurons(order)
    # Factors come from an iteration that starts from neurons in their order.
    np.testing.assert_allclose(
        many.calibrate(shuffled).predict(shuffled), rates[:, :, order], rtol=0.02, atol=0.01
    )


def test_calibration_takes_several_sessions_at_once(many, sessions):
    other = nm.simulate(20, n_neurons=12, n_time=16, random_state=5)
    other.session_id = "other"
    new = many.calibrate([sessions[3], other])
    alone = many.calibrate(other)
    np.testing.assert_array_equal(new.predict(other), alone.predict(other))


def test_calibration_needs_an_encoder(pre, sessions):
    with pytest.raises(InvalidInputError, match="no encoder of neurons.*several sessions"):
        pre.calibrate(sessions[3])


def test_stitch_strategy_never_changes_the_sessions_fitted_before(many, sessions):
    new = many.finetune(sessions[3], strategy="stitch", max_epochs=6, learning_rate=0.01)
    for known in sessions[:3]:
        np.testing.assert_array_equal(new.predict(known), many.predict(known))
    before, after = (m.model_.stitch("sim-3").weights() for m in (many.calibrate(sessions[3]), new))
    assert not np.allclose(before.read_out.detach(), after.read_out.detach())


@pytest.mark.parametrize("strategy", ["full", "gradual"])
def test_other_strategies_train_what_is_shared_but_not_the_encoder(many, sessions, strategy):
    before = state(many)
    options = {"strategy": strategy, "max_epochs": 20, "learning_rate": 0.003}
    new = many.finetune(sessions[3], X_val=sessions[3][:10], **options)
    assert same(before, state(many))
    after = state(new)
    assert not (after["to_token.weight"] == before["to_token.weight"]).all()
    assert all((after[k] == before[k]).all() for k in before if k.startswith("encoder."))
    own = [k for k in before if k.startswith("stitches.")]
    assert all((after[k] == before[k]).all() for k in own)
    stages = {"full": ["all"], "gradual": ["stitch", "all"]}[strategy]
    assert list(dict.fromkeys(new.history_["stage"])) == stages
    for name in ("linear_dropout", "trunk_dropout"):
        assert getattr(new.model_, name) == getattr(many.model_, name)
    assert new.history_["epoch"].tolist() == list(range(1, len(new.history_) + 1))


def test_finetuning_drops_less_of_what_read_outs_read(many, sessions, monkeypatch):
    dropped, train = [], fitting.train_in_stages

    def watched(model, *args, **options):
        dropped.append((model.linear_dropout, model.trunk_dropout))
        return train(model, *args, **options)

    monkeypatch.setattr(fitting, "train_in_stages", watched)
    many.finetune(sessions[3], max_epochs=1)
    assert dropped == [(0.1, 0.1)]
    assert (many.model_.linear_dropout, many.model_.trunk_dropout) == (0.3, 0.3)


def test_finetuning_that_does_not_help_leaves_the_calibrated_weights(many, sessions):
    options = {"X_val": sessions[3][:10], "learning_rate": 9.0, "max_epochs": 2}
    new = many.finetune(sessions[3][10:], strategy="stitch", **options)
    new.model_.stitch("sim-3").shrinkage.fill_(1)  # all that validation has changed
    calibrated = many.calibrate(sessions[3][10:])
    np.testing.assert_array_equal(new.predict(sessions[3]), calibrated.predict(sessions[3]))


def test_finetuning_repeats_with_the_same_seed(many, sessions):
    a, b, c = (many.finetune(sessions[3], max_epochs=4, random_state=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.predict(sessions[3]), b.predict(sessions[3]))
    assert not np.array_equal(a.predict(sessions[3]), c.predict(sessions[3]))


def test_without_an_encoder_a_new_session_starts_from_chance(pre, sessions):
    new = pre.finetune(sessions[3], max_epochs=3)
    assert list(new.sessions_) == ["sim-0", "sim-3"]
    assert not hasattr(new, "n_features_in_")
    assert new.evaluate(sessions[3])["session"].unique().tolist() == ["sim-3"]


def test_a_session_met_later_starts_from_what_the_encoder_infers(many, sessions, tmp_path):
    new = many.calibrate(sessions[3])
    assert [stitch.has_start for stitch in new.model_.stitches] == [False] * 3 + [True]
    counts, regions = torch.as_tensor(sessions[3].counts), sessions[3].regions
    statistics = new.model_.population_statistics(counts, regions).whole()
    inferred = new.model_.encoder(statistics).read_in.detach()
    torch.testing.assert_close(new.model_.stitch("sim-3").weights().read_in.detach(), inferred)
    loaded = nm.load(new.save(tmp_path / "model"))
    for session in sessions:
        np.testing.assert_array_equal(loaded.predict(session), new.predict(session))


def test_without_validation_the_last_weights_of_finetuning_are_kept(sessions):
    pre = nm.MtMPretrainer(**TINY | {"validation_fraction": 0.0}).fit(sessions[:2])
    new = pre.finetune(sessions[3], max_epochs=2)
    assert "val_bps" not in new.history_
    assert not np.array_equal(
        new.predict(sessions[3]), pre.calibrate(sessions[3]).predict(sessions[3])
    )


def test_finetuning_by_few_trials_trains_on_all_of_them(many, sessions):
    auto = copy.copy(many).set_params(validation_fraction="auto")
    history = auto.finetune(sessions[3]).history_
    assert "val_bps" not in history
    assert len(history) == 120
    assert set(history["stage"]) == {"stitch"}
    assert history["learning_rate"].max() == pytest.approx(
        ADAPTING_RATE["few"] * many.learning_rate, rel=0.01
    )


@pytest.mark.parametrize("n_fitted", [3, 1])
def test_many_trials_train_everything_at_the_whole_rate_and_the_usual_dropout(
    sessions, n_fitted, monkeypatch
):
    dropouts = []
    original = loop.train

    def train(model, *rest, **options):
        dropouts.append((model.linear_dropout, model.trunk_dropout))
        return original(model, *rest, **options)

    monkeypatch.setattr(loop, "train", train)
    pre = nm.MtMPretrainer(**TINY).fit(sessions[:n_fitted])
    more = nm.simulate(120, n_neurons=8, n_time=16, random_state=1)
    more.session_id = "more"
    history = pre.finetune(more, max_epochs=4).history_
    assert set(history["stage"]) == {"all"}
    assert history["learning_rate"].max() == pytest.approx(pre.learning_rate, rel=0.2)
    usual = pre.model_.linear_dropout, pre.model_.trunk_dropout
    assert dropouts[-1] == usual == (0.3, 0.3)
    if n_fitted > 1:
        pre.finetune(sessions[3], max_epochs=1)  # few trials
        assert dropouts[-1] == (0.1, 0.1)


def test_a_decoder_reads_a_session_that_was_only_calibrated(many, sessions):
    new = many.calibrate(sessions[3])
    decoder = nm.MtMDecoder(new, task="classification")
    choice = sessions[3].trials["choice"].to_numpy()
    assert decoder.fit(sessions[3], choice).predict(sessions[3]).shape == (40,)


@pytest.mark.filterwarnings("ignore:.*have no\\s+spikes")
@pytest.mark.parametrize("n_trials", [2, 3, 5, 8, 12, 30])
@pytest.mark.parametrize("sampling", ["proportional", "balanced"])
def test_a_start_is_never_inferred_from_more_than_a_fifth_of_the_batchs_own_session(
    many, sessions, monkeypatch, n_trials, sampling
):
    batches = []
    measure = PopulationStatistics.without

    def without(self, trials):
        batches.append((len(self.counts), trials.tolist()))
        return measure(self, trials)

    monkeypatch.setattr(PopulationStatistics, "without", without)
    pre = copy.copy(many).set_params(validation_fraction=0.0, session_sampling=sampling)
    other = nm.Session(sessions[0].counts, sessions[0].regions, session_id="other", bin_width=0.02)
    pre.finetune([sessions[3][:n_trials], other], max_epochs=2)
    assert {n for n, _ in batches} == {n_trials, 40}
    for n, trials in batches:
        assert len(set(trials)) == len(trials) <= max(1, 0.2 * n)
        assert len(trials) < n


@pytest.mark.filterwarnings("ignore:.*have no\\s+spikes")
def test_a_single_trial_to_train_on_is_refused(many, sessions):
    with pytest.raises(InvalidInputError, match="'sim-3' has a single trial to train on.*at least"):
        many.finetune(sessions[3][:2])


def test_bad_input_is_refused_before_any_work(many, sessions):
    before = state(many)
    for method in (many.finetune, many.calibrate):
        with pytest.raises(
            InvalidInputError, match=r"'sim-0' was fitted.*; warm_start=True and fit goes on"
        ):
            method(sessions[0])
        with pytest.raises(InvalidInputError, match="X is a ndarray; expected a Session"):
            method(sessions[3].counts)
        longer = nm.simulate(10, n_neurons=8, n_time=20)
        longer.session_id = "long"
        with pytest.raises(InvalidInputError, match="has 20 bins.*up to 16. Cut"):
            method(longer)
        wide = nm.simulate(10, n_neurons=8, n_time=16, bin_width=0.05)
        wide.session_id = "wide"
        with pytest.raises(InvalidInputError, match="different bin widths.*rebin"):
            method(wide)
    for options, message in (
        ({"strategy": "fast"}, "strategy='fast'.*'gradual'"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"learning_rate": -1.0}, "learning_rate"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            many.finetune(sessions[3], **options)
    with pytest.raises(InvalidInputError, match="X_val"):
        many.finetune(sessions[3], X_val=sessions[3].select_neurons(slice(0, 5)))
    assert same(before, state(many))


def test_new_regions_are_welcome(many):
    new = nm.simulate(20, n_neurons=12, n_time=16, regions=("AUD", "CA1", "SNr"), random_state=9)
    new.session_id = "elsewhere"
    assert np.isfinite(many.calibrate(new).predict(new)).all()


@pytest.mark.slow
def test_zero_shot_on_simulated_animals_is_near_finetuning():
    *known, new = nm.simulate(150, n_sessions=4, n_neurons=40, n_time=30, random_state=3)
    options = {"dim": 32, "n_layers": 1, "n_heads": 2, "max_epochs": 30, "random_state": 0}
    pre = nm.MtMPretrainer(**options).fit(known)
    tasks = ["co_smoothing", "inter_region"]
    zero, tuned = (
        nm.summarise(m.evaluate(new[120:], tasks=tasks)).set_index("task")["bps"]
        for m in (pre.calibrate(new[:120]), pre.finetune(new[:120], max_epochs=20))
    )
    assert (zero > 0.4 * tuned).all()
    assert (zero > 0.05).all()


@pytest.mark.slow
def test_a_new_real_animal_is_predicted_without_training(steinmetz):
    def busiest(number, n_neurons=80):
        session = nm.load_npz(steinmetz(number))
        order = session.counts.mean((0, 1)).argsort()[::-1]
        # Trials are shuffled, as neurons come and go over a recording.
        trials = np.random.default_rng(0).permutation(len(session))
        return session.select_neurons(np.sort(order[:n_neurons]))[trials]

    options = {"dim": 32, "n_layers": 1, "n_heads": 2, "max_epochs": 15, "random_state": 0}
    pre = nm.MtMPretrainer(**options).fit([busiest(n)[:150] for n in (2, 12, 15)])
    new = busiest(7)
    table = pre.calibrate(new[:150]).evaluate(new[150:], tasks=["co_smoothing", "inter_region"])
    scores = nm.summarise(table).set_index("task")["bps"]
    assert scores["co_smoothing"] > 0.05
    assert scores["inter_region"] > 0.02
