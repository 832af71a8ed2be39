"""Sessions of recordings without trials, cut into windows, and the recording of the windows again."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from .._checks import as_array
from .._counts import read_spikes
from ..errors import InvalidInputError, about, public
from ..session import Session
from .courses import UNEVEN, read_course
from .report import Report
from .trials import IN_A_GAP, check_unrecorded
from .windows import N_BLOCKS, check_window, place_windows

__all__ = ["cut_windows", "join_windows"]


# Windows that fill a smaller share of their recording than one in so many, in more bytes than these, have
# wrong starts.
SPARSE, MANY_BYTES = 1000, 2**28


@public
def cut_windows(
    counts: Any,
    regions: Any = None,
    *,
    bin_width: float | None = None,
    window: float = 1.0,
    step: float | None = None,
    signals: Mapping[str, Any] | None = None,
    observed: Any = None,
    neurons: pd.DataFrame | None = None,
    n_blocks: int = N_BLOCKS,
    unrecorded: str = "drop",
    session_id: str = "session",
    subject: str | None = None,
    t_first: float = 0.0,
) -> Session:
    """Cut a recording without trials, such as one of sleep, into windows.

    Windows tile each stretch of the recording from its start. Gaps are rows of NaN, masked or not
    `observed` for all neurons, and jumps of the times where there are any.

    Parameters
    ----------
    counts : array-like of int (time, neurons)
        Spike counts per bin; NaN and masked entries mean not observed. An xarray.DataArray, a pynapple
        TsdFrame or a DataFrame may have times, in seconds, and the neurons' names or coordinates.
    regions : array-like of str (neurons,), optional
        Brain region of each neuron.
    bin_width : float, optional
        Seconds; by default the step of the times, where `counts` has these.
    window : float, default=1.0
        Seconds of a window, a whole number of bins.
    step : float, optional
        Seconds from the start of a window to that of the next, a whole number of bins. By default
        windows lie side by side; with a smaller step they overlap, a larger one leaves time out.
    signals : mapping of str to array (time,) or (time, variables), optional
        Signals, one value a bin, such as wheel speed.
    observed : array-like of bool (time,) or (time, neurons), optional
        False where nothing was recorded.
    neurons : DataFrame, optional
        One row a neuron.
    n_blocks : int, default=10
        About how many blocks the recording is cut into.
    unrecorded : {"drop", "mark", "refuse"}, default="drop"
        What becomes of time in which no neuron was recorded. With "drop" no window touches it; with
        "mark" windows tile the whole recording, and such bins are not observed. Neurons that were
        recorded for a part of the time are always kept and marked.
    session_id : str, default="session"
        Name of the session; models know sessions by it.
    subject : str, optional
        Name of the animal.
    t_first : float, default=0.0
        Seconds at which the first bin starts, on the clock of the recording. The times of `counts` do
        not say, as they may be starts or centres of bins.

    Returns
    -------
    Session
        Its `trials` are windows, with the columns ``start`` (seconds) and ``block`` (int). Blocks are
        stretches of about equal numbers of windows; windows of different blocks share no bin, so that
        these are the groups to cross-validate by. Its `report` says what was left out.

    Raises
    ------
    InvalidInputError
        If axes or lengths are wrong, the window is no whole number of bins, or no window fits.

    Warns
    -----
    NeuromaskWarning
        If times jump by no whole number of bins.

    See Also
    --------
    join_windows : the recording of these windows.
    from_spike_times : the same from spike times.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(0.2, (3000, 8))  # a minute in bins of 20 ms
    >>> session = cut_windows(counts, ["CA1"] * 8, bin_width=0.02)
    >>> session.shape
    (60, 50, 8)
    >>> session.trials.tail(2)
        start  block
    58   58.0      9
    59   59.0      9
    """
    check_unrecorded(unrecorded)
    if not isinstance(t_first, Real) or not np.isfinite(t_first):
        raise InvalidInputError(f"t_first={t_first!r}; expected the seconds of the first bin.")
    course = read_course(counts, bin_width, _n_labels(regions, neurons))
    length, pace = check_window(window, step, course.bin_width)
    n_rows, n_neurons = course.values.shape
    if n_rows < length:
        raise InvalidInputError(
            f"counts has {n_rows} bins of {course.bin_width:g} s and {n_neurons} neurons, and a window "
            f"of {window:g} s has {length} bins; expected at least one. Choose a shorter window; if "
            "the axes are (neurons, time), give counts.T."
        )
    sampled = _read_signals(signals, n_rows)
    with about("counts"):
        found, seen = read_spikes(
            course.values[None], _read_observed(observed, course.values.shape)
        )
    found = found[0]
    seen = None if seen is None else seen[0]
    report = Report()
    # The row of each bin, -1 where times jump, and whether anything was recorded in it.
    row = np.full(course.place[-1] + 1, -1)
    row[course.place] = np.arange(n_rows)
    recorded = (row >= 0) & (True if seen is None else seen.any(1)[row])
    report.dropped("bins", IN_A_GAP, (~recorded).sum(), recorded.sum())
    _refuse_gaps(recorded, unrecorded, course.bin_width, t_first)
    if unrecorded == "mark":
        first, n_bins = np.array([0]), np.array([len(row)])
    else:
        edges = np.flatnonzero(np.diff(np.r_[False, recorded, False]))
        first, n_bins = edges[::2], edges[1::2] - edges[::2]
    starts, block = place_windows(first, n_bins, length, pace, course.bin_width, n_blocks, report)
    some = recorded[starts[:, None] + np.arange(length)].any(1)
    report.dropped("windows", IN_A_GAP, (~some).sum(), some.sum())
    starts, block = starts[some], np.unique(block[some], return_inverse=True)[1]
    bins = starts[:, None] + np.arange(length)
    report.noted("windows", f"with bins {IN_A_GAP}, marked", (~recorded[bins]).any(1).sum())
    rows = row[bins]
    there = None
    if seen is not None or (rows < 0).any():
        there = np.broadcast_to((rows >= 0)[:, :, None], (*rows.shape, n_neurons))
        there = there if seen is None else there & seen[rows]
    session = Session(
        found[rows],
        regions,
        neurons=course.neurons if neurons is None else neurons,
        trials={"start": t_first + starts * course.bin_width, "block": block},
        signals={name: _at_rows(values, rows) for name, values in sampled.items()},
        bin_width=course.bin_width,
        t_start=0.0,
        observed=there,
        session_id=session_id,
        subject=subject,
    )
    return _report_neurons(session, recorded[bins], report)


@public
def join_windows(session: Session) -> Session:
    """Put windows together to one long trial, the whole recording.

    A fitted model predicts and embeds it: ``pre.predict(join_windows(session))[0]``.

    Parameters
    ----------
    session : Session
        Windows of :func:`cut_windows`, or of :func:`from_spike_times` without events; any of them,
        in any order. The column ``start`` of its `trials` says where each lies.

    Returns
    -------
    Session
        One trial, from the first window to the last. What lies in no window is not observed, and
        signals are NaN there. Its `trials` have the column ``start``.

    Raises
    ------
    InvalidInputError
        If starts or the bin width are not known, starts do not lie on one grid of bins, or windows
        that overlap hold other counts.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.random.default_rng(0).poisson(0.2, (3000, 8))
    >>> session = cut_windows(counts, bin_width=0.02, step=0.5)
    >>> np.array_equal(join_windows(session).counts[0], counts)
    True
    """
    start, first = _read_starts(session)
    n_time = int(first.max()) + session.n_time
    shape = (n_time, session.n_neurons)
    counts, there = np.zeros(shape, session.counts.dtype), np.zeros(shape, bool)
    rates = None if session.rates is None else np.full(shape, np.nan, np.float32)
    signals = {
        name: np.full((n_time, *values.shape[2:]), np.nan)
        for name, values in session.signals.items()
    }
    for i, at in enumerate(first):
        place = slice(at, at + session.n_time)
        seen = True if session.observed is None else session.observed[i]
        other = there[place] & seen & (counts[place] != session.counts[i])
        if other.any():
            raise InvalidInputError(
                f"window {i}, from {start[i]:g} s, has other counts than a window that it overlaps "
                f"with, first at bin {np.argwhere(other)[0][0]}; expected windows of one recording. "
                "Check the column 'start' and bin_width."
            )
        # Counts are 0 where they were not observed.
        counts[place] = np.maximum(counts[place], session.counts[i])
        there[place] |= seen
        if rates is not None and session.rates is not None:
            rates[place] = session.rates[i]
        for name, values in session.signals.items():
            signals[name][place] = values[i]
    return Session(
        counts[None],
        neurons=session.neurons,
        trials={"start": start[[int(first.argmin())]]},
        signals={name: values[None] for name, values in signals.items()},
        bin_width=session.bin_width,
        t_start=session.t_start,
        observed=there[None],
        session_id=session.session_id,
        subject=session.subject,
        rates=None if rates is None else rates[None],
        report=session.report,
    )


def _read_starts(session: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give the start of each window in seconds, and its first bin, counted from the earliest."""
    if not isinstance(session, Session):
        raise InvalidInputError(
            f"expected a Session of windows, such as of cut_windows; given {type(session).__name__}."
        )
    if "start" not in session.trials or not len(session):
        raise InvalidInputError(
            f"trials has the columns {list(session.trials.columns)} and {len(session)} rows; expected "
            "'start', the seconds at which each window starts. cut_windows makes it."
        )
    if session.bin_width is None:
        raise InvalidInputError(
            "the bin width of the session is not known; give bin_width=... to Session."
        )
    try:
        start = session.trials["start"].to_numpy(dtype=float)
    except (TypeError, ValueError):
        start = np.full(len(session), np.nan)
    lacking = np.flatnonzero(~np.isfinite(start))
    if len(lacking):
        raise InvalidInputError(
            f"the start of {len(lacking)} windows is no number, the first is window {lacking[0]}; "
            "expected seconds."
        )
    exact = (start - start.min()) / session.bin_width
    first = np.rint(exact).astype(int)
    off = np.flatnonzero(np.abs(exact - first) > UNEVEN)
    if len(off):
        raise InvalidInputError(
            f"{len(off)} windows start between the bins of {session.bin_width:g} s of the earliest, "
            f"the first is window {off[0]}, at {start[off[0]]:g} s; expected starts that are whole bins "
            "apart."
        )
    n_bins, n_given = int(first.max()) + session.n_time, len(session) * session.n_time
    if n_bins > SPARSE * n_given and n_bins * session.n_neurons > MANY_BYTES:
        raise InvalidInputError(
            f"windows start up to {start.max():g} s, so that they fill {n_given} of {n_bins} bins; expected "
            "windows of one recording. Check the column 'start'."
        )
    return start, first


