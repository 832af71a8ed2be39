"""What every backbone owns: the weights of its sessions, and room for sessions that it meets later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .neuron_encoder import NeuronEncoder
from .neuron_statistics import PopulationStatistics
from .session_weights import SessionStatistics, State, Stitch, TrialGroup, Weights
from .trial_batch import Part, TrialBatch

__all__ = ["SessionNetwork"]

# Float32 copies of a trial's counts and features that are alive at once, at the peak of a pass.
COPIES_OF_COUNTS = 12
COPIES_OF_FEATURES = 16


class SessionNetwork(nn.Module):
    """A network with weights of its own for each session; backbones derive from it.

    A backbone adds what sessions share, makes room for its sessions by `add_session`, and turns
    groups of masked trials into rates in `states`. The rest of the library asks for nothing else.

    Parameters
    ----------
    n_time : int
        Bins of the longest trial.
    n_in : int
        Numbers that a session's read-in makes of the counts of a bin.
    n_features : int
        Features that read-outs read, and that embeddings pool.
    n_linear, n_spike_history, dim : int, default=0
        Features of a linear path, averages of a neuron's own counts, and width of a session's
        token, for networks that have these.

    Attributes
    ----------
    encoder : NeuronEncoder or None
        Infers the weights of new sessions, where there is one; see `add_encoder`.

    Examples
    --------
    A network of one linear layer, which sees each bin alone:

    >>> import torch.nn.functional as F
    >>> class Bins(SessionNetwork):
    ...     def __init__(self, config, sessions, n_schemes, generator):
    ...         super().__init__(max(s.n_time for s in sessions), n_in=8, n_features=8)
    ...         for session in sessions:
    ...             self.add_session(session, generator)
    ...     def states(self, groups, *, generator=None):
    ...         found = []
    ...         for group in groups:
    ...             weights = self.weights(group)
    ...             inputs = weights.standardise(group)
    ...             features = torch.tanh(F.linear(inputs, weights.read_in, weights.bias))
    ...             found.append(State(features, weights.read_rates(features)))
    ...         return found
    """

    def __init__(
        self,
        n_time: int,
        *,
        n_in: int,
        n_features: int,
        n_linear: int = 0,
        n_spike_history: int = 0,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.n_time = n_time
        self.n_features = n_features
        self.sizes = {
            "n_in": n_in,
            "n_linear": n_linear,
            "n_features": n_features,
            "n_spike_history": n_spike_history,
            "dim": dim,
        }
        self.encoder: NeuronEncoder | None = None
        self.region_names: tuple[str, ...] = ()
        self.smoothing = 0.0
        self.session_index: dict[str, int] = {}
        self.stitches = nn.ModuleList()

    def states(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[State]:
        """Turn masked trials into features and log-rates; every backbone has its own way.

        Parameters
        ----------
        groups : sequence of TrialGroup
            Masked trials, one group a session.
        generator : torch.Generator, optional
            Source of dropout; None for inference.
        """
        raise TypeError(f"{type(self).__name__} has no method states; a backbone must define it.")

    def batch_log_rates(
        self, batch: TrialBatch, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the log-rates of a batch, float32 (trials, time, neurons), padded as it is."""
        log_rates = batch.counts.new_zeros(batch.counts.shape)
        states = self.states(batch.groups, generator=generator)
        for part, state in zip(batch.parts, states, strict=True):
            log_rates[part.rows, : part.n_time, : part.n_neurons] = state.log_rates
        return log_rates

    def forward(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Return the log-rates of `states`, float32 (trials, time, neurons), of each group."""
        return [state.log_rates for state in self.states(groups, generator=generator)]

    def add_session(self, statistics: SessionStatistics, generator: torch.Generator) -> Stitch:
        """Give a session a stitch, which knows nothing yet, where the others are."""
        device = next((p.device for p in self.parameters()), torch.device("cpu"))
        stitch = Stitch(statistics, **self.sizes, generator=generator).to(device)
        self.session_index[statistics.session_id] = len(self.stitches)
        self.stitches.append(stitch)
        return stitch

    def keep_sessions(self, session_ids: Sequence[str]) -> None:
        """Forget the weights of all other sessions."""
        kept = [name for name in self.session_index if name in session_ids]
        self.stitches = nn.ModuleList(self.stitch(name) for name in kept)
        self.session_index = {name: i for i, name in enumerate(kept)}

    def stitch(self, session_id: str) -> Stitch:
        """Return a session's stitch."""
        return cast(Stitch, self.stitches[self.session_index[session_id]])

    def bytes_a_trial(self, session_id: str, n_time: int) -> int:
        """Say about how much memory a trial of prediction takes at its peak, in bytes.

        So many trials are predicted at once as fit into what a pass may take; a backbone that
        needs more than some copies of its counts and features says so here.
        """
        n_neurons = len(self.stitch(session_id).mean)
        return 4 * n_time * (COPIES_OF_COUNTS * n_neurons + COPIES_OF_FEATURES * self.n_features)

    def weights(self, group: TrialGroup | Part) -> Weights:
        """Return the weights that a group's trials are to be read with."""
        return group.weights or self.stitch(group.session_id).weights()

    def add_encoder(
        self, region_names: Sequence[str], smoothing: float, generator: torch.Generator
    ) -> None:
        """Add an encoder of neurons, so that new sessions can start from what it infers.

        Parameters
        ----------
        region_names : sequence of str
            Regions that get an embedding.
        smoothing : float
            Standard deviation, in bins, of the gaussian that smooths counts before neurons are
            correlated.
        generator : torch.Generator
            Source of the initial weights.
        """
        self.region_names = tuple(region_names)
        self.smoothing = smoothing
        self.encoder = NeuronEncoder(
            **self.sizes, n_regions=len(self.region_names), generator=generator
        )

    def population_statistics(
        self, counts: Tensor, regions: Sequence[str] | None, observed: Tensor | None = None
    ) -> PopulationStatistics:
        """Measure of some trials (trials, time, neurons), as far as observed, what the encoder reads."""
        return PopulationStatistics(
            counts,
            regions,
            observed=observed,
            known_regions=self.region_names,
            n_factors=self.sizes["n_linear"],
            smoothing=self.smoothing,
        )
