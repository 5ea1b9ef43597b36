"""Trains the forecaster's network: python -m benchmarks.forecasting.train --curves=PATH

PATH has the LCDB archives (lcdb10.csv.gz, lcdb11.csv.gz). Training uses simulated curves, then also curves measured
on one half of the datasets (see archives.half); the other half is never used. About 30 minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time

import numpy as np

from benchmarks.forecasting.archives import CHOOSE, half, read_table
from dlm.curves import predictive

ARCHIVES = ("lcdb10.csv.gz", "lcdb11.csv.gz")
NUM_TASKS = 60_000
OUT = pathlib.Path(predictive.__file__).with_name(predictive.WEIGHTS)


def main() -> None:
    """Trains the networks and writes the weights as float16."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=pathlib.Path, required=True, help="folder of the archives")
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    parser.add_argument("--members", type=int, default=2, help="networks whose predictions are averaged")
    parser.add_argument(
        "--start",
        type=pathlib.Path,
        help="weights after the simulated phase; created if missing",
    )
    args = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={args.members}")
    import jax  # after the environment is set

    from benchmarks.forecasting.train import fit
    from benchmarks.forecasting.train.tasks import draw_tasks

    start = time.monotonic()

    def log(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", file=sys.stderr, flush=True)

    if args.start and args.start.exists():
        with np.load(args.start, allow_pickle=False) as saved:
            params = predictive.unflatten(dict(saved))
    else:
        params = fit.fit(fit.initial(args.members, seed=0), fit.SIMULATED, None, 1, log)
        if args.start:
            np.savez(args.start, allow_pickle=False, **fit.flatten(params))
    curves = [curve for name in ARCHIVES for curve in read_table(args.curves / name) if half(curve.dataset) == CHOOSE]
    tasks = draw_tasks(curves, NUM_TASKS, np.random.default_rng(2))
    log(f"{len(curves)} measured curves")
    params = fit.fit(params, fit.MEASURED, tasks, 3, log)
    members = [jax.tree.map(lambda leaf, k=k: leaf[k].astype(np.float16), params) for k in range(args.members)]
    np.savez_compressed(args.out, allow_pickle=False, **fit.flatten(members))
    log(f"written: {args.out}")


if __name__ == "__main__":
    main()
