"""What unlabelled trials tell of a session's neurons, before anything is learned of them.

A neuron is described by its rate, its mean response, its region and by how it varies with the
others. The last is what a read-in and a read-out need most: the leading factors of the correlations
between neurons are a linear model of the population that no gradient has touched.

In short, with counts x (trials k, bins t, neurons n), their mean m and standard deviation s, and a
gaussian smoother G over time:

- smoothed:    y = (G x - m) / (s v), where v makes the mean square of y one;
- correlation: C = mean of y y' over trials and bins, its diagonal set to zero;
- factors:     C u = l u, for the largest l above ``max(NOISE, NOISE_EDGE * edge)``, where edge is the
  largest that independent neurons would show in as many trials (Marchenko and Pastur);
- loading:     L = C u / l, which is u where all trials are used;
- evidence:    E = L l / sqrt(1 + l), so that y = E f + noise with factors f of unit variance;
- factor_in:   L / (v sqrt(1 + l)), which reads f out of (x - m) / s;
- factor_out:  E v s / m, which turns f into a change of log-rate.

The page "The method" has the same with every constant's reason, in "The encoder of neurons".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InvalidInputError
from .session_weights import LEAST_BASE_RATE, LEAST_SCALE
from .smoothing import smooth

__all__ = ["N_DESCRIPTORS", "NeuronStatistics", "PopulationStatistics"]

# Cosines over the trial that describe a neuron's mean response.
N_COSINES = 8
# Beside them: mean rate, dispersion, strength of slow variation and number of trials. Loadings, one
# a factor, come on top.
N_DESCRIPTORS = 4 + N_COSINES
# The descriptor of the number of trials is log(trials / USUAL_TRIALS).
USUAL_TRIALS = 100
# A factor counts if its eigenvalue is above both of these: NOISE, in units of a neuron's variance,
# and NOISE_EDGE of the largest eigenvalue that independent neurons would show in as many trials. The
# share is below one because a factor somewhat below that edge is noisy, not useless.
NOISE = 0.5
NOISE_EDGE = 0.6
# The change of a log-rate is that of the rate divided by the mean rate, but by no less than this, in
# spikes per bin: a nearly silent neuron would otherwise be moved without bound.
LEAST_RELATIVE_RATE = 0.005
# Trials that are smoothed at once.
TRIALS_AT_ONCE = 32


@dataclass(frozen=True)
class NeuronStatistics:
    """Statistics of a session's neurons on some of its trials.

    Attributes
    ----------
    mean, scale : Tensor, (neurons,)
        Mean and standard deviation of the counts per bin.
    region : Tensor of int, (neurons,)
        Number of each neuron's region in the model's list of regions from one; 0 for a region that
        the model does not know.
    descriptors : Tensor, (neurons, N_DESCRIPTORS + n_factors)
        Rate, dispersion, strength of slow variation, number of trials, mean response and loadings,
        of order one.
    correlation : Tensor, (neurons, neurons)
        Correlations of smoothed counts, C; zero on the diagonal.
    factor_in : Tensor, (neurons, n_factors)
        Weights that read factors of unit variance out of standardised counts.
    factor_out : Tensor, (neurons, n_factors)
        Weights that turn factors into changes of a neuron's log-rate. A factor of which much of the
        variance is noise moves it less.
    evidence : Tensor, (neurons, n_factors)
        What a factor of one standard deviation moves a neuron's smoothed counts by, in standard
        deviations of their noise, E.
    """

    mean: Tensor
    scale: Tensor
    region: Tensor
    descriptors: Tensor
    correlation: Tensor
    factor_in: Tensor
    factor_out: Tensor
    evidence: Tensor


class PopulationStatistics:
    """Measures a session's neurons on all of its trials, or on all but some.

    Statistics that leave out the trials of a batch are nearly what those trials would be served with
    if they were new: correlations, mean responses and loadings are those of the other trials. Mean
    rates, the factors' directions and their eigenvalues stay those of all trials, so that what is
    learned beside the factors keeps its meaning.

    Parameters
    ----------
    counts : Tensor, (trials, time, neurons)
        The trials; 0 where not observed.
    regions : sequence of str, optional
        Region of each neuron.
    observed : Tensor of bool, (trials, time, neurons), optional
        Which counts were observed; all by default. Neurons are compared in the bins that both were
        observed in.
    known_regions : sequence of str
        Regions that the model has a number for.
    n_factors : int
        Factors of the population.
    smoothing : float
        Standard deviation, in bins, of the gaussian that smooths counts.
    """

    def __init__(
        self,
        counts: Tensor,
        regions: Sequence[str] | None,
        *,
        observed: Tensor | None = None,
        known_regions: Sequence[str],
        n_factors: int,
        smoothing: float,
    ) -> None:
        self.counts = counts
        self.observed = observed
        n_trials, n_time, n_neurons = counts.shape
        self.smoothing = smoothing
        self.cosines = _cosines(n_time, counts.device)
        self.amount = _Amount.of(observed, n_trials, n_time)
        n_bins = self.amount.bins
        total, square = (counts.new_zeros(n_neurons, dtype=torch.float32) for _ in range(2))
        for x, _ in self._parts():
            total += x.sum((0, 1))
            square += torch.einsum("ktn,ktn->n", x, x)
        self.mean, square = _over(total, n_bins), _over(square, n_bins)
        self.scale = (square - self.mean**2).clamp_min(0).sqrt().clamp_min(LEAST_SCALE)
        if observed is not None and not (known := observed.flatten(0, 1).any(0)).all():
            # Neurons that were never observed count as average ones.
            self.mean, self.scale = (
                torch.where(known, s, s[known].mean()) for s in (self.mean, self.scale)
            )
        self.slow = torch.ones(())
        self.total = counts.new_zeros((n_neurons, n_neurons), dtype=torch.float32)
        self.response = counts.new_zeros((n_time, n_neurons), dtype=torch.float32)
        for part in self._parts():
            smoothed = self._smooth(*part)
            self.total += _products(smoothed)
            self.response += smoothed.sum(0)
        self.slow = _over(self.total.diagonal(), n_bins).sqrt().clamp_min(1e-3)
        self.total /= self.slow[:, None] * self.slow
        self.response /= self.slow
        correlation = _over(self.total, self.amount.pairs).fill_diagonal_(0)
        n_usual = float(torch.as_tensor(n_bins, dtype=torch.float64).mean())
        n_samples = n_usual / (math.sqrt(2 * math.pi) * smoothing)
        self.noise = max(NOISE, NOISE_EDGE * _noise_edge(n_neurons / n_samples))
        self.strength, self.loading = _leading(correlation, n_factors, self.noise)
        number = {name: i + 1 for i, name in enumerate(known_regions)}
        labels = [""] * n_neurons if regions is None else regions
        codes = [number.get(name, 0) for name in labels]
        self.region = torch.tensor(codes, device=counts.device)

    def _parts(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield some trials at a time, as float32, and which of them were observed."""
        for trials in torch.arange(len(self.counts)).split(TRIALS_AT_ONCE):
            rows = slice(int(trials[0]), int(trials[-1]) + 1)
            yield self.counts[rows].float(), None if self.observed is None else self.observed[rows]

    def whole(self) -> NeuronStatistics:
        """Describe the neurons by all trials."""
        return self._describe(self.total, self.response, self.amount)

    def without(self, trials: Tensor) -> NeuronStatistics:
        """Describe them by all trials but these, each of which is named once.

        Raises
        ------
        InvalidInputError
            If none would be left.
        """
        if len(trials) >= len(self.counts):
            raise InvalidInputError(
                f"{len(trials)} of {len(self.counts)} trials are to be left out; "
                "expected fewer, so that something is left to describe neurons by."
            )
        observed = None if self.observed is None else self.observed[trials]
        smoothed = self._smooth(self.counts[trials].float(), observed)
        total, response = self.total - _products(smoothed), self.response - smoothed.sum(0)
        out = _Amount.of(observed, len(trials), self.counts.shape[1])
        return self._describe(total, response, self.amount - out)

    def _smooth(self, counts: Tensor, observed: Tensor | None) -> Tensor:
        """Smooth, standardise, and set to 0, an average count, what was not observed."""
        if observed is None:
            return smooth(counts, self.smoothing).sub_(self.mean).div_(self.scale * self.slow)
        there = observed.float()
        seen = smooth(there, self.smoothing).clamp_min(1e-6)
        smoothed = smooth(counts, self.smoothing).div_(seen).sub_(self.mean)
        return smoothed.div_(self.scale * self.slow).mul_(there)

    def _describe(self, total: Tensor, response: Tensor, amount: _Amount) -> NeuronStatistics:
        n_time, n_neurons = response.shape
        correlation = _over(total, amount.pairs).fill_diagonal_(0)
        strength = self.strength
        loading = correlation @ self.loading / strength.clamp_min(self.noise)
        coefficients = self.cosines @ _over(response * self.slow, amount.responses) / n_time
        log_mean = self.mean.clamp_min(LEAST_BASE_RATE).log()
        dispersion = (self.scale**2 / self.mean.clamp_min(LEAST_BASE_RATE)).log()
        n_trials = torch.as_tensor(amount.bins, dtype=torch.float64).clamp_min(1) / n_time
        many = (n_trials / USUAL_TRIALS).log().to(log_mean).expand_as(log_mean)
        descriptors = [
            torch.stack([log_mean / 1.5 + 1.5, dispersion, 4 * self.slow - 1, many], 1),
            3 * coefficients.T,
            0.5 * n_neurons**0.5 * loading,
        ]
        relative = self.slow * self.scale / self.mean.clamp_min(LEAST_RELATIVE_RATE)
        total_variance = 1 + strength
        evidence = loading * strength / total_variance.sqrt()
        return NeuronStatistics(
            mean=self.mean,
            scale=self.scale,
            region=self.region,
            descriptors=torch.cat(descriptors, 1),
            correlation=correlation,
            factor_in=loading / (self.slow[:, None] * total_variance.sqrt()),
            factor_out=evidence * relative[:, None],
            evidence=evidence,
        )


