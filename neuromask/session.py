"""A recording session: spike counts with all that belongs to their neurons and trials."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ._axes import axis_of_length, other_order
from ._checks import as_array, as_names, check_name, check_path, check_regions
from ._counts import read_spikes
from ._files import whole_file
from ._plausible import warn_of_implausible
from ._tables import NAME_COLUMNS, plain_column, read_indices, read_table
from ._xarray import is_labelled, read_labelled
from .errors import InvalidInputError, calling, public, suggest

__all__ = ["Session", "as_session", "write_session"]

# Version 1 had nothing to say of what was not observed, which its readers would take for silence.
SESSION_FORMAT = 2
REPORT_COLUMNS = ("item", "reason", "dropped", "kept")


class Session:
    """Spike counts (trials, time, neurons) with their neurons, trials and signals.

    A Session is an ``X`` for scikit-learn: it is sliced by trial, and everything stays aligned.

    Parameters
    ----------
    counts : array-like of int, (trials, time, neurons)
        Spike counts per bin; kept as uint8 or uint16. NaN, and masked entries of a masked array, mean
        not observed.
    regions : array-like of str, (neurons,), optional
        Brain region of each neuron; shorthand for a column ``region`` in `neurons`.
    neurons : DataFrame, optional
        One row a neuron; a column ``region`` holds the regions. A column ``uuid``, ``uuids``,
        ``id``, ``unit_id``, ``cluster_id`` or ``cluster`` names the neurons, so that models notice
        when these come in another order, or are not the fitted ones.
    trials : DataFrame or mapping, optional
        One row a trial: choice, contrast, ...
    signals : mapping of str to array, optional
        Signals of shape (trials, time) or (trials, time, variables), such as wheel speed.
    bin_width : float, optional
        Width of a bin in seconds; None where it is not known.
    t_start : float, optional
        Seconds from the trial's event to the start of the first bin, negative where the trial begins
        before its event; None where it is not known.
    observed : array-like of bool, broadcast to (trials, time, neurons), optional
        False where nothing was recorded: bins after the end of a short trial, gaps, trials before a
        unit came or after it was lost. Such entries are never input, target, scored or averaged. As
        an attribute it is None where everything was observed, and `counts` are 0 where not.
    session_id : str, default="session"
        Name of the session; models know sessions by it.
    subject : str, optional
        Name of the animal.
    rates : array-like of float, (trials, time, neurons), optional
        True expected counts per bin, where they are known, as in simulations.
    report : DataFrame, optional
        What was left out when the session was read, a row a reason: item, reason, dropped, kept.

    Raises
    ------
    InvalidInputError
        If counts are not counts or anything has the wrong length.

    Examples
    --------
    >>> import numpy as np
    >>> session = Session(np.ones((4, 10, 3), int), ["CA1", "CA1", "VISp"], bin_width=0.02)
    >>> session[:2].select_regions("CA1").shape
    (2, 10, 2)

    Trials of 10, 10, 7 and 5 bins:

    >>> ends = np.array([10, 10, 7, 5])
    >>> there = np.arange(10) < ends[:, None]
    >>> Session(np.ones((4, 10, 3), int), observed=there[:, :, None])
    Session('session', 4 trials, 10 bins, 3 neurons, 80.0 % observed)
    """

    @public
    def __init__(
        self,
        counts: Any,
        regions: Any = None,
        *,
        neurons: pd.DataFrame | None = None,
        trials: pd.DataFrame | Mapping[str, Any] | None = None,
        signals: Mapping[str, Any] | None = None,
        bin_width: float | None = None,
        t_start: float | None = None,
        observed: Any = None,
        session_id: str = "session",
        subject: str | None = None,
        rates: Any = None,
        report: pd.DataFrame | None = None,
    ) -> None:
        if is_labelled(counts):
            raise InvalidInputError(
                f"counts is an xarray.{type(counts).__name__}, whose dims and coordinates are read by "
                "neuromask.Session.from_xarray(counts, ...). Use that, or pass counts.values."
            )
        found, where = read_spikes(counts, observed)
        self.counts = found
        self.observed = where
        n_trials, n_time, n_neurons = self.counts.shape
        self.neurons = read_table(
            neurons, n_neurons, "neurons", "neuron", lambda n: axis_of_length(n, self.shape)
        )
        if regions is not None:
            self.neurons["region"] = check_regions(regions, n_neurons, self.shape)
        elif "region" in self.neurons:
            self.neurons["region"] = check_regions(
                self.neurons["region"].to_numpy(object), n_neurons
            )
        self.trials = read_table(trials, n_trials, "trials", "trial")
        self.signals = {}
        if signals is not None and not isinstance(signals, Mapping):
            raise InvalidInputError(
                f"signals is a {type(signals).__name__}; expected a mapping from names to arrays."
            )
        for name, signal in (signals or {}).items():
            values = as_array(f"signal {name!r}", signal)
            if values.ndim not in (2, 3) or values.shape[:2] != (n_trials, n_time):
                raise InvalidInputError(
                    f"signal {name!r} has shape {values.shape}; expected "
                    f"({n_trials}, {n_time}) or ({n_trials}, {n_time}, variables), one value a bin."
                    f"{other_order('signal', values.shape[:2], (n_trials, n_time))}"
                )
            if values.dtype.kind not in "biuf":
                raise InvalidInputError(
                    f"signal {name!r} holds {values.dtype} values; expected numbers."
                )
            self.signals[str(name)] = values if values.dtype.kind == "f" else values.astype(float)
        if bin_width is not None and not _is_positive(bin_width):
            raise InvalidInputError(
                f"bin_width={bin_width!r}; expected a positive number of seconds."
            )
        self.bin_width = None if bin_width is None else float(bin_width)
        warn_of_implausible(self.counts, self.observed, self.bin_width)
        if t_start is not None and not (isinstance(t_start, Real) and np.isfinite(t_start)):
            raise InvalidInputError(
                f"t_start={t_start!r}; expected seconds from the event to the first bin, or None."
            )
        self.t_start = None if t_start is None else float(t_start)
        self.session_id = check_name("session_id", session_id)
        self.subject = None if subject is None else check_name("subject", subject)
        self.rates = None if rates is None else as_array("rates", rates, dtype=np.float32)
        if self.rates is not None and self.rates.shape != self.counts.shape:
            raise InvalidInputError(
                f"rates has shape {self.rates.shape}; expected that of the counts, "
                f"{self.counts.shape}.{other_order('rates', self.rates.shape, self.counts.shape)}"
            )
        try:
            self.report = pd.DataFrame(report, columns=REPORT_COLUMNS)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(
                f"report is no table ({error}); expected the columns {list(REPORT_COLUMNS)}."
            ) from error

    @classmethod
    @public
    def from_xarray(cls, data: Any, **fields: Any) -> Session:
        """Make a session from an ``xarray.DataArray`` of trials, time and neurons.

        Dimensions are known by their names, in any order: trial, epoch, presentation; time, bin; neuron,
        unit, cell, channel and the like, also as part of a name, such as ``unit_id``. Two that are
        known tell the third.

        Coordinates along neurons become columns of `neurons`, where ``region``, ``brain_area``,
        ``location`` and the like are the regions and the dimension's own names the neurons; those along
        trials become columns of `trials`. The coordinate of time gives `bin_width` and `t_start`, in
        seconds or the unit of its attribute ``units``. It holds where bins start, or their centres where
        these lie half a bin from multiples of the width. NaN means not observed.

        Parameters
        ----------
        data : xarray.DataArray
            Spike counts of three dimensions; xarray itself is not imported.
        **fields
            Any other argument of :class:`Session`; takes precedence over coordinates.

        Raises
        ------
        InvalidInputError
            If names leave a doubt which axis is which, bins are not equal, or it is no DataArray.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> counts, time = np.ones((3, 5, 4), int), np.arange(4) * 20
        >>> data = xr.DataArray(counts, dims=("unit", "trial", "time"), coords={"time": time})
        >>> data.time.attrs["units"] = "ms"
        >>> Session.from_xarray(data)
        Session('session', 5 trials, 4 bins of 20 ms, 3 neurons, 50.0 Hz)
        """
        counts, found = read_labelled(data, with_time="bin_width" not in fields)
        return cls(counts, **(found | fields))

    @property
    def regions(self) -> np.ndarray | None:
        """Region of each neuron (neurons,), or None when they are not known."""
        return self.neurons["region"].to_numpy(str) if "region" in self.neurons else None

    @property
    def identity(self) -> dict[str, tuple[str, ...]]:
        """What tells the neurons apart: their names, where a column has them, and their regions.

        By the name of the column, as text for each neuron; a model keeps it of fitted sessions.
        """
        name = next((column for column in NAME_COLUMNS if column in self.neurons), None)
        columns = [c for c in (name, "region") if c is not None and c in self.neurons]
        return {column: tuple(map(_as_text, self.neurons[column].tolist())) for column in columns}

    @property
    def shape(self) -> tuple[int, int, int]:
        """(trials, time, neurons)."""
        return self.counts.shape

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return 3

    @property
    def dtype(self) -> np.dtype:
        """Type of the array that numpy makes of the session."""
        return self.counts.dtype if self.observed is None else np.dtype(np.float32)

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.shape[0]

    @property
    def n_time(self) -> int:
        """Number of bins in a trial."""
        return self.shape[1]

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self.shape[2]

    def __len__(self) -> int:
        return self.n_trials

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self._as_array()
        if values is not self.counts and dtype is not None and np.dtype(dtype).kind in "biu":
            raise InvalidInputError(
                f"session {self.session_id!r} was not observed everywhere, which whole numbers cannot "
                "say; expected floats, where NaN says it. Take session.counts and session.observed."
            )
        if copy is None or values is not self.counts:
            return np.asarray(values, dtype=dtype)
        return np.array(values, dtype=dtype, copy=copy)

    def _as_array(self) -> np.ndarray:
        """Return the counts, as floats with NaN where there are entries that were not observed."""
        if self.observed is None:
            return self.counts
        return np.where(self.observed, self.counts, np.float32(np.nan))

    def __getitem__(self, key: Any) -> Any:
        """Select trials; all else stays aligned.

        A slice, list or mask of trials gives a Session, one integer the counts (time, neurons) of a
        trial, and a key that reaches beyond trials a plain array of counts. In these arrays NaN says
        what was not observed.
        """
        trial, *rest = key if isinstance(key, tuple) else (key,)
        beyond = [k for k in rest if k is not Ellipsis and not _is_everything(k)]
        one = isinstance(trial, (int, np.integer)) and not isinstance(trial, bool)
        if beyond or one or trial is Ellipsis or trial is None:
            return self._as_array()[key]
        if not isinstance(trial, slice):
            with calling("Session"):
                trial = read_indices(trial, self.n_trials, "trials")
        return self._with(
            counts=self.counts[trial],
            observed=None if self.observed is None else self.observed[trial],
            trials=self.trials.iloc[trial],
            signals={name: values[trial] for name, values in self.signals.items()},
            rates=None if self.rates is None else self.rates[trial],
        )

    @public
    def select_neurons(self, neurons: Any) -> Session:
        """Return a session of some neurons.

        Parameters
        ----------
        neurons : array-like of bool or int, or slice
            Mask over, or indices of, the neurons to keep.
        """
        if not isinstance(neurons, slice):
            neurons = read_indices(neurons, self.n_neurons, "neurons")
        return self._with(
            counts=self.counts[:, :, neurons],
            observed=None if self.observed is None else self.observed[:, :, neurons],
            neurons=self.neurons.iloc[neurons],
            rates=None if self.rates is None else self.rates[:, :, neurons],
        )

    @public
    def select_regions(self, regions: str | Sequence[str]) -> Session:
        """Return a session of the neurons of one or several regions."""
        names = as_names("regions", regions)
        if self.regions is None:
            raise InvalidInputError("this session has no regions; give regions=... to Session.")
        for name in names:
            if name not in self.regions:
                known = sorted(set(self.regions.tolist()))
                raise InvalidInputError(
                    f"no neuron in {name!r}; regions are {known}.{suggest(name, known)}"
                )
        return self.select_neurons(np.isin(self.regions, names))

    @public
    def rebin(self, bin_width: float) -> Session:
        """Return the session in wider bins: counts and rates summed, signals averaged.

        A wider bin was observed if all of its bins were.

        Parameters
        ----------
        bin_width : float
            Seconds; a whole multiple of the present width. Bins left over at the end of a trial are
            dropped.

        Raises
        ------
        InvalidInputError
            If the present width is not known, or does not divide the new one.
        """
        if not _is_positive(bin_width):
            raise InvalidInputError(
                f"bin_width={bin_width!r}; expected a positive number of seconds."
            )
        if self.bin_width is None:
            raise InvalidInputError(
                f"the bin width of session {self.session_id!r} is not known; give "
                "bin_width=... to Session."
            )
        factor = round(bin_width / self.bin_width)
        if factor < 1 or not np.isclose(factor * self.bin_width, bin_width):
            raise InvalidInputError(
                f"session {self.session_id!r} has bins of {self.bin_width:g} s, which "
                f"do not add up to {bin_width:g} s; expected a whole multiple."
            )
        n_time = self.n_time // factor
        if n_time == 0:
            raise InvalidInputError(
                f"a trial of session {self.session_id!r} lasts "
                f"{self.n_time * self.bin_width:g} s; expected bins no longer than that."
            )
        if factor == 1:
            return self

        def grouped(x: np.ndarray) -> np.ndarray:
            return x[:, : n_time * factor].reshape(len(x), n_time, factor, *x.shape[2:])

        return self._with(
            counts=grouped(self.counts).sum(2),
            observed=None if self.observed is None else grouped(self.observed).all(2),
            signals={name: grouped(x).mean(2) for name, x in self.signals.items()},
            rates=None if self.rates is None else grouped(self.rates).sum(2),
            bin_width=bin_width,
        )

    def _with(self, **changes: Any) -> Session:
        fields = {
            "counts": self.counts,
            "observed": self.observed,
            "neurons": self.neurons,
            "trials": self.trials,
            "signals": self.signals,
            "bin_width": self.bin_width,
            "t_start": self.t_start,
            "session_id": self.session_id,
            "subject": self.subject,
            "rates": self.rates,
            "report": self.report,
        }
        return type(self)(**(fields | changes))

    @public
    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write the session to one ``.npz`` file, without pickle.

        Parameters
        ----------
        path : path-like
            File to write; ``.npz`` is added where it is missing.
        overwrite : bool, default=False
            Replace an existing file instead of raising.

        Returns
        -------
        Path
            The file, which is there whole or not at all.

        Raises
        ------
        InvalidInputError
            If the file exists, its folder does not, or a column holds objects that are neither
            numbers nor text.
        """
        path = check_path("path", path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        if not path.parent.is_dir():
            raise InvalidInputError(f"{path} lies in a folder that does not exist. Make it first.")
        if path.exists() and not overwrite:
            raise InvalidInputError(f"{path} exists; choose another name or pass overwrite=True.")
        write_session(self, path)
        return path

    def __repr__(self) -> str:
        return f"Session({self.session_id!r}, {', '.join(self._facts())})"

    def _repr_html_(self) -> str:
        rows = "".join(f"<li>{html.escape(fact)}</li>" for fact in self._facts())
        return f"<b>Session {html.escape(self.session_id)}</b><ul>{rows}</ul>"

    def _facts(self) -> list[str]:
        facts = [f"{self.n_trials} trials", f"{self.n_time} bins", f"{self.n_neurons} neurons"]
        seen = ... if self.observed is None else self.observed
        if self.bin_width is not None:
            facts[1] += f" of {self.bin_width * 1000:g} ms"
            facts.append(f"{self.counts[seen].mean() / self.bin_width:.1f} Hz")
        if self.observed is not None:
            facts.append(f"{100 * self.observed.mean():.1f} % observed")
        if self.regions is not None:
            names, sizes = np.unique(self.regions, return_counts=True)
            order = np.argsort(-sizes, kind="stable")
            shown = [f"{names[i]} {sizes[i]}" for i in order[:6]]
            more = [f"and {len(names) - 6} more"] if len(names) > 6 else []
            facts.append("regions " + " ".join(shown + more))
        if self.subject is not None:
            facts.append(f"subject {self.subject}")
        if len(self.trials.columns):
            facts.append("trials: " + " ".join(map(str, self.trials.columns)))
        if self.signals:
            facts.append("signals: " + " ".join(self.signals))
        return facts


def as_session(X: Any, **fields: Any) -> Any:
    """Return the Session of an ``xarray.DataArray``, with some fields, and anything else as it is."""
    return Session.from_xarray(X, **fields) if is_labelled(X) else X


def _is_everything(key: Any) -> bool:
    return isinstance(key, slice) and key == slice(None)


def write_session(session: Session, path: Path, *, made_from: str | None = None) -> None:
    """Write a session to a file, whole or not at all, with what it was made from where that is said."""
    arrays: dict[str, Any] = {"counts": session.counts}
    for kind, table in (("neurons", session.neurons), ("trials", session.trials)):
        for name in table.columns:
            values, gaps = plain_column(table[name], f"{kind}[{name!r}]")
            arrays[f"{kind}/{name}"] = values
            if gaps is not None:
                arrays[f"gaps/{kind}/{name}"] = gaps
    arrays |= {f"signals/{name}": values for name, values in session.signals.items()}
    for name in ("rates", "observed"):
        if getattr(session, name) is not None:
            arrays[name] = getattr(session, name)
    header = {
        "format": "neuromask.Session",
        "version": SESSION_FORMAT if session.observed is not None else 1,
        "bin_width": session.bin_width,
        "t_start": session.t_start,
        "session_id": session.session_id,
        "subject": session.subject,
        "report": session.report.to_dict("records"),
        "made_from": made_from,
    }
    arrays["header"] = np.array(json.dumps(header))
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _as_text(name: Any) -> str:
    """Write a name alike whether a whole number was kept as one or, as beside gaps, as a float."""
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and 0 < float(value) < np.inf
