"""What a machine is, and how fast it multiplies matrices: what all other figures are read beside."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

# Matrices that are large enough for the peak of a CPU, and of a GPU.
SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def describe(device: str) -> dict[str, object]:
    """Describe the machine and the versions that decide how fast it is."""
    from neuromask.nn.device import resolve_precision

    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": gpu,
        "fast_bf16": resolve_precision("auto", torch.device(device)) == "bf16",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _cpu() -> str:
    """Name the processor, and the widest instructions that it has for matrices."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = dict(
        line.split(":", 1) for line in info.read_text().splitlines() if line.count(":") == 1
    )
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    flags = fields.get("flags", "").split()
    wide = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return f"{fields.get('model name', platform.machine())} ({', '.join(wide)})"


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Time one call."""
    wait(device)
    start = time.perf_counter()
    call()
    wait(device)
    return time.perf_counter() - start


def peak(precision: str, device: str) -> float:
    """Return the best GFLOP/s of products of square matrices: medians of seven, over several sizes."""
    best = 0.0
    for n in SIZES[device]:
        a, b = (torch.randn(n, n, device=device).to(TYPES[precision]) for _ in range(2))
        times = [seconds(lambda a=a, b=b: a @ b, device) for _ in range(8)][1:]
        best = max(best, 2 * n**3 / statistics.median(times) / 1e9)
    return best


def spread(values: list[float]) -> dict[str, float]:
    """Give the median of repeats, the least and the most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def memory_mb() -> float:
    """Return the most memory that this process has held so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def in_a_process(script: Path, *arguments: str, path: Path | None = None) -> str:
    """Run a script in a process of its own, with the library of another folder if one is given."""
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]