@dataclass(frozen=True)
class _Amount:
    """How much was observed: what sums over trials are divided by.

    Attributes
    ----------
    bins : int or Tensor, (neurons,)
        Bins of trials of each neuron.
    pairs : int or Tensor, (neurons, neurons)
        Bins of trials in which two neurons were both observed.
    responses : int or Tensor, (time, neurons)
        Trials of each bin.
    """

    bins: Tensor | int
    pairs: Tensor | int
    responses: Tensor | int

    @classmethod
    def of(cls, observed: Tensor | None, n_trials: int, n_time: int) -> _Amount:
        """Count; numbers suffice where everything was observed."""
        if observed is None:
            return cls(n_trials * n_time, n_trials * n_time, n_trials)
        there = observed.float()
        return cls(there.sum((0, 1)), _products(there), there.sum(0))

    def __sub__(self, other: _Amount) -> _Amount:
        return _Amount(
            self.bins - other.bins, self.pairs - other.pairs, self.responses - other.responses
        )


def _over(total: Tensor, amount: Tensor | int) -> Tensor:
    """Divide a sum by how much was summed, by 1 where that was nothing."""
    return total / (amount if isinstance(amount, int) else amount.clamp_min(1))


def _products(smoothed: Tensor) -> Tensor:
    """Sum products of all pairs of neurons over trials and time."""
    flat = smoothed.flatten(0, 1)
    return flat.T @ flat


