"""What an NWB file says of time that was not recorded: trials are dropped or marked, never silent."""

import numpy as np
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError, NeuromaskWarning

from .nwb_files import (
    EVENTS,
    N_TRIALS,
    N_UNITS,
    STARTS,
    TRAINS,
    empty,
    made,
    probe,
    trials,
    units,
    written,
)

GAP = (41.0, 53.9)
OBSERVED = np.array([[0.0, GAP[0]], [GAP[1], 100.0]])
WHOLE = np.array([[0.0, 100.0]])
WITH_GAP = [train[(train < GAP[0]) | (train > GAP[1])] for train in TRAINS]
IN_GAP = (GAP[0] < STARTS + 1.5) & (GAP[1] > STARTS - 0.5)


def rows(session, item):
    report = session.report[session.report["item"] == item]
    return list(report[["reason", "dropped", "kept"]].itertuples(index=False, name=None))


def with_intervals(tmp_path, *intervals, spikes=WITH_GAP):
    """Write a file whose units have these intervals, the first for the last units too."""
    of_units = [*intervals, *[intervals[0]] * (N_UNITS - len(intervals))]
    return made(tmp_path, spikes, obs_intervals=of_units)


def with_invalid(tmp_path):
    return made(tmp_path, WITH_GAP, more=lambda f: f.add_invalid_time_interval(*GAP))


@pytest.mark.parametrize("write", [lambda at: with_intervals(at, OBSERVED), with_invalid])
def test_trials_in_a_gap_are_dropped_marked_or_refused(tmp_path, write):
    path = write(tmp_path)
    dropped = nm.load_nwb(path)
    assert dropped.observed is None
    assert dropped.trials["event_time"].tolist() == STARTS[~IN_GAP].tolist()
    lost, kept = IN_GAP.sum(), (~IN_GAP).sum()
    assert rows(dropped, "trials") == [("in time that was not recorded", lost, kept)]
    marked = nm.load_nwb(path, unrecorded="mark")
    at = marked.trials["event_time"].to_numpy()[:, None] - 0.5 + 0.02 * np.arange(100)
    there = (at + 0.02 < GAP[0] + 1e-6) | (at > GAP[1] - 1e-6)
    np.testing.assert_array_equal(marked.observed, np.repeat(there[:, :, None], N_UNITS, 2))
    assert rows(marked, "trials") == [("in time that was not recorded", 2, N_TRIALS - 2)]
    message = f"{lost} of 20 trials reach into time that was not recorded.*the first is event 8,"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path, unrecorded="refuse")
    with pytest.raises(InvalidInputError, match="unrecorded='dropp'.*Did you mean 'drop'"):
        nm.load_nwb(path, unrecorded="dropp")


def test_rates_are_those_of_the_time_that_was_recorded(tmp_path):
    session = nm.load_nwb(with_intervals(tmp_path, OBSERVED))
    expected = [len(train) / (100 - (GAP[1] - GAP[0])) for train in WITH_GAP]
    np.testing.assert_allclose(session.neurons["firing_rate"], expected)


def test_a_unit_that_was_lost_is_marked_and_the_others_are_as_before(tmp_path):
    lost = np.array([[0.0, 60.0]])
    spikes = [*TRAINS[:2], TRAINS[2][TRAINS[2] < 60], *TRAINS[3:]]
    session = nm.load_nwb(with_intervals(tmp_path, WHOLE, WHOLE, lost, spikes=spikes))
    ends = session.trials["event_time"].to_numpy()[:, None] - 0.5 + 0.02 * np.arange(1, 101)
    np.testing.assert_array_equal(session.observed[:, :, 2], ends < 60 + 1e-6)
    assert session.observed[:, :, [0, 1, 3, 4, 5]].all()
    reason = "observed for a part of the session, the rest marked as not observed"
    assert rows(session, "neurons") == [(reason, 0, 1)]
    assert session.neurons["firing_rate"][2] == pytest.approx(len(spikes[2]) / 60)
    before = nm.load_nwb(with_intervals(tmp_path, WHOLE, spikes=spikes))
    np.testing.assert_array_equal(session.counts, before.counts)


