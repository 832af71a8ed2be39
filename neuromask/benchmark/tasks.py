"""BrainWideBench's tasks: what a prepared session must hold for each, and what of it is scored."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._checks import check_choice
from .._recordings import is_session_list
from ..errors import InvalidInputError, suggest
from ..session import Session

__all__ = [
    "NOT_SERVED",
    "TASKS",
    "Prepared",
    "Task",
    "check_tasks",
    "ground_truth",
    "held_out_neurons",
    "hidden_entries",
    "identifiers",
    "neuron_ids",
    "prepare",
    "select_scored",
    "target",
]

# Every scored window is one second in bins of 20 ms; forecasting scores its last tenth.
BIN_WIDTH = 0.02
N_BINS = 50
N_FORECAST = 5
# The neurons that co-smoothing hides follow from their ids, so that all models are asked the same.
HELD_OUT_SHARE = 0.1
HELD_OUT_SALT = "ts2_co_smoothing_test"
SPLITS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}


@dataclass(frozen=True)
class Task:
    """One task as it is served.

    Attributes
    ----------
    name : str
        Name in the benchmark; that of the trials' column or the signal which is decoded, too.
    suite : {"ts1", "ts2"}
        Behaviour, or activity.
    source : {"trials", "signals", "counts"}
        Where the session holds what is predicted.
    classes : tuple of str
        Meaning of the classes 0, 1, ..., for those of trials.
    confidence : str, optional
        Signal that is 1 where the truth is to be scored, 0 elsewhere.
    """

    name: str
    suite: str
    source: str
    classes: tuple[str, ...] = ()
    confidence: str | None = None

    @property
    def id(self) -> str:
        """Name of the task's folder."""
        return f"{self.suite}-{self.name}"

    @property
    def key(self) -> str:
        """Column of the trials, and tensor of a file, that trials are matched by."""
        return "trial_id" if self.suite == "ts1" else "window_start"


TASKS = {
    task.name: task
    for task in (
        Task("choice", "ts1", "trials", ("right", "left")),
        Task("reward", "ts1", "trials", ("none", "reward")),
        Task("stimulus_contrast", "ts1", "trials", ("0", "0.0625", "0.125", "0.25", "1")),
        Task("whisker_motion_energy", "ts1", "signals"),
        Task("wheel_speed", "ts1", "signals"),
        Task("right_paw_speed", "ts1", "signals", confidence="right_paw_confident"),
        Task("left_paw_speed", "ts1", "signals", confidence="left_paw_confident"),
        Task("co_smoothing", "ts2", "counts"),
        Task("forecasting", "ts2", "counts"),
    )
}
NOT_SERVED = {
    "licking_rate": "it is scored as a Poisson rate, which the decoder does not model",
    "unit_cosmos": "the encoder of neurons is told their regions, so a classifier of its weights "
    "would read back the answer",
}


@dataclass(frozen=True)
class Prepared:
    """A session's trials by what they are for; `valid` is None where there are none."""

    session_id: str
    train: Session | None
    valid: Session | None
    test: Session


def check_tasks(names: str | Sequence[str]) -> tuple[Task, ...]:
    """Return the named tasks.

    Raises
    ------
    InvalidInputError
        If a task is unknown, is not served, or none is named.
    """
    given = [names] if isinstance(names, str) else list(names)
    if not given:
        raise InvalidInputError(f"no tasks; expected some of {list(TASKS)}.")
    for name in given:
        if name in NOT_SERVED:
            raise InvalidInputError(
                f"task {name!r} is not served: {NOT_SERVED[name]}. Expected some of {list(TASKS)}."
            )
        check_choice("tasks", name, list(TASKS))
    return tuple(TASKS[name] for name in dict.fromkeys(given))


