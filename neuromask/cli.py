"""Command line: ``neuromask demo``, ``neuromask pretrain`` and ``neuromask evaluate``."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ._errors import InvalidInputError, NeuromaskWarning

__all__ = ["main"]

EXAMPLES = """\
examples:
  neuromask demo                                   see it work on a simulated recording
  neuromask pretrain monday.npz --out model        fit one recording, score it on held-out trials
  neuromask pretrain mouse*.npz --out model        fit several sessions together
  neuromask evaluate model monday.npz --csv s.csv  score recordings with a saved model

Recordings are .npz files of neuromask.Session.save; in Python:
  neuromask.Session(counts, regions, bin_width=0.02, session_id="monday").save("monday.npz")
with spike counts of shape (trials, time, neurons) and one region name per neuron."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 when all went well, 2 for input that cannot be used.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", NeuromaskWarning)
            warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
            options.run(options)
    except (InvalidInputError, ImportError, OSError) as error:
        if options.debug:
            raise
        print(f"neuromask: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neuromask",
        description="Multi-task-masking models of neural spiking activity.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="fit and score a simulated recording",
        description="Simulate a recording of four regions, fit it, score held-out trials against "
        "baselines and the true rates, and draw pictures.",
    )
    demo.add_argument("--out", default="demo_output", type=Path, help="folder for the results")
    demo.add_argument("--overwrite", action="store_true", help="write into an existing folder")
    demo.add_argument("--trials", default=500, type=int, help="trials, a fifth for testing")
    demo.add_argument("--neurons", default=160, type=int, help="neurons")
    demo.add_argument("--epochs", default=100, type=int, help="most passes over the trials")
    demo.set_defaults(run=_demo)

    pretrain = commands.add_parser(
        "pretrain",
        help="fit recordings and save the model",
        description="Fit one model to one or several recordings, score trials held out for "
        "testing, and save the model.",
    )
    pretrain.add_argument("files", nargs="+", metavar="FILE", help="recordings (.npz)")
    pretrain.add_argument("--out", required=True, type=Path, help="folder for the model")
    pretrain.add_argument("--epochs", default=200, type=int, help="most passes over the trials")
    pretrain.add_argument("--random-state", default=0, type=int, help="seed of everything")
    pretrain.add_argument("--device", default="auto", help="auto, cpu or cuda")
    pretrain.add_argument("--test-fraction", default=0.2, type=float, help="trials not fitted")
    pretrain.add_argument(
        "--ignore-regions", nargs="*", default=["root", "void"], help="regions never targets"
    )
    pretrain.set_defaults(run=_pretrain)

    score = commands.add_parser(
        "evaluate",
        help="score recordings with a saved model",
        description="Score recordings of sessions that a saved model was fitted on. Trials that "
        "it was fitted on score too well: pass recordings of other trials.",
    )
    score.add_argument("model", type=Path, metavar="DIR", help="folder of a saved model")
    score.add_argument("files", nargs="+", metavar="FILE", help="recordings (.npz)")
    score.add_argument("--tasks", nargs="+", help="tasks to score; all by default")
    score.add_argument("--csv", type=Path, help="file for the scores of every neuron")
    score.set_defaults(run=_evaluate)
    return parser


def _demo(options: argparse.Namespace) -> None:
    from . import baselines
    from .datasets.simulate import simulate
    from .evaluation import evaluate
    from .pretrainer import MtMPretrainer

    _refuse_existing(options.out, options.overwrite)
    if options.trials < 20:
        raise InvalidInputError(f"demo: --trials {options.trials}; expected at least 20.")
    session = simulate(options.trials, n_neurons=options.neurons, random_state=0)
    n_train = options.trials - options.trials // 5
    train, test = session[:n_train], session[n_train:]
    print(f"Simulated {session}\nFitting on {n_train} trials, testing on {len(test)}.")
    start = time.perf_counter()
    pre = MtMPretrainer(max_epochs=options.epochs, random_state=0, verbose=1).fit(train)
    print(f"Fitted in {time.perf_counter() - start:.0f} s. Scoring.")
    truth = {"rates": test.rates}
    tables = {
        "mean rate": evaluate(baselines.MeanRate().fit(train).predict_rates, test),
        "PSTH": evaluate(baselines.PSTH().fit(train).predict_rates, test),
        "MtM": pre.evaluate(test),
        "true rates (ceiling)": evaluate(_Repeat(truth["rates"]), test),
    }
    _print_scores(tables, "Bits per spike on test trials, mean over neurons")
    options.out.mkdir(parents=True, exist_ok=True)
    tables["MtM"].to_csv(options.out / "scores.csv", index=False)
    pictures = _demo_pictures(options.out, pre, test, tables["MtM"])
    print("Wrote " + ", ".join(str(path) for path in [options.out / "scores.csv", *pictures]))


