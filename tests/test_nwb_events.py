"""Units, trials and events anywhere in an NWB file, found by name."""

from types import SimpleNamespace

import numpy as np
import pytest
from hdmf.common import DynamicTable, VectorData
from pynwb import TimeSeries
from pynwb.behavior import BehavioralEvents
from pynwb.epoch import TimeIntervals
from pynwb.misc import AnnotationSeries, IntervalSeries, Units

import neuromask as nm
from neuromask.datasets.nwb.events import with_labels
from neuromask.errors import InvalidInputError

from .nwb_files import EVENTS, N_UNITS, TRAINS, empty, made, written


def intervals(name, starts=EVENTS, **columns):
    table = TimeIntervals(name=name, description=name)
    for column in columns:
        table.add_column(column, column)
    for i, start in enumerate(starts):
        values = {column: values[i] for column, values in columns.items()}
        table.add_interval(start_time=start, stop_time=start + 0.25, **values)
    return table


def module(file, name, *parts):
    room = file.processing.get(name) or file.create_processing_module(name, name)
    for part in parts:
        room.add(part)


def sorting(name="units", spikes=TRAINS):
    table = Units(name=name, description="sorted")
    for train in spikes:
        table.add_unit(spike_times=train)
    return table


def test_units_in_a_processing_module_are_found_where_they_are_the_only_ones(tmp_path):
    path = made(tmp_path, [], regions=False, more=lambda file: module(file, "ecephys", sorting()))
    session = nm.load_nwb(path)
    np.testing.assert_array_equal(session.counts, nm.load_nwb(made(tmp_path)).counts)


def test_units_are_chosen_by_the_path_of_their_table(tmp_path):
    def more(file):
        module(file, "ecephys", sorting(spikes=TRAINS[:2]), sorting("curated", TRAINS[:3]))

    path = made(tmp_path, more=more)
    assert nm.load_nwb(path).n_neurons == N_UNITS
    assert nm.load_nwb(path, units="processing/ecephys/units").n_neurons == 2
    assert nm.load_nwb(path, units="curated").n_neurons == 3
    with pytest.raises(
        InvalidInputError, match="table of units 'cured' is not.*Did you mean 'cura"
    ):
        nm.load_nwb(path, units="cured")
    path = made(tmp_path, [], regions=False, more=more)
    message = r"several tables of units, \['processing/ecephys/curated', .*units='processing/ec"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)


def test_a_file_without_units_is_refused(tmp_path):
    path = written(empty(), tmp_path / "no_units.nwb")
    with pytest.raises(InvalidInputError, match="no_units.nwb has no units with spike times"):
        nm.load_nwb(path)


def test_events_are_any_table_of_intervals_by_name(tmp_path):
    def more(file):
        contrast = np.linspace(0, 1, len(EVENTS))
        file.add_time_intervals(intervals("gabors_presentations", contrast=contrast))
        file.add_time_intervals(intervals("flashes_presentations", EVENTS[:5]))
        module(file, "behavior", intervals("states", EVENTS[:4], onset=EVENTS[:4] + 0.1))
        for start in EVENTS[:3]:
            file.add_epoch(start, start + 1.0)

    path = made(tmp_path, with_trials=False, more=more)
    session = nm.load_nwb(path, events="gabors_presentations")
    assert session.trials["event_time"].tolist() == EVENTS.tolist()
    assert session.trials["contrast"].tolist() == np.linspace(0, 1, len(EVENTS)).tolist()
    states = nm.load_nwb(path, events="behavior/states", align="onset")
    assert states.trials["event_time"].tolist() == (EVENTS[:4] + 0.1).tolist()
    assert nm.load_nwb(path, events="epochs").n_trials == 3
    with pytest.raises(InvalidInputError, match="events 'gabor' .*Did you mean 'gabors_pres"):
        nm.load_nwb(path, events="gabor")
    with pytest.raises(
        InvalidInputError, match="align='offset' is no column of numbers in intervals/ep"
    ):
        nm.load_nwb(path, events="epochs", align="offset")


