"""Run a data-scaling study: python launch.py --experiment=digits, or on your own data: --data=my.csv --target=label

Trains every cell (learner, size, seed) that the workdir does not hold yet, then answers: how does each
learner get better with more data, and how much data does an error take? The same command resumes.

  --mode=plan      says what a study will cost, before anything is trained
  --mode=report    answers again, from what is there
  --mode=watch     shows how far a run elsewhere is: --workdir=runs/digits
  --mode=forecast  answers for a table from anywhere: --curve=my.csv, with the columns size and error
  --mode=inside    looks into a trained network: its maps, filters, and what each layer has learnt: --trial=cnn:1000:0
  --mode=score     holds an earlier forecast against what larger sizes really gave:
                   --forecast=forecast.json and --workdir=runs/digits or --curve=later.csv
  --mode=compare   holds studies against each other: --workdirs=runs/a,runs/b
  --mode=export    writes what --workdir holds for others: --to=latex,tensorboard, …

Exit codes: 0 done, 1 some cell failed, 2 wrong usage, 75 preempted with the state saved, 130 interrupted.
"""

from __future__ import annotations

import os
import signal

if __name__ == "__main__":  # before and after a Watch hears signals: nothing is at stake then

    def _stop(number: int, _: object) -> None:
        os.write(2, b"dlm: stopped; run the same command again to go on\n")
        os._exit(130 if number == signal.SIGINT else 75)

    for _number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(_number, _stop)

import dataclasses
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

from absl import flags, logging

from dlm.execution.preemption import EXIT_INTERRUPTED, Watch
from dlm.study import experiment, overrides
from dlm.study.learner import PRECISIONS
from dlm.study.study import Study
from dlm.utils.errors import Interrupted, UsageError
from dlm.utils.files import local_folder

