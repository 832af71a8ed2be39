"""A plain reference path: the published structure, written the obvious way.

One session a batch, in fp32; a scheme and a mask for the whole batch, drawn on the CPU with loops over
trials; attention by explicit matrices; weights in separate tensors for an optimiser that loops over them; a
whole pass of the network for each neuron that is held out. Sizes are those of the model it is compared
with, so that a ratio tells of structure alone. It shares no code with the library.

Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCHEMES = ("neuron", "causal", "intra-region", "inter-region")


class Block(nn.Module):
    """Pre-norm attention and a perceptron."""

    def __init__(self, dim: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.norms = nn.ModuleList([nn.LayerNorm(dim), nn.LayerNorm(dim)])
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """Transform tokens (trials, tokens, dim)."""
        n_trials, n_tokens, dim = x.shape
        h = self.norms[0](x)
        q, k, v = (
            layer(h).view(n_trials, n_tokens, self.n_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        logits = q @ k.transpose(-1, -2) / (dim // self.n_heads) ** 0.5
        weights = logits.masked_fill(~allowed, -torch.inf).softmax(-1)
        weights = F.dropout(weights, self.dropout, self.training)
        mixed = (weights @ v).transpose(1, 2).reshape(n_trials, n_tokens, dim)
        x = x + F.dropout(self.out(mixed), self.dropout, self.training)
        h = self.down(F.gelu(self.up(self.norms[1](x))))
        return x + F.dropout(h, self.dropout, self.training)


class Reference(nn.Module):
    """Stitched NDT1: an affine map in and out for each session around a transformer over bins."""

    def __init__(
        self,
        n_neurons: Sequence[int],
        n_time: int,
        *,
        dim: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stitch_in = nn.ModuleList([nn.Linear(n, 2 * dim) for n in n_neurons])
        self.stitch_out = nn.ModuleList([nn.Linear(dim, n) for n in n_neurons])
        self.embed = nn.Linear(2 * dim, dim)
        self.positions = nn.Parameter(0.02 * torch.randn(n_time, dim))
        self.prompts = nn.Parameter(0.02 * torch.randn(len(SCHEMES), dim))
        self.sessions = nn.Parameter(0.02 * torch.randn(len(n_neurons), dim))
        self.blocks = nn.ModuleList([Block(dim, n_heads, dropout) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(dim)

    def forward(self, counts: Tensor, session: int, scheme: int) -> Tensor:
        """Return log-rates (trials, time, neurons) of counts whose hidden entries are zero."""
        n_trials, n_time, _ = counts.shape
        x = self.embed(F.softsign(self.stitch_in[session](counts))) + self.positions[:n_time]
        special = torch.stack([self.sessions[session], self.prompts[scheme]])
        x = torch.cat([special.expand(n_trials, -1, -1), x], 1)
        allowed = torch.ones(n_time + 2, n_time + 2, dtype=torch.bool, device=x.device)
        if SCHEMES[scheme] == "causal":
            allowed = allowed.tril()
        for block in self.blocks:
            x = block(x, allowed)
        return self.stitch_out[session](self.norm(x)[:, 2:])


def draw(
    scheme: int, shape: tuple[int, ...], regions: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return what is hidden and what is asked for of a batch (trials, time, neurons)."""
    hidden, target = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    region = rng.choice(np.unique(regions))
    for k in range(shape[0]):
        if SCHEMES[scheme] == "neuron":
            hidden[k, :, rng.random(shape[2]) < 0.3] = True
            target[k] = hidden[k]
        elif SCHEMES[scheme] == "causal":
            hidden[k, rng.random(shape[1]) < 0.6] = True
            target[k] = hidden[k]
        elif SCHEMES[scheme] == "intra-region":
            chosen = (regions == region) & (rng.random(shape[2]) < 0.3)
            hidden[k, :, (regions != region) | chosen] = True
            target[k, :, chosen] = True
        else:
            hidden[k, :, regions == region] = target[k, :, regions == region] = True
    return hidden, target


def train_step(
    model: Reference,
    optimiser: torch.optim.Optimizer,
    counts: np.ndarray,
    regions: np.ndarray,
    session: int,
    rng: np.random.Generator,
    device: str,
) -> float:
    """Take one step on a batch of one session (trials, time, neurons)."""
    scheme = int(rng.integers(len(SCHEMES)))
    hidden, target = draw(scheme, counts.shape, regions, rng)
    visible = torch.tensor(np.where(hidden, 0, counts), dtype=torch.float32, device=device)
    truth = torch.tensor(counts, dtype=torch.float32, device=device)
    log_rates = model(visible, session, scheme)
    loss = F.poisson_nll_loss(log_rates, truth, reduction="none")
    loss = loss[torch.tensor(target, device=device)].sum() / max(target.sum(), 1)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


@torch.no_grad()
def held_out_neuron(model: Reference, counts: np.ndarray, neuron: int, device: str) -> np.ndarray:
    """Return the rates of one neuron, by a pass of the whole network in which it is hidden."""
    visible = torch.tensor(counts, dtype=torch.float32, device=device)
    visible[:, :, neuron] = 0
    return model(visible, 0, 0).exp()[:, :, neuron].cpu().numpy()
