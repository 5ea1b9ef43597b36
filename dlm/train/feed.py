"""What is streamed to members of a pool that stays on the host."""

from __future__ import annotations

import jax
import numpy as np

from dlm.data.stream import Seat, Windows, window_updates
from dlm.study import Trial
from dlm.train.groups import Group
from dlm.train.placed import Placed
from dlm.train.spec import Spec, Window


def windows_of(group: Group, placed: Placed, spec: Spec) -> Windows:
    """The windows of a group's members from where they stand."""

    def seat(trial: Trial, step: int) -> Seat:
        return Seat(placed.orders[trial.subset_seed], trial.train_size, trial.init_seed, step, trial.num_steps)

    seats = [seat(trial, int(step)) if trial else None for trial, step in zip(group.rows, group.steps)]
    return Windows(placed.arrays.train, seats, spec.batch_size, spec.eval_every)


def window_shapes(placed: Placed, spec: Spec, width: int) -> Window | None:
    """Shapes of the windows of `width` members; None where the pool is on the devices."""
    if not placed.streamed:
        return None
    pool = placed.arrays.train
    held = window_updates(pool, width, spec.batch_size) * spec.batch_size
    x, y = (jax.ShapeDtypeStruct((width, held, *part.shape[1:]), part.dtype) for part in (pool.x, pool.y))
    return Window(x, y, jax.ShapeDtypeStruct((width,), np.int32))
