"""Compare ways of training on the same trials: masking schemes, prompts, anything a parameter sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone

from ._checks import check_choice, check_fraction, check_path, check_positive_int
from ._files import whole_file
from ._recordings import check_own_names, is_session_list
from ._splits import hold_out, n_held_out
from ._tables import need_columns
from .errors import InvalidInputError, about, public, suggest, warn
from .evaluation import neuron_groups, summarise
from .pretrainer import MtMPretrainer, check_parameters
from .schemes import MTM_SCHEMES, describe_scheme, resolve_schemes
from .session import Session
from .training.progress import steps

__all__ = ["VARIANTS", "compare", "contrast"]

#: What :func:`compare` fits by default: multi-task masking, the usual baseline, each scheme alone,
#: and multi-task masking whose schemes share one prompt.
VARIANTS: dict[str, dict[str, Any]] = {
    "MtM": {"schemes": MTM_SCHEMES},
    "MtM without prompt": {"schemes": MTM_SCHEMES, "prompted": False},
    "temporal": {"schemes": ("temporal",)},
    **{f"{name} only": {"schemes": (name,)} for name in MTM_SCHEMES},
}
# Numbers are read as they were written: the only way of pandas 3, a choice before.
EXACT = {} if int(pd.__version__.split(".")[0]) > 2 else {"float_precision": "round_trip"}
# Columns of scores that a file must give back as whole numbers.
WHOLE_NUMBERS = ("seed", "n_neurons", "n_few", "n_silent")


@public
def compare(
    X: Any,
    X_test: Any = None,
    *,
    variants: Sequence[str] | Mapping[str, Mapping[str, Any]] = tuple(VARIANTS),
    estimator: MtMPretrainer | None = None,
    seeds: Sequence[int] = (0,),
    test_fraction: float = 0.2,
    tasks: Sequence[str] | None = None,
    neurons: Any = None,
    groups: Any = None,
    n_forward_bins: int | None = None,
    path: str | os.PathLike | None = None,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Fit variants of a pretrainer on each session alone and score them on the same test trials.

    A fit that fails is warned of and left out, so that the others are not lost with it.

    Parameters
    ----------
    X : Session or list of Sessions
        Trials to fit on.
    X_test : same as `X`, optional
        Test trials of the same sessions; by default a share of `X` is set aside, the same trials
        for every variant and seed.
    variants : sequence of str, or mapping of str to parameters
        Names out of :data:`neuromask.comparison.VARIANTS`, all by default; or parameters of your
        own by name, ``{"wide": {"dim": 256}, "narrow": {"dim": 64}}``.
    estimator : MtMPretrainer, optional
        What the variants' parameters are set on; defaults by default. It is not fitted. Its
        `verbose` shows progress over the fits.
    seeds : sequence of int, default=(0,)
        Values of ``random_state``.
    test_fraction : float, default=0.2
        Share of the trials to set aside, where `X_test` is not given.
    tasks, neurons, groups, n_forward_bins
        What to score, see :meth:`MtMPretrainer.evaluate`.
    path : path-like, optional
        CSV file that the scores of each fit are written to as soon as it is done. Fits that are in it
        already, of the same trials, parameters, seed and tasks, are not made again: a comparison that
        was stopped goes on.
    progress : callable, optional
        Told of each fit before it begins.

    Returns
    -------
    DataFrame
        Tidy: session, seed, model, task, and the columns of :func:`neuromask.summarise`. Draw it
        with :func:`neuromask.plots.plot_paired`, test it with :func:`contrast`.

    Raises
    ------
    InvalidInputError
        If sessions share a name, a variant is unknown or sets what is no parameter, or `path` holds
        another table, before anything is fitted.

    Warns
    -----
    NeuromaskWarning
        If a fit fails, with its reason. Where all fail, the first error is raised.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(40, n_neurons=12, n_time=20)
    >>> tiny = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2)
    >>> table = nm.compare(session, variants=["MtM", "temporal"], estimator=tiny)
    >>> sorted(set(table["model"]))
    ['MtM', 'temporal']
    """
    parameters = _parameters(variants)
    template = MtMPretrainer() if estimator is None else estimator
    if not isinstance(template, MtMPretrainer):
        raise InvalidInputError(f"estimator={template!r}; expected an MtMPretrainer.")
    seeds = _seeds(seeds)
    fits = {name: clone(template).set_params(**given) for name, given in parameters.items()}
    for fit in fits.values():
        check_parameters(fit)
    check_fraction("test_fraction", test_fraction, low=1e-6, high=1 - 1e-6)
    pairs = _pairs(X, X_test, test_fraction)
    options = {"tasks": tasks, "neurons": neurons, "n_forward_bins": n_forward_bins}
    if groups is not None:  # else tables that were written before are gone on with
        options["groups"] = groups
        for training, _ in pairs:
            neuron_groups(groups, training.n_neurons)
    kept = _Kept(path)
    plan = [
        (training, test, seed, name) for training, test in pairs for seed in seeds for name in fits
    ]
    tables, errors = [], []
    with steps(template.verbose, "fit", every_step=True) as show:
        for number, (training, test, seed, name) in enumerate(plan):
            what = f"{training.session_id}, seed {seed}: {name}"
            if progress is not None:
                progress(what)
            show(number, len(plan), what)
            fit = clone(fits[name]).set_params(random_state=seed)
            key = kept.key(fit, training, test, options)
            scores = kept.find(key)
            if scores is None:
                try:
                    scores = summarise(fit.fit(training).evaluate(test, **options))
                except Exception as error:  # whatever it is, the other fits stand
                    warn(f"the fit of {what} failed and is left out ({_reason(error)}).")
                    errors.append(error)
                    continue
                scores = scores.assign(seed=seed, model=name)
                kept.add(key, scores)
            tables.append(scores)
        show(len(plan), len(plan))
    if not tables and errors:
        raise errors[0]
    table = pd.concat(tables, ignore_index=True)
    first = ["session", "seed", "model", "task"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


@public
def contrast(
    table: pd.DataFrame, model: str, baseline: str, *, metric: str = "bps_weighted"
) -> pd.DataFrame:
    """Contrast two models of :func:`compare`, paired by session and seed.

    The default metric is the one of :meth:`MtMPretrainer.score`, bits per spike over all spikes: in
    means over neurons a single neuron that was lost during a recording can decide.

    Parameters
    ----------
    table : DataFrame
        Of :func:`compare`; any table with session, seed, model, task and the metric.
    model, baseline : str
        Names in its column model.
    metric : str, default="bps_weighted"
        Column to contrast, see :func:`neuromask.summarise`.

    Returns
    -------
    DataFrame
        Per task: both means, the mean difference over sessions (seeds averaged first) with its
        standard error, in how many sessions the model is better, and n_sessions.
    """
    need_columns(table, ("session", "seed", "model", "task"), "neuromask.compare")
    names = list(dict.fromkeys(table["model"]))
    for name in (model, baseline):
        check_choice("model", name, names)
    if model == baseline:
        raise InvalidInputError(f"model and baseline are both {model!r}; expected two of {names}.")
    check_choice("metric", metric, list(table.columns))
    rows = []
    for task, part in table.groupby("task", sort=False):
        wide = part.pivot_table(index="session", columns="model", values=metric)
        both = wide[[model, baseline]].dropna()
        difference = both[model] - both[baseline]
        rows.append(
            {
                "task": task,
                model: both[model].mean(),
                baseline: both[baseline].mean(),
                "difference": difference.mean(),
                "se": difference.sem(),
                "n_better": int((difference > 0).sum()),
                "n_sessions": len(both),
            }
        )
    return pd.DataFrame(rows)


class _Kept:
    """Scores of fits on disk, each under a key of all that they depend on.

    Each row says how many rows its fit has, so that a fit is told from the part of one that a file
    cut short ends with.
    """

    def __init__(self, path: str | os.PathLike | None) -> None:
        self.path = None if path is None else check_path("path", path)
        self.fits: dict[str, pd.DataFrame] = {}
        if self.path is None or not self.path.exists():
            return
        text = dict.fromkeys(("session", "model", "task", "key"), str)  # also where it is "01"
        try:
            table = pd.read_csv(self.path, converters=text, **EXACT)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"path={str(path)!r} cannot be read as a table ({_reason(error)}); expected a file "
                "that compare wrote, or a new one."
            ) from error
        missing = [name for name in ("n_rows", "key") if name not in table]
        if missing:
            raise InvalidInputError(
                f"{self.path} was not written by compare: it has no column {missing[0]!r}. "
                "Choose another path."
            )
        for key, rows in table.groupby("key", sort=False):
            if (rows["n_rows"] == len(rows)).all():
                scores = rows.drop(columns=["n_rows", "key"]).reset_index(drop=True)
                self.fits[key] = scores.astype(dict.fromkeys(WHOLE_NUMBERS, np.int64))

    def key(
        self, fit: MtMPretrainer, training: Session, test: Session, options: dict[str, Any]
    ) -> str:
        if self.path is None:
            return ""
        parameters = {k: v for k, v in fit.get_params().items() if k not in ("verbose", "device")}
        trials = [
            # Without what says nothing, so that tables of earlier versions are gone on with.
            (s.counts, s.regions, s.bin_width, s.session_id)
            + (() if s.observed is None else (s.observed,))
            for s in (training, test)
        ]
        schemes = resolve_schemes(
            fit.schemes
        )  # whose functions joblib may not know how to tell apart
        parameters["schemes"] = [describe_scheme(scheme) for scheme in schemes]
        return joblib.hash((parameters, trials, options))

    def find(self, key: str) -> pd.DataFrame | None:
        return self.fits.get(key)

    def add(self, key: str, scores: pd.DataFrame) -> None:
        if self.path is None:
            return
        self.fits[key] = scores
        fits = {key: fit.assign(n_rows=len(fit)) for key, fit in self.fits.items()}
        # The number of rows stands last, where a row that was cut lacks it.
        table = pd.concat(fits, names=["key", "row"]).reset_index(level="key")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path) as file:
            table.to_csv(file, index=False)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _parameters(variants: Any) -> dict[str, dict[str, Any]]:
    """Return parameters by the variant's name."""
    expected = f"some of {list(VARIANTS)}, or a mapping of names to parameters"
    if isinstance(variants, Mapping):
        for name, parameters in variants.items():
            if not isinstance(parameters, Mapping):
                raise InvalidInputError(
                    f"variant {name!r} is {parameters!r}; expected a mapping of parameters to values."
                )
        given = {str(name): dict(parameters) for name, parameters in variants.items()}
    elif not isinstance(variants, Iterable):
        raise InvalidInputError(f"variants={variants!r}; expected {expected}.")
    else:
        names = [variants] if isinstance(variants, str) else list(variants)
        for name in names:
            if not isinstance(name, str) or name not in VARIANTS:
                raise InvalidInputError(
                    f"unknown variant {name!r}; expected {expected}.{suggest(str(name), VARIANTS)}"
                )
        given = {name: VARIANTS[name] for name in names}
    known = MtMPretrainer().get_params()
    for name, parameters in given.items():
        if "random_state" in parameters:
            raise InvalidInputError(
                f"variant {name!r} sets 'random_state', which every variant is given from seeds. "
                "Pass seeds instead, so that variants are compared seed by seed."
            )
        wrong = [p for p in parameters if p not in known]
        if wrong:
            raise InvalidInputError(
                f"variant {name!r} sets {wrong}, which MtMPretrainer has no parameter for."
                f"{suggest(wrong[0], known)}"
            )
    if not given:
        raise InvalidInputError(f"no variants; expected some of {list(VARIANTS)}.")
    return given


