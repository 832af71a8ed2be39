"""Small NWB files for the tests of `load_nwb`."""

from datetime import UTC, datetime

import numpy as np
from pynwb import NWBHDF5IO, NWBFile

N_UNITS, N_TRIALS = 6, 20
EVENTS = np.arange(5, 95, 4.5)
STARTS = EVENTS - 0.5
AT = np.arange(0, 100, 0.01)


def trains(seed=0):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.uniform(0, 100, 100 + 40 * i)) for i in range(N_UNITS)]


TRAINS = trains()


def empty(**fields):
    start = datetime(2020, 1, 1, tzinfo=UTC)
    usual = {"session_description": "test", "identifier": "one", "session_start_time": start}
    return NWBFile(**(usual | fields))


def probe(file, places, **columns):
    """Add electrodes at places, and give their group."""
    device = file.create_device(name="device")
    group = file.create_electrode_group(
        name="probe", description="a probe", location="thalamus", device=device
    )
    for name in columns:
        file.add_electrode_column(name, name)
    for i, place in enumerate(places):
        file.add_electrode(group=group, location=place, **{k: v[i] for k, v in columns.items()})
    return group


def units(file, spikes=None, **columns):
    for name in columns:
        if name not in ("electrodes", "electrode_group", "id", "obs_intervals"):
            file.add_unit_column(name, name)
    for i, train in enumerate(TRAINS if spikes is None else spikes):
        file.add_unit(spike_times=train, **{k: v[i] for k, v in columns.items()})


def trials(file, **columns):
    for name in columns:
        file.add_trial_column(name, name)
    for i, start in enumerate(STARTS):
        values = {k: v[i] for k, v in columns.items()}
        file.add_trial(start_time=start, stop_time=start + 2, **values)


def written(file, path):
    with NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def made(path, spikes=None, with_trials=True, regions=True, more=None, **columns):
    """Write a file with units, and with trials or without; `more` adds anything else to it."""
    file = empty()
    if regions:
        columns["region"] = ["CA1"] * len(TRAINS if spikes is None else spikes)
    units(file, spikes, **columns)
    if with_trials:
        trials(file)
    if more is not None:
        more(file)
    return written(file, path / "made.nwb")
