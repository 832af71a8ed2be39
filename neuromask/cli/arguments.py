"""What the command line understands, and the help that teaches it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .. import __version__

__all__ = ["build_parser", "print_error"]

EXAMPLES = """\
examples:
  neuromask demo                                   see it work on a simulated recording
  neuromask pretrain monday.npz --out model        fit one recording, score it on held-out trials
  neuromask pretrain mouse*.npz --out model        fit several sessions together
  neuromask evaluate model monday.npz --csv s.csv  score recordings with a saved model
  neuromask compare monday.npz --out comparison    multi-task masking against other schemes
  neuromask benchmark *.npz --out predictions ...  a submission to BrainWideBench

Recordings are .npz files of neuromask.Session.save; in Python:
  neuromask.Session(counts, regions, bin_width=0.02, session_id="monday").save("monday.npz")
with spike counts of shape (trials, time, neurons) and one region name per neuron."""


EPOCHS = "most passes over the trials (auto: 66 for one session, 100 for several)"


def print_error(message: str) -> int:
    """Print an error as one line and give the exit status."""
    print(f"neuromask: error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; the name of the chosen one is in ``command``."""
    parser = _Parser(
        prog="neuromask",
        description="Multi-task-masking models of neural spiking activity.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"neuromask {__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = _command(
        commands,
        "demo",
        "fit and score a simulated recording",
        "Simulate a recording of four regions, fit it, score held-out trials against baselines "
        "and the true rates, and draw pictures.",
        ["neuromask demo", "neuromask demo --out quick --trials 200 --epochs 30"],
    )
    demo.add_argument("--out", default="demo_output", type=Path, help="folder for the results")
    demo.add_argument("--overwrite", action="store_true", help="write into an existing folder")
    demo.add_argument("--trials", default=300, type=int, help="trials, a fifth for testing")
    demo.add_argument("--neurons", default=80, type=int, help="neurons")
    demo.add_argument("--epochs", default=60, type=int, help="most passes over the trials")

    pretrain = _command(
        commands,
        "pretrain",
        "fit recordings and save the model",
        "Fit one model to one or several recordings, save it, and score the trials of each "
        "recording that were held out for testing.",
        [
            "neuromask pretrain monday.npz --out model",
            "neuromask pretrain mouse*.npz --out model --epochs 400 --device cuda",
        ],
    )
    pretrain.add_argument("files", nargs="+", metavar="FILE", help="recordings (.npz)")
    pretrain.add_argument("--out", required=True, type=Path, help="new folder for the model")
    pretrain.add_argument("--epochs", default="auto", type=_epochs, help=EPOCHS)
    pretrain.add_argument("--random-state", default=0, type=int, help="seed of everything")
    pretrain.add_argument("--device", default="auto", help="auto, cpu or cuda")
    pretrain.add_argument(
        "--test-fraction", default=0.2, type=float, help="share of trials kept for the test"
    )
    pretrain.add_argument(
        "--ignore-regions",
        nargs="*",
        default=["root", "void"],
        metavar="REGION",
        help="regions that are seen but never targets (root void); alone, none is ignored",
    )

    score = _command(
        commands,
        "evaluate",
        "score recordings with a saved model",
        "Score recordings of sessions that a saved model was fitted on. Trials that it was fitted "
        "on score too well: pass recordings of other trials, or --test-fraction.",
        [
            "neuromask evaluate model monday_later.npz --csv scores.csv",
            "neuromask evaluate model monday.npz --test-fraction 0.2 --tasks co_smoothing",
        ],
    )
    score.add_argument("model", type=Path, metavar="DIR", help="folder of a saved model")
    score.add_argument("files", nargs="+", metavar="FILE", help="recordings (.npz)")
    score.add_argument(
        "--tasks",
        nargs="+",
        metavar="TASK",
        help="of co_smoothing, forward_prediction, intra_region, inter_region; all by default",
    )
    score.add_argument("--csv", type=Path, help="new file for the scores of every neuron")
    score.add_argument(
        "--test-fraction",
        type=float,
        help="score only the trials that pretrain with this fraction held out of the same files",
    )
    contest = _command(
        commands,
        "compare",
        "compare masking schemes on recordings",
        "Fit variants (multi-task masking, temporal masking, each scheme alone, no prompt) to each "
        "recording alone, score them on the same held-out trials, and draw each variant against "
        "the first one.",
        [
            "neuromask compare monday.npz --out comparison --variants MtM temporal",
            "neuromask compare mouse*.npz --out comparison --seeds 0 1 2",
        ],
    )
    contest.add_argument("files", nargs="+", metavar="FILE", help="recordings (.npz)")
    contest.add_argument("--out", required=True, type=Path, help="new folder for the results")
    contest.add_argument(
        "--resume", action="store_true", help="go on with a comparison that was stopped"
    )
    contest.add_argument("--variants", nargs="+", metavar="NAME", help="all by default")
    contest.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="N", help="seeds (0)")
    contest.add_argument("--epochs", default="auto", type=_epochs, help=EPOCHS)
    contest.add_argument("--device", default="auto", help="auto, cpu or cuda")

    suite = _command(
        commands,
        "benchmark",
        "write a submission to BrainWideBench",
        "Fit each recording with each seed, predict its test trials, and write them as a submission "
        "to BrainWideBench. Files that are there are not made again, so that a run can be stopped "
        "and repeated. The benchmark's own files (.h5) are cut as its protocol says. Recordings of "
        "your own (.npz) must be cut to the window that the tasks score, and say in trials['split'] "
        "what each trial is for.",
        [
            "neuromask benchmark data --out predictions --label MtM --tasks choice --ground-truth truth",
            "neuromask benchmark movement/*.npz --out predictions --label MtM --tasks wheel_speed",
        ],
    )
    suite.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="recordings: the benchmark's (.h5), or a folder of them; or your own (.npz)",
    )
    suite.add_argument("--out", required=True, type=Path, help="folder for the predictions")
    suite.add_argument("--label", required=True, help="name of the submission")
    suite.add_argument(
        "--tasks",
        required=True,
        nargs="+",
        metavar="TASK",
        help="of choice, reward, stimulus_contrast, whisker_motion_energy, wheel_speed, "
        "right_paw_speed, left_paw_speed, co_smoothing, forecasting",
    )
    suite.add_argument(
        "--seeds", nargs="+", type=int, metavar="N", help="seeds; those of the protocol by default"
    )
    suite.add_argument("--model", type=Path, help="saved model to fine-tune, instead of a new one")
    suite.add_argument("--epochs", default="auto", type=_epochs, help=EPOCHS)
    suite.add_argument("--device", default="auto", help="auto, cpu or cuda")
    suite.add_argument(
        "--ground-truth",
        type=Path,
        help="folder for the truth of the test trials; the predictions are then scored with it",
    )
    return parser


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    summary: str,
    description: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    """Add a subcommand whose help ends with examples."""
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    # Taken after the subcommand too; SUPPRESS keeps a --debug given before it.
    command.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of errors"
    )
    return command


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wraps the description, keeps the examples' lines, and shows defaults."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default = action.default
        shown = isinstance(default, (str, int, float, Path)) and not isinstance(default, bool)
        if shown and default != argparse.SUPPRESS:
            return f"{action.help} (default: %(default)s)"
        return action.help


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(print_error(f"{message}. See {self.prog} --help."))


def _epochs(text: str) -> int | str:
    """Read a number of epochs, or auto."""
    return text if text == "auto" else int(text)


# What argparse calls a value that `_epochs` refuses.
_epochs.__name__ = "number of epochs"
