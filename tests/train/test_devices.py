"""Joules by the counters that an operating system shows, which wrap, lie beside others' and may be forbidden."""

import pytest

from dlm.train import devices
from dlm.train.devices import EnergyMeter
from dlm.train.types import ResourceUsage


@pytest.fixture
def powercap(tmp_path):
    for name, used in (("intel-rapl:0", 5_000_000), ("intel-rapl:1", 1_000_000), ("intel-rapl:0:0", 4_000_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max_energy_range_uj").write_text("9999999\n")
        (tmp_path / name / "energy_uj").write_text(f"{used}\n")
    return tmp_path


def test_packages_are_added_and_their_parts_are_not_counted_twice(powercap):
    meter = EnergyMeter(devices._cpu_counters(powercap))
    assert meter.read() == 0.0
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7000000\n")
    (powercap / "intel-rapl:0:0" / "energy_uj").write_text("9000000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("1500000\n")
    assert meter.read() == pytest.approx(2.5)


def test_a_counter_that_begins_again_goes_on(powercap):
    meter = EnergyMeter(devices._cpu_counters(powercap))
    (powercap / "intel-rapl:0" / "energy_uj").write_text("1000000\n")  # past the end: 5 J more, then 1 J
    assert meter.read() == pytest.approx(6.0)


def test_what_fails_or_is_not_there_is_no_number(powercap, tmp_path):
    meter = EnergyMeter(devices._cpu_counters(powercap))
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.read() is None
    assert EnergyMeter(devices._cpu_counters(tmp_path / "nowhere")).read() is None
    assert devices.joules_since(None, meter) is None


def test_a_sum_with_an_unknown_part_is_unknown():
    assert ResourceUsage(1.0, 2.0).plus(1.0, 3.0) == ResourceUsage(2.0, 5.0)
    assert ResourceUsage(1.0, 2.0).plus(1.0, None) == ResourceUsage(2.0, None)
    assert ResourceUsage(1.0, None).plus(1.0, 3.0) == ResourceUsage(2.0, None)