def prepare(X: Any, tasks: Sequence[Task], *, fitting: bool) -> list[Prepared]:
    """Check sessions against the protocol and split their trials.

    Parameters
    ----------
    X : Session or list of Sessions
        What is to be predicted or scored.
    tasks : sequence of Task
        Tasks they are to serve.
    fitting : bool
        Whether a model is to be fitted, for which there must be training trials; test trials are
        needed always, and their truth only where nothing is fitted.

    Raises
    ------
    InvalidInputError
        If a session does not fit the protocol or lacks what a task needs.
    """
    sessions = list(X) if is_session_list(X) else [X]
    prepared = []
    for session in sessions:
        if not isinstance(session, Session):
            raise InvalidInputError(
                f"given a {type(session).__name__}; expected a neuromask.Session with "
                "trials['split'], or a list of them."
            )
        where = f"session {session.session_id!r}"
        _check_window(session, where)
        parts = _split(session, where, fitting)
        for task in tasks:
            identifiers(task, parts.test, where=where)
            if task.suite == "ts2":
                neuron_ids(session, where=where)
            elif fitting and parts.train is not None:
                values = target(task, parts.train, where=where)
                if task.classes and len(np.unique(values)) < 2:
                    raise InvalidInputError(
                        f"{where}: all its training trials have {task.name} {values[0]}; expected "
                        "at least two classes to learn."
                    )
        prepared.append(parts)
    names = [p.session_id for p in prepared]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"several sessions are named {twice}; expected one of each, with all of its trials."
        )
    return prepared


def target(task: Task, session: Session, *, where: str) -> np.ndarray:
    """Return behaviour: classes of int64 (trials,), or a signal of float32 (trials, time)."""
    if task.source == "trials":
        values = pd.to_numeric(_column(session, task.name, where), errors="coerce").to_numpy(float)
        bad = ~np.isin(values, np.arange(len(task.classes)))
        if bad.any():
            meaning = ", ".join(f"{i} ({name})" for i, name in enumerate(task.classes))
            raise InvalidInputError(
                f"{where}: trials[{task.name!r}] holds {session.trials[task.name][bad].iloc[0]}; "
                f"expected the classes {meaning}."
            )
        return values.astype(np.int64)
    values = _signal(session, task.name, where)
    missing = int((~np.isfinite(values).all(1)).sum())
    if missing:
        raise InvalidInputError(
            f"{where}: signal {task.name!r} is not finite in {missing} of {len(values)} trials; "
            "expected a number in every bin. Leave these trials out."
        )
    return values.astype(np.float32)


def ground_truth(task: Task, test: Session, *, where: str) -> dict[str, np.ndarray]:
    """Return the tensors that the official scorer compares predictions with."""
    ids = identifiers(task, test, where=where)
    if task.suite == "ts2":
        if test.observed is not None:
            raise InvalidInputError(
                f"{where}: some test entries were not observed, which the official scorer would take for "
                "silence. Leave these trials or units out."
            )
        targets = select_scored(task, test, test.counts).astype(np.float32)
        return {"window_timestamps": ids, "targets": targets}
    values = target(task, test, where=where)
    if task.classes:
        return {"trial_id": ids, "values": values[:, None]}
    tensors = {"trial_id": ids, "values": values[:, :, None]}
    if task.confidence is not None:
        tensors["mask"] = _signal(test, task.confidence, where) > 0
        some = tensors["mask"].any(1)  # the protocol leaves out trials without a confident bin
        if not some.any():
            raise InvalidInputError(
                f"{where}: signal {task.confidence!r} is 0 in all test trials; expected 1 where "
                f"{task.name} is to be scored."
            )
        tensors = {name: values[some] for name, values in tensors.items()}
    return tensors


def identifiers(task: Task, test: Session, *, where: str) -> np.ndarray:
    """Return what test trials are matched by: int64 ids of trials, or starts of windows (s)."""
    values = pd.to_numeric(_column(test, task.key, where), errors="coerce").to_numpy(float)
    whole = task.suite == "ts2" or not np.isfinite(values).all() or (values % 1 == 0).all()
    if not np.isfinite(values).all() or not whole or len(np.unique(values)) < len(values):
        kind = "whole numbers" if task.suite == "ts1" else "seconds"
        raise InvalidInputError(
            f"{where}: trials[{task.key!r}] of the test trials must be {kind}, each once, since "
            "predictions are matched with the truth by it."
        )
    return values.astype(np.int64 if task.suite == "ts1" else np.float64)


