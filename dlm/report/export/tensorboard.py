"""Writes TensorBoard event files with tensorboardX."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlm.report.export.runs import TRIALS, Run
from dlm.study.names import Status
from dlm.utils.optional_imports import require

FOLDER = "tensorboard"
# One file per run with a fixed name, so that a second export replaces the first.
_FILE = "events.out.tfevents.0000000000.dlm"
_STATUS = {Status.DONE: "STATUS_SUCCESS", Status.RUNNING: "STATUS_RUNNING"}


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write `folder`/tensorboard: `trials/<learner>/n=…` with updates as steps, `curves/<learner>` with sizes as steps.

    Wall times are seconds of training, which TensorBoard shows on its "relative" axis. Replaces an earlier export once
    all files are written. UsageError if tensorboardX is not installed.
    """
    require("tensorboardX", "--to=tensorboard")
    target, fresh = folder / FOLDER, folder / f"{FOLDER}.tmp"
    shutil.rmtree(fresh, ignore_errors=True)
    for run in runs:
        _write_run(fresh / run.kind / _path(run.name), run)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return target


def _path(name: str) -> str:
    """A run's name as a relative path, with characters that folder names cannot contain replaced."""
    parts = [re.sub(r"[^\w=.,() +-]", "_", part).strip(". ") for part in name.split("/")]
    return "/".join(part or "_" for part in parts)


def _write_run(folder: Path, run: Run) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter

    folder.mkdir(parents=True)
    writer = RecordWriter(str(folder / _FILE))
    for event in (Event(file_version="brain.Event:2"), *_hparams(run), *_scalars(run)):
        writer.write(event.SerializeToString())
    writer.close()


def _scalars(run: Run) -> Iterator[Any]:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary

    for step in run.steps:
        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in step.numbers.items()]
        yield Event(step=step.step, wall_time=step.seconds, summary=Summary(value=values))


def _hparams(run: Run) -> Iterator[Any]:
    """A trial in TensorBoard's HPARAMS tab: its config and status; its seeds are one group."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    if run.kind != TRIALS:
        return
    start = SessionStartInfo(group_name=run.group)
    for name, value in run.config.items():
        kind = {str: "string_value", bool: "bool_value"}.get(type(value), "number_value")
        setattr(start.hparams[name], kind, value)
    end = SessionEndInfo(status=Status.Value(_STATUS.get(run.status, "STATUS_FAILURE")))
    events = {"start": HParamsPluginData(session_start_info=start), "end": HParamsPluginData(session_end_info=end)}
    for name, data in events.items():
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
        value = Summary.Value(tag=f"_hparams_/session_{name}_info", metadata=SummaryMetadata(plugin_data=plugin))
        yield Event(summary=Summary(value=[value]))
