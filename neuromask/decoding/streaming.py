"""Bin by bin: a signal, decoded while a recording goes on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from .._known import SessionInfo
from ..errors import public
from ..nn.fitted import FittedNetwork
from ..nn.streaming import REACH, RecentBins, trailing_weights
from ..streaming import causal_windows, read_bin
from .features import SMOOTHING
from .readout import Readout
from .targets import Units

__all__ = ["SignalStream"]


class SignalStream:
    """A signal in the bin that was pushed last; made by :meth:`MtMDecoder.stream`.

    **What it equals.** Let `n` be the bins of the decoder's fitted trials and ``s = ceil(n / 2)``. After
    bin ``t``, counted from zero, the value is ``decoder.predict(counts[None, begins : t + 1])[0, -1]``,
    where ``begins = max(0, ceil((t + 1 - n) / s)) * s``. So in the first `n` bins all that was pushed is
    seen, as in a trial, and later at least the latest ``n - s + 1`` bins are. Arithmetic is fp32 and agrees
    with predictions in fp32 to 1e-5 of the signal's standard deviation.

    Where a session was calibrated or fine-tuned and a neuron is observed in some bins of a window alone,
    the two differ a little: what a trial corrects by a neuron's share of all its bins, a stream corrects
    by the share until then.

    Parameters
    ----------
    network : FittedNetwork
        Network that knows the session.
    info : SessionInfo
        The session, and the bins of the decoder's trials.
    readout : Readout
        Read-out of features that were made with causal attention.
    units : Units
        What its outputs stand for.
    scheme : str
        Scheme of these features.
    hidden : ndarray of bool, (neurons,)
        Neurons that are not seen.
    start : int
        Bins of the model's trials before those of the decoder's.
    """

    def __init__(
        self,
        network: FittedNetwork,
        info: SessionInfo,
        readout: Readout,
        units: Units,
        *,
        scheme: str,
        hidden: np.ndarray,
        start: int,
    ) -> None:
        self.session_id = info.session_id
        self.scheme, self._windows = causal_windows(
            network, info.session_id, n_time=info.n_time, n_ahead=0, scheme=scheme, start=start
        )
        self._readout, self._units, self._visible = readout, units, ~hidden
        n_recent = min(info.n_time, math.ceil(REACH * SMOOTHING))
        # Each window expects other counts of what is not seen.
        self._recent = RecentBins(n_recent, (2, info.n_neurons), network.device)
        # Those of a window's first bin, its second, and so on; the last row is that of all later ones.
        weights = trailing_weights(n_recent, SMOOTHING, 0.0, 0).expand(n_recent, -1)
        weights = weights.flip(1).tril().flip(1)
        self._smoothing = (weights / weights.sum(1, keepdim=True)).to(network.device)

    def __repr__(self) -> str:
        return (
            f"SignalStream({self.session_id!r}, {len(self._visible)} neurons, "
            f"scheme={self.scheme!r}, n_bins={self.n_bins})"
        )

    @property
    def n_bins(self) -> int:
        """Bins that were pushed since the start, or the last `reset`."""
        return self._windows.n_bins

    def reset(self) -> None:
        """Begin anew with the next bin, as at the start of a trial."""
        self._windows.reset()

    @public
    def push(self, counts: Any) -> float | np.ndarray:
        """Read the counts of the next bin; decode the signal in it.

        Parameters
        ----------
        counts : array-like of int, (neurons,)
            Spike counts of the session's neurons, in the order and in bins of the width of fit. NaN, or
            masked entries of a masked array, were not observed.

        Returns
        -------
        float or ndarray of float, (variables,)
            As the signal was fitted.

        Raises
        ------
        InvalidInputError
            If there is not one count for each neuron, or any is negative, fractional or infinite. The
            stream is then as it was before.
        """
        given, observed = read_bin(counts, len(self._visible))
        visible = observed & self._visible
        bin_ = self._windows.n_bins
        answer = self._windows.push(given * visible, visible)
        with torch.inference_mode():
            seen, known = (torch.from_numpy(x).to(self._recent.device) for x in (visible, given))
            counts = torch.where(seen, known, answer.log_rates[:, 0].exp())
            recent = self._recent.push(counts, bin_)[answer.window]
            row = min(answer.position, self._recent.n_bins - 1)
            features = torch.cat([answer.features[answer.window], self._smoothing[row] @ recent])
        intercept = self._readout.intercept[answer.position]
        outputs = features.cpu().numpy() @ self._readout.weights + intercept
        value = self._units.restore(outputs[None, None])[0, 0]
        return value if np.ndim(value) else float(value)
