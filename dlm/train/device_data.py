"""A study's data where training finds it: on every device, or its pool on the host to be streamed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dlm.data.dataset import Dataset
from dlm.data.streaming import Seat, Windows, window_updates
from dlm.data.subset_orders import SubsetOrders
from dlm.study.trial import Trial
from dlm.train.evaluate import batches
from dlm.train.packing import Group
from dlm.train.population import replicated
from dlm.train.types import Data, ProgramConfig, Window


@dataclasses.dataclass(frozen=True)
class DeviceData:
    """`data` on every device; with `streamed` without the pool, which stays in `orders.dataset`.

    It is read there by threads, or by `workers` processes where there are any.
    """

    orders: SubsetOrders
    data: Data
    streamed: bool = False
    workers: int = 0

    @property
    def dataset(self) -> Dataset:
        """The data on the host."""
        return self.orders.dataset

    @property
    def devices(self) -> set[jax.Device]:
        """Where members are trained."""
        devices: set[jax.Device] = self.data.validation.x.devices()
        return devices


def place(
    orders: SubsetOrders, devices: Sequence[jax.Device] | None = None, *, streamed: bool = False, workers: int = 0
) -> DeviceData:
    """The data on every device (all local ones by default), where the members will then be trained."""
    dataset = orders.dataset
    pool: tuple[Any, Any, Any] = (None, None, None)
    if not streamed:
        pool = (np.asarray(dataset.train.x), dataset.train.y, orders.stacked)
    data = Data(*pool, batches(dataset.validation), batches(dataset.test, dataset.leaked))
    return DeviceData(orders, replicated(data, devices or jax.local_devices()), streamed, workers)


def shapes(dataset: Dataset) -> Data:
    """Shapes and types of resident data with one subset seed, for what a program is: leaks make no other one of it."""

    def shape(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    validation, test = (jax.tree.map(shape, batches(split)) for split in (dataset.validation, dataset.test))
    order = jax.ShapeDtypeStruct((1, len(dataset.train)), np.int32)
    return Data(shape(dataset.train.x), shape(dataset.train.y), order, validation, test)


def windows_of(group: Group, placed: DeviceData, spec: ProgramConfig) -> Windows:
    """The windows of a group's members from where they stand."""

    def seat(trial: Trial, step: int) -> Seat:
        return Seat(placed.orders[trial.subset_seed], trial.train_size, trial.init_seed, step, trial.num_steps)

    seats = [seat(trial, int(step)) if trial else None for trial, step in zip(group.rows, group.steps)]
    return Windows(placed.dataset.train, seats, spec.batch_size, spec.eval_every)


def window_shapes(placed: DeviceData, spec: ProgramConfig, width: int) -> Window | None:
    """Shapes of the windows of `width` members; None where the pool is on the devices."""
    if not placed.streamed:
        return None
    pool = placed.dataset.train
    held = window_updates(pool, width, spec.batch_size) * spec.batch_size
    x, y = (jax.ShapeDtypeStruct((width, held, *part.shape[1:]), part.dtype) for part in (pool.x, pool.y))
    return Window(x, y, jax.ShapeDtypeStruct((width,), np.int32))
