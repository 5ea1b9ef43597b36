"""Puts a study's data on the devices, or streams its training pool from the host."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dlm.data.dataset import Dataset, Split
from dlm.data.streaming import StreamMember, WindowSource, window_updates
from dlm.data.subset_orders import SubsetOrders
from dlm.study.trial import Trial
from dlm.train.packing import Group
from dlm.train.types import EVAL_BATCH_SIZE, Data, EvaluationBatches, ProgramConfig, StreamWindow

MEMBER_AXIS = "member"


@dataclasses.dataclass(frozen=True)
class DeviceData:
    """`data` on every device. With `streamed` the training pool stays on the host, in `orders.dataset`.

    A streamed pool is read by threads, or by `workers` processes if above 0.
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
        """The devices that hold the data and train the members."""
        devices: set[jax.Device] = self.data.validation.x.devices()
        return devices


def put_on_devices(
    orders: SubsetOrders, devices: Sequence[jax.Device] | None = None, *, streamed: bool = False, workers: int = 0
) -> DeviceData:
    """The data on every device; all local devices by default."""
    dataset = orders.dataset
    pool: tuple[Any, Any, Any] = (None, None, None)
    if not streamed:
        pool = (np.asarray(dataset.train.x), dataset.train.y, orders.stacked)
    data = Data(*pool, evaluation_batches(dataset.validation), evaluation_batches(dataset.test, dataset.leaked_rows))
    return DeviceData(orders, replicate(data, devices or jax.local_devices()), streamed, workers)


def member_mesh(devices: Collection[jax.Device]) -> Mesh:
    """A mesh with one axis, over which members are distributed."""
    return Mesh(np.array(sorted(devices, key=lambda device: device.id)), (MEMBER_AXIS,))


def replicate(tree: Any, devices: Collection[jax.Device]) -> Any:
    """Copies arrays to every device."""
    return jax.device_put(tree, NamedSharding(member_mesh(devices), P()))


def evaluation_batches(split: Split, leaked: np.ndarray | None = None) -> EvaluationBatches:
    """A split in batches of equal size, the last one padded with copies of weight 0 (NumPy dataset).

    leaked: indices of the examples that are in the training pool too.
    """
    size = min(EVAL_BATCH_SIZE, len(split))
    count = -(-len(split) // size)
    rows = np.arange(count * size)
    inside = rows < len(split)
    rows = np.where(inside, rows, 0)
    shape = (count, size)
    return EvaluationBatches(
        split.x[rows].reshape(*shape, *split.x.shape[1:]),
        split.y[rows].reshape(*shape, *split.y.shape[1:]),
        inside.astype(np.float32).reshape(shape),
        None if leaked is None else (inside & ~np.isin(rows, leaked)).astype(np.float32).reshape(shape),
    )


def data_shapes(dataset: Dataset) -> Data:
    """Shapes and types of resident data for one subset seed and without overlap of the splits."""

    def shape(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    validation, test = (jax.tree.map(shape, evaluation_batches(split)) for split in (dataset.validation, dataset.test))
    order = jax.ShapeDtypeStruct((1, len(dataset.train)), np.int32)
    return Data(shape(dataset.train.x), shape(dataset.train.y), order, validation, test)


def group_windows(group: Group, device_data: DeviceData, config: ProgramConfig) -> WindowSource:
    """The windows of a group's members, from each member's current step on."""

    def member(trial: Trial, step: int) -> StreamMember:
        order = device_data.orders[trial.subset_seed]
        return StreamMember(order, trial.train_size, trial.init_seed, step, trial.num_steps)

    members = [member(trial, int(step)) if trial else None for trial, step in zip(group.rows, group.steps)]
    return WindowSource(device_data.dataset.train, members, config.batch_size, config.eval_every)


def window_shapes(device_data: DeviceData, config: ProgramConfig, width: int) -> StreamWindow | None:
    """Shapes of the windows of `width` members; None for a resident pool."""
    if not device_data.streamed:
        return None
    pool = device_data.dataset.train
    length = window_updates(pool, width, config.batch_size) * config.batch_size
    x, y = (jax.ShapeDtypeStruct((width, length, *part.shape[1:]), part.dtype) for part in (pool.x, pool.y))
    return StreamWindow(x, y, jax.ShapeDtypeStruct((width,), np.int32))
