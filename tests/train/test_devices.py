"""Joules by the counters of devices, which may be missing or fail."""

from dlm.train.devices import EnergyMeter
from dlm.train.types import ResourceUsage


def test_a_failing_or_missing_counter_gives_no_number():
    used = iter([3.0, 5.0])
    meter = EnergyMeter([lambda: next(used)])
    assert meter.since(meter.read()) == 2.0
    assert meter.since(3.0) is None  # the counter fails
    assert EnergyMeter([]).read() is None


def test_a_sum_with_an_unknown_part_is_unknown():
    assert ResourceUsage(1.0, 2.0).plus(1.0, 3.0) == ResourceUsage(2.0, 5.0)
    assert ResourceUsage(1.0, 2.0).plus(1.0, None) == ResourceUsage(2.0, None)
    assert ResourceUsage(1.0, None).plus(1.0, 3.0) == ResourceUsage(2.0, None)
