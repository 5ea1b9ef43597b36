"""Measures the phases of one study: compilation, training, evaluation. Runs the command line in this process.

    python -m benchmarks.study_phases --experiment=digits --workdir=runs/phases

Accepts the flags of dlm; the last printed line is JSON with seconds.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import psutil

from dlm import cli
from dlm.train.trainer import CohortRun

EVENTS = {
    "trace": "/jax/core/compile/jaxpr_trace_duration",
    "lower": "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "xla": "/jax/core/compile/backend_compile_duration",  # or the time to read from the cache
}


class Union:
    """Seconds covered by possibly nested events; jax.monitoring reports each event at its end."""

    def __init__(self, *events: str) -> None:
        self.events = events
        self.intervals: list[tuple[float, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self.note)

    def note(self, event: str, seconds: float, **_: Any) -> None:
        """Listener for jax.monitoring."""
        if event in self.events:
            end = time.perf_counter()
            self.intervals.append((end - seconds, end))

    @property
    def seconds(self) -> float:
        """Length of the union."""
        total, covered = 0.0, 0.0
        for start, end in sorted(self.intervals):
            total += max(0.0, end - max(start, covered))
            covered = max(covered, end)
        return total


def clocked(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """Wraps a function and appends the time of each call to `seconds`."""

    @functools.wraps(function)
    def run(*arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            seconds.append(time.perf_counter() - start)

    return run


def main() -> int:
    """Runs the command line, prints the phases and returns the exit code."""
    compiling = {name: Union(event) for name, event in EVENTS.items()} | {"compile": Union(*EVENTS.values())}
    training, measuring = [0.0], [0.0]
    CohortRun.advance = clocked(CohortRun.advance, training)  # type: ignore[method-assign]
    CohortRun.measure = clocked(CohortRun.measure, measuring)  # type: ignore[method-assign]
    code = cli.main(sys.argv)
    whole = time.time() - psutil.Process().create_time()
    phases = {name: union.seconds for name, union in compiling.items()}
    print(json.dumps(phases | {"train": sum(training), "measure": sum(measuring), "whole": whole}))
    return code


if __name__ == "__main__":
    sys.exit(main())
