"""Runs a data-scaling study: dlm --experiment=digits, or on your own data: dlm --data=my.csv --target=label

Trains every trial (learner, train size, seed) that the workdir does not hold yet, then reports how each learner
improves with more data and how much data a target error needs. The same command resumes a stopped run.

  --mode=plan       estimates the cost of the study; trains nothing
  --mode=report     reports from the records in the workdir
  --mode=decide     compares the expected costs of stopping and of collecting more examples: --costs=per_error=50000,…
  --mode=watch      shows the progress of another process's run
  --mode=interpret  analyses a trained network (saliency maps, filters, linear probes of each layer): --trial=cnn:1000:0
  --mode=forecast   extrapolates a measured learning curve: --curve=my.csv, with the columns size and error
  --mode=score      compares a forecast.json (--forecast) with larger sizes measured later (--workdir or --curve)
  --mode=compare    compares studies: --workdirs=runs/a,runs/b
  --mode=export     writes the results for other tools: --to=latex,tensorboard, …

Exit codes: 0 done, 1 a trial failed, 2 usage error, 75 preempted with the state saved, 130 interrupted.
"""

from __future__ import annotations

import shlex
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from absl import flags, logging

import dlm
from dlm.execution.preemption import EXIT_INTERRUPTED, Watch
from dlm.study import experiment, overrides
from dlm.study.learner import PRECISIONS
from dlm.utils.errors import Interrupted, UsageError
from dlm.utils.files import local_folder

FLAGS: Any = flags.FLAGS
_MODES_OF: dict[str, tuple[str, ...]] = {}  # by flag: the modes that read it
_RUN, _STUDY = ("run", "plan", "report"), ("run", "plan", "report", "interpret")


def _flag(modes: tuple[str, ...], kind: str, name: str, default: Any, *rest: Any, **options: Any) -> None:
    """Define a flag that only some modes read."""
    getattr(flags, f"DEFINE_{kind}")(name, default, *rest, **options)
    _MODES_OF[name] = modes


_MODES = (*_STUDY, "decide", "watch", "forecast", "score", "compare", "export")
flags.DEFINE_enum("mode", "run", _MODES, "run: train what is missing, then report; for the others see above.")
flags.DEFINE_string("workdir", "", "Folder of the run; runs/<experiment> by default.", short_name="w")
flags.DEFINE_bool("list", False, "List the experiments with their questions.")
flags.DEFINE_bool("help", False, "Show this help.", short_name="h")
flags.DEFINE_bool("debug", False, "Show tracebacks.")
_flag(_STUDY, "string", "experiment", "", "Name of an experiment (see --list), or path of a .py file.")
_flag(_STUDY, "string", "data", "", "Your own data instead: a CSV, Parquet or .npz file, texts, or a folder of files.")
_flag(_STUDY, "string", "target", "", "With --data: the column to predict.")
_flag(("run",), "string", "save_experiment", "", "With --data: write the study to this .py file and stop.")
_flag(_STUDY, "multi_string", "set", [], "path=value: set a field of the study, such as budget.epochs=20.")
_flag(_STUDY, "string", "train_sizes", "", "Training-set sizes instead of the study's, such as 100,1000.")
_flag(_STUDY, "string", "seeds", "", "Number of seeds, or the seeds, such as 0,1,2.")
_flag((*_STUDY, "forecast"), "list", "learners", [], "Only these learners.")
_flag(_STUDY, "enum", "precision", None, PRECISIONS, "Precision of the computation; parameters stay float32.")
_flag(_STUDY, "string", "data_dir", "", "Folder of prepared TFDS data; TFDS_DATA_DIR by default.")
_flag(_STUDY, "bool", "download", False, "Let TFDS download and prepare data that are missing.")
_flag(_RUN, "enum", "input", "auto", ("auto", "device", "stream"), "Where the training pool is; auto: by its size.")
_flag(_RUN, "integer", "input_workers", 0, "Processes that read a streamed pool; 0: threads.", 0)
_flag(("run",), "integer", "fit_workers", None, "Processes for classical fits; one per core by default; 0: none.", 0)
_flag(_RUN, "enum", "packing", "auto", ("auto", "exact", "fast"), "exact: as if trained alone; auto: exact on CPU.")
_flag(_STUDY, "integer", "num_cpu_devices", 0, "Virtual CPU devices; one per core by default, at least 2.", 0)
_flag(_RUN, "float", "save_seconds", None, "Seconds between checkpoints; 60 by default, more if saving is slow.", 0.0)
_flag(("run",), "integer", "keep_mib", 512, "MiB of predictions, and of parameters, to save in the workdir.", 0)
_flag(("interpret",), "list", "trial", [], "Trials to analyse: learner:size:seed, or the start of a trial id.")
_flag(("forecast", "score"), "string", "curve", "", "Table with columns size, error[, repeat, learner, stderr].")
_flag((*_RUN, "forecast"), "string", "target_error", "", "Target errors whose required size is estimated: 0.05,0.02.")
_flag(("decide",), "string", "costs", "", "Prices instead of the study's: per_example=2,per_hour=1,per_error=50000.")
_flag(("forecast",), "string", "multiples", "2,10", "Sizes to forecast at, as multiples of the largest size.")
_flag(("forecast",), "float", "level", 0.95, "Coverage of the intervals.")
_flag(("forecast",), "string", "bound", "", "Range of the error, such as 0,1; or 0, for no upper end.")
_flag(("score",), "string", "forecast", "", "A forecast.json written before the larger sizes were measured.")
_flag(("compare",), "list", "workdirs", [], "Workdirs to compare, such as runs/a,runs/b.")
_flag(("export",), "list", "to", [], "csv, parquet, latex, markdown, tensorboard, wandb, mlflow, trackio.")
_flag(("export",), "string", "out", "", "Output folder; <workdir>/export by default.")


