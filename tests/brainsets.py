"""Files of torch_brain, as the pipelines of brainsets and BrainWideBench write them."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
from temporaldata import ArrayDict, Data, Interval, IrregularTimeSeries, RegularTimeSeries


def save(data, path):
    with h5py.File(path, "w") as file:
        data.to_hdf5(file)
    return path


def described(session, subject):
    """Give what every pipeline says of a recording."""
    return {
        "brainset": Data(id="a_brainset", derived_version="1.0.0", unit_filtering="all_units"),
        "session": Data(id=session),
        "subject": Data(id=subject, species="MUS_MUSCULUS"),
        "device": Data(id=f"{subject}_1"),
    }


def reaching(n_units=6, seconds=100.0, *, seed=0, **changes):
    """Give a session like perich_miller_population_2018: trials, cursor, and splits by trial."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, seconds, n_units * 500))
    start = np.arange(2.0, seconds - 4, 4.0)
    table = pd.DataFrame(
        {
            "start": start,
            "end": start + 3,
            "go_cue_time": start + 0.5,
            "target_id": np.arange(len(start)) % 8,
            "result": np.where(np.arange(len(start)) % 5, "R", "F"),
        }
    )
    trials = Interval.from_dataframe(table)
    at = np.arange(0, seconds, 0.01)
    fields = {
        "spikes": IrregularTimeSeries(
            timestamps=times, unit_index=rng.integers(0, n_units, len(times)), domain="auto"
        ),
        "units": ArrayDict.from_dataframe(
            pd.DataFrame(
                {
                    "id": [f"group_M1/elec{i}/unit_{i}" for i in range(n_units)],
                    "unit_number": np.arange(n_units),
                    "firing_rate": 5.0,
                    "brain_area": np.where(np.arange(n_units) % 2, "PMd", "M1"),
                }
            )
        ),
        "trials": trials,
        "movement_phases": Data(
            reach_period=Interval(start=start + 0.5, end=start + 2), domain="auto"
        ),
        "cursor": IrregularTimeSeries(
            timestamps=at, vel=np.stack([np.sin(at), np.cos(at)], 1), domain="auto"
        ),
        "eye": RegularTimeSeries(sampling_rate=50.0, pupil=np.arange(seconds * 50)),
        "domain": Interval(0.0, seconds),
    }
    data = Data(**(described("monday", "Mihi") | fields | changes))
    kept = np.arange(len(start)) % 4
    data.train_domain = trials.select_by_mask(kept < 2)
    data.valid_domain = trials.select_by_mask(kept == 2)
    data.test_domain = trials.select_by_mask(kept == 3)
    return data