def neuron_ids(session: Session, *, where: str) -> np.ndarray:
    """Return the neurons' ids, text of ASCII, each once."""
    if "id" not in session.neurons:
        raise InvalidInputError(
            f"{where}: neurons has no column 'id', which says which neurons co-smoothing hides; "
            f"expected the units' ids.{suggest('id', session.neurons.columns)}"
        )
    ids = session.neurons["id"].astype(str).to_numpy(str)
    if len(set(ids.tolist())) < len(ids) or not all(i and i.isascii() for i in ids.tolist()):
        raise InvalidInputError(
            f"{where}: neurons['id'] must be ASCII text, never empty and each once."
        )
    return ids


def held_out_neurons(session: Session) -> np.ndarray:
    """Return a mask of the neurons that co-smoothing hides: the first tenth by a hash of their id."""
    ids = neuron_ids(session, where=f"session {session.session_id!r}").tolist()
    digests = [hashlib.sha256(f"{HELD_OUT_SALT}:{i}".encode()).hexdigest() for i in ids]
    n_hidden = max(1, round(HELD_OUT_SHARE * len(ids)))
    hidden = np.zeros(len(ids), dtype=bool)
    hidden[np.argsort(digests)[:n_hidden]] = True
    return hidden


def hidden_entries(task: Task, session: Session) -> np.ndarray:
    """Return a mask (time, neurons) of what an activity task hides in every window."""
    hidden = np.zeros(session.shape[1:], dtype=bool)
    if task.name == "forecasting":
        hidden[-N_FORECAST:] = True
    else:
        hidden[:, held_out_neurons(session)] = True
    return hidden


def select_scored(task: Task, session: Session, values: np.ndarray) -> np.ndarray:
    """Select the scored ones of values (trials, time, neurons) of an activity task."""
    if task.name == "forecasting":
        return values[:, -N_FORECAST:]
    return values[:, :, held_out_neurons(session)]


def _check_window(session: Session, where: str) -> None:
    width = session.bin_width
    if width is None or not np.isclose(width, BIN_WIDTH) or session.n_time != N_BINS:
        shown = "an unknown width" if width is None else f"{width:g} s"
        raise InvalidInputError(
            f"{where} has trials of {session.n_time} bins of {shown}; the protocol scores one "
            f"second, {N_BINS} bins of {BIN_WIDTH:g} s. Cut it again, for example with "
            "from_spike_times(window=(-1, 0), bin_width=0.02)."
        )
    if session.session_id in ("", ".", "..") or set(session.session_id) & set("/\\"):
        raise InvalidInputError(
            f"{where} cannot name a folder; expected the recording's id without slashes."
        )


def _split(session: Session, where: str, fitting: bool) -> Prepared:
    given = _column(session, "split", where).astype(str).to_numpy(str)
    unknown = sorted(set(given.tolist()) - set(SPLITS))
    if unknown:
        raise InvalidInputError(
            f"{where}: trials['split'] holds {unknown[0]!r}; expected 'train', 'valid' or 'test' "
            f"for each trial.{suggest(unknown[0], SPLITS)}"
        )
    names = np.array([SPLITS[name] for name in given.tolist()])
    for name in ("train", "test") if fitting else ("test",):
        if not (names == name).any():
            raise InvalidInputError(f"{where}: no trial has split {name!r}; expected some.")
    train, valid = (
        session[names == name] if (names == name).any() else None for name in ("train", "valid")
    )
    return Prepared(session.session_id, train, valid, session[names == "test"])


def _column(session: Session, name: str, where: str) -> pd.Series:
    if name not in session.trials:
        raise InvalidInputError(
            f"{where}: trials has no column {name!r}; its columns are "
            f"{list(session.trials.columns)}.{suggest(name, session.trials.columns)}"
        )
    return session.trials[name]


def _signal(session: Session, name: str, where: str) -> np.ndarray:
    if name not in session.signals:
        raise InvalidInputError(
            f"{where}: there is no signal {name!r}; its signals are {list(session.signals)}."
            f"{suggest(name, session.signals)}"
        )
    values = session.signals[name]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2:
        raise InvalidInputError(
            f"{where}: signal {name!r} has shape {values.shape}; expected one value a bin, "
            f"{session.shape[:2]}."
        )
    return values
