"""Command line of the backtest: prints tables, writes JSON and reliability plots."""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.forecasting import backtest
from benchmarks.forecasting.backtest import (
    accuracy,
    calibration,
    collecting,
    crossover,
    diagnostics,
    figures,
    published_laws,
    required_size,
    sharpness,
)
from benchmarks.forecasting.backtest.settings import Part, Setting

PARTS: dict[str, Callable[[Setting], Part]] = {
    "calibration": calibration.run,
    "sharpness": sharpness.run,
    "accuracy": accuracy.run,
    "published-laws": published_laws.run,
    "required-size": required_size.run,
    "warnings": diagnostics.run,
    "crossover": crossover.run,
    "collecting": collecting.run,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the requested parts. Returns 0, or 2 with a message for invalid input."""
    args = _parser().parse_args(arguments)
    try:
        setting = Setting(args.curves, args.half, args.limit or None, args.jobs)
        names = _parts(args.only)
        if args.out and args.out.exists() and not args.out.is_dir():
            raise ValueError(f"out={args.out} is a file; name a folder")
        print(_heading(setting), flush=True)
        start = time.perf_counter()
        parts = [_run(name, setting) for name in names]
        print(f"\n{time.perf_counter() - start:.0f} s in total, {setting.jobs} processes")
    except (ValueError, OSError) as error:
        print(f"backtest: {error}", file=sys.stderr)
        return 2
    if args.out:
        _write(parts, setting, args.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecasting.backtest",
        description=backtest.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--curves", type=pathlib.Path, required=True, help="folder of tables of curves")
    parser.add_argument("--half", choices=("report", "choose", "both"), default="report", help="half of the data sets")
    parser.add_argument("--limit", type=_count, default=300, help="maximum number of curves of an archive; 0: all")
    parser.add_argument("--out", type=pathlib.Path, help="folder for backtest.json and figures")
    parser.add_argument("--only", default="", help=f"comma-separated parts: {', '.join(PARTS)}")
    parser.add_argument("--jobs", type=_count, default=os.cpu_count() or 1, help="processes")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0; give one such as 300")
    return int(text)


def _parts(only: str) -> list[str]:
    names = [name for name in only.split(",") if name] or list(PARTS)
    for name in names:
        if name not in PARTS:
            raise ValueError(f"only={name} is not a part; choose from {', '.join(PARTS)}")
    return names


def _heading(setting: Setting) -> str:
    """Describes the curves of the run."""
    counts = [f"{name} {len(setting.archive(name))}" for name in setting.cut_archives]
    published = len(setting.published())
    counts += [f"{published} with a published split"] if published else []
    counts += [f"{len(setting.split_curves())} with single splits"] if setting.splits else []
    halves = {"both": "all data sets", "report": "the reporting half", "choose": "the selection half"}
    return f"curves of {halves[setting.half]} (limit {setting.limit or 'none'}): {', '.join(counts)}"


def _run(name: str, setting: Setting) -> Part:
    start = time.perf_counter()
    part = PARTS[name](setting)
    for table in part.tables:
        if table.rows:
            print(table.text(), flush=True)
    print(f"\n({name}: {time.perf_counter() - start:.0f} s)", flush=True)
    return part


def _write(parts: Sequence[Part], setting: Setting, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "half": setting.half,
        "limit": setting.limit,
        "parts": {
            part.name: {
                "tables": [
                    {"title": t.title, "columns": t.columns, "rows": t.rows, "note": t.note} for t in part.tables
                ],
                "data": part.data,
            }
            for part in parts
        },
    }
    path = folder / "backtest.json"
    path.write_text(json.dumps(_finite(report), indent=1) + "\n")
    figure_files = [
        file
        for part in parts
        if "reliability" in part.data
        for file in figures.reliability(part.data["reliability"], folder / "reliability")
    ]
    print(f"\nwrote {', '.join(map(str, [path, *figure_files]))}")


def _finite(value: Any) -> Any:
    """Replaces NaN and infinity by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    # Unwinds on SIGTERM, so that worker processes end too.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
