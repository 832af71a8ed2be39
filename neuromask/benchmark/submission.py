"""BrainWideBench: submissions by MtM models, and the official scores of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from .. import __version__
from ..decoder import MtMDecoder
from ..decoding.pretrained import is_fitted
from ..errors import InvalidInputError, public, warn
from ..evaluation import task_scheme
from ..metrics import LEAST_SCORED_RATE
from ..pretrainer import MtMPretrainer, check_parameters
from ..session import Session
from .files import (
    check_label,
    check_written,
    contract,
    holds,
    place,
    read_metadata,
    save_predictions,
    save_tensors,
)
from .tasks import (
    BIN_WIDTH,
    TASKS,
    Prepared,
    Task,
    check_tasks,
    ground_truth,
    held_out_neurons,
    hidden_entries,
    identifiers,
    neuron_ids,
    prepare,
    select_scored,
    target,
)

__all__ = ["TASKS", "score_submission", "write_ground_truth", "write_submission"]

# Windows predicted at a time: a submission may hold tens of thousands, one for every bin.
WINDOWS_A_PASS = 1024
# Probability of a class that no training trial had.
CHANCE_FLOOR = 1e-6
# What the tasks are called here.
OUR_TASKS = {"co_smoothing": "co_smoothing", "forecasting": "forward_prediction"}
# Parameters that do not change what a model is.
INCIDENTAL = ("device", "random_state", "verbose", "warm_start")
MIN_SEEDS = 3  # of a submission to the leaderboard


@public
def write_submission(
    sessions: Any,
    out: str | os.PathLike,
    *,
    label: str,
    tasks: str | Sequence[str],
    seeds: Sequence[int] | None = None,
    estimator: MtMPretrainer | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Fit each session with each seed and write what the benchmark scores of its test trials.

    A file that is there already is neither made again nor fitted for, so that a run which was
    stopped goes on where it stopped; each file is there whole or not at all.

    Parameters
    ----------
    sessions : Session or list of Sessions
        Recordings cut to the window that the tasks score (one second, 50 bins of 20 ms), named by
        their recording id. ``trials["split"]`` says train, valid or test.
    out : path-like
        Folder of predictions, new or of the same label.
    label : str
        Name of the submission, and of the folder in `out` that is to be handed in.
    tasks : str or sequence of str
        Some of :data:`neuromask.benchmark.TASKS` that the sessions were cut for.
    seeds : sequence of int, optional
        Values of ``random_state``; the protocol's by default.
    estimator : MtMPretrainer, optional
        Unfitted, it is fitted to the training trials of each session with each seed. Fitted, it is
        fine-tuned on them, or used as it is where it knows the session: fit it without the test
        trials. By default an unfitted one.
    progress : callable, optional
        Told of each step before it begins.

    Returns
    -------
    Path
        The folder of the submission.

    Raises
    ------
    ImportError
        If ``ibl_bwb_eval`` is not installed.
    InvalidInputError
        If a task is unknown, a session does not fit the protocol or lacks what a task needs, or
        `out` holds another submission; before anything is fitted.

    Warns
    -----
    NeuromaskWarning
        If the leaderboard would not take this: other recordings, or fewer than three seeds.

    Examples
    --------
    >>> import neuromask as nm
    >>> nm.benchmark.write_submission(
    ...     nm.load_npz("movement.npz"), "predictions", label="MtM", tasks=["wheel_speed"]
    ... )  # doctest: +SKIP
    """
    protocol = contract("protocol")
    contract("predictions")  # before any work, not after it
    chosen = check_tasks(tasks)
    template = _check_estimator(estimator)
    seeds = list(protocol.EVAL_SEEDS) if seeds is None else [int(seed) for seed in seeds]
    if not seeds:
        raise InvalidInputError(f"no seeds; expected some, {protocol.EVAL_SEEDS}.")
    prepared = prepare(sessions, chosen, fitting=True)
    out = Path(out).absolute()
    check_label(out, label)
    settings = _settings(template)
    plan = []
    for session in prepared:
        for seed in seeds:
            missing = []
            for task in chosen:
                path = place(out, label, task, session.session_id, seed)
                if path.exists():
                    ids = identifiers(task, session.test, where=f"session {session.session_id!r}")
                    check_written(path, task, session.session_id, ids, settings=settings)
                else:
                    missing.append(task)
            if missing:
                plan.append((session, seed, missing))
    _note_unofficial([p.session_id for p in prepared], seeds, protocol)
    tell = (lambda _: None) if progress is None else progress
    for session, seed, missing in plan:
        tell(f"{session.session_id}, seed {seed}: fitting")
        pre = _fitted(template, session, seed)
        for task in missing:
            tell(f"{session.session_id}, seed {seed}: {task.name}")
            save_predictions(
                out,
                _predict(task, pre, session, seed),
                label=label,
                task=task,
                session_id=session.session_id,
                seed=seed,
                metadata={
                    "bin_size": BIN_WIDTH,
                    "neuromask_version": __version__,
                    "estimator": settings,
                },
            )
    return out / label


