"""Write down what the library computes, and compare with it bit by bit after a change of structure.

    python tests/golden.py record FOLDER    before the change
    python tests/golden.py check FOLDER     after it, on the same machine

Fits of simulated sessions, saved models, and 20 epochs of two real recordings where these are
present: weights, predictions, tables of scores, decoders. Arithmetic is that of one thread and one
machine, so that a record is no part of the repository.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import neuromask as nm

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "steinmetz"
TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 3, "validation_fraction": 0.1}
# Trials one by one, as records were made; the default, runs of trials, gives other fits.
TINY |= {"random_state": 0, "validation": "random"}
REGIONS = ("VISp", "CA1", "root")


def main() -> int:
    """Record or check."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    command, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"simulated": simulated, "animals": animals, "decoders": decoders, "saved": saved}
    parts |= {f"recording_{n}": lambda n=n: recording(n) for n in (12, 17)}
    if not RECORDINGS.is_dir():
        parts = {name: part for name, part in parts.items() if not name.startswith("recording")}
    wrong = 0
    for name, part in parts.items():
        found = part(folder, command == "record") if part is saved else part()
        if command == "record":
            np.savez(folder / f"{name}.npz", **found)
            print(f"{name}: {len(found)} arrays")
            continue
        before = {renamed(k): v for k, v in np.load(folder / f"{name}.npz").items()}
        different = [key for key in before if not same(before[key], found.get(key))]
        print(f"{name}: {len(before)} arrays, {len(different)} different")
        for key in different:
            print("   ", key, distance(before[key], found.get(key)))
        wrong += len(different)
    return int(wrong > 0)


def simulated() -> dict[str, np.ndarray]:
    """Fit one simulated session in several ways."""
    session = nm.simulate(48, n_neurons=15, n_time=20, regions=REGIONS, random_state=1)
    ways = {
        "default": {},
        "rope": {"positions": "rope"},
        "ndt2": {"backbone": "ndt2"},
        "fp32": {"precision": "fp32", "mask_ratio": (0.1, 0.5)},
        "published": {"mask_per_batch": True, "prompted": False, "ignore_regions": ()},
        "dropout": {"neuron_dropout": 0.1, "region_dropout": 0.1, "pooling": "none"},
        "temporal": {"schemes": ("temporal", "random")},
        "rebinned": {"rebin": 0.04},
        "without validation": {"validation_fraction": 0.0},
    }
    found = {}
    for name, options in ways.items():
        pre = nm.MtMPretrainer(**(TINY | options)).fit(session)
        found |= described(pre, session, name)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    found["translate"] = pre.translate(session, source="CA1", target="VISp")
    found["hidden"] = pre.predict(session, scheme="causal", hidden=np.arange(15) < 4)
    found |= tabled(
        nm.evaluate(nm.baselines.PoissonGLM().fit(session).predict_rates, session), "glm"
    )
    table = nm.compare(
        session, variants=["MtM", "temporal"], estimator=nm.MtMPretrainer(**TINY), seeds=(0, 1)
    )
    return found | tabled(table, "compare")


def animals() -> dict[str, np.ndarray]:
    """Fit several simulated sessions, and serve others."""
    *known, new, other = nm.simulate(40, n_sessions=5, n_neurons=14, n_time=20, random_state=2)
    found = {}
    for name, options in {"three": {}, "ndt2": {"backbone": "ndt2"}}.items():
        pre = nm.MtMPretrainer(**(TINY | options)).fit(known)
        found |= described(pre, known[1], name)
        found |= described(pre.calibrate([new, other]), other, f"{name}, calibrated")
        for strategy in ("stitch", "gradual", "full"):
            tuned = pre.finetune(new, strategy=strategy, max_epochs=4)
            found |= described(tuned, new, f"{name}, {strategy}")
    alone = nm.MtMPretrainer(**TINY).fit(known[0])
    return found | described(alone.finetune(new, max_epochs=2), new, "without an encoder")


