"""How people train many small models today: one after another, a step at a time, from a Python loop."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import numpy as np

from benchmarks.workloads import BATCH_SIZE, LR, WEIGHT_DECAY, Workload, torch_twin
from dlm.data.batches import batch_rows


def rows(step: int, seed: int, size: int) -> np.ndarray:
    """The rows of a member's batch: the very same that dlm takes."""
    return batch_rows(np.full(1, step, np.uint32), BATCH_SIZE, np.uint32(size), np.uint32(seed))


class TorchLoop:
    """A PyTorch loop over updates, eager, with AdamW; `threads` for one operation."""

    def __init__(self, workload: Workload, params: Any, x: np.ndarray, y: np.ndarray, order: np.ndarray, threads: int):
        import torch

        torch.set_num_threads(threads)
        self.torch, self.size = torch, len(order)
        axes = (0, 3, 1, 2) if "cnn" in workload.name else (0, 1, 2, 3)
        self.x = torch.from_numpy(np.ascontiguousarray(x[order].transpose(axes)))
        self.y = torch.from_numpy(y[order].astype(np.int64))
        self.model = torch_twin(workload, params)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=LR)
        self.step, self.loss = 0, float("nan")

    def run(self, steps: int) -> float:
        """Seconds of so many updates. Batches are drawn beforehand, as a data loader would have done."""
        batches = [
            self.torch.from_numpy(rows(self.step + index, 0, self.size).astype(np.int64)) for index in range(steps)
        ]
        start = time.perf_counter()
        for batch in batches:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.torch.nn.functional.cross_entropy(self.model(self.x[batch]), self.y[batch])
            loss.backward()
            self.optimizer.step()
        seconds = time.perf_counter() - start
        self.step, self.loss = self.step + steps, loss.item()
        return seconds


class FlaxLoop:
    """A jitted step of one member, called from a Python loop, its input donated; one device."""

    def __init__(self, spec: Any, member: Any, data: Any):
        import jax

        from dlm.train import member as members

        device = jax.devices()[0]
        self.data, self.member = jax.device_put((data, member), device)
        self.state = jax.jit(lambda one: members.init(spec, one))(self.member)
        self.update = jax.jit(lambda state, one, data: members.update(spec, one, state, data), donate_argnums=0)
        self.state = self.update(self.state, self.member, self.data)
        self.jax = jax

    def run(self, steps: int) -> float:
        """Seconds of so many updates."""
        start = time.perf_counter()
        for _ in range(steps):
            self.state = self.update(self.state, self.member, self.data)
        self.jax.block_until_ready(self.state)
        return time.perf_counter() - start


def torch_processes(make: Any, steps: int, number: int = 2) -> float:
    """Seconds of `steps` updates in each of `number` processes of one thread, started together."""
    context = multiprocessing.get_context("spawn")
    barrier, times = context.Barrier(number), context.Queue()
    processes = [context.Process(target=_child, args=(make, steps, barrier, times)) for _ in range(number)]
    for process in processes:
        process.start()
    seconds = [times.get() for _ in processes]
    for process in processes:
        process.join()
    return max(seconds)


def _child(make: Any, steps: int, barrier: Any, times: Any) -> None:
    loop = TorchLoop(*make, threads=1)
    loop.run(5)
    barrier.wait()
    times.put(loop.run(steps))
