"""Set JAX up before it looks for devices: one virtual CPU device a core, and a compilation cache that is on."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import psutil

from dlm.train.population import Packing
from dlm.utils.files import user_cache

POWERCAP = Path("/sys/class/powercap")


class Meter:
    """Joules that some devices have used, by counters of each; without any, nothing is measured."""

    def __init__(self, counters: Sequence[Callable[[], float]]) -> None:
        self._counters = counters

    def read(self) -> float | None:
        """Joules since some time or other; None without a counter, or when one fails."""
        try:
            return sum(counter() for counter in self._counters) if self._counters else None
        except Exception:  # a driver's or a file system's trouble is not the training's
            return None


def used_since(before: float | None, by: Meter) -> float | None:
    """Joules since a reading of the meter; None where either is not known."""
    now = by.read()
    return None if before is None or now is None else now - before


@functools.cache
def meter() -> Meter:
    """The meter of the devices that JAX computes on."""
    if jax.default_backend() == "gpu":
        return Meter(_gpus())
    return Meter(_processors()) if jax.default_backend() == "cpu" else Meter([])


def _gpus() -> Sequence[Callable[[], float]]:
    """A counter for each local GPU; none without the package nvidia-ml-py, or a GPU that counts (Volta or later)."""
    with contextlib.suppress(Exception):
        import pynvml

        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(device.local_hardware_id) for device in jax.local_devices()]
        counters = [
            lambda handle=handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3 for handle in handles
        ]
        for counter in counters:
            counter()
        return counters
    return []


def _processors(folder: Path = POWERCAP) -> Sequence[Callable[[], float]]:
    """A counter for each processor package that may be read, which is root's right on most systems."""
    found = []
    for package in sorted(folder.glob("intel-rapl:*")):
        with contextlib.suppress(OSError, ValueError):
            if ":" in package.name.removeprefix("intel-rapl:"):
                continue  # a part of a package, which is counted with it
            counter = _Rapl(package)
            counter()
            found.append(counter)
    return found


class _Rapl:
    """Joules of one package. Its counter of microjoules begins again at 0 after a while."""

    def __init__(self, package: Path) -> None:
        self._file = package / "energy_uj"
        self._range = int((package / "max_energy_range_uj").read_text())
        self._last = int(self._file.read_text())
        self._total = 0

    def __call__(self) -> float:
        now = int(self._file.read_text())
        self._total += (now - self._last) % (self._range + 1)
        self._last = now
        return self._total / 1e6


TRITON = "xla_gpu_enable_triton_gemm"


def configure(num_cpu_devices: int = 0) -> None:
    """Virtual CPU devices (0: one a usable core) and the persistent compilation cache. Call before any computation.

    There are always at least two: XLA simplifies a program for one device by other rules (it turns divisions into
    products with a reciprocal), so that a study begun there would end in other bits on a machine with more cores.
    Where JAX already runs, or devices were configured before and none are asked for now, what is there stays.

    The cache lives in the user's cache folder unless JAX_COMPILATION_CACHE_DIR names another; empty turns it off.
    """
    _spare_gpus_a_crash()
    if num_cpu_devices or jax.config.jax_num_cpu_devices < 2:  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", max(2, num_cpu_devices or num_usable_cores()))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _spare_gpus_a_crash() -> None:
    """Turn XLA's Triton matrix products off, whose compiler aborts on `digits`' CNN (jax 0.11.2; openxla/xla#47381).

    Who names that flag in XLA_FLAGS decides. Where there is no CUDA plugin, nothing needs it.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    has_cuda = any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    if has_cuda and TRITON not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{TRITON}=false".strip()


def num_usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder() -> Path:
    """Where compiled programs are kept between runs."""
    return user_cache() / "xla"


def packing(choice: str) -> Packing:
    """`auto` resolved for this machine: exact on CPU, fast on accelerators."""
    if choice in ("exact", "fast"):
        return choice  # type: ignore[return-value]
    return "exact" if jax.default_backend() == "cpu" else "fast"


def memory_limit() -> int:
    """Bytes that training may take on the devices: nine tenths of what is free of theirs, four fifths of a host's."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return int(0.8 * psutil.virtual_memory().available)
    known = [device.memory_stats() or {} for device in devices]
    return int(0.9 * sum(stats.get("bytes_limit", 2**62) - stats.get("bytes_in_use", 0) for stats in known))


def memory_in_use() -> tuple[int, int | None]:
    """(bytes of this process, bytes that arrays take on the devices or None where these do not tell)."""
    known = [stats["bytes_in_use"] for device in jax.local_devices() if (stats := device.memory_stats())]
    return psutil.Process().memory_info().rss, sum(known) if known else None


def describe() -> str:
    """The devices, for records: kind and number."""
    devices = jax.local_devices()
    return f"{devices[0].platform}:{devices[0].device_kind} x{len(devices)}"
