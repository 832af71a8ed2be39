"""Blocks that backbones are built from.

Chance enters only through explicit generators: for initial weights at construction, and for
dropout in ``forward``, where a generator means training and None means inference. The global torch
state is never read, so that a fit is reproducible beside any other work in the process.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "PADDING",
    "SPECIAL",
    "TransformerBlock",
    "attend",
    "attention_mask",
    "drop",
    "linear",
    "parameter",
    "rotation",
]

SPECIAL = -1  # time of session and prompt tokens
PADDING = -2  # time of tokens that only fill up a batch


def linear(
    n_in: int,
    n_out: int,
    generator: torch.Generator,
    *,
    bias: bool = True,
    scale: float = 1.0,
) -> nn.Linear:
    """Make a linear layer with uniform weights of variance ``scale**2 / (3 n_in)``."""
    layer = nn.Linear(
        1, 1, bias=bias, device="meta"
    )  # without values, which global chance would give
    layer.in_features, layer.out_features = n_in, n_out
    bound = scale * max(n_in, 1) ** -0.5
    layer.weight = nn.Parameter(
        torch.empty(n_out, n_in).uniform_(-bound, bound, generator=generator)
    )
    if bias:
        layer.bias = nn.Parameter(torch.zeros(n_out))
    return layer


def parameter(*shape: int, generator: torch.Generator, std: float) -> nn.Parameter:
    """Make a parameter of normal values with standard deviation `std`."""
    return nn.Parameter(std * torch.randn(*shape, generator=generator))


def drop(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Zero entries with a probability and rescale the rest; without a generator do nothing.

    A random byte an entry decides, several times faster on a CPU than a random number each; the
    probability is taken to the nearest 1/256.
    """
    n_dropped = min(round(256 * probability), 255)
    if generator is None or n_dropped == 0:
        return x
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
    words.random_(-(2**63), None, generator=generator)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= n_dropped
    return x * kept.to(x.dtype).mul_(256 / (256 - n_dropped))


def attention_mask(times: Tensor, causal: Tensor) -> Tensor | None:
    """Say which token may attend to which, from the time bin that each token tells of.

    Under causal attention a token reads tokens of its own bin, whatever their number, and of bins
    before it. Special tokens have time `SPECIAL`, before all bins: every token reads them, and they
    read special tokens alone. Were one to read bins, a second layer would carry the future through
    it into the past.

    Parameters
    ----------
    times : Tensor of int, (trials, tokens)
        Time bin of each token, `SPECIAL` or `PADDING`.
    causal : Tensor of bool, (trials,)
        Which trials attend causally.

    Returns
    -------
    Tensor of bool, (trials, 1, tokens, tokens), or None
        True where attention is allowed; None when everything is.
    """
    readable = times != PADDING  # (trials, tokens)
    if bool(readable.all()) and not bool(causal.any()):
        return None
    past = times[:, None, :] <= times[:, :, None]  # (trials, to, from)
    allowed = past | ~causal[:, None, None]
    return (allowed & readable[:, None, :])[:, None]


def rotation(times: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (trials, 1, tokens, head_dim / 2) of rotary positions.

    Special tokens are not turned; bins are turned by their time, so that attention sees how far
    apart two bins lie and not where they are.

    References
    ----------
    Su, J. et al. (2021). RoFormer: enhanced transformer with rotary position embedding.
    """
    half = torch.arange(head_dim // 2, device=times.device)
    frequency = 100.0 ** (-2 * half / head_dim)
    angle = (times + 1).clamp_min(0)[:, None, :, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of x (trials, heads, tokens, head_dim) by `rotation`."""
    cos, sin = (t.to(x.dtype) for t in turn)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attend within each head (trials, heads, tokens, head_dim); on a CPU in fp32.

    The CPU's fused attention is several times slower backwards in bf16 than in fp32.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        q, k, v = q.float(), k.float(), v.float()
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and a GELU multilayer perceptron, each added to its input."""

    def __init__(
        self, dim: int, n_heads: int, expansion: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = linear(dim, 3 * dim, generator)
        self.attention_out = linear(dim, dim, generator)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp_up = linear(dim, expansion * dim, generator)
        self.mlp_down = linear(expansion * dim, dim, generator)

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None,
        turn: tuple[Tensor, Tensor] | None = None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Transform tokens x (trials, tokens, dim).

        `turn` are rotary positions, where those are used, and `generator` is the source of dropout.
        """
        n_trials, n_tokens, dim = x.shape
        heads = (n_trials, n_tokens, 3, self.n_heads, dim // self.n_heads)
        q, k, v = self.qkv(self.attention_norm(x)).view(heads).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        mixed = attend(q, k, v, mask)  # (trials, heads, tokens, )
        mixed = mixed.transpose(1, 2).reshape(n_trials, n_tokens, dim)
        x = x + drop(self.attention_out(mixed), self.dropout, generator)
        hidden = F.gelu(self.mlp_up(self.mlp_norm(x)))
        return x + drop(self.mlp_down(hidden), self.dropout, generator)
