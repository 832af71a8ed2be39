"""Run a backbone bin by bin, from the past alone, at a cost that does not grow.

A model was trained on trials of so many bins and knows no later positions. So a stream is read in windows
of that length: each begins half a window after the one before it, and of the two that are open the older
one answers, until there is no room left in it for the bins that it is to predict. A bin is then seen with
half a window of past or more, and what was pushed longer ago than a window has no part in anything.

A pushed bin is one token in each window, which reads the keys and values that are kept of the window's
earlier tokens. Behind it stand the bins ahead, as hidden tokens. Their keys and values are written over by
those of later bins, so that nothing that was seen ever depended on them. Averages over time are of a ring
of the latest bins, which the windows share: what is averaged does not depend on a bin's place.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeGuard, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .batch_reading import bounded_log_rates, standardised
from .functions import asinh, softsign
from .hidden_neurons import complete_factors
from .layers import TransformerBlock, attend, rotation, token_times
from .ndt1 import N_SPECIAL, NDT1
from .ndt2 import NDT2
from .session_network import SessionNetwork
from .smoothing import LEAST_WEIGHT, gaussian
from .trial_batch import Part, TrialBatch

__all__ = ["REACH", "Answer", "CausalWindows", "RecentBins", "can_stream", "trailing_weights"]

N_WINDOWS = 2
# Standard deviations after which a gaussian is nothing: exp(-24.5) is 2e-8 of the least weight.
REACH = 7.0


def can_stream(network: SessionNetwork) -> TypeGuard[NDT1]:
    """Say whether `CausalWindows` knows a network; one that derives from it may do anything else."""
    return type(network) in (NDT1, NDT2)


class Answer(NamedTuple):
    """What windows say after a bin was pushed.

    Attributes
    ----------
    features : Tensor, (windows, n_features)
        Features of the bin.
    log_rates : Tensor, (windows, n_bins, neurons)
        Logs of the expected counts of the bins ahead, or of the bin itself where none are asked for.
    window : int
        Which of the windows is to be believed: 0 where there is one.
    position : int
        The bin's place in that window.
    """

    features: Tensor
    log_rates: Tensor
    window: int
    position: int


class RecentBins:
    """A ring that holds the latest bins, the oldest first, without ever moving them.

    Parameters
    ----------
    n_bins : int
        Bins to hold.
    shape : tuple of int
        Shape of what is held of a bin, (..., features), as (..., n_bins, features).
    device : torch.device
        Where to hold it.
    """

    def __init__(self, n_bins: int, shape: tuple[int, ...], device: torch.device) -> None:
        self.n_bins, self.device = n_bins, device
        # Each bin is written twice, so that all of them always lie side by side somewhere.
        self.buffer = torch.zeros(*shape[:-1], 2 * n_bins, shape[-1], device=device)

    def push(self, values: Tensor, bin_: int) -> Tensor:
        """Take the values (..., features) of a bin by its number; return all, (..., n_bins, features)."""
        i = bin_ % self.n_bins
        self.buffer[..., i, :] = values
        self.buffer[..., i + self.n_bins, :] = values
        return self.buffer[..., i + 1 : i + 1 + self.n_bins, :]


def trailing_weights(n_bins: int, width: float, lag: float, n_ahead: int) -> Tensor:
    """Return what a gaussian gives the latest bins, (1 + n_ahead, n_bins), at the last and ahead of it."""
    whole = gaussian(n_bins + n_ahead, width, lag=lag)
    return whole[n_bins - 1 :, :n_bins].clone()


class CausalWindows:
    """Two windows of one session, each half a window ahead of the other.

    Parameters
    ----------
    network : NDT1
        The network, as `can_stream` asks for.
    session_id : str
        The session.
    scheme : int
        Number of a scheme that attends causally.
    n_time : int
        Bins of a window.
    n_ahead : int
        Bins to predict after each that is pushed, fewer than `n_time`. With none, both windows say what
        they expect of the bin itself.
    start : int, default=0
        Bins of a trial, all hidden, that lie before a window.
    """

    def __init__(
        self,
        network: NDT1,
        session_id: str,
        scheme: int,
        *,
        n_time: int,
        n_ahead: int,
        start: int = 0,
    ) -> None:
        self.network = network
        self.start, self.n_ahead = start, n_ahead
        self.n_answered = n_time - n_ahead
        self.step = -(-self.n_answered // 2)
        self.patches = int(network.patch_of(session_id).max()) + 1
        device = network.hidden_token.device
        with torch.inference_mode():
            self._prepare(session_id, scheme, device)
        self.n_bins = 0

    def reset(self) -> None:
        """Begin anew, as with the first bin of a trial."""
        self.n_bins = 0

    def _prepare(self, session_id: str, scheme: int, device: torch.device) -> None:
        """Make what is the same for all bins, and room for what is kept of them."""
        network, config = self.network, self.network.config
        n_neurons = len(network.stitch(session_id).mean)
        whole = Part(session_id, slice(0, 1), 1, n_neurons)
        self.weights = [network.weights(whole)]
        self.scheme = torch.tensor([scheme], device=device)
        self.parts = (whole,)
        n_windows, n_rows = (1, self.n_ahead) if self.n_ahead else (N_WINDOWS, 1)
        asked = Part(session_id, slice(0, n_windows), n_rows, n_neurons)
        zeros = torch.zeros(n_windows, n_rows, n_neurons, device=device)
        self.asked = TrialBatch((asked,), zeros, zeros, self.scheme, self.scheme, "causal")
        # Places of bins and tokens: special ones, hidden ones before the window, those of the window.
        length = self.start + 2 * self.step + self.n_ahead
        self.times = token_times(length, self.patches, N_SPECIAL, device)
        self.bins = torch.arange(length, device=device)
        self.positions = torch.zeros(length, config.dim, device=device)
        if config.positions == "learned":
            known = network.positions[:length]
            self.positions[: len(known)] = known
        head_dim = config.dim // config.n_heads
        self.turn = rotation(self.times, head_dim) if config.positions == "rope" else None
        kept = (2, N_WINDOWS, config.n_heads, len(self.times), head_dim)
        self.blocks = [cast(TransformerBlock, block) for block in network.blocks]
        self.kept = [torch.zeros(kept, device=device) for _ in self.blocks]
        # Averages over time.
        kernels = network.kernels.kernels
        reach = max(math.ceil(REACH * width + abs(lag)) for width, lag in kernels)
        n_recent = min(2 * self.step, reach)
        self.sizes = (self.patches * config.dim, config.n_linear, n_neurons, 1)
        self.recent = RecentBins(n_recent, (sum(self.sizes),), device)
        rows = [trailing_weights(n_recent, width, lag, self.n_ahead) for width, lag in kernels]
        self.kernels = torch.stack(rows).to(device)  # (kernels, 1 + n_ahead, n_recent)
        self.ages = self.start + torch.arange(n_recent - 1, -1, -1, device=device)
        self.shares = torch.zeros(N_WINDOWS, n_neurons + 1, device=device)
        self._begin_windows(whole, device)

    def _begin_windows(self, whole: Part, device: torch.device) -> None:
        """Make the tokens that hold for all bins, and run those that stand before every window."""
        network, (weights,), dim = self.network, self.weights, self.network.config.dim
        blank = torch.zeros(1, 1, whole.n_neurons, device=device)
        batch = TrialBatch(self.parts, blank, blank, self.scheme, self.scheme, "causal")
        read, _ = network.read_tokens(batch, self.weights, blank)
        self.mark = network._mark(torch.zeros(1, 1, self.patches, dim, device=device), self.parts)
        hidden = network.to_token(softsign(read)) + network.hidden_token + self.mark
        self.ahead = hidden[0].expand(self.n_ahead, -1, -1)
        self.gate = network._of_scheme(network.gates, batch)
        prompt = network._of_scheme(network.prompts, batch)
        before = hidden[0] + self.positions[: self.start, None] + network.mix_smoothed.bias
        special = torch.cat([weights.embedding[None], prompt])
        tokens = torch.cat([special, before.flatten(0, 1)])
        self._run(tokens.expand(N_WINDOWS, -1, -1), (0,) * N_WINDOWS)

    def push(self, counts: np.ndarray, visible: np.ndarray) -> Answer:
        """Read the next bin.

        Parameters
        ----------
        counts : ndarray, (neurons,)
            Spike counts.
        visible : ndarray of bool, (neurons,)
            Which of them were observed; a bin without any is a hidden one.

        Returns
        -------
        Answer
            Of the window to be believed alone, where bins ahead are asked for.
        """
        with torch.inference_mode():
            return self._push(counts, visible)

    def _push(self, counts: np.ndarray, visible: np.ndarray) -> Answer:
        network, n_rows = self.network, 1 + self.n_ahead
        bin_, window = self.n_bins, self._window()
        self.n_bins += 1
        places = tuple((bin_ + w * self.step) % (2 * self.step) for w in range(N_WINDOWS))
        bins = tuple(self.start + place for place in places)
        at = _slices(self.bins, bins, 1)  # (windows, 1)

        given = torch.from_numpy(np.stack([counts, visible]).astype(np.float32))
        given = given.to(self.bins.device)[:, None, None]
        batch = TrialBatch(self.parts, given[0], given[1], self.scheme, self.scheme, "causal")
        inputs = standardised(batch, self.weights)
        read, unseen = network.read_tokens(batch, self.weights, inputs)
        token = network.to_token(softsign(read))  # (1, 1, patches, dim)
        linear = F.linear(inputs, self.weights[0].linear_in)
        row = torch.cat([token.flatten(2), linear, inputs, batch.seen[None]], -1)
        of_tokens, of_linear, of_inputs, seen = self.recent.push(row[0, 0], bin_).split(
            self.sizes, -1
        )
        # No window sees what came before it.
        allowed = (self.ages <= at) * seen[:, 0]
        weights = self.kernels * allowed[:, None, None]  # (windows, kernels, rows, n_recent)
        weights = weights / (weights.sum(-1, keepdim=True) + LEAST_WEIGHT)

        smooth = (weights[:, 0] @ of_tokens).unflatten(-1, token.shape[2:])
        present = token[0] + unseen[0] * network.hidden_token + self.mark[0]
        tokens = torch.cat([present, self.ahead]) + network.mix_smoothed(smooth)
        tokens = tokens + _slices(self.positions, bins, n_rows)[:, :, None]
        first = tuple(N_SPECIAL + b * self.patches for b in bins)
        x = self._run(tokens.flatten(1, 2), first)

        asked = slice(window, window + 1) if self.n_ahead else slice(None)
        rows = slice(1, None) if self.n_ahead else slice(None)
        x = network.final_norm(x[asked]).unflatten(1, (n_rows, self.patches))
        weights = weights[asked]
        lagged = weights[:, network.of_linear] @ of_linear  # (windows, lags, rows, n_linear)
        lagged = self._completed(lagged, asked, given[1, 0], batch.seen, at)
        smoothed = asinh((lagged * network.lag_weights[:, None]).sum(1)) * self.gate
        change = network._read_out(self.asked, self.weights, x[:, rows], smoothed[:, rows])
        own = weights[:, network.of_history, rows] @ of_inputs
        log_rates = bounded_log_rates(self.asked.parts, self.weights, change, own)
        features = torch.cat([x[:, 0].mean(1), smoothed[:, 0]], -1)
        return Answer(features, log_rates, 0 if self.n_ahead else window, places[window])

    def _window(self) -> int:
        """Say which window answers for the next bin: the oldest that is not yet at its end."""
        over = self.n_bins - self.n_answered + 1
        return max(0, -(-over // self.step)) % N_WINDOWS

    def _completed(
        self, lagged: Tensor, asked: slice, visible: Tensor, seen: Tensor, at: Tensor
    ) -> Tensor:
        """Correct factors (windows, lags, rows, n_linear) for neurons that were hidden so far.

        A whole pass corrects what it averages by the share of a trial's bins that a neuron is seen in.
        The correction is linear, so that what was averaged can be corrected by the share until now.
        """
        evidence = self.weights[0].evidence
        if evidence is None:
            return lagged
        self.shares.mul_(at > self.start).add_(torch.cat([visible, seen], -1))
        share = self.shares[asked, :-1] / self.shares[asked, -1:].clamp_min(1)
        factors = complete_factors(lagged.flatten(1, 2), evidence, share)
        return factors.view_as(lagged)

    def _run(self, x: Tensor, first: tuple[int, ...]) -> Tensor:
        """Run tokens (windows, tokens, dim) of which the first has a place in each window."""
        n = x.shape[1]
        asks = _slices(self.times, first, n)[..., None]
        mask = torch.zeros(asks.shape[:2] + self.times.shape, device=x.device)
        mask = mask.masked_fill_(self.times > asks, -torch.inf)[:, None]
        turn = None
        if self.turn is not None:
            cos, sin = (_slices(t, first, n)[:, None] for t in self.turn)
            turn = cos, sin
        for block, kept in zip(self.blocks, self.kept, strict=True):
            q, k, v = block.heads(x, turn)
            for w, place in enumerate(first):
                kept[0, w, :, place : place + n] = k[w]
                kept[1, w, :, place : place + n] = v[w]
            x = block.after_attention(x, attend(q, kept[0], kept[1], mask))
        return x


def _slices(x: Tensor, first: tuple[int, ...], n: int) -> Tensor:
    """Take n entries of x from each place, (places, n, ...)."""
    return torch.stack([x[place : place + n] for place in first])
