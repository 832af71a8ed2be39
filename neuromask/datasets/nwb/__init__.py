"""Sessions from NWB files."""

from .loader import load_nwb

__all__ = ["load_nwb"]
