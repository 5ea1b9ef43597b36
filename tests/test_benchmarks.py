"""The peers of the benchmarks do the same arithmetic as dlm."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch, a peer of the benchmarks, is not installed")

from benchmarks.peers import TorchLoop
from benchmarks.train_speed import population
from benchmarks.workloads import WORKLOADS, arrays


@pytest.mark.parametrize("workload", WORKLOADS[:2], ids=lambda workload: workload.name)
def test_the_torch_twin_takes_the_same_batches_to_the_same_loss(workload):
    import jax

    ours, data = population(workload), arrays(workload)
    row = next(index for index, trial in enumerate(ours.rows) if trial and trial.init_seed == 0)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[row], ours.states.params)
    theirs = TorchLoop(workload, params, data.train.x, data.train.y, data.order(0), threads=1)
    theirs.run(10)
    ours.advance(10)
    assert float(ours.states.loss[row]) == pytest.approx(theirs.loss, rel=1e-4)
