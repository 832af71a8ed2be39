"""Predict neurons one by one, each while it is hidden beside what is hidden already.

Hiding one neuron changes little of what a network reads: its read-in changes by one column of weights
times one neuron's counts, and only one neuron is to be answered for. What is left is the trunk, which
runs once for each neuron and trial.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .batch_reading import standardised
from .hidden_neurons import complete_factors
from .ndt1 import NDT1
from .session_weights import MAX_LOG_CHANGE, TrialGroup, Weights
from .smoothing import Averaging
from .trial_batch import TrialBatch

__all__ = ["rates_one_by_one"]


def rates_one_by_one(
    network: NDT1,
    group: TrialGroup,
    neurons: Tensor,
    *,
    n_at_once: int,
    tell: Callable[[int], None] = lambda n: None,
) -> Tensor:
    """Return the expected counts of some neurons, each of them hidden in all bins while it is predicted.

    Parameters
    ----------
    network : NDT1
        The network.
    group : TrialGroup
        Trials of one scheme, with what is hidden for all of these neurons.
    neurons : Tensor of int, (n_asked,)
        Neurons to predict.
    n_at_once : int
        Neurons to hide in one pass.
    tell : callable, optional
        Told how many neurons are done after each pass.

    Returns
    -------
    Tensor of float32, (trials, time, n_asked)
        Rates, the same as those of passes that hide one neuron each, to rounding.
    """
    base = _Base(network, group)
    found = []
    for chosen in neurons.split(n_at_once):
        found.append(base.rates(chosen))
        tell(len(chosen))
    return torch.cat(found, -1)


class _Base:
    """What the network reads before any neuron is hidden.

    It is kept in float64: a neuron's counts are taken out of a sum that has them, and what rounding
    leaves of them there must be nothing to float32, or a neuron would be told of itself.
    """

    def __init__(self, network: NDT1, group: TrialGroup) -> None:
        self.network = network
        self.batch = TrialBatch.of([group])
        (self.part,) = self.batch.parts
        self.weights: Weights = network.weights(group)
        with torch.autocast(group.counts.device.type, enabled=False):
            self.inputs = standardised(self.batch, [self.weights]).double()
            self.read_in, self.linear_in = (
                w.double() for w in (self.weights.read_in, self.weights.linear_in)
            )
            exact = self.weights._replace(read_in=self.read_in, bias=self.weights.bias.double())
            self.read, _ = network.read_tokens(self.batch, [exact], self.inputs)
            self.linear = self.inputs @ self.linear_in.T
        # How many neurons of each patch can be seen in each bin.
        self.patch = network.patch_of(group.session_id)  # (neurons,)
        n_patches = self.read.shape[2]
        members = torch.nn.functional.one_hot(self.patch, n_patches).float()
        self.n_visible = self.batch.visible @ members  # (trials, time, patches)

    def rates(self, neurons: Tensor) -> Tensor:
        """Return rates (trials, time, neurons) of neurons that are hidden in turn."""
        network, weights, k = self.network, self.weights, len(neurons)
        n_trials, n_time, _ = self.inputs.shape
        own = self.inputs[:, :, neurons].permute(2, 0, 1)  # (k, trials, time)
        there = self.batch.visible[:, :, neurons].permute(2, 0, 1)
        patch, which = self.patch[neurons], torch.arange(k, device=neurons.device)
        read = self.read.expand(k, -1, -1, -1, -1)
        n_visible = self.n_visible.expand(k, -1, -1, -1)
        change = (
            own[..., None] * self.read_in[:, neurons].T[:, None, None]
        )  # (k, trials, time, n_in)
        if read.shape[3] == 1:
            read, n_visible = read - change[..., None, :], n_visible - there[..., None]
        else:
            read, n_visible = read.clone(), n_visible.clone()
            read[which, :, :, patch] -= change
            n_visible[which, :, :, patch] -= there
        seen = (n_visible.sum(-1) > 0).float()  # (k, trials, time)
        linear = self.linear - own[..., None] * self.linear_in[:, neurons].T[:, None, None]
        read, linear = read.float(), linear.float()
        if weights.evidence is not None:
            linear = self._completed(linear, seen, neurons, weights.evidence)
        batch = self._repeated(k)
        averaging = self._averaging(batch, seen.flatten(0, 1))
        kind = own.device.type
        if torch.is_autocast_enabled(kind):
            linear = linear.to(torch.get_autocast_dtype(kind))
        smoothed = network.linear_path(batch, linear.flatten(0, 1), averaging)
        unseen = (n_visible == 0).float()[..., None]
        tokens = network.tokens(
            batch, [weights], read.flatten(0, 1), unseen.flatten(0, 1), averaging
        )
        nothing = [None] * (2 * network.config.n_layers)
        features = network.trunk(tokens, batch, read.shape[3], nothing)
        features = features.unflatten(0, (k, n_trials))[which, :, :, patch]
        smoothed = smoothed.unflatten(0, (k, n_trials))
        both = torch.cat([features.to(smoothed.dtype), smoothed], -1).flatten(1, 2)
        read_out = weights.read_out[neurons, :, None].to(both.dtype)
        change = (both @ read_out).float().view(k, n_trials, n_time)
        # A neuron that is hidden in all bins has no counts of its own to read.
        log_rates = MAX_LOG_CHANGE * torch.tanh(change / MAX_LOG_CHANGE) * weights.shrinkage
        return (log_rates + weights.base[neurons, None, None]).exp().permute(1, 2, 0)

    def _repeated(self, k: int) -> TrialBatch:
        """Return the trials once for each neuron, without copies of their counts."""
        batch = self.batch
        n_trials = len(batch.counts)
        rows = slice(0, k * n_trials)
        part = self.part._replace(rows=rows)
        counts = batch.counts[:1].expand(k * n_trials, -1, -1)
        scheme, causal = batch.scheme.repeat(k), batch.causal.repeat(k)
        return TrialBatch((part,), counts, counts, scheme, causal, batch.attention)

    def _averaging(self, batch: TrialBatch, seen: Tensor) -> Averaging:
        """Prepare averages; all trials share one matrix where something is seen in every bin."""
        if batch.attention != "mixed" and bool(seen.all()):
            seen = seen[:1]
        return self.network.kernels.averaging(seen, batch.causal, batch.attention)

    def _completed(self, linear: Tensor, seen: Tensor, neurons: Tensor, evidence: Tensor) -> Tensor:
        """Correct factors (k, trials, time, n_linear) for the neurons that are hidden."""
        visible = self.batch.visible.sum(1)  # (trials, neurons)
        share = visible / seen.sum(2)[..., None].clamp_min(1)  # (k, trials, neurons)
        share[torch.arange(len(neurons)), :, neurons] = 0
        if bool((share == share[:, :1]).all()):
            share = share[:, :1]
        k, n_shares, _ = share.shape
        flat = linear.reshape(k * n_shares, -1, linear.shape[-1])
        return complete_factors(flat, evidence, share.flatten(0, 1)).reshape(linear.shape)