def _cosines(n_time: int, device: torch.device) -> Tensor:
    """Return cosines over the trial (N_COSINES, time), the first of them constant."""
    phase = (torch.arange(n_time, device=device) + 0.5) / n_time
    return torch.cos(math.pi * torch.arange(N_COSINES, device=device)[:, None] * phase)


def _noise_edge(ratio: float) -> float:
    """Return the largest eigenvalue of the correlations of independent neurons, less one.

    It is ``(1 + sqrt(ratio))**2 - 1``, where `ratio` is that of neurons to independent samples.
    Smoothing by a gaussian of standard deviation s leaves one independent sample in sqrt(2 pi) s
    bins, which is the sum of the squared autocorrelations of smoothed white noise.

    References
    ----------
    Marchenko, V. A. & Pastur, L. A. (1967). Distribution of eigenvalues for some sets of random
    matrices.
    """
    return ratio + 2 * math.sqrt(ratio)


def _leading(matrix: Tensor, n: int, noise: float) -> tuple[Tensor, Tensor]:
    """Return the n largest eigenvalues (n,) of a symmetric matrix and their vectors (neurons, n).

    Subspace iteration from a fixed start: a fraction of the time of a whole decomposition of a
    thousand neurons. Signs are such that a vector's entries sum to a positive number. Where there
    are fewer neurons, or eigenvalues are below `noise`, values and vectors are zero.
    """
    size = len(matrix)
    rank = min(n, size)
    start = torch.randn(size, min(n + 8, size), generator=torch.Generator().manual_seed(0))
    basis = start.to(matrix.device)
    for _ in range(12):
        basis = torch.linalg.qr(matrix @ (matrix @ basis))[0]
    values, vectors = torch.linalg.eigh(basis.T @ matrix @ basis)
    values, vectors = values.flip(0)[:rank], (basis @ vectors).flip(1)[:, :rank]
    vectors = vectors * torch.where(vectors.sum(0) < 0, -1.0, 1.0) * (values > noise)
    values = values * (values > noise)
    return F.pad(values, (0, n - rank)), F.pad(vectors, (0, n - rank))