@public
def write_ground_truth(
    sessions: Any, out: str | os.PathLike, *, tasks: str | Sequence[str]
) -> Path:
    """Write what predictions of the test trials are scored against, in the scorers' format.

    Parameters
    ----------
    sessions : Session or list of Sessions
        As for :func:`write_submission`; only test trials are needed.
    out : path-like
        Folder, new or holding such files. One that is there is kept if it says the same.
    tasks : str or sequence of str
        Some of :data:`neuromask.benchmark.TASKS`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InvalidInputError
        If a session does not fit the protocol, lacks what a task needs, or differs from a file that
        is there.

    Examples
    --------
    >>> import tempfile
    >>> import neuromask as nm
    >>> simulated = nm.simulate(20, n_neurons=8)
    >>> trials = simulated.trials.assign(split=["train"] * 12 + ["test"] * 8, trial_id=range(20))
    >>> trials["choice"] = trials["choice"].eq(1).astype(int)
    >>> session = nm.Session(simulated.counts, trials=trials, bin_width=0.02, session_id="monday")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = nm.benchmark.write_ground_truth(session, folder, tasks="choice")
    ...     [str(p.relative_to(written)) for p in written.rglob("*.safetensors")]
    ['ts1-choice/monday/ground_truth.safetensors']
    """
    chosen = check_tasks(tasks)
    out = Path(out).absolute()
    files = {}
    for session in prepare(sessions, chosen, fitting=False):
        where = f"session {session.session_id!r}"
        for task in chosen:
            path = out / task.id / session.session_id / "ground_truth.safetensors"
            truth = ground_truth(task, session.test, where=where)
            files[path] = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in truth.items()}
            if path.exists() and not holds(path, files[path]):
                raise InvalidInputError(
                    f"{where}: {path} holds another truth of {task.name}; choose another folder."
                )
    for path, tensors in files.items():
        if not path.exists():
            save_tensors(tensors, path, out=out)
    return out


@public
def score_submission(
    predictions: str | os.PathLike, ground_truth: str | os.PathLike
) -> pd.DataFrame:
    """Score predictions with the benchmark's own scorers.

    Parameters
    ----------
    predictions : path-like
        Folder of one submission or several.
    ground_truth : path-like
        Folder of :func:`write_ground_truth`.

    Returns
    -------
    DataFrame
        Tidy: label, session, seed, task, metric, score and primary, True for the metric that the
        benchmark ranks by.

    Raises
    ------
    ImportError
        If ``ibl_bwb_eval`` is not installed.
    InvalidInputError
        If there is nothing to score, or predictions do not fit their truth.

    Warns
    -----
    NeuromaskWarning
        If some predictions have no truth.
    """
    specs = contract("tasks")
    scorers = {suite: contract(f"scoring.{suite}") for suite in ("ts1", "ts2")}
    rows, unknown = [], []
    for path in sorted(Path(predictions).rglob("seed_*.safetensors")):
        found = read_metadata(path)
        task = TASKS.get(found.get("task", "").partition("-")[2])
        if task is None:
            continue  # of a suite that is not served
        truth = Path(ground_truth) / task.id / found["recording_id"] / "ground_truth.safetensors"
        if not truth.is_file():
            unknown.append(f"{task.name} of {found['recording_id']!r}")
            continue
        try:
            scores = (
                scorers["ts1"].score_file(task.id, path, truth)
                if task.suite == "ts1"
                else scorers["ts2"].score_file(path, truth)
            )
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            raise InvalidInputError(
                f"{path} does not fit {truth}: {error}. Write both from the same session."
            ) from error
        spec = getattr(specs, f"get_{task.suite}_readout_spec")(task.name)
        rows += [
            {
                "label": found["label"],
                "session": found["recording_id"],
                "seed": int(found["seed"]),
                "task": task.name,
                "metric": metric,
                "score": score,
                "primary": metric == spec.primary_metric,
            }
            for metric, score in scores.items()
        ]
    missing = ", ".join(dict.fromkeys(unknown))
    if not rows:
        why = f"the truth of {missing} is not in {ground_truth}" if missing else "there are none"
        raise InvalidInputError(
            f"no predictions to score under {predictions}: {why}. Give folders of "
            "write_submission and write_ground_truth."
        )
    if missing:
        warn(f"not scored, since {ground_truth} does not hold the truth: {missing}.")
    return pd.DataFrame(rows)