class _Repeat:
    """Answers with the true rates of the test trials, whatever is asked."""

    def __init__(self, rates: np.ndarray) -> None:
        self.rates = rates

    def __call__(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        return np.tile(self.rates, (len(counts) // len(self.rates), 1, 1))


def _demo_pictures(folder, pre, test, table) -> list[Path]:
    import matplotlib

    matplotlib.use("agg")
    from . import plots

    # The busiest region, predicted from the other three.
    target = str(table.groupby("region")["n_spikes"].sum().idxmax())
    others = sorted(set(test.regions) - {target})
    inside = test.select_regions(target)
    translated = pre.translate(test, source=others, target=target)
    figures = {
        "scores.png": plots.plot_scores(table).figure,
        "regions.png": plots.plot_regions(table).figure,
        "history.png": plots.plot_history(pre.history_).figure,
        f"{target}_from_other_regions.png": plots.plot_rates(
            inside.counts, translated, true_rates=inside.rates, bin_width=inside.bin_width
        ),
    }
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in figures]


def _pretrain(options: argparse.Namespace) -> None:
    from ._checkpoint import check_new_folder
    from ._validation import check_fraction
    from .pretrainer import MtMPretrainer

    check_new_folder(options.out, caller="pretrain")
    check_fraction("--test-fraction", options.test_fraction, caller="pretrain")
    sessions = _read(options.files)
    train, test = zip(*(_split(s, options.test_fraction) for s in sessions), strict=True)
    pre = MtMPretrainer(
        max_epochs=options.epochs,
        random_state=options.random_state,
        device=options.device,
        ignore_regions=tuple(options.ignore_regions),
        verbose=1,
    )
    pre.fit(list(train))
    pre.save(options.out)
    print(f"Saved the model to {options.out}.")
    if len(pre.excluded_):
        counts = pre.excluded_.groupby(["item", "reason"]).size()
        notes = [f"{n} {item}(s): {reason}" for (item, reason), n in counts.items()]
        print("Left out: " + "; ".join(notes))
    tested = [s for s in test if len(s)]
    if tested:
        _print_scores({"MtM": pre.evaluate(tested)}, "Bits per spike on held-out trials")


def _evaluate(options: argparse.Namespace) -> None:
    from .persistence import load

    if options.csv is not None and options.csv.exists():
        raise InvalidInputError(f"evaluate: {options.csv} exists; choose another file.")
    pre = load(options.model)
    table = pre.evaluate(_read(options.files), tasks=options.tasks)
    _print_scores({"MtM": table}, "Bits per spike, mean over neurons")
    if options.csv is not None:
        table.to_csv(options.csv, index=False)
        print(f"Wrote {options.csv}")


def _read(files: Sequence[str]) -> list:
    from .datasets.npz import load_npz

    return [load_npz(path) for path in files]


def _split(session, fraction: float):
    """Hold trials out for testing, the same ones for the same number of trials."""
    order = np.random.default_rng(0).permutation(len(session))
    n_test = round(fraction * len(session))
    return session[np.sort(order[n_test:])], session[np.sort(order[:n_test])]


def _print_scores(tables: dict, title: str) -> None:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from .evaluation import summarise

    summary = pd.concat(
        [summarise(table).assign(model=name) for name, table in tables.items()], ignore_index=True
    )
    tasks = list(dict.fromkeys(summary["task"]))
    several = summary["session"].nunique() > 1
    shown = Table(title=title)
    for heading in ["model", *(["session"] if several else []), *tasks]:
        shown.add_column(heading, justify="left" if heading in ("model", "session") else "right")
    for (name, session), part in summary.groupby(["model", "session"], sort=False):
        values = part.set_index("task")["bps"]
        cells = [f"{values[t]:.3f}" if t in values else "" for t in tasks]
        shown.add_row(name, *([session] if several else []), *cells)
    Console(width=100).print(shown)


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise InvalidInputError(f"demo: {folder} exists; choose another --out or pass --overwrite.")