def test_a_unit_observed_in_no_trial_is_left_out(tmp_path):
    early = [np.array([0.5, 1.0, 1.5]), *TRAINS[1:]]
    path = with_intervals(tmp_path, np.array([[0.0, 2.0]]), *[WHOLE] * 5, spikes=early)
    session = nm.load_nwb(path)
    assert session.neurons["cluster"].tolist() == [1, 2, 3, 4, 5]
    assert session.observed is None
    assert rows(session, "neurons") == [("observed in none of the trials", 1, 5)]


def test_units_without_intervals_were_observed_whenever_others_were(tmp_path):
    session = nm.load_nwb(with_intervals(tmp_path, OBSERVED, np.zeros((0, 2))))
    assert session.n_neurons == N_UNITS
    assert session.observed is None


def test_invalid_times_of_a_probe_count_for_its_units_alone(tmp_path):
    file = empty()
    group = probe(file, ["CA1"])
    other = file.create_electrode_group(
        name="other", description="another", location="CA3", device=file.devices["device"]
    )
    units(file, TRAINS, electrode_group=[group, other] * 3)
    trials(file)
    file.add_invalid_time_interval(start_time=40.0, stop_time=52.0, tags=["session 7", "other"])
    file.add_invalid_time_interval(start_time=90.0, stop_time=99.0, tags=["stimulus"])
    session = nm.load_nwb(written(file, tmp_path / "probes.nwb"))
    assert session.observed[:, :, ::2].all()
    assert not session.observed[9, :, 1::2].any()  # at 45 s
    assert session.trials["event_time"].max() < 90 - 1.5
    assert rows(session, "trials") == [("in time that was not recorded", 1, 19)]


def test_a_file_that_is_invalid_throughout_is_refused(tmp_path):
    path = made(tmp_path, more=lambda f: f.add_invalid_time_interval(0.0, 1000.0))
    with pytest.raises(
        InvalidInputError, match="made.nwb: obs_intervals and invalid_times leave no"
    ):
        nm.load_nwb(path)


def test_trials_end_where_a_column_says(tmp_path):
    path = made(tmp_path)
    session = nm.load_nwb(path, ends="stop_time", window=(-0.5, 3.5))  # trials last 2 s
    assert session.shape == (N_TRIALS, 200, N_UNITS)
    assert session.observed[:, :125].all()
    assert not session.observed[:, 125:].any()
    with pytest.raises(InvalidInputError, match="ends='stop' is no column of numbers.*'stop_time'"):
        nm.load_nwb(path, ends="stop")
    with pytest.raises(InvalidInputError, match="given both ends='stop_time' and events"):
        nm.load_nwb(path, events=EVENTS, ends="stop_time")


def test_the_last_trial_needs_no_time_after_its_end(tmp_path):
    path = made(tmp_path, [train[train < STARTS[-1] + 2.1] for train in TRAINS])
    assert nm.load_nwb(path, ends="stop_time", window=(-0.5, 3.5)).n_trials == N_TRIALS
    assert nm.load_nwb(path, window=(-0.5, 3.5)).n_trials == N_TRIALS - 1


def test_where_no_trial_is_whole_the_error_names_the_way(tmp_path):
    of_trials = np.stack([STARTS, STARTS + 1.0], 1)
    inside = [t[((t[:, None] > STARTS) & (t[:, None] < STARTS + 1)).any(1)] for t in TRAINS]
    path = with_intervals(tmp_path, of_trials, spikes=inside)
    message = "18 .in time that was not recorded.*unrecorded='mark' keeps those recorded in part"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)
    assert nm.load_nwb(path, unrecorded="mark").n_trials == N_TRIALS


def test_intervals_that_cannot_be_right_are_told(tmp_path):
    path = with_intervals(tmp_path, OBSERVED / 1000, spikes=TRAINS)
    with pytest.warns(NeuromaskWarning, match="most spikes lie outside the obs_intervals"):
        session = nm.load_nwb(path)
    assert session.n_trials == N_TRIALS
    path = with_intervals(tmp_path, WHOLE, WHOLE[:, ::-1], spikes=TRAINS)
    session = nm.load_nwb(path)
    assert session.report["item"].tolist() == ["obs_intervals"]
    assert session.observed is None


def test_trials_that_overlap_are_told(tmp_path):
    path = made(tmp_path)
    with pytest.warns(NeuromaskWarning, match="1 of 3 trials begin before the one before them"):
        nm.load_nwb(path, events=[50.0, 10.0, 51.0])
    with pytest.warns(NeuromaskWarning, match="1 of 3 events are there more than once"):
        nm.load_nwb(path, events=[50.0, 10.0, 10.0])
    assert nm.load_nwb(path, events=[50.0, 10.0]).trials["event_time"].tolist() == [50.0, 10.0]


