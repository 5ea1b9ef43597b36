"""TensorBoard event files, by tensorboardX."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlm.report.export.runs import TRIALS, Run
from dlm.utils.optional_imports import require

FOLDER = "tensorboard"
# One file a run, always of the same name: a second export takes the place of the first instead of adding to it.
_FILE = "events.out.tfevents.0000000000.dlm"
_STATUS = {"done": "STATUS_SUCCESS", "running": "STATUS_RUNNING"}


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write `folder`/tensorboard: `trials/<learner>/n=…` with updates as steps, `curves/<learner>` with sizes as steps.

    A point's wall time is the seconds of training, so TensorBoard's "relative" axis shows those. What an earlier export
    left is replaced, once all is written. UsageError where tensorboardX is not installed.
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
    """A run's name as a relative path: each part without what a folder's name may not hold."""
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

    for one in run.steps:
        values = [Summary.Value(tag=tag, simple_value=number) for tag, number in one.numbers.items()]
        yield Event(step=one.step, wall_time=one.seconds, summary=Summary(value=values))


def _hparams(run: Run) -> Iterator[Any]:
    """What TensorBoard's HPARAMS tab shows of a trial: its config, how it ended, its seeds as one group."""
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
    told = {"start": HParamsPluginData(session_start_info=start), "end": HParamsPluginData(session_end_info=end)}
    for which, data in told.items():
        plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
        value = Summary.Value(tag=f"_hparams_/session_{which}_info", metadata=SummaryMetadata(plugin_data=plugin))
        yield Event(summary=Summary(value=[value]))
