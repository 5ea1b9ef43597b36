"""The peers of the benchmarks compute the same as dlm, and the reported numbers are correct."""

import dataclasses
import functools

import numpy as np
import pytest

from benchmarks import accelerator_utilization as accelerator
from benchmarks.peers import FlaxLoop, Start, TorchLoop
from benchmarks.study_phases import Union
from benchmarks.workloads import WORKLOADS, dataset, first_weights, population, row_of_seed_0, study, useful_operations
from dlm.train.population import summarize_program

pytestmark = pytest.mark.slow
STEPS = 10
SMALL = [dataclasses.replace(workload, members=2, batch_size=4) for workload in WORKLOADS[:4]]


def named(workload):
    return workload.name


@functools.cache
def trained(number):
    """(start of the peers of a small workload, final loss of dlm)."""
    workload = SMALL[number]
    ours = population(workload)
    start = Start(workload, first_weights(ours), ours.device_data.orders[0])
    applied, seconds = ours.advance(STEPS)
    assert applied == STEPS * workload.members
    assert seconds > 0
    return start, float(ours.states.loss[row_of_seed_0(ours)])


@pytest.mark.parametrize("number", range(len(SMALL)), ids=[workload.name for workload in SMALL])
def test_the_jitted_loop_takes_the_same_batches_to_the_same_loss(number):
    start, loss = trained(number)
    assert FlaxLoop(start).run(STEPS)[1] == pytest.approx(loss, rel=1e-4)
    assert number or FlaxLoop(start, tutorial=True).run(STEPS)[1] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("number", range(len(SMALL)), ids=[workload.name for workload in SMALL])
def test_the_torch_twin_takes_the_same_batches_to_the_same_loss(number):
    torch = pytest.importorskip("torch", reason="PyTorch, a peer of the benchmarks, is not installed")
    start, loss = trained(number)
    try:
        assert TorchLoop(start, threads=1).run(STEPS)[1] == pytest.approx(loss, rel=1e-4)
        assert number or TorchLoop(start, 1, tutorial=True).run(STEPS)[1] == pytest.approx(loss, rel=1e-4)
    finally:
        torch.set_flush_denormal(False)  # or the other tests of this process would have no subnormal numbers


@pytest.mark.parametrize("workload", WORKLOADS, ids=named)
def test_useful_operations_are_most_of_what_xla_counts(workload):
    data = dataset(workload)
    counted = summarize_program(study(workload, 1).trials[0], data).flops
    assert 0.75 < useful_operations(workload) / counted < 1.05


def test_an_accelerator_cell_is_timed_and_printed():
    workload = accelerator.variants(quick=True)[0]
    result = accelerator.cell(workload, 2, "float32", seconds=0.01)
    peak = {"float32": 2 * result["flops_per_second"]}
    assert result["note"] == ""
    assert "(50.0%)" in accelerator.table([result], peak)


def test_what_does_not_fit_the_accelerator_is_marked(monkeypatch):
    import jax

    def too_much(*arguments):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 1 PiB")

    monkeypatch.setattr(accelerator, "population", too_much)
    assert accelerator.cell(WORKLOADS[0], 2, "float32", seconds=0.01)["note"] == "out of memory"


def test_an_event_inside_another_counts_once(monkeypatch):
    union = Union("compile")
    clock = iter([3.0, 4.0, 9.0])
    monkeypatch.setattr("benchmarks.study_phases.time.perf_counter", lambda: next(clock))
    for event, seconds in (("compile", 1.0), ("compile", 3.0), ("compile", 2.0)):
        union.note(event, seconds)
    union.note("other", 1.0)
    assert union.seconds == 5.0


def test_a_schedule_of_the_digits_peer_is_dlms():
    from benchmarks.digits_peers import unit_schedule
    from dlm import Optimizer
    from dlm.train import optimizer

    ours = [float(optimizer.unit_schedule(Optimizer(), step, 200)) for step in (0, 7, 19, 20, 100, 199)]
    assert np.allclose([unit_schedule(step, 200) for step in (0, 7, 19, 20, 100, 199)], ours, atol=1e-6)
