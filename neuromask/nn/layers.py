"""Blocks that backbones are built from.

Chance enters only through explicit generators: for initial weights at construction, and for
dropout in ``forward``, where a generator means training and None means inference. The global torch
state is never read, so that a fit is reproducible beside any other work in the process.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TransformerBlock", "attention_mask", "drop", "linear", "parameter"]


def linear(
    n_in: int,
    n_out: int,
    generator: torch.Generator,
    *,
    bias: bool = True,
    scale: float = 1.0,
) -> nn.Linear:
    """Make a linear layer with uniform weights of variance ``scale**2 / (3 n_in)``."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)
    bound = scale * n_in**-0.5
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if bias:
            layer.bias.zero_()
    return layer


def parameter(*shape: int, generator: torch.Generator, std: float) -> nn.Parameter:
    """Make a parameter of normal values with standard deviation `std`."""
    return nn.Parameter(std * torch.randn(*shape, generator=generator))


def drop(x: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    """Zero entries with a probability and rescale the rest; without a generator do nothing."""
    if generator is None or probability == 0:
        return x
    keep = torch.empty_like(x).bernoulli_(1 - probability, generator=generator)
    return x * keep.div_(1 - probability)


def attention_mask(n_special: int, causal: Tensor, valid: Tensor) -> Tensor | None:
    """Say which token may attend to which, for special tokens followed by one token per bin.

    Under causal attention a bin reads the special tokens and bins up to itself, and a special token
    reads special tokens alone: were it to read bins, a second layer would carry the future through
    it into the past.

    Parameters
    ----------
    n_special : int
        Number of special tokens in front.
    causal : Tensor of bool, (trials,)
        Which trials attend causally.
    valid : Tensor of bool, (trials, time)
        Which bins are real; shorter trials are padded at their end.

    Returns
    -------
    Tensor of bool, (trials, 1, tokens, tokens), or None
        True where attention is allowed; None when everything is.
    """
    n_tokens = n_special + valid.shape[1]
    if bool(valid.all()) and not bool(causal.any()):
        return None
    past = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=causal.device).tril()
    past[:n_special, :n_special] = True
    allowed = past | ~causal[:, None, None]  # (trials, tokens, tokens)
    readable = F.pad(valid, (n_special, 0), value=True)  # (trials, tokens)
    return (allowed & readable[:, None, :])[:, None]


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
        self, x: Tensor, *, mask: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Transform tokens x (trials, tokens, dim); `generator` is the source of dropout."""
        n_trials, n_tokens, dim = x.shape
        heads = (n_trials, n_tokens, 3, self.n_heads, dim // self.n_heads)
        q, k, v = self.qkv(self.attention_norm(x)).view(heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (trials, heads, tokens, )
        mixed = mixed.transpose(1, 2).reshape(n_trials, n_tokens, dim)
        x = x + drop(self.attention_out(mixed), self.dropout, generator)
        hidden = F.gelu(self.mlp_up(self.mlp_norm(x)))
        return x + drop(self.mlp_down(hidden), self.dropout, generator)
