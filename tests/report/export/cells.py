"""Records of cells, made by hand: two learners, two sizes, three seeds, one cell that diverged."""

import dataclasses

from small import ROW

ERRORS = {("mlp", 32): (0.3, 0.2, 0.4), ("mlp", 64): (0.1, 0.2, None), ("a_b & 50%", 32): (0.3, 0.1, 0.2)}


def cell(learner, size, seed, error):
    """A trial's rows: validation at two steps, then the test."""
    one = dataclasses.replace(
        ROW,
        learner=learner,
        trial_id=f"{len(learner)}x{size}x{seed}",
        train_size=size,
        subset_seed=seed,
        init_seed=seed,
        hyper='{"hyper": {"lr": 0.1}, "model": {"widths": [16, 8]}}',
        status="done" if error is not None else "diverged",
    )
    way = [
        dataclasses.replace(one, step=step, split="validation", value=2 / step, seconds=step / 10, status="running")
        for step in (50, 100)
    ]
    return [*way, dataclasses.replace(one, value=error, seconds=10.0)]