def main(argv: list[str]) -> int:
    """Parse the flags, run the mode, and return the exit code."""
    try:
        if extra := FLAGS(argv)[1:]:
            raise UsageError(f"{' '.join(extra)!r} is not a flag; write --name=value, such as --train_sizes=100,1000")
        if FLAGS.help:
            print(f"{__doc__}\n{FLAGS.module_help('dlm.cli')}")
            return 0
        if not FLAGS.debug:  # libraries' advice, and tracebacks of threads whose errors are raised in the main thread
            logging.set_verbosity(logging.FATAL)
            sys.unraisablehook = lambda _: None
        if FLAGS.list:
            print(*(f"{name:20} {experiment.question(experiment.find(name))}" for name in experiment.names()), sep="\n")
            return 0
        _check_flags()
        return _CALLS[FLAGS.mode]() or 0
    except (UsageError, flags.Error) as error:
        return _report_error(f"{error}{'' if isinstance(error, UsageError) else ' (--help lists the flags)'}", 2)
    except Interrupted as error:
        return _report_error(str(error), error.exit_code)
    except KeyboardInterrupt:  # outside a run, when nothing has to be saved
        return _report_error("interrupted; run the same command again to continue", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        remedy = "finished trials are saved; fix the cause and run the same command again"
        return _report_error(f"{where}{error.strerror or error}; {remedy}", 1)


def _report_error(message: str, code: int) -> int:
    if FLAGS.is_parsed() and FLAGS.debug:
        traceback.print_exc()
    print(f"dlm: {message}", file=sys.stderr)
    return code


def _check_flags() -> None:
    """UsageError for a flag with an empty value, such as of an unset shell variable, or that the mode does not read."""
    for name, modes in {"workdir": (FLAGS.mode,), **_MODES_OF}.items():
        if FLAGS[name].present and FLAGS[name].value in ("", []):
            raise UsageError(f"--{name}= is empty; give a value or omit the flag")
        if FLAGS[name].present and FLAGS.mode not in modes:
            valid = " or ".join(f"--mode={mode}" for mode in modes)
            raise UsageError(f"--{name} has no effect with --mode={FLAGS.mode}; use it with {valid}")


def _run() -> int:
    study, folder, options = _study()
    if FLAGS.save_experiment:
        from dlm.execution import proposal

        path = experiment.write_module(study, options["question"], FLAGS.save_experiment)
        proposal.print_remarks(study, options["dataset"], _console())
        print(f"wrote {path}; run it with --experiment={path}")
        return 0
    with Watch() as watch:
        result = dlm.run(study, folder, watch=watch, console=_console(), **options)
    assert result.outcome is not None
    print(result.outcome.describe(folder))
    return 1 if result.outcome.failed else 0


def _plan() -> None:
    study, folder, options = _study()
    _console().print(dlm.plan(study, folder, **options))


def _report() -> None:
    if FLAGS.experiment or FLAGS.data:
        study, folder, options = _study()
        dlm.write_report(folder, _console(), study, options["question"])
    else:
        folder = _path("workdir", required="DIR or --experiment=NAME")
        dlm.write_report(folder, _console(), targets=overrides.target_errors(FLAGS.target_error))


def _decide() -> None:
    dlm.decide(_path("workdir", required="DIR, the folder of a run"), _console(), costs=FLAGS.costs)


def _console() -> Any:
    from dlm.report.terminal import TerminalConsole

    return TerminalConsole()


def _interpret() -> None:
    study, folder, options = _study()
    dlm.interpret(study, folder, FLAGS.trial, _console(), **options)


def _watch() -> None:
    from dlm.report.progress.watch import watch

    signal.signal(signal.SIGINT, signal.default_int_handler)  # raises KeyboardInterrupt, which closes the display
    watch(_path("workdir", required="DIR, the folder of a run"))


def _forecast() -> None:
    from dlm.report.table_report import read_bound, read_multiples, report_table

    report_table(
        _path("curve", required="FILE, a table with the columns size and error"),
        _console(),
        folder=_path("workdir"),
        targets=overrides.target_errors(FLAGS.target_error),
        multiples=read_multiples(FLAGS.multiples),
        level=FLAGS.level,
        bound=read_bound(FLAGS.bound) if FLAGS.bound else None,
        learners=FLAGS.learners,
    )


def _score() -> None:
    from dlm.report.score import report_score

    report_score(_path("forecast"), _console(), workdir=_path("workdir"), curve=_path("curve"))


def _compare() -> None:
    from dlm.report.comparison import report_compare

    report_compare([local_folder(path, "--workdirs") for path in FLAGS.workdirs], _console(), folder=_path("workdir"))


def _export() -> None:
    from dlm.report.export.export import export

    folder, formats = _path("workdir", required="DIR, the folder of a run, such as runs/digits"), FLAGS.to
    print("wrote", *export(folder, [name.strip() for name in formats], _path("out")), sep="\n  ")


def _study() -> tuple[dlm.Study, Path, dict[str, Any]]:
    """The study of the flags, its workdir, and the options to run it with."""
    for name in ("save_experiment", "target"):
        if FLAGS[name].value and not FLAGS.data:
            raise UsageError(f"--{name}={FLAGS[name].value} needs --data=PATH")
    if FLAGS.data and FLAGS.experiment:
        raise UsageError(f"--data={FLAGS.data} and --experiment={FLAGS.experiment} are two studies; choose one")
    if FLAGS.data:
        from dlm.execution import proposal

        study, question, dataset = proposal.for_path(FLAGS.data, FLAGS.target, FLAGS.set, FLAGS.train_sizes)
    else:
        study, dataset = overrides.apply(experiment.load(FLAGS.experiment), FLAGS.set), None
        question = experiment.question(experiment.find(FLAGS.experiment))
    study = overrides.restrict(study, **{name: FLAGS[name].value for name in overrides.RESTRICTIONS})
    if dataset and FLAGS.mode in ("run", "plan") and not FLAGS.save_experiment:
        proposal.print_remarks(study, dataset, _console())
    program = ["python", "launch.py"] if sys.argv[0].endswith("launch.py") else ["dlm"]
    options = {"question": question, "command": shlex.join([*program, *sys.argv[1:]]), "dataset": dataset}
    options |= {name: FLAGS[name].value for name in dlm.RunOptions.__dataclass_fields__ if name in FLAGS}
    return study, _path("workdir", f"runs/{study.name}"), options


def _path(flag: str, default: str = "", required: str = "") -> Any:
    """The path of a flag, or the default; None without either, but a UsageError if the mode requires one."""
    if required and not (FLAGS[flag].value or default):
        raise UsageError(f"--mode={FLAGS.mode} needs --{flag}={required}")
    return local_folder(value, f"--{flag}") if (value := FLAGS[flag].value or default) else None


_CALLS: Any = dict(
    zip(_MODES, (_run, _plan, _report, _interpret, _decide, _watch, _forecast, _score, _compare, _export))
)
