"""Joules that the devices have used, where they tell: NVIDIA's GPUs by NVML, Intel's and AMD's processors by RAPL.

A meter counts all that its device does, other programs' work too.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

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
