"""How people train many small models today: one after another, a step at a time, from a Python loop."""

from __future__ import annotations

import multiprocessing
import os
import time
from typing import Any

import numpy as np

from benchmarks.workloads import LR, WEIGHT_DECAY, Workload, torch_twin
from dlm.data.batches import batch_rows


def rows(step: int, batch_size: int, size: int) -> np.ndarray:
    """The rows of the batch of the member with seed 0: the very same that dlm takes."""
    return batch_rows(np.full(1, step, np.uint32), batch_size, np.uint32(size), np.uint32(0)).astype(np.int64)


class TorchLoop:
    """A PyTorch loop over updates, eager, with AdamW; `threads` for one operation."""

    def __init__(self, workload: Workload, params: Any, x: np.ndarray, y: np.ndarray, order: np.ndarray, threads: int):
        import torch

        torch.set_num_threads(threads)
        self.torch, self.size, self.batch_size = torch, len(order), workload.batch_size
        x = x[order].transpose(0, 3, 1, 2) if "cnn" in workload.name else x[order]
        self.x = torch.from_numpy(np.ascontiguousarray(x if x.dtype == np.float32 else x.astype(np.int64)))
        self.y = torch.from_numpy(y[order].astype(np.int64))
        self.model = torch_twin(workload, params)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=LR)
        self.step, self.loss = 0, float("nan")

    def run(self, steps: int) -> float:
        """Seconds of so many updates. Batches are drawn beforehand, as a data loader would have done."""
        numbers = range(self.step, self.step + steps)
        batches = [self.torch.from_numpy(rows(step, self.batch_size, self.size)) for step in numbers]
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


def in_processes(run: Any, arguments: tuple[Any, ...], steps: int, number: int) -> float:
    """Seconds of `run(arguments, steps, barrier)` in each of `number` processes that start together."""
    context = multiprocessing.get_context("spawn")
    barrier, times = context.Barrier(number), context.Queue()
    processes = [context.Process(target=_child, args=(run, arguments, steps, barrier, times)) for _ in range(number)]
    for process in processes:
        process.start()
    seconds = [times.get() for _ in processes]
    for process in processes:
        process.join()
    return max(seconds)


def torch_process(arguments: tuple[Any, ...], steps: int, barrier: Any) -> float:
    """Seconds of a PyTorch loop of one thread."""
    loop = TorchLoop(*arguments, threads=1)
    loop.run(5)
    barrier.wait()
    return loop.run(steps)


def keras_process(arguments: tuple[Any, ...], steps: int, barrier: Any) -> float:
    """Seconds of `fit` on JAX over batches that lie in order, the second time, when everything is compiled."""
    os.environ["KERAS_BACKEND"] = "jax"
    from benchmarks.keras_models import compiled

    workload, x, y = arguments
    model = compiled(workload)
    index = np.concatenate([rows(step, workload.batch_size, len(x)) for step in range(steps)])
    x, y = x[index], y[index]
    few = 2 * workload.batch_size
    options = {"batch_size": workload.batch_size, "shuffle": False, "verbose": 0}
    model.fit(x[:few], y[:few], **options)
    barrier.wait()
    start = time.perf_counter()
    model.fit(x, y, **options)
    return time.perf_counter() - start


def _child(run: Any, arguments: tuple[Any, ...], steps: int, barrier: Any, times: Any) -> None:
    times.put(run(arguments, steps, barrier))
