"""Measures how fast a TFDS dataset is read: by a plain loop, by TFDS in batches, and by dlm without and with its cache.

    python -m benchmarks.data_reading --data_dir=FOLDER
    python -m benchmarks.data_reading --data_dir=FOLDER --name=multi30k --rounds=5

Every round runs all methods in turn over all splits; results are medians over rounds, also of the ratios. TFDS is
imported before the measurement; each round has its own temporary cache.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow_datasets as tfds

from dlm.data.tfds import reader
from dlm.data.tfds.folders import find

EXAMPLES_AT_ONCE = 4096


def plain_loop(folder: Path) -> int:
    """Every example of every split, one after another, as the tutorials read them."""
    builder = tfds.builder_from_directory(folder)
    return sum(1 for split in builder.info.splits for _ in builder.as_data_source(split=split))


def in_batches(folder: Path) -> int:
    """The same by `__getitems__`."""
    builder, number = tfds.builder_from_directory(folder), 0
    for split in builder.info.splits:
        source = builder.as_data_source(split=split)
        for start in range(0, len(source), EXAMPLES_AT_ONCE):
            number += len(source.__getitems__(range(start, min(start + EXAMPLES_AT_ONCE, len(source)))))
    return number


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of the processors, which a busy machine changes less."""
    begin, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - begin, time.process_time() - busy


def main() -> None:
    """Runs all methods in turn and prints seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data_dir", type=Path, default=None)
    parser.add_argument("--name", default="fashion_mnist")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    prepared = find(options.name, data_dir=options.data_dir)
    splits = {split: split for split in prepared.sizes}

    def read() -> None:
        reader.read(options.name, splits, data_dir=options.data_dir)

    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            os.environ["DLM_CACHE_DIR"] = cache
            ways = {
                "plain loop": lambda: plain_loop(prepared.folder),
                "in batches": lambda: in_batches(prepared.folder),
                "dlm, cold": read,
                "dlm, warm": read,
            }
            rounds.append({way: timed(function) for way, function in ways.items()})
    print(f"{prepared.full_name}, {sum(prepared.sizes.values())} examples, {options.rounds} rounds\n")
    print("| method | seconds | speedup over plain loop | CPU seconds | speedup over plain loop |\n" + "|---" * 5 + "|")
    for way in rounds[0]:
        cells = []
        for clock in (0, 1):
            seconds = statistics.median(each[way][clock] for each in rounds)
            ratio = statistics.median(each["plain loop"][clock] / each[way][clock] for each in rounds)
            cells += [f"{seconds:.3g}", f"{ratio:.3g}"]
        print(f"| {way} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
