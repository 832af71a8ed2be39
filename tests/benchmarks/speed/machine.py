"""What a machine is, and how fast it multiplies matrices: what all other figures are read beside."""

from __future__ import annotations

import contextlib
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

# Matrices that are large enough for the peak of a CPU, and of a GPU; numbers of arrays that are moved.
SIZES = {"cpu": (512, 1024, 2048), "cuda": (4096, 8192)}
LENGTHS = {"cpu": (10**6, 10**7), "cuda": (10**7, 10**8)}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def describe(device: str) -> dict[str, object]:
    """Describe the machine and the versions that decide how fast it is."""
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": gpu,
        # Processes that wait for a core, now and later: with more than cores, times are not the machine's.
        "load": [os.getloadavg()[0]],
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
    return both_seconds(call, device)[0]


def both_seconds(call: Callable[[], object], device: str = "cpu") -> tuple[float, float]:
    """Time one call, by the clock and by what this process had of all cores, which others do not disturb."""
    wait(device)
    start, used = time.perf_counter(), time.process_time()
    call()
    wait(device)
    return time.perf_counter() - start, time.process_time() - used


def peak(precision: str, device: str) -> float:
    """Return the best GFLOP/s of products of square matrices: medians of seven, over several sizes."""
    best = 0.0
    for n in SIZES[device]:
        a, b = (torch.randn(n, n, device=device).to(TYPES[precision]) for _ in range(2))
        times = [seconds(lambda a=a, b=b: a @ b, device) for _ in range(8)][1:]
        best = max(best, 2 * n**3 / statistics.median(times) / 1e9)
    return best


def bandwidth(device: str) -> float:
    """Return the best GB/s of adding a number to an array: medians of seven, over several sizes."""
    best = 0.0
    for n in LENGTHS[device]:
        a = torch.ones(n, device=device)
        b = torch.empty_like(a)
        times = [seconds(lambda a=a, b=b: torch.add(a, 1, out=b), device) for _ in range(8)][1:]
        best = max(best, 8 * n / statistics.median(times) / 1e9)
    return best


def launch(device: str) -> float:
    """Return the seconds that an operation of no size takes from its call to its end, in a row of many."""
    x = torch.zeros((), device=device)
    times = [seconds(lambda: [x.add_(1) for _ in range(500)], device) / 500 for _ in range(8)][1:]
    return statistics.median(times)


def spread(values: list[float]) -> dict[str, float]:
    """Give the median of repeats, the least and the most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


class Memory:
    """The most memory of this process from here on, in MB, and what it holds now."""

    def __init__(self, device: str) -> None:
        self.device = device
        # `ru_maxrss` of a process may begin with that of the process which started it; this does not.
        self.status = Path("/proc/self/status")
        with contextlib.suppress(OSError):  # where it may not be written, the most is that so far
            Path("/proc/self/clear_refs").write_text("5")
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self.start = self._held("VmRSS")

    def most(self) -> dict[str, float]:
        """Return the most that the process held, how much more that is than at the start, and the GPU's."""
        most = self._held("VmHWM")
        found = {"process_mb": most, "more_mb": most - self.start}
        if self.device == "cuda":
            found["gpu_mb"] = torch.cuda.max_memory_allocated() / 1e6
        return found

    def _held(self, field: str) -> float:
        if not self.status.is_file():
            most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return most / (1e6 if sys.platform == "darwin" else 1e3)
        lines = self.status.read_text().splitlines()
        (kib,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
        return int(kib) * 1024 / 1e6


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