def _check_estimator(estimator: MtMPretrainer | None) -> MtMPretrainer:
    template = MtMPretrainer() if estimator is None else estimator
    if not isinstance(template, MtMPretrainer):
        raise InvalidInputError(
            f"estimator is a {type(template).__name__}; expected an MtMPretrainer, fitted or not."
        )
    if template.rebin is not None and not np.isclose(template.rebin, BIN_WIDTH):
        raise InvalidInputError(
            f"estimator has rebin={template.rebin:g}; the protocol scores bins of {BIN_WIDTH:g} s."
        )
    if not is_fitted(template):
        check_parameters(template)
    return template


def _note_unofficial(names: Sequence[str], seeds: Sequence[int], protocol: ModuleType) -> None:
    official = set(protocol.EVAL_RECORDING_IDS.read_text().split())
    others = [name for name in names if name not in official]
    reasons = [f"{others} are not among its {len(official)} recordings"] if others else []
    if len(set(seeds)) < MIN_SEEDS:
        reasons.append(f"it asks for at least {MIN_SEEDS} seeds")
    if reasons:
        warn(f"good for scoring yourself, not for the leaderboard: {'; '.join(reasons)}.")


def _settings(estimator: MtMPretrainer) -> str:
    """Describe a model, so that a submission cannot be finished with another one."""
    given = estimator.get_params(deep=False)
    given = {name: value for name, value in given.items() if name not in INCIDENTAL}
    if is_fitted(estimator):
        given["sessions"] = sorted(estimator.sessions_)
    return json.dumps(given, default=lambda value: getattr(value, "name", str(value)))


def _fitted(template: MtMPretrainer, session: Prepared, seed: int) -> MtMPretrainer:
    """Return a model that knows the session's training trials and no test trial."""
    if not is_fitted(template):
        fresh = clone(template).set_params(random_state=seed)
        return fresh.fit(session.train, X_val=session.valid)
    if session.session_id in template.sessions_:
        return template
    return template.finetune(session.train, X_val=session.valid, random_state=seed)


def _predict(
    task: Task, pre: MtMPretrainer, session: Prepared, seed: int
) -> dict[str, torch.Tensor]:
    """Return the tensors of one file."""
    test, where = session.test, f"session {session.session_id!r}"
    ids = torch.from_numpy(identifiers(task, test, where=where))
    if task.suite == "ts2":
        names = neuron_ids(test, where=where)
        names = names[held_out_neurons(test)] if task.name == "co_smoothing" else names
        encode = contract("entity_ids").encode_entity_ids
        return {
            "predictions": torch.from_numpy(_log_rates(task, pre, test)),
            "window_timestamps": ids,
            "unit_ids": encode(names),
        }
    train = cast(Session, session.train)  # wherever a model is fitted there are some trials
    y = target(task, train, where=where)
    kind = "classification" if task.classes else "regression"
    decoder = MtMDecoder(pre, task=kind, random_state=seed).fit(train, y)
    if task.classes:
        answers = np.full((len(test), len(task.classes)), CHANCE_FLOOR, dtype=np.float32)
        answers[:, decoder.classes_] = decoder.predict_proba(test).clip(CHANCE_FLOOR)
        answers = np.log(answers)[:, None]  # (trials, 1, classes)
    else:
        answers = decoder.predict(test).astype(np.float32)[:, :, None]  # (trials, time, 1)
    return {"predictions": torch.from_numpy(answers), "trial_id": ids}


def _log_rates(task: Task, pre: MtMPretrainer, test: Session) -> np.ndarray:
    """Return log-rates of what an activity task hides, float32 (windows, time, neurons)."""
    scheme = pre.schemes_[task_scheme(pre.schemes_, OUR_TASKS[task.name])].name
    hidden = hidden_entries(task, test)
    rates = [
        select_scored(task, test, pre.predict(test[rows], scheme=scheme, hidden=hidden))
        for rows in (slice(i, i + WINDOWS_A_PASS) for i in range(0, len(test), WINDOWS_A_PASS))
    ]
    return np.log(np.maximum(np.ascontiguousarray(np.concatenate(rates)), LEAST_SCORED_RATE))
