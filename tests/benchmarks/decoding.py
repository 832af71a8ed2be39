"""Measure decoding of behaviour on real recordings, beside scikit-learn baselines on the same folds.

    python tests/benchmarks/decoding.py folds 1 2 4 5 12 13 14 15 [--csv folds.csv]
    python tests/benchmarks/decoding.py few 1 2 4 5 12 13 14 15 [--csv few.csv] [--picture few.png]
    python tests/benchmarks/decoding.py cost 12
    python tests/benchmarks/decoding.py simulated 0 1

``folds``: stimulus side (trials whose contrasts differ) and feedback, balanced accuracy, 5-fold
stratified cross-validation (shuffled, seed 0). The pretrainer is unfitted, so that each fold is
pretrained on its own training trials alone. ``few``: a fifth of the trials is the test; the rest is
pretrained on without labels, and few of them get labels, in repeated draws. ``cost``: seconds to
cross-validate a session with a pretrained model, by strategy. ``simulated``: whisker and choice of
simulated sessions of these seeds, beside decoders that see the true rates. Neurons of at least 0.01 counts per
bin on the training trials of the recordings' own split.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from recordings import FOLDER
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import neuromask as nm
from neuromask.decoding import (
    PerBinRegressor,
    compare_decoders,
    decoding_baselines,
    pooled_r2,
    summarise_decoders,
)

TARGETS = ("side", "feedback")
LABELS = (10, 20, 50, 100)


def load(number: int) -> nm.Session:
    """Return a recording with the protocol's neurons and both targets among its trials."""
    session = nm.load_npz(FOLDER / f"session{number:02d}.npz")
    training = np.random.default_rng(0).permutation(len(session))[: int(0.7 * len(session))]
    session = session.select_neurons(session.counts[training].mean((0, 1)) >= 0.01)
    trials = session.trials
    session.trials["side"] = np.sign(trials["contrast_right"] - trials["contrast_left"]).astype(int)
    return session


def labelled(session: nm.Session, target: str) -> nm.Session:
    """Return the trials in which a target is defined."""
    return session[session.trials["side"].to_numpy() != 0] if target == "side" else session


def folds(options: argparse.Namespace) -> pd.DataFrame:
    """Cross-validate every recording and target, pretraining inside each fold."""
    tables = []
    for number in options.numbers:
        for target in TARGETS:
            session = labelled(load(number), target)
            pre = nm.MtMPretrainer(max_epochs=options.epochs, random_state=0)
            models = {"MtM": nm.MtMDecoder(pre, finetune=options.finetune, random_state=0)}
            models |= decoding_baselines("classification")
            start = time.perf_counter()
            cv = StratifiedKFold(5, shuffle=True, random_state=0)
            table = compare_decoders(models, session, session.trials[target].to_numpy(), cv=cv)
            print(f"{number} {target} {len(session)} trials {time.perf_counter() - start:.0f} s")
            print(summarise_decoders(table).round(3).to_string(index=False), flush=True)
            tables.append(table.assign(session=number, target=target))
    return pd.concat(tables, ignore_index=True)


def few(options: argparse.Namespace) -> pd.DataFrame:
    """Decode with few labels after pretraining on all but the test trials."""
    rows = []
    for number in options.numbers:
        session = load(number)
        rest, test = train_test_split(
            np.arange(len(session)),
            test_size=0.2,
            random_state=0,
            stratify=session.trials["side"],
        )
        pre = nm.MtMPretrainer(max_epochs=options.epochs, random_state=0).fit(session[rest])
        models = {"MtM": nm.MtMDecoder(pre, random_state=0)} | decoding_baselines("classification")
        for target in TARGETS:
            y = session.trials[target].to_numpy()
            pool, scored = (labelled_rows(y, part, target) for part in (rest, test))
            for n_labels in LABELS:
                for draw in range(options.draws):
                    if n_labels >= len(pool):
                        continue
                    chosen, _ = train_test_split(
                        pool, train_size=n_labels, stratify=y[pool], random_state=draw
                    )
                    for name, model in models.items():
                        fitted = clone(model).fit(session[chosen], y[chosen])
                        score = balanced_accuracy_score(y[scored], fitted.predict(session[scored]))
                        rows.append((number, target, n_labels, draw, name, score))
            print(f"{number} {target} done", flush=True)
    columns = ["session", "target", "n_labels", "draw", "model", "score"]
    table = pd.DataFrame(rows, columns=columns)
    mean = table.groupby(["target", "n_labels", "model"])["score"].mean().unstack("model")
    print(mean[list(models)].round(3).to_string())
    if options.picture:
        draw_curves(table, list(models), options.picture)
    return table


