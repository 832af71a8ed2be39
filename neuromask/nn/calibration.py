"""What unlabelled trials tell of a session's neurons, before anything is learned of them.

A neuron is described by its rate, its mean response, its region and by how it varies with the
others. The last is what a read-in and a read-out need most: the leading factors of the correlations
between neurons are a linear model of the population that no gradient has touched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .stitching import RATE_FLOOR, SCALE_FLOOR

__all__ = ["N_STATISTICS", "Calibration"]

# Cosines over the trial that describe a neuron's mean response.
N_COSINES = 8
N_STATISTICS = 3 + N_COSINES
# A neuron that spikes less often than this, in spikes per bin, moves its log-rate no further.
RELATIVE_FLOOR = 0.005


@dataclass(frozen=True)
class Calibration:
    """Statistics of a session's neurons on some of its trials.

    Attributes
    ----------
    mean, scale : Tensor, (neurons,)
        Mean and standard deviation of the counts per bin.
    region : Tensor of int, (neurons,)
        Number of each neuron's region in the model's list of regions from one; 0 for a region that
        the model does not know.
    statistics : Tensor, (neurons, N_STATISTICS + n_factors)
        Rate, dispersion, strength of slow variation, mean response and loadings, of order one.
    correlation : Tensor, (neurons, neurons)
        Correlations of smoothed counts, zero on the diagonal.
    factor_in, factor_out : Tensor, (neurons, n_factors)
        Weights that read factors of unit variance out of z-scored counts, and those that predict a
        neuron's log-rate from them, less the more of a factor's variance is noise.
    """

    mean: Tensor
    scale: Tensor
    region: Tensor
    statistics: Tensor
    correlation: Tensor
    factor_in: Tensor
    factor_out: Tensor

    @classmethod
    def of(
        cls,
        counts: Tensor,
        regions: Sequence[str] | None,
        *,
        known_regions: Sequence[str],
        n_factors: int,
        smoothing: float,
    ) -> Calibration:
        """Measure the statistics of counts (trials, time, neurons)."""
        x = counts.float()
        n_trials, n_time, n_neurons = x.shape
        mean = x.mean((0, 1))
        square = torch.einsum("ktn,ktn->n", x, x) / (n_trials * n_time)
        scale = (square - mean**2).clamp_min(0).sqrt().clamp_min(SCALE_FLOOR)
        smooth = (_smoother(n_time, smoothing, x.device) @ x).sub_(mean).div_(scale)
        response = _cosines(n_time, x.device) @ smooth.mean(0) / n_time  # (N_COSINES, neurons)
        flat = smooth.view(-1, n_neurons)
        covariance = flat.T @ flat / len(flat)
        slow = covariance.diagonal().sqrt().clamp_min(1e-3)
        correlation = (covariance / slow / slow[:, None]).fill_diagonal_(0)
        strength, loading = _leading(correlation, n_factors)
        relative = slow * scale / mean.clamp_min(RELATIVE_FLOOR)
        log_mean = mean.clamp_min(RATE_FLOOR).log()
        dispersion = (scale**2 / mean.clamp_min(RATE_FLOOR)).log()
        statistics = [
            torch.stack([log_mean / 1.5 + 1.5, dispersion, 4 * slow - 1], 1),
            3 * response.T,
            0.5 * n_neurons**0.5 * loading,
        ]
        number = {name: i + 1 for i, name in enumerate(known_regions)}
        codes = [number.get(name, 0) for name in regions or [""] * n_neurons]
        return cls(
            mean,
            scale,
            torch.tensor(codes, device=x.device),
            torch.cat(statistics, 1),
            correlation,
            loading / (slow[:, None] * (1 + strength).sqrt()),
            loading * strength / (1 + strength).sqrt() * relative[:, None],
        )


def _smoother(n_time: int, width: float, device: torch.device) -> Tensor:
    bins = torch.arange(n_time, dtype=torch.float32, device=device)
    weights = torch.exp(-0.5 * ((bins[:, None] - bins) / width) ** 2)
    return weights / weights.sum(1, keepdim=True)


def _cosines(n_time: int, device: torch.device) -> Tensor:
    """Return cosines over the trial (N_COSINES, time), the first of them constant."""
    phase = (torch.arange(n_time, device=device) + 0.5) / n_time
    return torch.cos(math.pi * torch.arange(N_COSINES, device=device)[:, None] * phase)


def _leading(matrix: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return the n largest eigenvalues (n,) of a symmetric matrix and their vectors (neurons, n).

    Subspace iteration from a fixed start: an eighth of the time of a whole decomposition of a
    thousand neurons. Signs are such that a vector's entries sum to a positive number. Where there
    are fewer neurons, or eigenvalues are not positive, vectors are zero.
    """
    size = len(matrix)
    rank = min(n, size)
    start = torch.randn(size, min(n + 8, size), generator=torch.Generator().manual_seed(0))
    basis = start.to(matrix.device)
    for _ in range(12):
        basis = torch.linalg.qr(matrix @ (matrix @ basis))[0]
    values, vectors = torch.linalg.eigh(basis.T @ matrix @ basis)
    values, vectors = values.flip(0)[:rank], (basis @ vectors).flip(1)[:, :rank]
    vectors = vectors * torch.where(vectors.sum(0) < 0, -1.0, 1.0) * (values > 0)
    missing = n - rank
    return F.pad(values.clamp_min(0), (0, missing)), F.pad(vectors, (0, missing))
