"""Command line: ``neuromask demo``, ``pretrain``, ``evaluate``, ``compare`` and ``benchmark``."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._splits import hold_out
from ..errors import InvalidInputError, NeuromaskWarning, calling, current_call
from .arguments import build_parser, print_error

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from ..pretrainer import MtMPretrainer
    from ..session import Session

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 when all went well, 2 for an error, 130 when interrupted.
    """
    options = build_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings(), calling(options.command):
            warnings.simplefilter("always", NeuromaskWarning)
            warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
            run = {
                "demo": _demo,
                "pretrain": _pretrain,
                "evaluate": _evaluate,
                "compare": _compare,
                "benchmark": _benchmark,
            }
            run[options.command](options)
    except KeyboardInterrupt:
        print("neuromask: stopped", file=sys.stderr)
        return 130
    except (InvalidInputError, ImportError, OSError) as error:
        if options.debug:
            raise
        return print_error(str(error))
    except Exception as error:
        if options.debug:
            raise
        return print_error(f"{type(error).__name__}: {error}. Add --debug to see where.")
    return 0


def _demo(options: argparse.Namespace) -> None:
    from .. import baselines, plots
    from ..datasets.simulate import simulate
    from ..evaluation import evaluate
    from ..pretrainer import MtMPretrainer

    _check_new(options.out, "--out", overwrite=options.overwrite)
    plots.need_matplotlib()
    if options.trials < 20:
        raise InvalidInputError(f"demo: --trials {options.trials}; expected at least 20.")
    session: Any = simulate(options.trials, n_neurons=options.neurons, random_state=0)
    n_train = options.trials - options.trials // 5
    train, test = session[:n_train], session[n_train:]
    print(f"Simulated {session}\nFitting on {n_train} trials, testing on {len(test)}.")
    start = time.perf_counter()
    pre = MtMPretrainer(max_epochs=options.epochs, random_state=0, verbose=1).fit(train)
    print(f"Fitted in {time.perf_counter() - start:.0f} s. Scoring.")
    tables = {
        "mean rate": evaluate(baselines.MeanRate().fit(train).predict_rates, test),
        "PSTH": evaluate(baselines.PSTH().fit(train).predict_rates, test),
        "MtM": pre.evaluate(test),
        "true rates (ceiling)": evaluate(test.rates, test),
    }
    _print_scores(tables, "Bits per spike on test trials, over all spikes")
    options.out.mkdir(parents=True, exist_ok=True)
    tables["MtM"].to_csv(options.out / "scores.csv", index=False)
    pictures = _demo_pictures(options.out, pre, test, tables)
    print(f"Wrote into {options.out.resolve()}:")
    for path in [options.out / "scores.csv", *pictures]:
        print(f"  {path.name}")


def _demo_pictures(
    folder: Path, pre: MtMPretrainer, test: Session, tables: dict[str, pd.DataFrame]
) -> list[Path]:
    import matplotlib

    matplotlib.use("agg")
    from .. import plots

    table = tables["MtM"]
    busiest = np.argsort(-test.counts.sum((0, 1)))[:4]
    rates = pre.predict_hidden(test, neurons=busiest)
    # The busiest region, predicted from the other three.
    target = str(table.groupby("region")["n_spikes"].sum().idxmax())
    others = sorted(set(table["region"]) - {target})
    inside = test.select_regions(target)
    translated = pre.translate(test, source=others, target=target)
    figures: dict[str, Any] = {
        "scores.png": plots.plot_scores(table).figure,
        "regions.png": plots.plot_regions(table).figure,
        "psth_and_model.png": plots.plot_comparison(
            tables["PSTH"], table, labels=("PSTH", "MtM")
        ).figure,
        "history.png": plots.plot_history(pre.history_).figure,
        "neurons_from_the_others.png": plots.plot_rates(
            test.counts, rates, true_rates=test.rates, neurons=busiest, bin_width=test.bin_width
        ),
        f"{target}_from_other_regions.png": plots.plot_rates(
            inside.counts,
            translated,
            true_rates=inside.rates,
            bin_width=inside.bin_width,
            t_start=inside.t_start,
        ),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in figures]


def _pretrain(options: argparse.Namespace) -> None:
    from .._checks import check_fraction
    from ..pretrainer import MtMPretrainer

    _check_new(options.out, "--out")
    check_fraction("--test-fraction", options.test_fraction)
    sessions = _read(options.files)
    splits = [_split(s, options.test_fraction) for s in sessions]
    pre = MtMPretrainer(
        max_epochs=options.epochs,
        random_state=options.random_state,
        device=options.device,
        ignore_regions=tuple(options.ignore_regions),
        verbose=1,
    )
    pre.fit([session[train] for session, (train, _) in zip(sessions, splits, strict=True)])
    pre.save(options.out)
    print(f"Saved the model to {options.out}.")
    if len(pre.excluded_):
        counts = pre.excluded_.groupby(["item", "reason"]).size()
        notes = [f"{n} {item}(s): {reason}" for (item, reason), n in counts.items()]
        print("Left out: " + "; ".join(notes))
    tested = [s[test] for s, (_, test) in zip(sessions, splits, strict=True) if len(test)]
    if tested:
        _print_scores(
            {"MtM": pre.evaluate(tested)}, "Bits per spike on held-out trials, over all spikes"
        )