def _n_labels(regions: Any, neurons: Any) -> int | None:
    """Say how many neurons there are by regions or a table."""
    given = neurons if regions is None else regions
    shape = np.shape(np.asarray(given, dtype=object)) if given is not None else ()
    return shape[0] if shape else None


def _read_signals(signals: Any, n_rows: int) -> dict[str, np.ndarray]:
    """Check signals over the recording."""
    if signals is not None and not isinstance(signals, Mapping):
        raise InvalidInputError(
            f"signals is a {type(signals).__name__}; expected a mapping from names to arrays."
        )
    read = {}
    for name, signal in (signals or {}).items():
        values = as_array(f"signal {name!r}", getattr(signal, "values", signal))
        if values.ndim not in (1, 2) or len(values) != n_rows or values.dtype.kind not in "biuf":
            raise InvalidInputError(
                f"signal {name!r} has {values.dtype} values of shape {values.shape}; expected numbers, "
                f"({n_rows},) or ({n_rows}, variables), one a bin. Bring samples of another rate to the "
                "bins first, such as by numpy.interp."
            )
        read[str(name)] = values.astype(float)
    return read


def _read_observed(observed: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Check where the recording was observed, and give it for one trial."""
    if observed is None:
        return None
    there = as_array("observed", getattr(observed, "values", observed))
    if there.shape not in (shape, shape[:1]):
        raise InvalidInputError(
            f"observed has shape {there.shape}; expected {shape[:1]}, one a bin, or {shape}."
        )
    return there.reshape(1, shape[0], -1)


def _refuse_gaps(recorded: np.ndarray, unrecorded: str, bin_width: float, t_first: float) -> None:
    gap = np.flatnonzero(~recorded)
    if len(gap) == len(recorded):
        raise InvalidInputError(
            f"nothing was recorded in any of {len(recorded)} bins; expected counts somewhere. Check "
            "observed, or the NaN or masked entries of counts."
        )
    if unrecorded == "refuse" and len(gap):
        raise InvalidInputError(
            f"{len(gap)} of {len(recorded)} bins are {IN_A_GAP}, the first at "
            f"{t_first + gap[0] * bin_width:g} s. Set unrecorded='drop' for windows between the gaps, "
            "or 'mark' for windows with bins that are marked as not observed."
        )


def _at_rows(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Take rows of a signal, NaN where there is none (-1)."""
    taken = values[rows]
    taken[rows < 0] = np.nan
    return taken


def _report_neurons(session: Session, recorded: np.ndarray, report: Report) -> Session:
    """Leave out neurons that no window has, note those that were there for a part, and report all.

    `recorded` says in which bins of windows some neuron was (windows, time).
    """
    if session.observed is not None:
        seen = session.observed.any((0, 1))
        report.dropped("neurons", "recorded in no window", (~seen).sum(), seen.sum())
        session = session if seen.all() else session.select_neurons(seen)
    if session.observed is not None:
        partly = (recorded[:, :, None] & ~session.observed).any((0, 1))
        report.noted("neurons", "recorded for a part of the time, marked", partly.sum())
    session.report = report.table()
    return session
