"""Training loops of PyTorch, flax and Keras that train one model at a time, each in a process of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import time
from typing import Any

import numpy as np

from benchmarks.models import PlainCNN
from benchmarks.workloads import LR, POOL_SIZE, WEIGHT_DECAY, Workload, dataset
from dlm.data.permutation import batch_rows

STEPS_A_CALL = 16  # Keras's `steps_per_execution`


@dataclasses.dataclass(frozen=True)
class Start:
    """Start of a loop: a workload, initial weights (NumPy arrays) and the order of the pool of one model."""

    workload: Workload
    params: Any
    order: np.ndarray


class TorchLoop:
    """An eager PyTorch loop over updates with AdamW; `threads` is the number of threads per operation.

    `tutorial`: as in tutorials, with a DataLoader and a running sum of losses; otherwise minimal eager code.
    """

    def __init__(self, start: Start, threads: int, fused: bool = False, tutorial: bool = False) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # as XLA does
        self.torch, self.start, self.fused, self.tutorial = torch, start, fused, tutorial
        x, y = data(start)
        x = x.transpose(0, 3, 1, 2) if isinstance(start.workload.model, PlainCNN) else x
        self.x = torch.from_numpy(np.ascontiguousarray(x if x.dtype == np.float32 else x.astype(np.int64)))
        self.y = torch.from_numpy(y.astype(np.int64))

    def run(self, steps: int) -> tuple[float, float]:
        """(seconds of the first `steps` updates, loss of the last one)."""
        from benchmarks.torch_models import twin

        model = twin(self.start.workload.model, self.start.params)
        optimizer = self._optimizer(model)
        batches, running = self._batches(steps), 0.0
        begin = time.perf_counter()
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = self.torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item() if self.tutorial else 0.0
        return time.perf_counter() - begin, loss.item()

    def _batches(self, steps: int) -> Any:
        rows = [rows.tolist() if self.tutorial else self.torch.from_numpy(rows) for rows in all_rows(steps, self.start)]
        if not self.tutorial:
            return ((self.x[each], self.y[each]) for each in rows)
        data = self.torch.utils.data
        return data.DataLoader(data.TensorDataset(self.x, self.y), batch_sampler=rows)

    def _optimizer(self, model: Any) -> Any:
        """AdamW whose decay spares vectors."""
        groups = [
            {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return self.torch.optim.AdamW(groups, lr=LR, fused=self.fused)


class FlaxLoop:
    """A jitted step of one model, called from a Python loop, with donated state and the convolutions of flax.

    `tutorial`: as in tutorials, with batches from the host and the loss of each step read.
    """

    def __init__(self, start: Start, tutorial: bool = False) -> None:
        import jax
        import optax

        from dlm.models import build

        model = start.workload.model
        model = dataclasses.replace(model, lax=True) if isinstance(model, PlainCNN) else model
        apply, loss = build(model, dataset(start.workload).num_classes).apply, start.workload.task.loss
        is_matrix = jax.tree.map(lambda leaf: leaf.ndim > 1, start.params)
        optimizer = optax.adamw(LR, weight_decay=WEIGHT_DECAY, mask=is_matrix)

        def update(state: Any, x: Any, y: Any) -> Any:
            params, opt_state, _ = state
            value, gradient = jax.value_and_grad(lambda params: loss(apply(params, x), y, 0.0))(params)
            updates, opt_state = optimizer.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, value

        self.jax, self.start, self.tutorial = jax, start, tutorial
        self.data = data(start) if tutorial else jax.device_put(data(start))
        step = update if tutorial else lambda state, x, y, rows: update(state, x[rows], y[rows])
        self.update, self.init = jax.jit(step, donate_argnums=0), jax.jit(optimizer.init)

    def run(self, steps: int) -> tuple[float, float]:
        """(seconds of the first `steps` updates, loss of the last one)."""
        params = self.jax.tree.map(self.jax.numpy.array, self.start.params)
        state = params, self.init(params), self.jax.numpy.float32(0)
        batches, running = all_rows(steps, self.start), 0.0
        batches = batches if self.tutorial else [self.jax.device_put(rows) for rows in batches]
        begin = time.perf_counter()
        for rows in batches:
            if self.tutorial:
                state = self.update(state, *(column[rows] for column in self.data))
                running += float(state[2])
            else:
                state = self.update(state, *self.data, rows)
        self.jax.block_until_ready(state)
        return time.perf_counter() - begin, float(state[2])


class KerasLoop:
    """Keras on JAX: `fit` for one epoch over consecutive batches, with its own initial weights."""

    def __init__(self, start: Start, steps_a_call: int = 1) -> None:
        os.environ["KERAS_BACKEND"] = "jax"
        from benchmarks.keras_models import compiled

        self.start, self.data = start, data(start)
        self.model = compiled(start.workload, steps_a_call)

    def run(self, steps: int) -> tuple[float, float]:
        """(seconds of `steps` more updates, their mean loss)."""
        rows = np.concatenate(all_rows(steps, self.start))
        x, y = (column[rows] for column in self.data)
        begin = time.perf_counter()
        history = self.model.fit(x, y, batch_size=self.start.workload.batch_size, shuffle=False, verbose=0)
        return time.perf_counter() - begin, history.history["loss"][-1]


def data(start: Start) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of the pool in the order of the model."""
    pool = dataset(start.workload).train.take(start.order)
    return pool.x, pool.y


def all_rows(steps: int, start: Start) -> list[np.ndarray]:
    """Rows of the first batches of the model with seed 0, the same as in dlm; int64 [B] each."""
    size, seed, batch_size = np.uint32(POOL_SIZE), np.uint32(0), start.workload.batch_size
    return [batch_rows(np.full(1, step, np.uint32), batch_size, size, seed).astype(np.int64) for step in range(steps)]


class Worker:
    """A loop in a separate process, so that threads and settings of the peers do not interfere."""

    def __init__(self, loop: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, loop, arguments), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends where the process does

    def begin(self, start: Start) -> None:
        """Switches to a workload."""
        self.pipe.send(start)

    def ask(self, steps: int) -> None:
        """Starts `steps` updates."""
        self.pipe.send(steps)

    def answer(self) -> tuple[float, float]:
        """(seconds, loss) of the started updates. EOFError if the process died."""
        return self.pipe.recv()

    def close(self) -> None:
        """Ends the process."""
        self.pipe.close()
        self.process.join()


def _serve(pipe: Any, loop: Any, arguments: tuple[Any, ...]) -> None:
    """Executes the requests of a Worker until its pipe is closed."""
    run = None
    with contextlib.suppress(EOFError):
        while True:
            task = pipe.recv()
            if isinstance(task, Start):
                run = loop(task, *arguments).run
            else:
                pipe.send(run(task))
