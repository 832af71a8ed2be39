"""Compare ways of training on the same trials: masking schemes, prompts, anything a parameter sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from ._checks import check_choice, check_fraction
from ._recordings import is_session_list
from .errors import InvalidInputError, public, suggest
from .evaluation import summarise
from .pretrainer import MtMPretrainer, check_parameters
from .schemes import MTM_SCHEMES
from .session import Session

__all__ = ["VARIANTS", "compare", "contrast"]

#: What :func:`compare` fits by default: multi-task masking, the usual baseline, each scheme alone,
#: and multi-task masking whose schemes share one prompt.
VARIANTS: dict[str, dict[str, Any]] = {
    "MtM": {"schemes": MTM_SCHEMES},
    "MtM without prompt": {"schemes": MTM_SCHEMES, "prompted": False},
    "temporal": {"schemes": ("temporal",)},
    **{f"{name} only": {"schemes": (name,)} for name in MTM_SCHEMES},
}


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
    n_forward_bins: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Fit variants of a pretrainer on each session alone and score them on the same test trials.

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
        What the variants' parameters are set on; defaults by default. It is not fitted.
    seeds : sequence of int, default=(0,)
        Values of ``random_state``.
    test_fraction : float, default=0.2
        Share of the trials to set aside, where `X_test` is not given.
    tasks, neurons, n_forward_bins
        What to score, see :meth:`MtMPretrainer.evaluate`.
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
        If a variant is unknown or sets what is no parameter, before anything is fitted.

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
    fits = {name: clone(template).set_params(**given) for name, given in parameters.items()}
    for fit in fits.values():
        check_parameters(fit)
    check_fraction("test_fraction", test_fraction, low=1e-6, high=1 - 1e-6)
    pairs = _pairs(X, X_test, test_fraction)
    tables = []
    for training, test in pairs:
        for seed in seeds:
            for name, fit in fits.items():
                if progress is not None:
                    progress(f"{training.session_id}, seed {seed}: {name}")
                fitted = clone(fit).set_params(random_state=seed).fit(training)
                found = fitted.evaluate(
                    test, tasks=tasks, neurons=neurons, n_forward_bins=n_forward_bins
                )
                scores = summarise(found)
                tables.append(scores.assign(seed=seed, model=name))
    table = pd.concat(tables, ignore_index=True)
    first = ["session", "seed", "model", "task"]
    return table[[*first, *(c for c in table.columns if c not in first)]]


@public
def contrast(
    table: pd.DataFrame, model: str, baseline: str, *, metric: str = "bps"
) -> pd.DataFrame:
    """Contrast two models of :func:`compare`, paired by session and seed.

    Parameters
    ----------
    table : DataFrame
        Of :func:`compare`; any table with session, seed, model, task and the metric.
    model, baseline : str
        Names in its column model.
    metric : str, default="bps"
        Column to contrast.

    Returns
    -------
    DataFrame
        Per task: both means, the mean difference over sessions (seeds averaged first) with its
        standard error, in how many sessions the model is better, and n_sessions.
    """
    names = list(dict.fromkeys(table["model"]))
    for name in (model, baseline):
        check_choice("model", name, names)
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


def _parameters(variants: Any) -> dict[str, dict[str, Any]]:
    """Return parameters by the variant's name."""
    if isinstance(variants, Mapping):
        given = {str(name): dict(parameters) for name, parameters in variants.items()}
    else:
        names = [variants] if isinstance(variants, str) else list(variants)
        for name in names:
            if name not in VARIANTS:
                raise InvalidInputError(
                    f"unknown variant {name!r}; expected some of {list(VARIANTS)}, or a "
                    f"mapping of names to parameters.{suggest(str(name), VARIANTS)}"
                )
        given = {name: VARIANTS[name] for name in names}
    known = MtMPretrainer().get_params()
    for name, parameters in given.items():
        wrong = [p for p in parameters if p not in known]
        if wrong:
            raise InvalidInputError(
                f"variant {name!r} sets {wrong}, which MtMPretrainer has no parameter for."
                f"{suggest(wrong[0], known)}"
            )
    if not given:
        raise InvalidInputError(f"no variants; expected some of {list(VARIANTS)}.")
    return given


def _pairs(X: Any, X_test: Any, test_fraction: float) -> list[tuple[Session, Session]]:
    """Return training and test trials of each session."""
    sessions = list(X) if is_session_list(X) else [X]
    for session in sessions:
        if not isinstance(session, Session):
            raise InvalidInputError(
                f"X holds a {type(session).__name__}; expected Sessions: "
                "neuromask.Session(X, regions)."
            )
    if X_test is not None:
        tests = {t.session_id: t for t in (X_test if is_session_list(X_test) else [X_test])}
        missing = [s.session_id for s in sessions if s.session_id not in tests]
        if missing:
            raise InvalidInputError(
                f"no test trials of {missing} in X_test; expected some of every session."
            )
        return [(s, tests[s.session_id]) for s in sessions]
    pairs = []
    for session in sessions:
        order = np.random.default_rng(0).permutation(len(session))
        n_test = min(max(1, round(test_fraction * len(session))), len(session) - 1)
        pairs.append((session[np.sort(order[n_test:])], session[np.sort(order[:n_test])]))
    return pairs
