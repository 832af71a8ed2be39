"""Sessions from files of torch_brain and brainsets."""

from .loader import load_brainset

__all__ = ["load_brainset"]
