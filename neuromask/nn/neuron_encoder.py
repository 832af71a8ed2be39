"""A neuron's way in and out of the trunk, from its own statistics and its region.

What stitching learns for every neuron of every session by gradient, this network infers: it is
trained across sessions, each time calibrated on some trials of a session and judged on others, and
then serves neurons that it has never seen.

In short, with a neuron's descriptors d and its region's embedding r, correlations C, and the factors'
way in A and way out B (:mod:`.neuron_statistics`), for N neurons:

- read:    h1 = gelu(norm(W1 [d; r]));
- listen:  h2 = h1 + gelu(norm(W2 [h1; 3 / sqrt(N) C Wm h1])), where C multiplies over neurons;
- think:   h3 = h2 + gelu(norm(W3 h2));
- write:   [p, l, o, q] = W4 h3 and trust = 1 + tanh(W5 h3);
- read-in p / sqrt(N), linear path a A + 0.1 l / sqrt(N), read-out 0.1 o + [0; b B trust], spike history
  0.1 q, where a and b are one number a factor, shared by all sessions.

The page "The method" has the same with every constant's reason, in "The encoder of neurons".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import drop, linear, parameter
from .neuron_statistics import N_DESCRIPTORS, NeuronStatistics
from .session_weights import LEAST_BASE_RATE, Weights

__all__ = ["NeuronEncoder"]

# Numbers that describe a region, and that one neuron tells the others.
REGION_DIM = 16
MESSAGE_DIM = 64
# Few sessions train an encoder. Its input is dropped half as often as what is inside.
ENCODER_DROPOUT = 0.2
# Factor on what is written beside the factors' own weights, so that at first these lead.
QUIET_START = 0.1


class NeuronEncoder(nn.Module):
    """Map each neuron's statistics to its row of every stitch weight.

    Three layers; before the second, neurons hear from the others in proportion to their correlation.
    The linear path starts from the factors of the population, scaled by what proved useful across
    sessions; a neuron reads a factor out as far as its own loading can be trusted, given how many
    trials told of it.

    Parameters
    ----------
    n_in, n_linear, n_features, n_spike_history, dim : int
        Sizes of a stitch.
    n_regions : int
        Regions with an embedding of their own.
    generator : torch.Generator
        Source of the initial weights.
    hidden : int, default=128
        Width.
    """

    def __init__(
        self,
        *,
        n_in: int,
        n_linear: int,
        n_features: int,
        n_spike_history: int,
        dim: int,
        n_regions: int,
        generator: torch.Generator,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.weight_sizes = (n_in, n_linear, n_features, n_spike_history)
        self.region = parameter(n_regions + 1, REGION_DIM, generator=generator, std=0.3)
        with torch.no_grad():
            self.region[0].zero_()  # a region that is not known says nothing
        self.read = linear(N_DESCRIPTORS + n_linear + REGION_DIM, hidden, generator)
        self.read_norm = nn.LayerNorm(hidden)
        self.message = linear(hidden, MESSAGE_DIM, generator, bias=False)
        self.listen = linear(hidden + MESSAGE_DIM, hidden, generator)
        self.listen_norm = nn.LayerNorm(hidden)
        self.think = linear(hidden, hidden, generator)
        self.think_norm = nn.LayerNorm(hidden)
        self.write = linear(hidden, sum(self.weight_sizes), generator)
        self.trust = linear(hidden, n_linear, generator, scale=0.1)
        self.factors_in = nn.Parameter(torch.ones(n_linear))
        self.factors_out = nn.Parameter(torch.ones(n_linear))
        self.bias = nn.Parameter(torch.zeros(n_in))
        self.embedding = nn.Parameter(torch.zeros(dim))

    def forward(
        self, statistics: NeuronStatistics, *, generator: torch.Generator | None = None
    ) -> Weights:
        """Infer the weights of a session's neurons; `generator` is the source of dropout."""
        n_neurons, n_linear = statistics.factor_in.shape
        h = self.embed(statistics, generator=generator)
        read_in, linear_in, read_out, spike_history = self.write(h).split(self.weight_sizes, 1)
        linear_in = (
            QUIET_START * linear_in / n_neurons**0.5 + statistics.factor_in * self.factors_in
        )
        factor_out = statistics.factor_out * self.factors_out * (1 + torch.tanh(self.trust(h)))
        factors = F.pad(factor_out, (read_out.shape[1] - n_linear, 0))
        return Weights(
            mean=statistics.mean,
            scale=statistics.scale,
            read_in=(read_in / n_neurons**0.5).T,
            bias=self.bias,
            linear_in=linear_in.T,
            read_out=QUIET_START * read_out + factors,
            base=statistics.mean.clamp_min(LEAST_BASE_RATE).log(),
            spike_history=QUIET_START * spike_history.T,
            embedding=self.embedding,
            evidence=statistics.evidence,
        )

    def embed(
        self, statistics: NeuronStatistics, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Describe neurons by what their weights are written from, h3, (neurons, hidden)."""
        n_neurons = len(statistics.mean)
        region = drop(self.region[statistics.region], ENCODER_DROPOUT, generator)
        x = drop(torch.cat([statistics.descriptors, region], 1), ENCODER_DROPOUT / 2, generator)
        h = F.gelu(self.read_norm(self.read(x)))
        heard = statistics.correlation @ self.message(h) * (3 / n_neurons**0.5)
        h = h + F.gelu(self.listen_norm(self.listen(torch.cat([h, heard], 1))))
        h = drop(h, ENCODER_DROPOUT, generator)
        return drop(h + F.gelu(self.think_norm(self.think(h))), ENCODER_DROPOUT, generator)
