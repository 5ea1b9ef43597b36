"""Event files hold every number once, checksums and all, in the place of those of an earlier export."""

import struct

import pytest
from cells import cell

from dlm.report.export.export import export
from dlm.storage import record_log

pytest.importorskip("tensorboardX", reason="tensorboardX, of the extra tensorboard, is not installed")


def masked_crc32c(data):
    """CRC-32C, rotated and shifted as TFRecord files do, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(path):
    """The events of a file, each length and content held against its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data, at = path.read_bytes(), 0
    while at < len(data):
        length, of_length = struct.unpack_from("<QI", data, at)
        assert of_length == masked_crc32c(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length) == (masked_crc32c(body),)
        yield Event.FromString(body)
        at += length + 16


def scalars(folder):
    """(tag, step, value) of all runs below a folder, by run."""
    return {
        str(path.parent.relative_to(folder)): [
            (value.tag, event.step, round(value.simple_value, 6))
            for event in events(path)
            for value in event.summary.value
            if not value.tag.startswith("_hparams_")
        ]
        for path in sorted(folder.rglob("events.*"))
    }


def test_a_learner_is_a_run_against_the_number_of_examples(workdir):
    (folder,) = export(workdir, ["tensorboard"])
    curves = scalars(folder / "curves")
    assert set(curves) == {"mlp", "a_b _ 50_"}
    assert curves["mlp"] == [
        ("test error/median", 32, 0.3),
        ("test error/min", 32, 0.2),
        ("test error/max", 32, 0.4),
        ("test error/seeds", 32, 3),
        ("test error/median", 64, 0.15),
        ("test error/min", 64, 0.1),
        ("test error/max", 64, 0.2),
        ("test error/seeds", 64, 2),
    ]


def test_a_trial_is_a_run_against_its_updates_with_its_hyperparameters(workdir):
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    (folder,) = export(workdir, ["tensorboard"])
    trials = scalars(folder / "trials")
    assert len(trials) == 9
    path = folder / "trials" / "mlp" / "n=32" / "seed=1" / "3x32x1"
    assert trials[str(path.relative_to(folder / "trials"))] == [
        ("validation/error", 50, 0.04),
        ("validation/error", 100, 0.02),
        ("test/error", 100, 0.2),
    ]
    told = [one.summary.value[0] for one in events(next(path.iterdir())) if len(one.summary.value)]
    start = HParamsPluginData.FromString(told[0].metadata.plugin_data.content).session_start_info
    assert start.hparams["config.hyper.lr"].number_value == 0.1
    assert start.hparams["learner"].string_value == "mlp"


def test_a_second_export_replaces_the_first(workdir):
    (folder,) = export(workdir, ["tensorboard"])
    first = {path: path.read_bytes() for path in folder.rglob("events.*")}
    export(workdir, ["tensorboard"])
    assert {path: path.read_bytes() for path in folder.rglob("events.*")} == first
    (workdir / record_log.FILE).write_bytes(b"".join((workdir / record_log.FILE).read_bytes().splitlines(True)[:3]))
    export(workdir, ["tensorboard"])
    assert len(scalars(folder / "trials")) == 1


def test_a_learners_name_is_no_way_out_of_the_folder(workdir):
    record_log.append(workdir, cell("../../up/..", 32, 0, 0.5))
    export(workdir, ["tensorboard"])
    assert sorted(path.name for path in workdir.parent.iterdir() if path.name != "cwd") == ["work"]
    assert not list(workdir.glob("up*"))


def test_tensorboard_itself_reads_the_same(workdir):
    loader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    (folder,) = export(workdir, ["tensorboard"])
    read = loader.EventAccumulator(str(folder / "curves" / "mlp"))
    read.Reload()
    assert [(one.step, round(one.value, 6)) for one in read.Scalars("test error/median")] == [(32, 0.3), (64, 0.15)]