def _seeds(seeds: Any) -> tuple[int, ...]:
    given = list(seeds) if isinstance(seeds, Iterable) else []
    if not given:
        raise InvalidInputError(
            f"seeds={seeds!r}; expected one whole number or more, as in (0, 1)."
        )
    return tuple(check_positive_int("seeds", seed, minimum=0) for seed in given)


def _sessions(name: str, given: Any) -> list[Session]:
    """Return one Session or several as a list, each with a name of its own."""
    sessions = list(given) if is_session_list(given) else [given]
    for session in sessions:
        if not isinstance(session, Session):
            raise InvalidInputError(
                f"{name} holds a {type(session).__name__}; expected Sessions: "
                "neuromask.Session(X, regions)."
            )
    with about(name):
        check_own_names([session.session_id for session in sessions])
    return sessions


def _pairs(X: Any, X_test: Any, test_fraction: float) -> list[tuple[Session, Session]]:
    """Return training and test trials of each session."""
    sessions = _sessions("X", X)
    if X_test is not None:
        tests = {t.session_id: t for t in _sessions("X_test", X_test)}
        missing = [s.session_id for s in sessions if s.session_id not in tests]
        if missing:
            raise InvalidInputError(
                f"no test trials of {missing} in X_test; expected some of every session."
            )
        return [(s, tests[s.session_id]) for s in sessions]
    pairs = []
    for session in sessions:
        n_test = n_held_out(len(session), test_fraction)
        training, test = hold_out(len(session), n_test, np.random.default_rng(0))
        pairs.append((session[training], session[test]))
    return pairs
