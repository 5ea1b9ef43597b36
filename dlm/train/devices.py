"""Configures JAX before it initializes its devices, and measures their memory and energy."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import jax
import psutil

from dlm.utils.files import user_cache

Packing = Literal["exact", "fast"]

TRITON = "xla_gpu_enable_triton_gemm"


class EnergyMeter:
    """Joules used by a list of devices, one counter for each; measures nothing without counters."""

    def __init__(self, counters: Sequence[Callable[[], float]]) -> None:
        self._counters = counters

    def read(self) -> float | None:
        """Joules since an arbitrary start; None without a counter or if a counter fails."""
        try:
            return sum(counter() for counter in self._counters) if self._counters else None
        except Exception:  # an error of a driver must not stop training
            return None

    def since(self, before: float | None) -> float | None:
        """Joules since an earlier reading; None if either reading is missing."""
        now = self.read()
        return None if before is None or now is None else now - before


@functools.cache
def energy_meter() -> EnergyMeter:
    """The meter of the GPUs that JAX computes on; it measures nothing on other devices."""
    return EnergyMeter(_gpu_counters() if jax.default_backend() == "gpu" else [])


def _gpu_counters() -> Sequence[Callable[[], float]]:
    """A counter for each local GPU; empty without the package nvidia-ml-py or on a GPU before Volta."""
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


def configure(num_cpu_devices: int = 0) -> None:
    """Sets the number of virtual CPU devices and the persistent compilation cache; call before any computation.

    num_cpu_devices: 0 for one per usable core, at least two. XLA simplifies a program for a single device differently
    (it replaces divisions by products with a reciprocal), so its bits would differ from those on more cores. Has no
    effect on devices that JAX has initialized, or that were configured before when `num_cpu_devices` is 0.

    The cache is in the user's cache folder; JAX_COMPILATION_CACHE_DIR names another, and an empty value disables it.
    """
    _disable_triton_gemm()
    if num_cpu_devices or jax.config.jax_num_cpu_devices < 2:  # type: ignore[attr-defined]
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", max(2, num_cpu_devices or num_usable_cores()))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _disable_triton_gemm() -> None:
    """Disables XLA's Triton matrix products on GPUs, which abort for a CNN (jax 0.11.2; openxla/xla#47381).

    A value of the flag in XLA_FLAGS takes precedence.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    has_cuda = any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    if has_cuda and TRITON not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --{TRITON}=false".strip()


def num_usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder() -> Path:
    """Folder of compiled programs, shared by all runs."""
    return user_cache() / "xla"


def packing(choice: str) -> Packing:
    """Resolves `auto`: exact on CPU, fast on accelerators."""
    if choice in ("exact", "fast"):
        return choice  # type: ignore[return-value]
    return "exact" if jax.default_backend() == "cpu" else "fast"


def memory_limit() -> int:
    """Bytes that training may use: 90 % of the free memory of accelerators, 80 % of a host's available memory."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return int(0.8 * psutil.virtual_memory().available)
    known = [device.memory_stats() or {} for device in devices]
    return int(0.9 * sum(stats.get("bytes_limit", 2**62) - stats.get("bytes_in_use", 0) for stats in known))


def memory_in_use() -> tuple[int, int | None]:
    """(bytes of this process, bytes of arrays on the devices or None if the devices do not report it)."""
    known = [stats["bytes_in_use"] for device in jax.local_devices() if (stats := device.memory_stats())]
    return psutil.Process().memory_info().rss, sum(known) if known else None


def describe() -> str:
    """Kind and number of the devices, for records."""
    devices = jax.local_devices()
    return f"{devices[0].platform}:{devices[0].device_kind} x{len(devices)}"
