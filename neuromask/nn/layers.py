"""Blocks that backbones are built from.

Chance enters only through explicit generators: for initial weights at construction, and for
dropout in ``forward``, where a generator means training and None means inference. The global torch
state is never read, so that a fit is reproducible beside any other work in the process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "SPECIAL",
    "TransformerBlock",
    "attend",
    "attention_mask",
    "attention_masks",
    "draw_keeps",
    "drop",
    "kept",
    "linear",
    "parameter",
    "rotation",
    "token_times",
]

SPECIAL = -1  # time of session and prompt tokens
# Tokens up to which plain products are faster than fused attention, in bf16 on a CPU.
PLAIN_ATTENTION = 256


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


def draw_keeps(
    generator: torch.Generator | None, wanted: Sequence[tuple[tuple[int, ...], float]]
) -> list[Tensor | None]:
    """Draw all dropout of a pass at once: factors that are 0 with a probability, else rescale.

    Parameters
    ----------
    generator : torch.Generator or None
        Source of chance; without one nothing is dropped.
    wanted : sequence of (tuple of int, float)
        Shapes, and the probability of dropping in each, to the nearest 1/256.

    Returns
    -------
    list of Tensor of float32, or None
        Factors of each shape; None where nothing is dropped.
    """
    n_dropped = [min(round(256 * probability), 255) for _, probability in wanted]
    if generator is None or not any(n_dropped):
        return [None] * len(wanted)
    sizes = [math.prod(shape) if n else 0 for n, (shape, _) in zip(n_dropped, wanted, strict=True)]
    words = torch.empty(-(-sum(sizes) // 8), dtype=torch.int64, device=generator.device)
    words.random_(-(2**63), None, generator=generator)
    drawn = words.view(torch.uint8).float()
    keeps: list[Tensor | None] = [None] * len(wanted)
    start = 0
    # Those of one probability lie side by side, so that a few operations make them all.
    for n in sorted({n for n in n_dropped if n}):
        chosen = [i for i, other in enumerate(n_dropped) if other == n]
        size = sum(sizes[i] for i in chosen)
        # A byte of n or more is kept. Arithmetic on floats is several times faster on a CPU than
        # comparisons of bytes.
        factors = drawn[start : start + size].clamp_(n - 1, n).sub_(n - 1).mul_(256 / (256 - n))
        for i, own in zip(chosen, factors.split([sizes[i] for i in chosen]), strict=True):
            keeps[i] = own.view(wanted[i][0])
        start += size
    return keeps


def kept(x: Tensor, keep: Tensor | None) -> Tensor:
    """Drop entries of x by factors of `draw_keeps`."""
    return x if keep is None else x * keep


def token_times(n_time: int, n_patches: int, n_special: int, device: torch.device) -> Tensor:
    """Return the time bin of each token, (tokens,): `SPECIAL` first, then patches bin by bin."""
    bins = torch.arange(n_time, device=device).repeat_interleave(n_patches)
    return F.pad(bins, (n_special, 0), value=SPECIAL)


@lru_cache(maxsize=8)
def attention_masks(n_time: int, n_patches: int, n_special: int, device: torch.device) -> Tensor:
    """Say which token may attend to which, from the time bin that each token tells of.

    Under causal attention a token reads tokens of its own bin, whatever their number, and of bins
    before it. Special tokens have time `SPECIAL`, before all bins: every token reads them, and they
    read special tokens alone. Were one to read bins, a second layer would carry the future through
    it into the past.

    Returns
    -------
    Tensor of float32, (2, tokens, tokens)
        Of full and of causal attention, (to, from): 0 where a token is read and minus infinity
        elsewhere, to be added to the logits of attention.
    """
    with torch.inference_mode(False):  # they outlive who asks first, and serve training too
        times = token_times(n_time, n_patches, n_special, device)
        masks = torch.zeros(2, len(times), len(times), device=device)
        masks[1].masked_fill_(times[None, :] > times[:, None], -torch.inf)
    return masks


def attention_mask(
    masks: Tensor, causal: Tensor, attention: str = "mixed", absent: Tensor | None = None
) -> Tensor | None:
    """Choose the mask of each trial.

    Parameters
    ----------
    masks : Tensor of float32, (2, tokens, tokens)
        See `attention_masks`.
    causal : Tensor of int, (trials,)
        1 for trials that attend causally, else 0.
    attention : {"mixed", "full", "causal"}, default="mixed"
        Whether all trials are known to attend alike.
    absent : Tensor of bool, (trials, tokens), optional
        Tokens that only fill up a batch, which no token reads.

    Returns
    -------
    Tensor of float32, (trials or 1, 1, tokens, tokens), or None
        None when everything is allowed.
    """
    mask = masks[causal] if attention == "mixed" else masks[int(attention == "causal"), None]
    if absent is not None:
        mask = mask.masked_fill(absent[:, None, :], -torch.inf)
    elif attention == "full":
        return None
    return mask[:, None]


def rotation(times: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """Return cosines and sines (tokens, head_dim / 2) of rotary positions.

    Special tokens are not turned; bins are turned by their time, so that attention sees how far
    apart two bins lie and not where they are.

    References
    ----------
    Su, J. et al. (2021). RoFormer: enhanced transformer with rotary position embedding.
    """
    half = torch.arange(head_dim // 2, device=times.device)
    frequency = 100.0 ** (-2 * half / head_dim)
    angle = (times + 1).clamp_min(0)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn pairs of x (trials, heads, tokens, head_dim) by `rotation`."""
    cos, sin = (t.to(x.dtype) for t in turn)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attend within each head (trials, heads, tokens, head_dim).

    The CPU's fused attention is several times slower backwards in bf16 than in fp32, and slower than
    plain products of short sequences.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        if q.dtype == torch.float32 or q.shape[-2] > PLAIN_ATTENTION:
            q, k, v = q.float(), k.float(), v.float()
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        logits = logits.float() if mask is None else logits + mask
        return logits.softmax(-1).to(v.dtype) @ v


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
        keeps: tuple[Tensor | None, Tensor | None] = (None, None),
    ) -> Tensor:
        """Transform tokens x (trials, tokens, dim).

        `turn` are rotary positions, where those are used, and `keeps` what dropout keeps of what
        attention and the perceptron add.
        """
        q, k, v = self.heads(x, turn)
        return self.after_attention(x, attend(q, k, v, mask), keeps)

    def heads(
        self, x: Tensor, turn: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (trials, heads, tokens, head_dim) of tokens x."""
        n_trials, n_tokens, dim = x.shape
        heads = (n_trials, n_tokens, 3, self.n_heads, dim // self.n_heads)
        q, k, v = self.qkv(self.attention_norm(x)).view(heads).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        return q, k, v

    def after_attention(
        self, x: Tensor, mixed: Tensor, keeps: tuple[Tensor | None, Tensor | None] = (None, None)
    ) -> Tensor:
        """Add to tokens x what attention gave, (trials, heads, tokens, head_dim), and the perceptron."""
        x = _add(x, self.attention_out(mixed.transpose(1, 2).flatten(2)), keeps[0])
        hidden = F.gelu(self.mlp_up(self.mlp_norm(x)))
        return _add(x, self.mlp_down(hidden), keeps[1])


def _add(x: Tensor, change: Tensor, keep: Tensor | None) -> Tensor:
    return x + kept(change, keep)
