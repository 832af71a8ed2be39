"""The command line: ``neuromask demo``, ``pretrain``, ``evaluate``, ``compare``, ``benchmark``."""

from .commands import main

__all__ = ["main"]
