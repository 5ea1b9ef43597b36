"""Measuring a member on validation and test, and early stopping by what validation says."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlm.data.dataset import Split
from dlm.data.normalization import NormalizationStats
from dlm.study.names import ERROR_WITHOUT_LEAKS
from dlm.study.noise import Noise
from dlm.train.batch import corrupted
from dlm.train.types import Batches, Best, Data, Member, ProgramConfig, State

BATCH_SIZE = 256
TEST_SEED = 2**32 - 1  # of what is wrong with test examples: no subset's, and the same for every trial


def batches(split: Split, leaked: np.ndarray | None = None) -> Batches:
    """A split cut into equal batches, the last one padded with copies of weight 0 (NumPy arrays).

    leaked: the rows that are in the training pool too.
    """
    size = min(BATCH_SIZE, len(split))
    count = -(-len(split) // size)
    rows = np.arange(count * size)
    inside = rows < len(split)
    rows = np.where(inside, rows, 0)
    shape = (count, size)
    return Batches(
        split.x[rows].reshape(*shape, *split.x.shape[1:]),
        split.y[rows].reshape(*shape, *split.y.shape[1:]),
        inside.astype(np.float32).reshape(shape),
        None if leaked is None else (inside & ~np.isin(rows, leaked)).astype(np.float32).reshape(shape),
    )


@functools.partial(jax.jit, static_argnums=(0, 4))  # so that a program traces it once, however often it is looked at
def measure(
    spec: ProgramConfig,
    stats: NormalizationStats | None,
    params: Any,
    split: Batches,
    is_noisy: bool = False,
    validation: Batches | None = None,
) -> dict[str, jax.Array]:
    """The task's measures over a split, or over it with the noise of tests. Returns scalars.

    Where some of its examples are in the training pool too, "error_without_leaks" is that of the others. `validation`
    is where a task that chooses something does so; None: on the split itself.
    """
    task = spec.task
    weights = [split.weight] if split.clean is None else [split.weight, split.clean]
    sums, whole = _over(spec, stats, params, split, is_noisy)
    chosen = {}
    if task.chooses:
        where = split if validation is None else validation
        of_validation = whole if validation is None else _over(spec, stats, params, validation, False)[1]
        chosen = task.choose(*of_validation, where.weight.reshape(-1))
    found, *clean = [
        task.finish({name: value.sum() / weight.sum() for name, value in named.items()})
        | (task.over_split(*whole, weight.reshape(-1), chosen) if task.sees_whole_splits else {})
        for named, weight in zip(sums, weights)
    ]
    return found | ({ERROR_WITHOUT_LEAKS: clean[0]["error"]} if clean else {})


def _over(
    spec: ProgramConfig, stats: NormalizationStats | None, params: Any, split: Batches, is_noisy: bool
) -> tuple[list[dict[str, jax.Array]], tuple[jax.Array, ...]]:
    """Sums of the measures of each batch [K], by each weight; outputs and targets [K·B, ...] where the task looks."""

    def one(numbered: tuple[jax.Array, Batches]) -> tuple[list[dict[str, jax.Array]], tuple[jax.Array, ...]]:
        number, batch = numbered
        values, *of = of_each(spec, stats, params, batch, number, is_noisy)
        each = [batch.weight] if batch.clean is None else [batch.weight, batch.clean]
        sums = [{name: (value * weight).sum() for name, value in values.items()} for weight in each]
        return sums, tuple(of) if spec.task.sees_whole_splits or spec.task.chooses else ()

    sums, whole = jax.lax.map(one, (jnp.arange(len(split.weight)), split))
    return sums, tuple(of.reshape(-1, *of.shape[2:]) for of in whole)


def of_each(
    spec: ProgramConfig,
    stats: NormalizationStats | None,
    params: Any,
    batch: Batches,
    number: jax.Array,
    is_noisy: bool,
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """Of a split's batch of that number the task's measures of each example [B]; outputs and targets they are of."""
    inputs, targets = spec.inputs(batch.x, stats), batch.y
    if is_noisy:
        ranks = (number * len(inputs) + jnp.arange(len(inputs))).astype(jnp.uint32)
        inputs, targets = corrupted(spec, inputs, targets, ranks, jnp.uint32(TEST_SEED), spec.test_noise)
    outputs = spec.outputs(params, inputs)
    if spec.numeric_targets and stats:
        outputs = stats.outputs(outputs)
    return spec.task.measures(outputs, targets), outputs, targets


def evaluate(
    spec: ProgramConfig, member: Member, state: State, data: Data, on_validation: jax.Array, on_test: jax.Array
) -> tuple[State, dict[str, dict[str, jax.Array]]]:
    """Measure the splits asked for (bools []); NaN stands for a split that was not.

    With early stopping, validation first updates the best snapshot, and test measures that snapshot.
    """
    choosing = data.validation if spec.task.chooses else None
    validation = _if(on_validation, lambda: measure(spec, member.stats, state.params, data.validation))
    if state.best is not None:
        state = _note(spec, state, on_validation, validation["error"])
    params = state.params if state.best is None else state.best.params
    is_noisy = spec.test_noise != Noise()
    test = _if(on_test, lambda: measure(spec, member.stats, params, data.test, is_noisy, choosing))
    return state, {"validation": validation, "test": test}


def _note(spec: ProgramConfig, state: State, measured: jax.Array, error: jax.Array) -> State:
    """Keep the better of snapshot and state; stop after `patience` measurements without a better one."""
    best = state.best
    assert best is not None
    # A continued run measures again where it was saved; that must not count twice.
    first = measured & (state.step > best.measured_at)
    better = first & (error < best.error)
    at = jnp.where(first, state.step, best.measured_at)
    new = Best(state.params, error, state.step, jnp.int32(0), at)
    old = best._replace(waited=best.waited + (first & ~better).astype(jnp.int32), measured_at=at)
    kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old)
    return state._replace(best=kept, stopped=state.stopped | (kept.waited >= spec.patience))


def _if(wanted: jax.Array, measured: Any) -> dict[str, jax.Array]:
    """The measures, or NaN for each: a branch where a member runs alone, a selection where members are vectorized."""
    shapes = jax.eval_shape(measured)
    return jax.lax.cond(
        wanted, measured, lambda: jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes)
    )
