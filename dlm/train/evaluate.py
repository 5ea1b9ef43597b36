"""Evaluates a member on validation and test, and stops it early by its validation error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from dlm.data.normalization import NormalizationStats
from dlm.study.names import ERROR_WITHOUT_LEAKS
from dlm.study.noise import Noise
from dlm.train.batch import add_noise
from dlm.train.types import TEST_SEED, BestSnapshot, Data, EvaluationBatches, Member, ProgramConfig, State


@functools.partial(jax.jit, static_argnums=(0, 4))  # so that a program traces it once for all its uses
def split_metrics(
    config: ProgramConfig,
    stats: NormalizationStats | None,
    params: Any,
    split: EvaluationBatches,
    is_noisy: bool = False,
    validation: EvaluationBatches | None = None,
) -> dict[str, jax.Array]:
    """The task's metrics on a split, with test noise if `is_noisy`. Returns scalars.

    For a split that overlaps the training pool, "error_without_leaks" is the error on its other examples. A task that
    fits a threshold fits it on `validation`, or on the split itself if None.
    """
    task = config.task
    weights = [split.weight] if split.clean is None else [split.weight, split.clean]
    sums, whole = _sum_metrics(config, stats, params, split, is_noisy)
    fitted = {}
    if task.fits_threshold:
        fit_split = split if validation is None else validation
        fit_arrays = whole if validation is None else _sum_metrics(config, stats, params, validation, False)[1]
        fitted = task.fit_threshold(*fit_arrays, fit_split.weight.reshape(-1))
    result, *clean = [
        task.aggregate({name: value.sum() / weight.sum() for name, value in named.items()})
        | (task.whole_split_metrics(*whole, weight.reshape(-1), fitted) if task.needs_whole_split else {})
        for named, weight in zip(sums, weights)
    ]
    return result | ({ERROR_WITHOUT_LEAKS: clean[0]["error"]} if clean else {})


def _sum_metrics(
    config: ProgramConfig,
    stats: NormalizationStats | None,
    params: Any,
    split: EvaluationBatches,
    is_noisy: bool,
) -> tuple[list[dict[str, jax.Array]], tuple[jax.Array, ...]]:
    """(sums of the metrics of each batch [K], for each weight; outputs and targets [K·B, ...] if they are used)."""

    def batch_sums(numbered: tuple[jax.Array, EvaluationBatches]) -> tuple[Any, tuple[jax.Array, ...]]:
        number, batch = numbered
        values, *outputs = example_metrics(config, stats, params, batch, number, is_noisy)
        weights = [batch.weight] if batch.clean is None else [batch.weight, batch.clean]
        sums = [{name: (value * weight).sum() for name, value in values.items()} for weight in weights]
        return sums, tuple(outputs) if config.task.needs_whole_split or config.task.fits_threshold else ()

    sums, whole = jax.lax.map(batch_sums, (jnp.arange(len(split.weight)), split))
    return sums, tuple(array.reshape(-1, *array.shape[2:]) for array in whole)


def example_metrics(
    config: ProgramConfig,
    stats: NormalizationStats | None,
    params: Any,
    batch: EvaluationBatches,
    number: jax.Array,
    is_noisy: bool,
) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
    """(metrics of each example [B], outputs, targets) of batch `number` of a split."""
    inputs, targets = config.inputs(batch.x, stats), batch.y
    if is_noisy:
        ranks = (number * len(inputs) + jnp.arange(len(inputs))).astype(jnp.uint32)
        inputs, targets = add_noise(config, inputs, targets, ranks, jnp.uint32(TEST_SEED), config.test_noise)
    outputs = config.outputs(params, inputs)
    if config.numeric_targets and stats:
        outputs = stats.outputs(outputs)
    return config.task.example_metrics(outputs, targets), outputs, targets


def evaluate(
    config: ProgramConfig, member: Member, state: State, data: Data, on_validation: jax.Array, on_test: jax.Array
) -> tuple[State, dict[str, dict[str, jax.Array]]]:
    """Metrics on the requested splits (bools []), NaN on the others.

    With early stopping, the validation error first updates the best snapshot, and the test metrics are of that
    snapshot.
    """
    threshold_split = data.validation if config.task.fits_threshold else None
    validation = _compute_if(on_validation, lambda: split_metrics(config, member.stats, state.params, data.validation))
    if state.best is not None:
        state = _update_best(config, state, on_validation, validation["error"])
    params = state.params if state.best is None else state.best.params
    is_noisy = config.test_noise != Noise()
    test = _compute_if(
        on_test,
        lambda: split_metrics(config, member.stats, params, data.test, is_noisy, threshold_split),
    )
    return state, {"validation": validation, "test": test}


def _update_best(config: ProgramConfig, state: State, is_evaluated: jax.Array, error: jax.Array) -> State:
    """Replaces the snapshot by a better state; stops after `patience` evaluations without a better one."""
    best = state.best
    assert best is not None
    # A resumed run evaluates again at the step of its checkpoint; that evaluation must not count twice.
    is_new = is_evaluated & (state.step > best.evaluated_at)
    is_better = is_new & (error < best.error)
    evaluated_at = jnp.where(is_new, state.step, best.evaluated_at)
    new = BestSnapshot(state.params, error, state.step, jnp.int32(0), evaluated_at)
    old = best._replace(num_worse=best.num_worse + (is_new & ~is_better).astype(jnp.int32), evaluated_at=evaluated_at)
    best = jax.tree.map(lambda a, b: jnp.where(is_better, a, b), new, old)
    return state._replace(best=best, stopped=state.stopped | (best.num_worse >= config.patience))


def _compute_if(condition: jax.Array, compute: Callable[[], dict[str, jax.Array]]) -> dict[str, jax.Array]:
    """`compute()`, or NaN for each metric: a branch for a member alone, a selection for vectorized members."""
    shapes = jax.eval_shape(compute)
    return jax.lax.cond(
        condition, compute, lambda: jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan, leaf.dtype), shapes)
    )
