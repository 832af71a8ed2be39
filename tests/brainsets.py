"""Files of torch_brain, as the pipelines of brainsets and BrainWideBench write them."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

temporaldata = pytest.importorskip("temporaldata", reason="temporaldata is not installed")
ArrayDict, Data, Interval = temporaldata.ArrayDict, temporaldata.Data, temporaldata.Interval
IrregularTimeSeries, RegularTimeSeries = (
    temporaldata.IrregularTimeSeries,
    temporaldata.RegularTimeSeries,
)


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


def benchmark(session, build="all_units", *, n_trials=30, n_units=10, seed=0):
    """Give a session like those of ibl_brain_wide_bench_2026: its keys, windows and splits.

    Trials come every 4 s: stimulus, first movement 0.4 s and feedback 0.8 s later. The first is not
    valid, so that trials are numbered from 1.
    """
    rng = np.random.default_rng(seed)
    stimulus = 5.0 + 4.0 * np.arange(n_trials) + rng.uniform(0, 0.01, n_trials)
    seconds = stimulus[-1] + 5
    index = np.arange(1, n_trials)
    at = {"stim": stimulus[1:], "move": stimulus[1:] + 0.4, "feedback": stimulus[1:] + 0.8}
    grid = np.arange(0.3, seconds - 1, 0.02)
    confident = rng.random(len(grid)) < 0.9
    confident[(grid > at["move"][-1] - 1) & (grid < at["move"][-1] + 2)] = False

    def windows(event, before, after, **columns):
        start, end = at[event] - before, at[event] + after
        return Interval(start=start, end=end, trial_index=index, **columns)

    movement = windows("move", 0.0, 1.0)
    for side in ("left", "right"):
        sums = [confident[(grid >= s) & (grid < e)].sum() for s, e in movement]
        setattr(movement, f"num_{side}_paw_confident", np.array(sums))
    tasks = Data(
        choice=windows("move", 1.0, 0.0, choice=index % 2),
        reward=windows("feedback", 0.0, 1.0, reward=(index + seed) // 2 % 2),
        stimulus_contrast=windows("stim", 0.9, 0.1, stimulus_contrast=index % 5),
        movement_window=movement,
        licking_window=windows("feedback", 0.0, 1.0),
        domain=Interval(start=at["stim"] - 1.0, end=at["feedback"] + 1.0),
    )
    energy, paw = 50 + 9 * np.sin(grid), np.abs(np.cos(grid)) * 30
    n_spikes = int(n_units * seconds * 8)
    ids = [f"{seed}0000000-0000-0000-0000-{i:012d}" for i in range(n_units)]
    units = ArrayDict.from_dataframe(
        pd.DataFrame(
            {
                "id": ids,
                "cluster_id": np.arange(n_units),
                "acronym": "CA1",
                "region_allen": "CA1",
                "region_beryl": np.where(np.arange(n_units) % 2, "CA1", "VISp"),
                "region_cosmos": np.where(np.arange(n_units) % 2, "HPF", "Isocortex"),
                "label": 1.0,
                "firing_rate": 8.0,
            }
        )
    )
    units.location = rng.normal(size=(n_units, 3))
    fields = described(session, f"mouse_{seed}")
    fields["brainset"] = Data(
        id="ibl_brain_wide_bench_2026", derived_version="0.1.0", unit_filtering=build
    )
    data = Data(
        **fields,
        spikes=IrregularTimeSeries(
            timestamps=np.sort(rng.uniform(0, seconds, n_spikes)),
            unit_index=rng.integers(0, n_units, n_spikes),
            amplitude=np.ones(n_spikes),
            domain="auto",
        ),
        units=units,
        task_aligned_intervals=tasks,
        whisker=IrregularTimeSeries(timestamps=grid, whisker_motion_energy=energy, domain="auto"),
        paws=IrregularTimeSeries(
            timestamps=grid,
            left_paw_speed=paw,
            right_paw_speed=paw[::-1].copy(),
            is_left_paw_confident=confident,
            is_right_paw_confident=confident,
            domain="auto",
        ),
        wheel=RegularTimeSeries(
            sampling_rate=50.0, domain_start=grid[0], wheel_speed=np.abs(np.sin(grid))
        ),
        domain=Interval(0.0, seconds),
        ts1_normalize=Data(
            whisker=Data(whisker_motion_energy=Data(mean=energy.mean(), std=energy.std())),
            paws=Data(
                left_paw_speed=Data(mean=np.float64(15.0), std=np.float64(3.0)),
                right_paw_speed=Data(mean=np.float64(14.0), std=np.float64(4.0)),
            ),
        ),
    )
    first, second = at["stim"][n_trials // 2] - 1.0, at["stim"][n_trials * 2 // 3] - 1.0
    ends = [first - 1.2, second - 1.2]  # time between splits belongs to none
    data.ts1_train_domain = Interval(0.0, ends[0])
    data.ts1_val_domain = Interval(first, ends[1])
    data.ts1_test_domain = Interval(second, seconds)
    data.ts2_train_domain = Interval(np.array([0.0, second]), np.array([ends[0], second + 12]))
    data.ts2_val_domain = Interval(first, ends[1])
    data.ts2_test_domain = Interval(second + 12.5, seconds)
    return data
