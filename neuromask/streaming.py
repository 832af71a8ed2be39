"""Bin by bin: rates of the bins to come, and an embedding, while a recording goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ._checks import check_positive_int
from ._known import SessionInfo, need_sessions
from .errors import InvalidInputError, UnknownSessionError, public, suggest
from .nn.fitted import FittedNetwork
from .nn.streaming import CausalWindows, can_stream
from .schemes import Scheme

__all__ = ["Stream", "StreamedBin", "causal_windows", "named_session", "read_bin"]


class StreamedBin(NamedTuple):
    """What a :class:`Stream` makes of a bin.

    Attributes
    ----------
    rates : ndarray of float32, (n_ahead, neurons)
        Expected counts of the bins that follow.
    embedding : ndarray of float32, (features,)
        Features of the bin itself, which the rates are read from.
    """

    rates: np.ndarray
    embedding: np.ndarray


class Stream:
    """Rates of the bins to come, from what was pushed so far; made by :meth:`MtMPretrainer.stream`.

    **What it equals.** Let `n_time` be the bins of the session's fitted trials, `h` be `n_ahead`,
    ``n = n_time - h`` and ``s = ceil(n / 2)``. After bin ``t``, counted from zero, the rates are those of
    the last `h` bins of::

        begins = max(0, ceil((t + 1 - n) / s)) * s
        pre.predict(counts[None, begins : t + 1 + h], scheme=stream.scheme, hidden=hidden)

    where `hidden` is True in these `h` bins. So up to bin ``n - 1`` all that was pushed is seen, as in a
    trial. Later, at least the latest ``n - s + 1`` bins are, about half a trial, and at most `n`. What came
    before has no part in it. Nothing adds up over time, neither cost, nor memory, nor error. Arithmetic
    is fp32 whatever `precision` is, and agrees with predictions in fp32 to 1e-5.

    A stream keeps the weights that the model had when it was made.

    Attributes
    ----------
    session_id : str
        The session.
    scheme : str
        The scheme whose prompt is used; it attends causally.
    n_ahead : int
        Bins ahead.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(40, n_neurons=12, n_time=20, random_state=0)
    >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session)
    >>> stream = pre.stream(n_ahead=2)
    >>> for counts in session.counts[0]:
    ...     rates, embedding = stream.push(counts)
    >>> rates.shape, embedding.shape, stream.n_bins
    ((2, 12), (64,), 20)
    """

    def __init__(self, network: FittedNetwork, info: SessionInfo, *, n_ahead: int) -> None:
        check_positive_int("n_ahead", n_ahead)
        if n_ahead > info.n_time // 2:
            raise InvalidInputError(
                f"n_ahead={n_ahead} of a session that was fitted with trials of {info.n_time} bins; "
                f"expected at most half of them, {info.n_time // 2}."
            )
        self.session_id, self.n_ahead = info.session_id, n_ahead
        self.scheme, self._windows = causal_windows(
            network, info.session_id, n_time=info.n_time, n_ahead=n_ahead
        )
        self._n_neurons = info.n_neurons

    def __repr__(self) -> str:
        return (
            f"Stream({self.session_id!r}, {self._n_neurons} neurons, scheme={self.scheme!r}, "
            f"n_ahead={self.n_ahead}, n_bins={self.n_bins})"
        )

    @property
    def n_bins(self) -> int:
        """Bins that were pushed since the start, or the last `reset`."""
        return self._windows.n_bins

    def reset(self) -> None:
        """Begin anew with the next bin, as at the start of a trial."""
        self._windows.reset()

    @public
    def push(self, counts: Any) -> StreamedBin:
        """Read the counts of the next bin; say what is expected of those that follow.

        Parameters
        ----------
        counts : array-like of int, (neurons,)
            Spike counts of the session's neurons, in the order and in bins of the width of fit. NaN, or
            masked entries of a masked array, were not observed; all of them may be, as where data
            were lost, or before the first bin of a trial that begins later than the fitted ones.

        Returns
        -------
        StreamedBin
            Rates (n_ahead, neurons) and embedding (features,).

        Raises
        ------
        InvalidInputError
            If there is not one count for each neuron, or any is negative, fractional or infinite. The
            stream is then as it was before.
        """
        answer = self._windows.push(*read_bin(counts, self._n_neurons))
        rates = answer.log_rates[0].exp().cpu().numpy()
        return StreamedBin(rates, answer.features[0].cpu().numpy())


def causal_windows(
    network: FittedNetwork,
    session_id: str,
    *,
    n_time: int,
    n_ahead: int,
    scheme: str | None = None,
    start: int = 0,
) -> tuple[str, CausalWindows]:
    """Open the windows of a stream, under a causal scheme or the first there is; return its name too.

    Raises
    ------
    InvalidInputError
        If no causal scheme was fitted, or the backbone cannot stream.
    """
    if scheme is None:
        scheme = _first_causal(network.schemes)
    model = network.model
    if not can_stream(model):
        raise InvalidInputError(
            f"the model is a {type(model).__name__}, which cannot run bin by bin; expected one of a "
            "backbone that can: backbone='ndt1' or 'ndt2'."
        )
    index = network.index(scheme)
    windows = CausalWindows(model, session_id, index, n_time=n_time, n_ahead=n_ahead, start=start)
    return scheme, windows


def _first_causal(schemes: Sequence[Scheme]) -> str:
    causal = [s.name for s in schemes if s.attention == "causal"]
    if not causal:
        raise InvalidInputError(
            f"no fitted scheme attends causally, and a stream knows the past alone; fitted schemes are "
            f"{[s.name for s in schemes]}. Fit with schemes=[..., 'causal']."
        )
    return causal[0]


def named_session(session_id: str | None, known: dict[str, SessionInfo]) -> SessionInfo:
    """Return what is known of a session by its name, or of the only one.

    Raises
    ------
    InvalidInputError
        If something else than a name is given.
    UnknownSessionError
        If there is none of that name, or none is named of several.
    """
    names = list(known)
    need_sessions(known)
    if session_id is None and len(names) == 1:
        session_id = names[0]
    if session_id is None:
        raise UnknownSessionError(
            f"the model knows {len(names)} sessions, such as {names[0]!r}; expected session_id=, which "
            "says whose neurons will be pushed."
        )
    if not isinstance(session_id, str):
        raise InvalidInputError(
            f"session_id is a {type(session_id).__name__}; expected the name of a fitted session, such as "
            f"{names[0]!r}. Give the counts to push(), bin by bin."
        )
    if session_id not in names:
        raise UnknownSessionError(
            f"session {session_id!r} is not among the {len(names)} fitted sessions, such as "
            f"{names[0]!r}.{suggest(session_id, names)} Calibrate or finetune the model on trials of "
            "a new one first."
        )
    return known[session_id]


def read_bin(counts: Any, n_neurons: int) -> tuple[np.ndarray, np.ndarray]:
    """Check the counts of a bin; return them, 0 where not observed, and where they were observed.

    Examples
    --------
    >>> counts, observed = read_bin([2, float("nan")], 2)
    >>> counts.tolist(), observed.tolist()
    ([2.0, 0.0], [True, False])
    """
    try:
        # A copy, and of a masked array without its mask.
        values = np.asarray(counts).astype(np.float32)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"counts cannot be read as numbers ({error}); expected the spike count of each of "
            f"{n_neurons} neurons."
        ) from error
    if values.shape != (n_neurons,):
        raise InvalidInputError(
            f"counts has shape {values.shape}; expected ({n_neurons},), one bin of the session's neurons "
            "in the order of fit. Push bins one by one."
        )
    observed = ~np.isnan(values)
    if np.ma.is_masked(counts):
        observed &= ~np.ma.getmaskarray(counts)
    values[~observed] = 0
    bad = (values < 0) | ~np.isfinite(values) | (values != np.floor(values))
    if bad.any():
        first = int(bad.argmax())
        raise InvalidInputError(
            f"counts holds {values[first]:g} for neuron {first}; expected whole, non-negative spike "
            "counts, NaN where not observed. Push raw counts, not rates or z-scores."
        )
    return values, observed