def decoders() -> dict[str, np.ndarray]:
    """Decode classes and signals of a simulated session."""
    session = nm.simulate(60, n_neurons=15, n_time=20, regions=REGIONS, random_state=3)
    train, test = session[:45], session[45:]
    pre = nm.MtMPretrainer(**TINY).fit(train)
    stimulus, signal = "stimulus", next(iter(session.signals))
    found = {}
    for way in ("head", "gradual", "full"):
        decoder = nm.MtMDecoder(pre, finetune=way, max_epochs=4, random_state=0)
        decoder.fit(train, train.trials[stimulus])
        found[f"{way}/chances"] = decoder.predict_proba(test)
        found |= tabled(decoder.selection_, f"{way}/selection")
        found |= tabled(decoder.history_, f"{way}/history")
        decoder = nm.MtMDecoder(pre, task="regression", finetune=way, max_epochs=4, random_state=0)
        found[f"{way}/signal"] = decoder.fit(train, train.signals[signal]).predict(test)
    decoder = nm.MtMDecoder(pre, random_state=0).fit(train, train.trials[stimulus])
    found |= tabled(decoder.region_importance(test, test.trials[stimulus]), "importance")
    found |= tabled(decoder.time_resolved(train, train.trials[stimulus], cv=3, step=5), "time")
    found |= tabled(decoder.evaluate(train, train.trials[stimulus], cv=3), "evaluate")
    partial = nm.MtMDecoder(pre, regions="CA1", scheme="causal", random_state=0)
    found["CA1"] = partial.fit(train, train.trials[stimulus]).predict_proba(test)
    return found


def saved(folder: Path, write: bool) -> dict[str, np.ndarray]:
    """Load models that were saved when the record was made."""
    *known, new = nm.simulate(40, n_sessions=3, n_neurons=14, n_time=20, random_state=2)
    found = {}
    for name, options in {"ndt1": {}, "ndt2": {"backbone": "ndt2"}}.items():
        path = folder / f"model_{name}"
        if write:
            pre = nm.MtMPretrainer(**(TINY | options)).fit(known)
            pre.calibrate(new).save(path, overwrite=True)
        for session in (*known, new):
            found |= described(nm.load(path), session, f"{name}, {session.session_id}")
    return found


def recording(number: int) -> dict[str, np.ndarray]:
    """Fit a real recording for 20 epochs."""
    session = nm.load_npz(RECORDINGS / f"session{number:02d}.npz")
    n = len(session)
    order = np.random.default_rng(0).permutation(n)
    train, test = order[: int(0.8 * n)], order[int(0.8 * n) :]
    session = session.select_neurons(session.counts[train].mean((0, 1)) >= 0.01)
    pre = nm.MtMPretrainer(max_epochs=20, validation="random", random_state=0).fit(session[train])
    found = described(pre, session[test[:20]], "model")
    side = np.sign(session.trials["contrast_right"] - session.trials["contrast_left"]).to_numpy()
    known = np.flatnonzero(side[train])
    decoder = nm.MtMDecoder(pre, random_state=0).fit(session[train[known]], side[train[known]])
    found["side"] = decoder.predict_proba(session[test])
    return found


def described(pre: nm.MtMPretrainer, session: nm.Session, name: str) -> dict[str, np.ndarray]:
    """Give weights, predictions and scores of a fitted model."""
    found = {f"{name}/{key}": t.numpy() for key, t in pre.model_.state_dict().items()}
    found[f"{name}/predict"] = pre.predict(session)
    found[f"{name}/transform"] = pre.transform(session)
    table = pre.evaluate(session, neurons=np.arange(0, session.n_neurons, 5))
    return found | tabled(table, f"{name}/evaluate") | tabled(pre.history_, f"{name}/history")


def tabled(table: pd.DataFrame, name: str) -> dict[str, np.ndarray]:
    """Give the columns of a table, as numbers or text."""
    columns = {c: table[c].to_numpy() for c in table}
    return {f"{name}/{c}": v.astype(str) if v.dtype.kind == "O" else v for c, v in columns.items()}


def renamed(key: str) -> str:
    """Give a tensor of an old record its name of today."""
    for old, new in {"unseen": "hidden_token", "history": "spike_history"}.items():
        if key.endswith((f"/{old}", f".{old}")):
            return key.removesuffix(old) + new
    return key.replace("start_history", "start_spike_history")


def same(before: np.ndarray, after: np.ndarray | None) -> bool:
    """Say whether two arrays are equal bit by bit, NaN being equal to NaN."""
    if after is None or before.shape != after.shape:
        return False
    return np.array_equal(before, after, equal_nan=before.dtype.kind == "f")


def distance(before: np.ndarray, after: np.ndarray | None) -> str:
    """Say how two arrays differ."""
    if after is None:
        return "is gone"
    if before.shape != after.shape or before.dtype.kind not in "biuf":
        return f"{before.dtype} {before.shape} is now {after.dtype} {after.shape}"
    return f"by up to {np.nanmax(np.abs(before.astype(float) - after.astype(float))):.3g}"


if __name__ == "__main__":
    sys.exit(main())
