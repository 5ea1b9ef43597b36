"""What the network tells of one curve, as distributions of its error at any size."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm.curves.distributions import Marginals
from dlm.curves.network import CurveBatch, apply, network_inputs
from dlm.curves.points import Bound, Points

Array = NDArray[np.float64]

WEIGHTS = "network.npz"
# On data sets that nothing was learnt from, more data help more than foreseen now and then: with this chance the error
# is so many standard deviations lower. Chosen by cross-validation within the half that was learnt from.
SURPRISE, LOWER = 0.04, 2.0
# Where every error was zero there is no scale to learn from: what LCDB's such curves did, in half of its data sets.
_ALL_ZERO = 0.9  # the chance that the next is zero too
_NEAR_ZERO = np.log(1e-3), 1.5  # log error relative to the largest possible, else: mean and standard deviation


def predictive(points: Points, bound: Bound) -> Callable[[Array], Marginals]:
    """Sizes [A] -> `Marginals`, for the points of one curve."""
    if not np.isfinite(points.base):
        return functools.partial(_all_zero, bound)
    context = context_of(points, bound)

    def at(train_sizes: Array) -> Marginals:
        place = np.log(np.asarray(train_sizes, dtype=float) / points.train_sizes[-1])[None]
        reading = network_inputs(context, place)
        return blend([apply(member, reading) for member in weights()], points.base)

    return at


def blend(told: list[Any], base: float) -> Marginals:
    """The even mixture of what several networks tell of one curve, and a small chance of an unforeseen fall."""
    weight = np.concatenate([np.exp(one.log_weight[0]) for one in told], axis=-1) / len(told)
    mean = np.concatenate([one.mean[0] for one in told], axis=-1) + base
    sd = np.concatenate([one.sd[0] for one in told], axis=-1)
    zero = np.mean([1 / (1 + np.exp(-one.zero[0])) for one in told], axis=0)
    centre = (weight * mean).sum(axis=-1, keepdims=True)
    spread = np.sqrt((weight * (sd**2 + (mean - centre) ** 2)).sum(axis=-1, keepdims=True))
    return Marginals(
        np.concatenate([(1 - SURPRISE) * weight, np.full_like(spread, SURPRISE)], axis=-1),
        np.concatenate([mean, centre - LOWER * spread], axis=-1),
        np.concatenate([sd, spread], axis=-1),
        zero,
    )


def context_of(points: Points, bound: Bound) -> CurveBatch:
    """The points as the network reads them, a batch of one."""
    largest = bound[1]
    row = np.ones((1, len(points.train_sizes)))
    return CurveBatch(
        log_size=np.log(points.x)[None],
        log_error=points.log_error[None],
        noise=points.noise[None],
        zero=points.zero[None],
        there=row,
        level=np.array([points.base - np.log(largest) if largest else 0.0]),
        bounded=np.array([1.0 if largest else 0.0]),
    )


@functools.cache
def weights() -> list[Any]:
    """The networks' parameters, one tree each; made by `python -m benchmarks.forecasting.train`."""
    with resources.files("dlm.curves").joinpath(WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as kept:
        return unflatten({name: kept[name].astype(np.float32) for name in kept.files})


def flatten(members: Any) -> dict[str, Any]:
    """Parameters under names such as `0/trunk/2/in/kernel`."""
    out: dict[str, Any] = {}

    def visit(tree: Any, path: str) -> None:
        if isinstance(tree, (dict, list)):
            items = tree.items() if isinstance(tree, dict) else enumerate(tree)
            for name, child in items:
                visit(child, f"{path}/{name}" if path else str(name))
        else:
            out[path] = tree

    visit(members, "")
    return out


def unflatten(named: dict[str, Any]) -> Any:
    """The inverse of `flatten`."""
    root: dict[str, Any] = {}
    for path, value in named.items():
        *folders, leaf = path.split("/")
        node = root
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value

    def lists(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        if all(name.isdigit() for name in tree):
            return [lists(tree[name]) for name in sorted(tree, key=int)]
        return {name: lists(child) for name, child in tree.items()}

    return lists(root)


def _all_zero(bound: Bound, train_sizes: Array) -> Marginals:
    one = np.ones((len(train_sizes), 1))
    largest = bound[1]
    zero = np.full(len(train_sizes), _ALL_ZERO if largest else 1.0)
    return Marginals(one, (_NEAR_ZERO[0] + np.log(largest or 1.0)) * one, _NEAR_ZERO[1] * one, zero)