def _evaluate(options: argparse.Namespace) -> None:
    from .._checks import check_choice, check_fraction
    from ..evaluation import TASKS
    from ..pretrainer import load

    if options.csv is not None:
        _check_new(options.csv, "--csv")
    if options.tasks is not None:
        for task in options.tasks:
            check_choice("--tasks", task, TASKS)
    pre = load(options.model).set_params(verbose=1)
    sessions = _read(options.files)
    if options.test_fraction is not None:
        check_fraction("--test-fraction", options.test_fraction)
        splits = [_split(s, options.test_fraction) for s in sessions]
        if not all(len(test) for _, test in splits):
            raise InvalidInputError(
                f"--test-fraction {options.test_fraction} holds out no trial; expected "
                "the fraction that pretrain was given."
            )
        sessions = [session[test] for session, (_, test) in zip(sessions, splits, strict=True)]
    table = pre.evaluate(sessions, tasks=options.tasks)
    _print_scores({"MtM": table}, "Bits per spike, over all spikes")
    if options.csv is not None:
        options.csv.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(options.csv, index=False)
        print(f"Wrote {options.csv}")


def _compare(options: argparse.Namespace) -> None:
    import matplotlib

    from .. import plots
    from ..comparison import VARIANTS, compare, contrast
    from ..pretrainer import MtMPretrainer

    _check_new(options.out, "--out", overwrite=options.resume)
    plots.need_matplotlib()
    matplotlib.use("agg")
    names = options.variants or list(VARIANTS)
    table = compare(
        _read(options.files),
        variants=names,
        estimator=MtMPretrainer(max_epochs=options.epochs, device=options.device, verbose=1),
        seeds=options.seeds,
        path=options.out / "scores.csv",
    )
    for name in names[1:]:
        print(f"\n{names[0]} against {name}, bits per spike over all spikes")
        print(contrast(table, names[0], name).round(3).to_string(index=False))
        figure = plots.plot_paired(table, models=(name, names[0]))
        figure.savefig(options.out / f"{names[0]}_against_{name}.png".replace(" ", "_"), dpi=120)
    print(f"Wrote scores.csv and pictures into {options.out.resolve()}")


def _benchmark(options: argparse.Namespace) -> None:
    from ..benchmark import score_submission, write_ground_truth, write_submission
    from ..pretrainer import MtMPretrainer, load

    if options.model is None:
        estimator = MtMPretrainer(max_epochs=options.epochs, device=options.device)
    else:
        estimator = load(options.model).set_params(device=options.device)
    submission = options.out / options.label
    for tasks, sessions in _scored(options.files, options.tasks):
        if options.ground_truth is not None:  # first, since it takes no time to fail
            write_ground_truth(sessions, options.ground_truth, tasks=tasks)
        submission = write_submission(
            sessions,
            options.out,
            label=options.label,
            tasks=tasks,
            seeds=options.seeds,
            estimator=estimator,
            progress=print,
        )
    print(f"The submission is {submission}.")
    if options.ground_truth is not None:
        table = score_submission(submission, options.ground_truth)
        scores = table[table["primary"]].groupby(["session", "task", "metric"])["score"]
        print(scores.agg(["mean", "sem", "count"]).round(4).to_string())


def _scored(
    files: Sequence[str], tasks: Sequence[str]
) -> Iterator[tuple[Sequence[str], list[Session]]]:
    """Yield the sessions to fit and score, with their tasks; the benchmark's own one at a time."""
    from ..benchmark import find_recordings, read_recording

    ours = [path for path in files if path.endswith(".npz")]
    if ours:
        yield tasks, _read(ours)
    theirs = [path for path in files if path not in ours]
    for path, served in find_recordings(theirs, tasks) if theirs else []:
        for shared, session in read_recording(path, served):
            yield shared, [session]


def _read(files: Sequence[str]) -> list[Session]:
    from ..datasets.npz import load_npz

    return [load_npz(path) for path in files]


def _split(session: Session, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Give training and test trials, the same ones for the same number of trials."""
    n_test = round(fraction * len(session))
    if n_test == len(session):
        raise InvalidInputError(
            f"--test-fraction {fraction} leaves none of the {n_test} trials of session "
            f"{session.session_id!r} to fit; expected less."
        )
    return hold_out(len(session), n_test, np.random.default_rng(0))


def _print_scores(tables: dict[str, pd.DataFrame], title: str) -> None:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..evaluation import summarise

    summary = pd.concat(
        [summarise(table).assign(model=name) for name, table in tables.items()], ignore_index=True
    )
    tasks = list(dict.fromkeys(summary["task"]))
    several = summary["session"].nunique() > 1
    shown = Table(title=title)
    for heading in ["model", *(["session"] if several else []), *tasks]:
        shown.add_column(heading, justify="left" if heading in ("model", "session") else "right")
    for (name, session), part in summary.groupby(["model", "session"], sort=False):
        values = part.set_index("task")["bps_weighted"]
        cells = [f"{values[t]:.3f}" if t in values else "" for t in tasks]
        names = [name, session] if several else [name]
        shown.add_row(*map(Text, names), *cells)  # text: a session's name is no markup
    Console(width=100).print(shown)
    print("neuromask.summarise gives means over neurons beside this, as papers report them.")


def _check_new(path: Path, option: str, *, overwrite: bool = False) -> None:
    """Refuse, before any work, a place where the results could not be written."""
    if overwrite and path.is_dir():
        return
    if path.exists():
        cure = " or pass --overwrite" if current_call() == "demo" and path.is_dir() else ""
        raise InvalidInputError(f"{path} exists; choose another {option}{cure}.")
    parent = next(p for p in path.absolute().parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise InvalidInputError(f"{parent} cannot be written to; choose another {option}.")
