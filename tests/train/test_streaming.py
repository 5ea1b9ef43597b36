"""A pool that is streamed gives every member the batches, and the numbers, that a pool on the device gives."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest
from small import interrupted, small, started

from dlm import Budget, Hyper, Learner, UsageError
from dlm.data import streaming
from dlm.data.dataset import LazyRows, Split
from dlm.data.permutation import batch_rows
from dlm.data.streaming import StreamMember, WindowSource, streamed
from dlm.data.subset_orders import SubsetOrders
from dlm.execution import executor, preparation
from dlm.models import CNN, MLP
from dlm.storage import record_log
from dlm.study.trial import group_cohorts
from dlm.train.device_data import put_on_devices

pytest.importorskip("grain", reason="needs the extra stream: grain")
SEEDS = (0, 1)
MODELS = {"mlp": MLP((16,)), "cnn": CNN((8,), (1,))}


@pytest.fixture(scope="module")
def placed(digits):
    orders = SubsetOrders(digits, SEEDS)
    return {way: put_on_devices(orders, jax.devices()[:2], streamed=way == "stream") for way in ("device", "stream")}


SHORT = Budget(steps=50)


def run(placed, model="mlp", budget=SHORT, packing="exact"):
    learner = Learner(MODELS[model], Hyper(lr=0.01))
    cells = small(learners={"net": learner}, train_sizes=(32, 100, 1257), seeds=SEEDS, budget=budget).trials
    return started(group_cohorts(cells)[0], placed, packing)


def trained(members, chunks=1000):
    told = set()
    for _ in range(chunks):
        for measured in members.measure(told):
            if measured.status != "running":
                told.add(measured.trial.trial_id)
        if len(told) == len(members.cohort.trials):
            break
        members.regroup(told)
        members.advance(7)
    return members


@pytest.fixture
def short_windows(monkeypatch):
    monkeypatch.setattr(streaming, "MAX_UPDATES", 6)


@pytest.mark.exact
@pytest.mark.parametrize(
    ("model", "packing", "budget"),
    [
        ("mlp", "exact", Budget(steps=50)),
        pytest.param("cnn", "exact", Budget(steps=20), marks=pytest.mark.slow),
        ("mlp", "fast", Budget(epochs=2, eval_every=8, patience=2)),
    ],
    ids=["mlp", "cnn", "stopping early"],
)
def test_a_streamed_trial_is_the_resident_one_bit_for_bit(model, packing, budget, placed, short_windows, bits_equal):
    resident, over_stream = (trained(run(placed[way], model, budget, packing)) for way in ("device", "stream"))
    by_trial = []
    for members in (resident, over_stream):
        rows = {trial.trial_id: row for row, trial in enumerate(members.rows) if trial}
        by_trial.append({key: jax.tree.map(lambda leaf, at=row: leaf[at], members.states) for key, row in rows.items()})
    shared = by_trial[0].keys() & by_trial[1].keys()
    assert shared
    for key in shared:
        assert bits_equal(by_trial[0][key].params, by_trial[1][key].params)
        assert by_trial[0][key].step == by_trial[1][key].step


def test_windows_hold_the_batches_of_every_update_in_their_order(digits, short_windows):
    order = digits.order(3)
    seats = [StreamMember(order, 100, 5, 11, 40), None, StreamMember(order, 1257, 6, 0, 17)]
    windows = WindowSource(digits.train, seats, 64, every=8)
    met = {0: [], 2: []}
    for part in streamed(windows):
        for row, start in zip((0, 2), (part.first[0], part.first[2])):
            met[row].append((int(start), part.x[row], part.y[row]))
    for row, seat in ((0, seats[0]), (2, seats[2])):
        seen = 0
        for (start, x, y), (end, _, _) in zip(met[row], [*met[row][1:], (seat.limit, None, None)]):
            for step in range(start, end):
                wanted = order[batch_rows(np.uint32(step), 64, np.uint32(seat.train_size), np.uint32(seat.seed))]
                at = slice((step - start) * 64, (step - start + 1) * 64)
                assert np.array_equal(x[at], digits.train.x[wanted])
                assert np.array_equal(y[at], digits.train.y[wanted])
                seen += 1
            assert start // 8 == max(start, end - 1) // 8
        assert seen == seat.limit - seat.first


def test_worker_processes_give_the_windows_that_threads_give(digits, tmp_path, short_windows):
    """The pool is a file there, opened by each process and sent to none."""
    path = tmp_path / "x.npy"
    np.save(path, digits.train.x)
    on_disk = LazyRows(np.load(path, mmap_mode="r"), np.arange(len(digits.train)))
    pool = Split(on_disk, digits.train.y)
    assert len(pickle.dumps(on_disk)) < digits.train.x.nbytes / 4
    windows = WindowSource(pool, [StreamMember(digits.order(0), 500, 0, 0, 20)], 64)
    for ours, theirs in zip(streamed(windows), streamed(windows, workers=2), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))


def test_a_host_streams_its_own_members_alone(digits, short_windows):
    seats = [StreamMember(digits.order(seed), 300, seed, 0, 12) for seed in range(4)]
    everyone = list(streamed(WindowSource(digits.train, seats, 16)))
    for host in (0, 1):
        own = slice(2 * host, 2 * host + 2)
        for whole, part in zip(everyone, streamed(WindowSource(digits.train, seats[own], 16)), strict=True):
            assert all(np.array_equal(a[own], b) for a, b in zip(whole, part))


@pytest.mark.exact
def test_a_streamed_study_stopped_midway_ends_with_the_resident_numbers(tmp_path, short_windows, monkeypatch):
    study = small(seeds=1)
    executor.run_trials(study, tmp_path / "device", executor.RunOptions(input="device"))

    def values(folder):
        return {row.key: row.value for row in record_log.rows(folder)}

    interrupted(monkeypatch, study, tmp_path / "stream", 3, input="stream")
    executor.run_trials(study, tmp_path / "stream", executor.RunOptions(input="stream"))
    assert values(tmp_path / "stream") == values(tmp_path / "device")


def test_the_input_is_chosen_by_the_size_of_the_pool(digits, monkeypatch):
    assert not preparation.is_streamed("auto", digits)
    monkeypatch.setattr(preparation.devices, "memory_limit", lambda: digits.train.nbytes)
    assert preparation.is_streamed("auto", digits)
    assert not preparation.is_streamed("device", digits)
    with pytest.raises(UsageError, match="input='disk' is unknown; choose one of auto, device, stream"):
        executor.RunOptions(input="disk")


def test_a_pool_on_disk_trains_as_one_in_memory(digits, tmp_path, bits_equal):
    path = tmp_path / "x.npy"
    np.save(path, digits.train.x)
    on_disk = Split(LazyRows(np.load(path, mmap_mode="r"), np.arange(len(digits.train))), digits.train.y)
    dataset = dataclasses.replace(digits, train=on_disk)
    assert dataset.fingerprint == digits.fingerprint
    first, second = (
        trained(run(put_on_devices(SubsetOrders(data, SEEDS), jax.devices()[:2]), budget=Budget(steps=5)))
        for data in (digits, dataset)
    )
    assert bits_equal(first.states.params, second.states.params)
