"""Where a network runs, and in which arithmetic."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import torch

from ..errors import InvalidInputError

__all__ = ["autocast", "resolve_device", "resolve_precision"]


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Run the network in bfloat16 where `precision` says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def resolve_device(device: str) -> torch.device:
    """Turn ``"auto"`` or a device name into a device that is present, and on which networks can run."""
    if (default := torch.get_default_dtype()) != torch.float32:
        raise InvalidInputError(
            f"torch's default dtype is {default}; networks are made in float32. Call "
            "torch.set_default_dtype(torch.float32) first."
        )
    if not isinstance(device, (str, torch.device)):
        raise InvalidInputError(f"device={device!r}; expected 'auto', 'cpu' or 'cuda'.")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InvalidInputError(f"device={device!r}; expected 'auto', 'cpu' or 'cuda'.") from error
    if found.type == "meta":
        raise InvalidInputError(f"device={device!r} computes nothing; use device='auto' or 'cpu'.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(
            f"device={device!r}, but no GPU is available; use device='auto' or 'cpu'."
        )
    try:
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidInputError(
            f"device={device!r} is not to be had here ({reason}); use device='auto' or 'cpu'."
        ) from error
    return found


def resolve_precision(precision: str, device: torch.device) -> str:
    """Turn ``"auto"`` into bf16 where the hardware multiplies it fast, else fp32."""
    if precision in ("bf16", "fp32"):
        return precision
    if precision != "auto":
        raise InvalidInputError(f"precision={precision!r}; expected 'auto', 'bf16' or 'fp32'.")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if _is_fast_in_bf16() else "fp32"


def _is_fast_in_bf16() -> bool:
    """Whether the CPU has AMX, or the AVX-512 of AMD; that of Intel alone is slower than fp32."""
    has_tiles, has_vectors = (
        getattr(torch.cpu, name, lambda: False)()
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    cpus = Path("/proc/cpuinfo")
    return has_tiles or (has_vectors and cpus.exists() and "AuthenticAMD" in cpus.read_text())