def labelled_rows(y: np.ndarray, rows: np.ndarray, target: str) -> np.ndarray:
    """Return the rows in which a target is defined."""
    return rows[y[rows] != 0] if target == "side" else rows


def draw_curves(table: pd.DataFrame, models: list[str], path: Path) -> None:
    """Draw scores over numbers of labels, mean and standard error over recordings."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for ax, target in zip(axes, TARGETS, strict=True):
        for i, name in enumerate(models):
            part = table[(table["target"] == target) & (table["model"] == name)]
            means = part.groupby(["n_labels", "session"])["score"].mean().unstack("session")
            colour = nm.plots.COLOURS[i]
            ax.errorbar(
                means.index, means.mean(1), means.sem(axis=1), marker="o", color=colour, label=name
            )
        ax.axhline(0.5, color="grey", lw=0.8, ls=":")
        ax.set_xscale("log")
        ax.set_xticks(LABELS, [str(n) for n in LABELS])
        ax.minorticks_off()
        ax.set_xlabel("labelled trials")
        ax.set_title(target)
    axes[0].set_ylabel("balanced accuracy")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=120)


def cost(options: argparse.Namespace) -> pd.DataFrame:
    """Time 5-fold cross-validation with a pretrained model."""
    rows = []
    for number in options.numbers:
        session = load(number)
        pre = nm.MtMPretrainer(max_epochs=options.epochs, random_state=0).fit(session)
        for strategy in ("head", "gradual", "full"):
            decoder = nm.MtMDecoder(pre, finetune=strategy, random_state=0)
            start = time.perf_counter()
            scores = cross_val_score(
                decoder, session, session.trials["feedback"], cv=5, scoring="balanced_accuracy"
            )
            seconds = time.perf_counter() - start
            rows.append((number, len(session), strategy, seconds, scores.mean()))
    table = pd.DataFrame(rows, columns=["session", "n_trials", "finetune", "seconds", "score"])
    print(table.round(3).to_string(index=False))
    return table


def simulated(options: argparse.Namespace) -> pd.DataFrame:
    """Decode simulated sessions, beside the same read-outs of the true log-rates."""
    rows = []
    for seed in options.numbers:
        session = nm.simulate(500, random_state=seed)
        train, test = session[:400], session[400:]
        pre = nm.MtMPretrainer(max_epochs=options.epochs, random_state=0).fit(train)
        whisker = nm.MtMDecoder(pre, task="regression", random_state=0)
        whisker.fit(train, train.signals["whisker"])
        truth = test.signals["whisker"]
        ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
        best = PerBinRegressor(ridge).fit(np.log(train.rates), train.signals["whisker"])
        counts = decoding_baselines("regression", per_bin=True)["smoothed counts"]
        counts.fit(train, train.signals["whisker"])
        rows.append(
            {
                "seed": seed,
                "target": "whisker (R²)",
                "MtM": whisker.score(test, truth),
                "true rates": pooled_r2(truth, best.predict(np.log(test.rates))),
                "smoothed counts": pooled_r2(truth, counts.predict(test)),
            }
        )
        for name in ("choice", "stimulus"):
            y, answer = train.trials[name], test.trials[name]
            models = {"MtM": nm.MtMDecoder(pre, random_state=0)}
            models |= decoding_baselines("classification")
            scores = {
                k: balanced_accuracy_score(answer, clone(m).fit(train, y).predict(test))
                for k, m in models.items()
            }
            logistic = make_pipeline(
                FunctionTransformer(lambda x: np.log(x).reshape(len(x), -1)),
                StandardScaler(),
                PCA(),
                GridSearchCV(LogisticRegression(max_iter=5000), {"C": np.logspace(-5, 1, 7)}),
            ).fit(train.rates, y)
            ceiling = balanced_accuracy_score(answer, logistic.predict(test.rates))
            scored = {"seed": seed, "target": f"{name} (balanced accuracy)", "true rates": ceiling}
            rows.append(scored | scores)
    table = pd.DataFrame(rows)
    table["share"] = table["MtM"] / table["true rates"]
    print(table.round(3).to_string(index=False))
    return table


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("folds", "few", "cost", "simulated"))
    parser.add_argument("numbers", nargs="+", type=int, help="recordings, or seeds")
    parser.add_argument("--epochs", type=int, default=40, help="of pretraining")
    parser.add_argument("--finetune", default="head", choices=("head", "gradual", "full"))
    parser.add_argument("--draws", type=int, default=10, help="draws of few labels")
    parser.add_argument("--csv", type=Path, help="write the table of all folds or draws")
    parser.add_argument("--picture", type=Path, help="draw the curve over numbers of labels")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    measure = {"folds": folds, "few": few, "cost": cost, "simulated": simulated}[options.what]
    table = measure(options)
    if options.csv:
        table.to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
