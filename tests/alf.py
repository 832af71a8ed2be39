"""A small tree of ALF files, as ONE-api keeps them, for tests without a network."""

from __future__ import annotations

import numpy as np
import pandas as pd

import neuromask as nm

SECONDS = 200.0
N_CHANNELS = 384
PLACES = [382, 385, 672, 1020, 997]  # CA1, VISp, CP, PO and root in Allen's atlas


def write_session(root, subject, date, **options):
    """Write a session and give its folder."""
    session = root / "lab" / "Subjects" / subject / date / "001"
    (session / "alf").mkdir(parents=True)
    fill_session(session, **options)
    return session


def write_alone(root, subject, **options):
    """Write a session, and give its folder and a function that loads it, with no cache."""
    session = write_session(root, subject, "2020-01-02", **options)

    def load(**options):
        one, eids = connect(root)
        return nm.load_ibl(eids[subject], **({"one": one, "cache": False} | options))

    return session, load


def probe_folder(session, name="probe00"):
    """Give the folder of a probe's sorting."""
    (folder,) = [p.parent for p in (session / "alf" / name).rglob("spikes.times.npy")]
    return folder


def fill_session(
    session, *, n_units=(14, 9), n_trials=40, seed=0, revision=None, cameras=("left", "right")
):
    """Write probes, trials, wheel and cameras."""
    rng = np.random.default_rng(seed)
    alf = session / "alf"
    for number, n in enumerate(n_units):
        write_probe(alf / f"probe{number:02d}", n, rng, name=f"{seed}-{number}", revision=revision)
    stimulus = np.linspace(5, SECONDS - 5, n_trials)
    left = rng.random(n_trials) < 0.5
    contrast = rng.choice([0.0, 0.25, 1.0], n_trials)
    pd.DataFrame(
        {
            "stimOn_times": stimulus,
            "goCue_times": stimulus + 0.001,
            "response_times": stimulus + 0.4,
            "feedback_times": stimulus + 0.41,
            "firstMovement_times": stimulus + 0.2,
            "intervals_0": stimulus - 0.5,
            "intervals_1": stimulus + 2,
            "choice": rng.choice([-1.0, 1.0], n_trials),
            "feedbackType": rng.choice([-1.0, 1.0], n_trials),
            "contrastLeft": np.where(left, contrast, np.nan),
            "contrastRight": np.where(left, np.nan, contrast),
            "probabilityLeft": rng.choice([0.2, 0.5, 0.8], n_trials),
            "rewardVolume": 1.5,
        }
    ).to_parquet(alf / "_ibl_trials.table.pqt")
    at = np.sort(rng.uniform(0, SECONDS, 20_000))
    np.save(alf / "_ibl_wheel.timestamps.npy", at)
    np.save(alf / "_ibl_wheel.position.npy", np.sin(at))
    for side in cameras:
        write_camera(alf, side, 60.0 if side == "left" else 150.0, rng)


def write_probe(folder, n_units, rng, *, name, revision=None, sorter="pykilosort"):
    """Write a sorting and where its channels lie."""
    folder = folder / sorter / (f"#{revision}#" if revision else "")
    folder.mkdir(parents=True)
    times = np.sort(rng.uniform(0, SECONDS, n_units * 400))
    np.save(folder / "spikes.times.npy", times)
    np.save(folder / "spikes.clusters.npy", rng.integers(0, n_units, len(times)).astype(np.int32))
    np.save(folder / "clusters.channels.npy", rng.integers(0, N_CHANNELS, n_units))
    np.save(folder / "clusters.depths.npy", rng.uniform(0, 3840, n_units))
    uuids = pd.Series([f"{name}-{i}" for i in range(n_units)], name="uuids")
    uuids.to_csv(folder / "clusters.uuids.csv", index=False)
    # Out of order, and without the last unit: rows are found by their id.
    ids = rng.permutation(n_units - 1)
    labels = np.array([0, 1 / 3, 2 / 3, 1.0])[ids % 4]
    pd.DataFrame({"cluster_id": ids, "label": labels}).to_parquet(folder / "clusters.metrics.pqt")
    np.save(folder / "channels.brainLocationIds_ccf_2017.npy", rng.choice(PLACES, N_CHANNELS))
    np.save(folder / "channels.mlapdv.npy", rng.uniform(-4000, 4000, (N_CHANNELS, 3)))


def write_camera(alf, side, rate, rng, *, n_extra=0):
    """Write times, motion energy, pupil and paws; `n_extra` times come before the first frame."""
    times = np.arange(-n_extra, SECONDS * rate) / rate
    n = len(times) - n_extra
    np.save(alf / f"_ibl_{side}Camera.times.npy", times)
    np.save(alf / f"{side}Camera.ROIMotionEnergy.npy", times[n_extra:] * 2)
    features = pd.DataFrame({"pupilDiameter_smooth": np.full(n, 5.0)})
    features.to_parquet(alf / f"_ibl_{side}Camera.features.pqt")
    paws = {f"paw_{paw}_{axis}": times[n_extra:] * 3 for paw in "lr" for axis in "xy"}
    paws |= {f"paw_{paw}_likelihood": rng.uniform(0.95, 1, n) for paw in "lr"}
    pd.DataFrame(paws).to_parquet(alf / f"_ibl_{side}Camera.dlc.pqt")


def connect(root):
    """Index the tree and give a local ONE and the eid of each subject."""
    from iblutil.io import parquet
    from one.alf.cache import make_parquet_db
    from one.api import One

    make_parquet_db(root, hash_files=False)
    datasets, meta = parquet.load(root / "datasets.pqt")
    datasets["default_revision"] = True
    datasets["hash"] = None  # no hash, no check of it
    parquet.save(root / "datasets.pqt", datasets, meta)
    one = One(cache_dir=root, mode="local")
    eids = [str(eid) for eid in one.search()]
    return one, {one.eid2ref(eid)["subject"]: eid for eid in eids}