@pytest.mark.parametrize(("factor", "unit"), [(1000.0, "milliseconds"), (30_000.0, "samples")])
def test_other_units_of_time_are_told(tmp_path, factor, unit):
    early = [np.append([5.2, 10.0], train * factor + 100) for train in TRAINS]
    path = made(tmp_path, early)
    with pytest.warns(
        NeuromaskWarning, match=f"They seem to be in {unit}, and are read as seconds"
    ):
        nm.load_nwb(path)
    with pytest.raises(
        InvalidInputError, match=f"events last until .* seem to be in {unit}; expected"
    ):
        nm.load_nwb(made(tmp_path), events=EVENTS * factor)
    late = [train * factor + 100 * factor for train in TRAINS]
    told = pytest.warns(NeuromaskWarning, match="are read as seconds")
    message = (
        "20 .beyond the recording.*times later than the last event, as where times are in milli"
    )
    with told, pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(made(tmp_path, late))


@pytest.mark.filterwarnings("ignore:.*no neuron fires above:neuromask.errors.NeuromaskWarning")
def test_rates_beyond_any_neuron_are_told(tmp_path):
    path = made(tmp_path, [np.linspace(0, 0.1, 500)] * N_UNITS)
    with pytest.warns(NeuromaskWarning, match="no neuron fires above 1000"):
        nm.load_nwb(path, events=[0.05], window=(-0.02, 0.02))


def test_few_trials_in_a_long_session_are_seconds(tmp_path):
    rng = np.random.default_rng(0)
    long = [np.sort(rng.uniform(0, 9000, 4000)) for _ in range(N_UNITS)]
    assert nm.load_nwb(made(tmp_path, long), events=[5.0, 10.0]).n_trials == 2


def test_a_recording_without_trials_is_cut_into_windows(tmp_path):
    path = made(tmp_path, TRAINS, with_trials=False)
    first, last = min(t[0] for t in TRAINS), max(t[-1] for t in TRAINS)
    session = nm.load_nwb(path, window=1.0)
    assert session.shape == (int(last - first), 50, N_UNITS)
    np.testing.assert_allclose(session.trials["start"], first + np.arange(session.n_trials))
    assert session.trials["block"].nunique() == 10
    assert session.t_start == 0.0
    same = nm.from_spike_times(dict(enumerate(TRAINS)), window=1.0)
    np.testing.assert_array_equal(session.counts, same.counts)
    overlapping = nm.load_nwb(path, window=1.0, step=0.5)
    assert overlapping.n_trials > 1.5 * session.n_trials


def test_windows_leave_gaps_out_or_mark_them(tmp_path):
    path = with_intervals(tmp_path, OBSERVED)
    session = nm.load_nwb(path, events=False, window=1.0)
    starts = session.trials["start"]
    assert ((starts + 1 < GAP[0] + 1e-6) | (starts > GAP[1] - 0.02)).all()
    assert session.observed is None
    marked = nm.load_nwb(path, events=False, window=1.0, unrecorded="mark")
    assert (~marked.observed).sum() > 0
    lost = nm.load_nwb(
        with_intervals(tmp_path, WHOLE, np.array([[0.0, 60.0]])), events=False, window=1.0
    )
    np.testing.assert_array_equal(lost.observed[:, 0, 1], lost.trials["start"] < 59.99)


def test_windows_are_never_taken_for_trials(tmp_path):
    path = made(tmp_path)
    with pytest.raises(
        InvalidInputError, match="window=1.0, but .*made.nwb has 20 trials; expected"
    ):
        nm.load_nwb(path, window=1.0)
    assert nm.load_nwb(path, events=False, window=1.0).n_time == 50
    for given in ({"events": False}, {"events": EVENTS, "window": 1.0}):
        with pytest.raises(
            InvalidInputError, match="events=False is for recordings without trials"
        ):
            nm.load_nwb(path, **given)
    with pytest.raises(InvalidInputError, match="given both ends='stop_time' and windows"):
        nm.load_nwb(path, events=False, window=1.0, ends="stop_time")
    with pytest.raises(InvalidInputError, match="step=0.5 beside events"):
        nm.load_nwb(path, step=0.5)