def test_a_file_without_trials_says_what_there_is_and_what_to_pass(tmp_path):
    def more(file):
        file.add_time_intervals(intervals("gabors_presentations"))
        file.add_invalid_time_interval(start_time=0.0, stop_time=1.0)

    path = made(tmp_path, with_trials=False, more=more)
    message = (
        r"no table of trials; it has times of events in \['intervals/gabors_presentations'\]. "
        "Name one, events=name, pass the time of each trial's event in seconds, events=array, or cut "
        "the whole recording into windows, window=1.0"
    )
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)
    path = made(tmp_path, with_trials=False)
    with pytest.raises(InvalidInputError, match="it has times of events in no place"):
        nm.load_nwb(path)


def test_trials_in_a_processing_module_are_the_trials(tmp_path):
    path = made(
        tmp_path,
        with_trials=False,
        more=lambda file: module(file, "behavior", intervals("trials", EVENTS[2:])),
    )
    assert nm.load_nwb(path).trials["event_time"].tolist() == EVENTS[2:].tolist()


@pytest.mark.filterwarnings("ignore:.*deprecated:UserWarning")
def test_series_of_times_are_events(tmp_path):
    def more(file):
        size = np.arange(len(EVENTS))
        rewards = TimeSeries(name="rewards", data=size, timestamps=EVENTS, unit="ml")
        notes = AnnotationSeries(name="notes", data=["go", "stop"], timestamps=EVENTS[:2])
        ends = np.sort(np.concatenate([EVENTS, EVENTS + 1]))
        licks = IntervalSeries(name="licks", data=[1, -1] * len(EVENTS), timestamps=ends)
        module(file, "behavior", BehavioralEvents(time_series=rewards), notes, licks)

    path = made(tmp_path, with_trials=False, more=more)
    rewards = nm.load_nwb(path, events="rewards")
    assert rewards.trials["event_time"].tolist() == EVENTS.tolist()
    assert rewards.trials["value"].tolist() == list(range(len(EVENTS)))
    assert nm.load_nwb(path, events="notes").trials["value"].tolist() == ["go", "stop"]
    licks = nm.load_nwb(path, events="licks").trials
    assert licks["event_time"].tolist() == EVENTS.tolist()
    assert licks["stop_time"].tolist() == (EVENTS + 1).tolist()


def test_events_that_have_labels_get_their_text():
    codes, labels = np.array([1, 0], np.uint8), np.array([b"go", b"stop"])
    for name in ("labels", "data__labels"):  # of ndx-events, installed or not
        assert with_labels(SimpleNamespace(**{name: labels}), codes) == ["stop", "go"]
    unknown = with_labels(SimpleNamespace(labels=labels[:1]), codes)
    assert unknown.tolist() == [1, 0]


def test_tables_of_events_are_read(tmp_path):
    event = pytest.importorskip("pynwb.event")

    def more(file):
        table = event.EventsTable(name="ripples", description="ripples")
        table.add_column("power", "power")
        for i, at in enumerate(EVENTS):
            table.add_event(timestamp=at, power=float(i))
        file.add_events_table(table)

    session = nm.load_nwb(made(tmp_path, with_trials=False, more=more), events="ripples")
    assert session.trials["event_time"].tolist() == EVENTS.tolist()
    assert session.trials["power"].tolist() == np.arange(len(EVENTS)).tolist()


def test_kinds_of_events_with_their_times_in_one_row_are_read(tmp_path):
    def more(file):
        table = DynamicTable(name="annotated", description="kinds of events")
        table.add_column("label", "label")
        table.add_column("event_times", "times", index=True)
        table.add_row(label="lick", event_times=EVENTS[1::2].tolist())
        table.add_row(label="reward", event_times=EVENTS[::2].tolist())
        module(file, "behavior", table)

    session = nm.load_nwb(made(tmp_path, with_trials=False, more=more), events="annotated")
    assert session.trials["event_time"].tolist() == EVENTS.tolist()
    assert session.trials["label"].tolist() == ["reward", "lick"] * (len(EVENTS) // 2)


def test_a_table_that_does_not_say_when_its_events_are_asks_for_a_column(tmp_path):
    def more(file):
        lifted = VectorData(name="lifted", description="lifted", data=EVENTS)
        foot = VectorData(name="foot", description="foot", data=["left"] * len(EVENTS))
        table = DynamicTable(name="steps", description="steps", columns=[lifted, foot])
        module(file, "behavior", table)

    path = made(tmp_path, more=more)
    message = r"steps of .* does not say when events are; .* align=..., .*numbers: \['lifted'\]"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path, events="steps")
    assert nm.load_nwb(path, events="steps", align="lifted").n_trials == len(EVENTS)
