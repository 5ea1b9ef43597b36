"""A realistic answer, made by hand: three learners on handwritten digits, seven sizes, eight seeds; and a page."""

import random

import pytest
from small import small

from dlm import Budget, grid
from dlm.curves.from_records import learning_curves
from dlm.curves.summary import summarize
from dlm.curves.types import Crossover, Curve, LearnerSummary, Prediction, RequiredSize, StudySummary
from dlm.execution import executor
from dlm.report.html.page import page_html
from dlm.report.sections import SECTIONS, ReportContext
from dlm.report.study_report import page_of
from dlm.storage.workdir import Workdir

SIZES = (32, 64, 128, 256, 512, 1024, 1257)
NUM_TEST = 360
LAWS = {"mlp": (0.012, 4.9, 0.83), "cnn": (0.004, 6.6, 0.95), "logreg": (0.028, 1.85, 0.66)}


def law(learner: str, size: float) -> float:
    """The error that `learner` is made to have."""
    floor, scale, power = LAWS[learner]
    return min(0.9, floor + scale * size**-power)


def make_learner(learner: str, needs: tuple[RequiredSize, ...] = (), note: str = "", failed: int = 0) -> LearnerSummary:
    """One learner with errors that are whole numbers of test examples."""
    draw = random.Random(learner)
    errors = tuple(
        tuple(round(NUM_TEST * law(learner, n) * draw.lognormvariate(0, 0.16)) / NUM_TEST for _ in range(8))
        for n in SIZES
    )
    grid = [SIZES[0] * (12570 / SIZES[0]) ** (k / 60) for k in range(61)]
    floor, scale, power = LAWS[learner]
    return LearnerSummary(
        curve=Curve(learner, SIZES, errors, num_test=NUM_TEST, num_failed=failed),
        law=f"error = {floor:g} + {scale:g} n^-{power:g}",
        fitted=tuple(make_prediction(learner, round(n)) for n in grid),
        predictions=(make_prediction(learner, 2514), make_prediction(learner, 12570)),
        required_sizes=needs,
        note=note,
        current=make_prediction(learner, SIZES[-1]),
    )


def make_prediction(learner: str, size: int) -> Prediction:
    """A forecast whose interval widens beyond the measured sizes."""
    middle = law(learner, size)
    factor = 1.12 * max(1.0, size / SIZES[-1]) ** 0.28
    return Prediction(size, middle, middle / factor, min(1.0, middle * factor))


@pytest.fixture
def digits() -> StudySummary:
    """Three learners with every kind of need and most kinds of overtake."""
    return StudySummary(
        learners=(
            make_learner(
                "mlp",
                (
                    RequiredSize(0.05, "reached", 260.0, 300.0, 350.0, 1.0),
                    RequiredSize(0.02, "interval", 1400.0, 2130.0, 4200.0, 0.97),
                    RequiredSize(0.01, "unsupported", 12570.0, None, None, 0.4),
                ),
            ),
            make_learner(
                "cnn",
                (
                    RequiredSize(0.05, "reached", 190.0, 212.0, 240.0, 1.0),
                    RequiredSize(0.02, "reached", 600.0, 680.0, 760.0, 1.0),
                    RequiredSize(0.01, "interval", 1600.0, 2431.0, None, 0.88),
                ),
                failed=1,
            ),
            make_learner(
                "logreg",
                (
                    RequiredSize(0.05, "reached", 500.0, 570.0, 660.0, 1.0),
                    RequiredSize(0.02, "not reachable", None, None, None, 0.03),
                    RequiredSize(0.01, "undetermined", None, None, None, 0.0),
                ),
                note="the last three sizes are flat, so that the interval at 10x the data is wide",
            ),
        ),
        crossovers=(
            Crossover("logreg", "cnn", "measured", 45.0, 61.0, 90.0),
            Crossover("cnn", "mlp", "never", None, None, None),
            Crossover("logreg", "mlp", "measured", 70.0, 118.0, 190.0),
        ),
        multiples=(2.0, 10.0),
        level=0.95,
    )


@pytest.fixture(scope="session")
def workdir(tmp_path_factory):
    """A study with a sweep whose best value lies at an edge, and with measurements on the way."""
    folder = tmp_path_factory.mktemp("page")
    study = small(budget=Budget(steps=40, eval_every=20), axes=grid(lr=(1e-4, 1e-3, 1e-2)))
    options = executor.RunOptions(command="python launch.py --experiment=small", question="How <small> is it?")
    executor.run_trials(study, folder, options)
    return folder


def make_page(context, **texts):
    """The page of all sections of a context."""
    return page_of(context.summary, [section(context) for section in SECTIONS], **texts)


@pytest.fixture(scope="session")
def page(workdir):
    opened = Workdir.open(workdir)
    summary = summarize(learning_curves(opened.records), targets=(0.05,))
    context = ReportContext(summary, opened.path, opened, opened.records)
    return make_page(context, title="small", question="How <small> is it?")


@pytest.fixture(scope="session")
def file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(page_html(page), encoding="utf-8")
    return path
