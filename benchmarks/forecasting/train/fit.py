"""Trains the members of the ensemble in parallel, one or more per device, first on simulated curves alone."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from benchmarks.forecasting.train.simulated import simulate
from benchmarks.forecasting.train.tasks import Batch
from dlm.curves import network
from dlm.curves.network import CurveBatch
from dlm.study.learner import Optimizer
from dlm.train.optimizer import transform, unit_schedule

WIDTH, HEAD = 192, 128
OPTIMIZER = Optimizer(clip=1.0, warmup=0.02)
WEIGHT_DECAY = 1e-3
_WORST = -30.0  # minimum log likelihood of a target, so that an outlier does not dominate a batch
_MEMBERS = "members"


@dataclasses.dataclass(frozen=True)
class Phase:
    """A number of updates on batches with a share of measured curves; the rest is simulated."""

    steps: int
    lr: float
    share: float
    batch: int = 256
    stretch: float = 0.3  # s.d. of the log factors by which measured curves are stretched in size and in error


SIMULATED = Phase(steps=28_000, lr=1.5e-3, share=0.0)
MEASURED = Phase(steps=3_000, lr=5e-4, share=0.5)


def loss(params: Any, batch: Batch) -> jax.Array:
    """Mean negative log likelihood of the targets; their noise is added to the predicted variance."""
    with jax.numpy_rank_promotion("allow"):  # the network is written for NumPy too
        predicted = network.apply(params, network.network_inputs(CurveBatch(*batch[:7]), batch.place, jnp), jnp)
    variance = predicted.sd**2 + batch.target_noise[..., None] ** 2
    parts = predicted.log_weight - 0.5 * jnp.log(2 * jnp.pi * variance)
    likelihood = jax.nn.logsumexp(parts - 0.5 * (batch.target[..., None] - predicted.mean) ** 2 / variance, axis=-1)
    positive = jnp.maximum(likelihood, _WORST) + jax.nn.log_sigmoid(-predicted.zero)
    each = jnp.where(batch.target_zero > 0.5, jax.nn.log_sigmoid(predicted.zero), positive)
    return -(batch.weight * each).sum() / batch.weight.sum()


def stretched(batch: Batch, spread: float, key: Any) -> Batch:
    """Multiplies log sizes and log errors of 75 % of the curves by random factors; removes 30 % of the bounds."""
    size_key, error_key, which, bound = jax.random.split(key, 4)
    num = (batch.level.shape[0], 1)
    is_stretched = jax.random.uniform(which, num) < 0.75
    by_size, by_error = (
        jnp.where(is_stretched, jnp.exp(spread * jax.random.normal(one, num)), 1.0) for one in (size_key, error_key)
    )
    return batch._replace(
        log_size=batch.log_size * by_size,
        log_error=batch.log_error * by_error,
        noise=jnp.where(batch.zero > 0.5, batch.noise, batch.noise * by_error),
        bounded=batch.bounded * (jax.random.uniform(bound, num[:1]) < 0.7),
        place=batch.place * by_size,
        target=batch.target * by_error,
        target_noise=batch.target_noise * by_error,
    )


def _member(rng: np.random.Generator, width: int, head: int, depth: int = 3, head_depth: int = 2) -> Any:
    """Initial parameters of one member, float32."""

    def dense(num_in: int, num_out: int, gain: float = 1.0) -> dict[str, np.ndarray]:
        kernel = rng.standard_normal((num_in, num_out)) * gain / np.sqrt(num_in)
        return {"kernel": kernel.astype(np.float32), "bias": np.zeros(num_out, np.float32)}

    return {
        "inputs": dense(network.NUM_FEATURES, width),
        "trunk": [{"in": dense(width, width), "out": dense(width, width, 0.5)} for _ in range(depth)],
        "curve": dense(width, head),
        "place": dense(network.NUM_PLACE_FEATURES, head),
        "head": [dense(head, head) for _ in range(head_depth)],
        "outputs": dense(head, 3 * network.COMPONENTS + 1, 0.3),
    }


def flatten(params: Any) -> dict[str, np.ndarray]:
    """Parameters under names such as `0/trunk/2/in/kernel`, which `dlm.curves.predictive.unflatten` reads."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def initial(num: int, seed: int) -> Any:
    """Parameters of `num` members, stacked."""
    members = [_member(np.random.default_rng([seed, index]), WIDTH, HEAD) for index in range(num)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *members)


def fit(
    params: Any, phase: Phase, measured: Batch | None, seed: int, log: Callable[[str], None], chunk: int = 250
) -> Any:
    """The stacked members [M, ...] after a phase; `measured` are the tasks from which batches are sampled.

    M must be a multiple of the number of devices; each device trains its members sequentially.
    """
    num = jax.tree.leaves(params)[0].shape[0]
    mesh = jax.sharding.Mesh(np.array(jax.devices()), (_MEMBERS,))
    optimizer_state = jax.vmap(transform(OPTIMIZER, 0.0, 0.0).init)(params)
    by_member, shared = PartitionSpec(_MEMBERS), PartitionSpec()
    advance = jax.jit(
        jax.shard_map(
            lambda state, index, start, tasks: jax.lax.map(
                lambda one: _advance(one[0], one[1], start, tasks, phase, seed, chunk), (state, index)
            ),
            mesh=mesh,
            in_specs=(by_member, by_member, shared, shared),
            out_specs=by_member,
            check_vma=False,
        )
    )
    state, index = (params, optimizer_state), np.arange(num)
    for start in range(0, phase.steps, chunk):
        state, losses = advance(state, index, start, measured)
        log(f"{start + chunk} of {phase.steps} updates, loss {np.asarray(losses).mean():.4f}")
    return jax.tree.map(np.asarray, state[0])


def _advance(state: Any, index: Any, start: Any, tasks: Batch | None, phase: Phase, seed: int, chunk: int) -> Any:
    """`chunk` updates of one member, and their mean loss."""

    def update(offset: Any, carry: Any) -> Any:
        params, optimizer_state, total = carry
        step = start + offset
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), index), step)
        value, gradient = jax.value_and_grad(functools.partial(_phase_loss, key=key, tasks=tasks, phase=phase))(params)
        lr = phase.lr * unit_schedule(OPTIMIZER, step, phase.steps)
        updates, optimizer_state = transform(OPTIMIZER, lr, WEIGHT_DECAY).update(gradient, optimizer_state, params)
        return jax.tree.map(jnp.add, params, updates), optimizer_state, total + value

    params, optimizer_state, total = jax.lax.fori_loop(0, chunk, update, (*state, jnp.float32(0)))
    return (params, optimizer_state), total / chunk


def _phase_loss(params: Any, key: Any, tasks: Batch | None, phase: Phase) -> jax.Array:
    num = round(phase.batch * phase.share)
    rows, stretch, simulated = jax.random.split(key, 3)
    total = (1 - phase.share) * loss(params, simulate(simulated, phase.batch - num))
    if tasks is not None and num:
        picked = jax.random.randint(rows, (num,), 0, tasks.level.shape[0])
        real = jax.tree.map(lambda column: column[picked], tasks)
        total = total + phase.share * loss(params, stretched(real, phase.stretch, stretch))
    return total