_EXPERIMENT = flags.DEFINE_string("experiment", "", "Name of an experiment (see --list), or a path to a .py file.")
_DATA = flags.DEFINE_string(
    "data", "", "Instead of an experiment: a CSV, Parquet or .npz file, texts, or a folder of pictures, sounds, texts."
)
_TARGET = flags.DEFINE_string("target", "", "With --data: the column to predict.")
_SAVE_EXPERIMENT = flags.DEFINE_string(
    "save_experiment", "", "With --data: write the study as an experiment module to this .py file, and stop."
)
_MODE = flags.DEFINE_enum(
    "mode",
    "run",
    ["run", "plan", "report", "watch", "inside", "forecast", "score", "compare", "export"],
    "run: train what is missing and answer; plan: say what that costs; report: answer from what is there; "
    "watch: show how far a run elsewhere is; inside: look into a trained network; forecast: answer for --curve; "
    "score: hold --forecast against what was measured later; compare: hold --workdirs against each other; "
    "export: write --workdir's numbers for other tools.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    "",
    "Where all of a run is kept; runs/<experiment> by default, and for a table a folder beside it.",
    short_name="w",
)
_CURVE = flags.DEFINE_string(
    "curve", "", "forecast, score: a table with the columns size, error and, if any, repeat, learner, stderr."
)
_TARGETS = flags.DEFINE_string("targets", "", "forecast: errors to be asked the size of, such as 0.05,0.02.")
_MULTIPLES = flags.DEFINE_string("multiples", "2,10", "forecast: times the largest size to forecast at.")
_LEVEL = flags.DEFINE_float("level", 0.95, "forecast: the share an interval should hold.")
_BOUND = flags.DEFINE_string("bound", "", "forecast: the error's possible range, such as 0,1, or 0, without an end.")
_WORKDIRS = flags.DEFINE_list("workdirs", [], "compare: workdirs to hold against each other, such as runs/a,runs/b.")
_FORECAST = flags.DEFINE_string("forecast", "", "score: a forecast.json that was written before the data existed.")
_TO = flags.DEFINE_list(
    "to",
    [],
    "export: any of csv, parquet, latex, markdown, tensorboard, wandb, mlflow, trackio; by default the tables, and "
    "tensorboard where tensorboardX is installed.",
)
_OUT = flags.DEFINE_string("out", "", "export: the folder to write to; <workdir>/export by default.")
_TRIAL = flags.DEFINE_list(
    "trial",
    [],
    "inside: the cells to look into, each as learner:size:seed or the beginning of a trial id; the largest of the "
    "first network by default.",
)
_SET = flags.DEFINE_multi_string("set", [], "path=value, changes a field of the study, such as budget.epochs=20.")
_SIZES = flags.DEFINE_string("train_sizes", "", "Training-set sizes instead of the study's, such as 100,1000.")
_SEEDS = flags.DEFINE_string("seeds", "", "A number of seeds, or the seeds themselves, such as 0,1,2.")
_LEARNERS = flags.DEFINE_list("learners", [], "Only these learners of the study.")
_PRECISION = flags.DEFINE_enum(
    "precision", None, PRECISIONS, "What models are computed in, instead of the study's; parameters stay float32."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of prepared TFDS data; TFDS_DATA_DIR by default.")
_DOWNLOAD = flags.DEFINE_bool("download", False, "Let TFDS download and prepare a set that is not there.")
_INPUT = flags.DEFINE_enum(
    "input",
    "auto",
    ["auto", "device", "stream"],
    "device: the training pool in the devices' memory; stream: read from the host as it is needed; auto: by its size.",
)
_WORKERS = flags.DEFINE_integer(
    "input_workers", 0, "Processes that read a streamed pool; threads do by default.", lower_bound=0
)
_FIT_WORKERS = flags.DEFINE_integer(
    "fit_workers",
    None,
    "Processes that fit classical learners beside the training, one a core by default; 0: this one, before it.",
    lower_bound=0,
)
_PACKING = flags.DEFINE_enum(
    "packing",
    "auto",
    ["auto", "exact", "fast"],
    "exact: each member as if alone; fast: side by side; auto: exact on CPU.",
)
_DEVICES = flags.DEFINE_integer(
    "num_cpu_devices", 0, "Virtual CPU devices; one a core by default, two at least.", lower_bound=0
)
_SAVE = flags.DEFINE_float(
    "save_seconds", None, "Seconds between checkpoints; by default 60, or more where one takes long.", lower_bound=0.0
)
_KEEP = flags.DEFINE_integer(
    "keep_mib", 512, "MiB of predictions, and of parameters, that cells may leave in the workdir.", lower_bound=0
)
_LIST = flags.DEFINE_bool("list", False, "Name the experiments and what each asks.")
_HELP = flags.DEFINE_bool("help", False, "Show this help.", short_name="h")
_DEBUG = flags.DEFINE_bool("debug", False, "Show tracebacks.")

_RUNS = ("run", "plan", "report")
_STUDIES = (*_RUNS, "inside")
_MODES_OF = {  # a flag that a mode does not read is a slip, told and not passed over
    **dict.fromkeys(("experiment", "data", "target", "set", "train_sizes", "seeds", "precision", "data_dir"), _STUDIES),
    **dict.fromkeys(("packing", "save_seconds", "input", "input_workers"), _RUNS),
    **dict.fromkeys(("num_cpu_devices", "download"), _STUDIES),
    "trial": ("inside",),
    "save_experiment": ("run",),
    **dict.fromkeys(("keep_mib", "fit_workers"), ("run",)),
    **dict.fromkeys(("targets", "multiples", "level", "bound"), ("forecast",)),
    "learners": (*_STUDIES, "forecast"),
    "workdirs": ("compare",),
    "curve": ("forecast", "score"),
    "forecast": ("score",),
    **dict.fromkeys(("to", "out"), ("export",)),
}


def main(argv: list[str]) -> int:
    """Parse the flags and do what they ask; the exit code."""
    try:
        extra = flags.FLAGS(argv)[1:]
        if extra:
            raise UsageError(f"{' '.join(extra)!r} is no flag; flags look like --train_sizes=100,1000 (see --help)")
        if _HELP.value:
            print(f"{__doc__}\n{flags.FLAGS.main_module_help()}")
            return 0
        if not _DEBUG.value:
            # Libraries give advice, and the tracebacks of threads whose errors are raised and told here anyway.
            logging.set_verbosity(logging.FATAL)
            sys.unraisablehook = lambda _: None
        if _LIST.value:
            return _list()
        return _act()
    except (UsageError, flags.Error) as error:
        return _refuse(error)
    except Interrupted as error:
        print(f"dlm: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:  # where nothing is at stake that a Watch would have to see to
        print("dlm: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        return _storage_failed(error)


def _act() -> int:
    _refuse_empty()
    _refuse_idle()
    if _MODE.value in _OF_NO_STUDY:
        return _OF_NO_STUDY[_MODE.value]()
    if _SAVE_EXPERIMENT.value:
        return _save_experiment()
    if _MODE.value == "report" and not _EXPERIMENT.value and not _DATA.value:
        return _report_again()
    study, question, dataset = _study()
    return _OF_A_STUDY[_MODE.value](study, _local(_WORKDIR.value or f"runs/{study.name}"), question, dataset)


def _run(study: Study, workdir: Path, question: str, dataset: Any) -> int:
    with Watch() as watch:
        return _run_watched(study, workdir, question, dataset, watch)


def _run_watched(study: Study, workdir: Path, question: str, dataset: Any, watch: Watch) -> int:
    from dlm.execution import executor
    from dlm.train import devices

    watch.check()
    devices.configure(_DEVICES.value)
    _say_how_read(study, dataset)
    outcome = executor.run(
        study,
        workdir,
        **_how(dataset),
        input_workers=_WORKERS.value,
        fit_workers=_FIT_WORKERS.value,
        question=question,
        save_seconds=_SAVE.value,
        keep_mib=_KEEP.value,
        command=shlex.join(["python", *sys.argv]),
        watch=watch,
    )
    watch.check()
    _report(study, workdir, question, dataset)
    print(f"{outcome.trained} cells trained now, {outcome.before} before; all in {workdir}")
    if outcome.diverged:
        print(f"{outcome.diverged} cells diverged and are left out")
    if outcome.failed:
        print(f"{outcome.failed} cells failed; the same command tries them again")
    return 1 if outcome.failed else 0


def _plan(study: Study, workdir: Path, question: str, dataset: Any) -> int:
    from dlm.execution import planner
    from dlm.execution.planner import print_plan
    from dlm.train import devices

    devices.configure(_DEVICES.value)
    _say_how_read(study, dataset)
    print_plan(planner.plan(study, workdir, **_how(dataset)), _console(), title=study.name)
    return 0


def _look_inside(study: Study, workdir: Path, question: str, dataset: Any) -> int:
    from rich.console import Console

    from dlm.analysis.interpretability.survey import look
    from dlm.execution import executor
    from dlm.report.sections.interpretability import print_inside
    from dlm.train import devices

    devices.configure(_DEVICES.value)
    dataset = executor.load(study, _data_dir(), download=_DOWNLOAD.value, dataset=dataset)
    for found in look(study, workdir, _TRIAL.value, dataset):
        print_inside(found, workdir, _console())
    _report(study, workdir, question, dataset, Console(quiet=True))
    print(f"On the page too: {workdir / 'report.html'}")
    return 0


def _how(dataset: Any) -> dict[str, Any]:
    """Where the data come from and how members train: for a run, and for its plan."""
    return {
        "data_dir": _data_dir(),
        "download": _DOWNLOAD.value,
        "dataset": dataset,
        "packing": _PACKING.value,
        "input_mode": _INPUT.value,
    }


def _report(study: Study, workdir: Path, question: str, dataset: Any, console: Any = None) -> int:
    from dlm.report.study_report import report

    report(
        workdir,
        console or _console(),
        targets=study.targets,
        level=study.level,
        title=study.name,
        question=question,
        trial_ids={trial.trial_id for trial in study.trials},
    )
    return 0


def _report_again() -> int:
    """The report of a workdir by what it says of itself."""
    from dlm.report.study_report import declared, report

    if not _WORKDIR.value:
        raise UsageError("--mode=report needs --workdir or --experiment")
    report(_local(_WORKDIR.value), _console(), **declared(_local(_WORKDIR.value)))
    return 0


def _forecast() -> int:
    from dlm.report.table_report import read_bound, read_multiples, report_table

    if not _CURVE.value:
        raise UsageError("--mode=forecast needs --curve=FILE, a table with the columns size and error")
    report_table(
        Path(_CURVE.value).expanduser(),
        _console(),
        folder=_local(_WORKDIR.value) if _WORKDIR.value else None,
        targets=overrides.parse(_TARGETS.value, tuple[float, ...], "--targets"),
        multiples=read_multiples(_MULTIPLES.value),
        level=_LEVEL.value,
        bound=read_bound(_BOUND.value) if _BOUND.value else None,
        learners=_LEARNERS.value,
    )
    return 0


def _compare() -> int:
    from dlm.report.comparison import report_compare

    if len(_WORKDIRS.value) < 2:
        raise UsageError("--mode=compare needs --workdirs=A,B, two workdirs or more, and writes beside the first")
    folder = _local(_WORKDIR.value) if _WORKDIR.value else None
    report_compare([_local(path) for path in _WORKDIRS.value], _console(), folder=folder)
    return 0


def _score() -> int:
    from dlm.report.score import report_score

    if not _FORECAST.value or bool(_CURVE.value) == bool(_WORKDIR.value):
        raise UsageError(
            "--mode=score needs --forecast=FILE and what was measured later, --workdir=DIR or --curve=FILE"
        )
    workdir = _local(_WORKDIR.value) if _WORKDIR.value else None
    curve = Path(_CURVE.value).expanduser() if _CURVE.value else None
    report_score(Path(_FORECAST.value).expanduser(), _console(), workdir=workdir, curve=curve)
    return 0


def _export() -> int:
    from dlm.report.export.export import export

    if not _WORKDIR.value:
        raise UsageError("--mode=export needs --workdir=DIR, the folder of a run, such as runs/digits")
    names = [name.strip() for name in _TO.value]
    folder = _local(_OUT.value, "--out") if _OUT.value else None
    written = export(_local(_WORKDIR.value), names, folder)
    print("Written:", *written, sep="\n  ")
    return 0


def _watch() -> int:
    from dlm.report.progress.watch import watch

    if not _WORKDIR.value:
        raise UsageError("--mode=watch needs --workdir=DIR, the folder of a run")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        watch(_local(_WORKDIR.value))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED  # of the watching alone
    return 0


def _study() -> tuple[Study, str, Any]:
    """The study with the flags' changes, the question it asks, and its arrays if they had to be read for that."""
    if _DATA.value and _EXPERIMENT.value:
        raise UsageError(f"--data={_DATA.value} and --experiment={_EXPERIMENT.value} are two studies; choose one")
    if _DATA.value:
        from dlm.execution import proposal

        study, dataset = proposal.for_path(_DATA.value, _TARGET.value, _SET.value)
        return _changed(study), proposal.question(study), dataset
    if _TARGET.value:
        raise UsageError(f"--target={_TARGET.value} goes with --data=PATH; an experiment names its own")
    if not _EXPERIMENT.value:
        known = ", ".join(experiment.names())
        raise UsageError(f"--experiment is missing; choose one of {known} or a path to a .py file, or give --data=PATH")
    study = overrides.apply(experiment.load(_EXPERIMENT.value), _SET.value)
    return _changed(study), experiment.question(experiment.find(_EXPERIMENT.value)), None


def _changed(study: Study) -> Study:
    """The study with what --train_sizes, --seeds, --learners and --precision say."""
    if not study.name:
        raise UsageError("--set=name= leaves the study without a name, which names its workdir; give one")
    changes: dict[str, Any] = {}
    if _SIZES.value:
        changes["train_sizes"] = overrides.parse(_SIZES.value, tuple[int, ...], "--train_sizes")
    if _SEEDS.value:
        changes["seeds"] = overrides.parse(_SEEDS.value, int | tuple[int, ...], "--seeds")
    if _LEARNERS.value:
        changes["learners"] = overrides.pick(study.learners, _LEARNERS.value, "--learners")
        changes["tuning"] = {name: own for name, own in study.tuning.items() if name in changes["learners"]}
    if _PRECISION.value:
        changes["precision"] = _PRECISION.value
    return dataclasses.replace(study, **changes)


def _say_how_read(study: Study, dataset: Any) -> None:
    """What was assumed of somebody's own data, before anything is made of it."""
    from dlm.report.terminal import print_list

    if dataset is not None:
        print_list(_console(), f"How {study.name} was read", [*dataset.remarks, *_proposal(study, dataset)])


def _proposal(study: Study, dataset: Any) -> list[str]:
    splits = (
        f"{len(dataset.train):,} to learn from, {len(dataset.validation):,} to choose by, {len(dataset.test):,} to test"
    )
    return [
        f"{splits}; learners: {', '.join(study.learners)}; --save_experiment=FILE.py writes the study to change it."
    ]


def _save_experiment() -> int:
    from dlm.study.experiment import write_module

    if not _DATA.value:
        raise UsageError(f"--save_experiment={_SAVE_EXPERIMENT.value} goes with --data=PATH")
    study, question, _ = _study()
    path = write_module(study, question, _SAVE_EXPERIMENT.value)
    print(f"Written: {path}; run it with python launch.py --experiment={path}")
    return 0


def _refuse_empty() -> None:
    """UsageError for a flag given without a value, which is what an unset shell variable leaves."""
    for name in ("workdir", *_MODES_OF):
        flag = flags.FLAGS[name]
        if flag.present and flag.value in ("", []):
            raise UsageError(f"--{name}= is empty; give a value, or leave the flag out")


def _refuse_idle() -> None:
    """UsageError for a flag that the mode has no use for."""
    for name, modes in _MODES_OF.items():
        if flags.FLAGS[name].present and _MODE.value not in modes:
            named = " or ".join(f"--mode={mode}" for mode in modes)
            raise UsageError(f"--{name} is of no use with --mode={_MODE.value}; it goes with {named}")


def _local(folder: str, flag: str = "--workdir") -> Path:
    return local_folder(folder, flag)


def _list() -> int:
    for name in experiment.names():
        print(f"{name:20} {experiment.question(experiment.find(name))}")
    return 0


def _data_dir() -> Path | None:
    return Path(_DATA_DIR.value).expanduser() if _DATA_DIR.value else None


def _console():  # type: ignore[no-untyped-def]
    from rich.console import Console

    return Console()


def _refuse(error: Exception) -> int:
    if flags.FLAGS.is_parsed() and _DEBUG.value:
        traceback.print_exc()
    print(f"dlm: {error}", file=sys.stderr)
    return 2


def _storage_failed(error: OSError) -> int:
    if _DEBUG.value:
        traceback.print_exc()
    where = f"{error.filename}: " if error.filename else ""
    print(
        f"dlm: {where}{error.strerror or error}; what was finished is kept: mend that, and run the same command again",
        file=sys.stderr,
    )
    return 1


_OF_NO_STUDY = {"forecast": _forecast, "score": _score, "compare": _compare, "export": _export, "watch": _watch}
_OF_A_STUDY = {"run": _run, "plan": _plan, "report": _report, "inside": _look_inside}

if __name__ == "__main__":
    _code = main(sys.argv)
    for _number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(_number, signal.SIG_IGN)  # all is said and saved; Python's last moments have no other handlers
    sys.exit(_code)
