"""One flaw in an NWB file costs a spike, a unit or a series, and is told; never the whole file."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from pynwb import TimeSeries

import neuromask as nm
from neuromask.datasets.nwb.tables import plain_column
from neuromask.errors import InvalidInputError

from .nwb_files import (
    AT,
    EVENTS,
    N_UNITS,
    TRAINS,
    empty,
    made,
    probe,
    units,
    written,
)


def rows(session, item):
    report = session.report[session.report["item"] == item]
    return list(report[["reason", "dropped", "kept"]].itertuples(index=False, name=None))


def restarting(train):
    return np.concatenate([train, train[: len(train) // 2]])


def test_a_unit_whose_times_start_again_is_left_out(tmp_path):
    trains = [*TRAINS[:3], restarting(TRAINS[3]), *TRAINS[4:]]
    session = nm.load_nwb(made(tmp_path, trains))
    same = nm.load_nwb(made(tmp_path), quality={"id": [0, 1, 2, 4, 5]})
    assert session.neurons["cluster"].tolist() == [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(session.counts, same.counts)
    assert rows(session, "neurons") == [("times that fall back by more than 0.1 s: 3", 1, 5)]


def test_jitter_is_sorted(tmp_path):
    train = TRAINS[2].copy()
    train[[10, 11]] = train[11], train[11] - 0.01
    session = nm.load_nwb(made(tmp_path, [*TRAINS[:2], train, *TRAINS[3:]]))
    sorted_before = nm.load_nwb(made(tmp_path, [*TRAINS[:2], np.sort(train), *TRAINS[3:]]))
    np.testing.assert_array_equal(session.counts, sorted_before.counts)
    assert rows(session, "spike times") == [("out of order by up to 0.1 s, sorted: 2", 1, 6)]
    assert rows(sorted_before, "spike times") == []


def test_spikes_without_a_time_or_before_the_start_are_left_out(tmp_path):
    path = made(tmp_path, [[-0.004, *TRAINS[0]], [*TRAINS[1], np.nan, np.inf], *TRAINS[2:]])
    session = nm.load_nwb(path)
    n_all = sum(len(train) for train in TRAINS)
    np.testing.assert_array_equal(session.counts, nm.load_nwb(made(tmp_path)).counts)
    assert rows(session, "spikes") == [("NaN or infinite", 2, n_all + 1), ("before 0 s", 1, n_all)]


def test_a_file_of_which_most_is_flawed_is_refused(tmp_path):
    path = made(tmp_path, [restarting(train) for train in TRAINS[:4]] + TRAINS[4:])
    message = "spike times of 4 of 6 units in .*made.nwb fall back, those of unit 0 by .* s;"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)
    path = made(tmp_path, [train - 60 for train in TRAINS])
    with pytest.raises(
        InvalidInputError, match="of .* spikes in .*made.nwb lie before 0 s; expected"
    ):
        nm.load_nwb(path)


def test_a_unit_is_chosen_by_its_id(tmp_path):
    path = made(tmp_path)
    session = nm.load_nwb(path, quality={"cluster": [1, 4]})
    assert session.neurons["cluster"].tolist() == [1, 4]
    with pytest.raises(InvalidInputError, match="quality names 'idd'.*Did you mean 'id'"):
        nm.load_nwb(path, quality={"idd": [1]})


def with_series(file):
    wheel = file.create_processing_module("wheel", "wheel")
    late = AT.copy()
    late[[20, 21]] = late[[21, 20]]
    lost = AT.copy()
    lost[7] = np.nan
    for name, times, data in (
        ("good", AT, AT),
        ("jitters", late, late),
        ("lost", lost, AT),
        ("turned", AT, AT),
        ("short", AT[:-1], AT[:-1]),
        ("again", np.concatenate([AT, AT]), np.concatenate([AT, AT])),
    ):
        wheel.add(TimeSeries(name=name, data=data, timestamps=times, unit="s"))


def with_data(path, **data):
    """Give series other data, as pynwb would not write them."""
    with h5py.File(path, "r+") as opened:
        for name, values in data.items():
            series = opened[f"processing/wheel/{name}"]
            attributes = dict(series["data"].attrs)
            del series["data"]
            series.create_dataset("data", data=values).attrs.update(attributes)
    return path


@pytest.mark.filterwarnings("ignore:.*TimeSeries.*:UserWarning")
def test_flawed_samples_are_sorted_or_left_out_and_other_series_come(tmp_path):
    path = with_data(made(tmp_path, more=with_series), short=AT, turned=np.stack([AT, -AT]))
    names = ["good", "jitters", "lost", "turned", "short", "again"]
    session = nm.load_nwb(path, signals=names)
    assert list(session.signals) == ["good", "jitters", "lost", "turned"]
    for name in ("jitters", "lost"):
        np.testing.assert_allclose(session.signals[name], session.signals["good"], atol=1e-9)
    np.testing.assert_allclose(session.signals["turned"][..., 1], -session.signals["good"])
    assert rows(session, "signal jitters") == [("samples out of order, sorted", 0, 1)]
    assert rows(session, "signal lost") == [("samples without a time", 1, len(AT) - 1)]
    assert rows(session, "signals") == [
        ("times and values of unequal number: wheel/short", 1, 5),
        ("times that start again: wheel/again", 1, 5),
    ]
    with pytest.raises(InvalidInputError, match="wheel/again has times that start again"):
        nm.load_nwb(path, signals="again")


@pytest.mark.filterwarnings("ignore:EnumData is experimental:UserWarning")
def test_columns_of_every_encoding_are_read(tmp_path):
    file = empty()
    units(
        file, depth=[1.0, np.nan, 3.0, 4.0, 5.0, 6.0], sure=[True, False] * 3, label=list("abcdef")
    )
    codes = {"data": np.array([0, 1, 0, 1, 0, 0], np.uint8), "enum": ["good", "mua"]}
    file.units.add_column("group", "a code for each label", **codes)
    path = written(file, tmp_path / "columns.nwb")
    with h5py.File(path, "r+") as opened:
        attributes = dict(opened["units/label"].attrs)
        del opened["units/label"]
        data = np.array(list("abcdef"), "S3")
        opened["units"].create_dataset("label", data=data).attrs.update(attributes)
    neurons = nm.load_nwb(path, events=EVENTS).neurons
    assert neurons["label"].tolist() == list("abcdef")
    assert neurons["group"].tolist() == ["good", "mua", "good", "mua", "good", "good"]
    assert neurons["sure"].tolist() == [True, False] * 3
    np.testing.assert_array_equal(neurons["depth"], [1.0, np.nan, 3.0, 4.0, 5.0, 6.0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"CA1", "CA3"], ["CA1", "CA3"]),
        (["CA1", None, np.nan], ["CA1", None, None]),
        (np.array([1, 2], object), [1, 2]),
        (np.array([1.5, None], object), [1.5, np.nan]),
    ],
)
def test_text_and_numbers_may_have_gaps(values, expected):
    column = SimpleNamespace(data=np.array(values, object))
    read = plain_column(column, len(values))
    assert [str(value) for value in read] == [str(value) for value in expected]


def test_columns_that_are_neither_are_left_out():
    for data in (np.array([[1], "a"], object), np.array([1j, 2j]), np.ones((2, 3)), np.ones(3)):
        assert plain_column(SimpleNamespace(data=data), 2) is None


def test_regions_come_from_the_next_place_where_one_is_empty(tmp_path):
    file = empty()
    probe(file, ["unknown"] * N_UNITS)
    units(file, electrodes=[[i] for i in range(N_UNITS)], region=[""] * N_UNITS)
    session = nm.load_nwb(written(file, tmp_path / "groups.nwb"), events=EVENTS)
    assert session.regions.tolist() == ["thalamus"] * N_UNITS
