"""What trackers of experiments wrote offline, read back; and that a second export adds nothing."""

import json
import struct

import pytest

from dlm.report.export.export import export
from dlm.storage import record_log
from dlm.utils.optional_imports import installed


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """None of the user's own settings, and a working folder in which anything that was left would be seen."""
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    yield
    assert list((tmp_path / "cwd").iterdir()) == []


def test_mlflow(workdir):
    mlflow = pytest.importorskip("mlflow", reason="mlflow, of the extra mlflow, is not installed")
    (path,) = export(workdir, ["mlflow"])
    client = mlflow.MlflowClient(f"sqlite:///{path}")
    number = client.get_experiment_by_name("toy").experiment_id
    found = {run.data.tags["dlm.run_id"]: run for run in client.search_runs([number])}
    assert len(found) == 11
    assert found["3x32x1"].data.metrics["test/error"] == 0.2
    assert found["3x32x1"].data.params["config.hyper.lr"] == "0.1"
    assert found["3x64x2"].info.status == "FAILED"
    (curve,) = [run for run in found.values() if run.info.run_name == "mlp"]
    history = client.get_metric_history(curve.info.run_id, "test error/median")
    assert [(one.step, one.value) for one in history] == [(32, 0.3), (64, 0.15000000000000002)]
    assert {run.info.run_id for run in again(workdir, "mlflow", client, number)} == {
        run.info.run_id for run in found.values()
    }
    record_log.append(workdir, [record_log.rows(workdir)[0]])
    assert len(again(workdir, "mlflow", client, number)) == 11


def again(workdir, name, client, number):
    export(workdir, [name])
    return client.search_runs([number])


def wandb_records(path):
    """The records of a .wandb file: blocks of 32 KiB, pieces with (checksum, length, kind) before them."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        room = -at % 32768
        if 0 < room < 7:
            at += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield Record.FromString(whole)
            whole = b""


def wandb_runs(folder):
    """(name, history) of the offline runs, by id."""
    told = {}
    for path in folder.glob("offline-run-*/run-*.wandb"):
        kinds = [(one.WhichOneof("record_type"), one) for one in wandb_records(path)]
        (run,) = [one.run for kind, one in kinds if kind == "run"]
        assert run.run_id not in told
        told[run.run_id] = (
            run.display_name,
            [
                {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in one.history.item}
                for kind, one in kinds
                if kind == "history"
            ],
        )
    return told


def test_wandb(workdir):
    pytest.importorskip("wandb", reason="wandb, of the extra wandb, is not installed")
    for _ in range(2):
        (folder,) = export(workdir, ["wandb"])
        told = wandb_runs(folder)
        assert len(told) == 11
        assert told["3x32x1"][0] == "mlp/n=32/seed=1/3x32x1"
        assert [(row["step"], row.get("test/error")) for row in told["3x32x1"][1]] == [(50, None), (100, 0.2)]
        (curve,) = [history for name, history in told.values() if name == "mlp"]
        assert [(row["train_size"], row["test error/max"]) for row in curve] == [(32, 0.4), (64, 0.2)]


def test_trackio(workdir):
    if not installed("trackio"):
        pytest.skip("trackio, of the extra trackio, is not installed")
    folder, *_ = export(workdir, ["trackio"])  # before it is imported: it reads then where to write
    import trackio

    assert folder == workdir / "export" / "trackio"
    for _ in range(2):
        export(workdir, ["trackio"])
        runs = {run["id"]: run["name"] for run in trackio.SQLiteStorage.get_run_records("toy")}
        assert len(runs) == 11
        logs = trackio.SQLiteStorage.get_logs("toy", run_id="3x32x1")
        assert [(one["step"], one.get("test/error")) for one in logs] == [(50, None), (100, 0.2)]
        (curve,) = [run_id for run_id, name in runs.items() if name == "mlp"]
        logs = trackio.SQLiteStorage.get_logs("toy", run_id=curve)
        assert [(one["step"], one["test error/seeds"]) for one in logs] == [(32, 3), (64, 2)]
