"""The answer of a study as plain sentences."""

from __future__ import annotations

from dlm.curves.seed_spread import seed_spread
from dlm.curves.types import Crossover, LearnerSummary, RequiredSize, StudySummary
from dlm.report.formatting import (
    SURE,
    about,
    chance,
    error_text,
    forecast_phrase,
    need_phrase,
    percent,
    seeds,
    size_interval,
    target_text,
    times_text,
)

MOST_LED = 6  # of more learners the lead names the best few and the last
MOST_PAIRS = 6  # of more pairs only those of the best learner are told, and of these so many:
MOST_TOLD = 10
MOST_FORECAST = 4  # the forecasts of more learners are no brief reading


def sentences(answer: StudySummary) -> list[str]:
    """The whole answer in plain sentences: who leads, laws, forecasts, needs, overtakes, notes."""
    return [
        *lead(answer),
        *laws(answer),
        *noises(answer),
        *forecasts(answer),
        *needs(answer),
        *crossovers(answer),
        *notes(answer),
    ]


def brief(answer: StudySummary) -> list[str]:
    """What to read first: who leads, what more data would buy unless learners are many, who overtakes whom."""
    few = len(answer.learners) <= MOST_FORECAST
    ahead = [*forecasts(answer), *needs(answer)] if few else []
    return [*lead(answer), *ahead, *crossovers(answer)]


def lead(answer: StudySummary) -> list[str]:
    """Who is best at the largest size that every learner was measured at."""
    if not any(learner.curve.train_sizes for learner in answer.learners):
        return ["No cell has finished yet, so there is nothing to say."]
    shared = set.intersection(*(set(learner.curve.train_sizes) for learner in answer.learners))
    if not shared or len({learner.curve.unit for learner in answer.learners}) > 1:
        return []
    size = max(shared)
    cells = [(one.curve, seed_spread(one.curve.errors[one.curve.train_sizes.index(size)])) for one in answer.learners]
    # Stable: learners that tie keep the order of the study.
    cells.sort(key=lambda cell: cell[1].median)
    counts = {cell.num_seeds for _, cell in cells}
    means = all(curve.stderr for curve, _ in cells)
    kind = "mean" if means else "median"
    same = f" of {seeds(min(counts))}" if len(counts) == 1 and not means else ""
    places = [
        f"{curve.learner} {error_text(cell.median, curve.unit)}"
        + ("" if same or means else f" ({seeds(cell.num_seeds)})")
        for curve, cell in cells
    ]
    if len(places) == 1:
        [(curve, cell)] = cells
        return [f"At {size:,} examples the {kind} error{same} is {error_text(cell.median, curve.unit)}."]
    if len(places) > MOST_LED:
        places = [*places[: MOST_LED - 2], f"{len(places) - MOST_LED + 1} more", places[-1]]
    return [f"At {size:,} examples the {kind} errors{same} are, best first, {_listed(places)}."]


def laws(answer: StudySummary) -> list[str]:
    """The law of each learner, a line each."""
    return [f"{item.curve.learner}: {item.law or 'no law was fitted'}" for item in answer.learners]


def noises(answer: StudySummary) -> list[str]:
    """What another seed and another test set would do to the last error, a line for each learner that knows."""
    lines = []
    for learner in answer.learners:
        noise, unit = learner.noise, learner.curve.unit
        if noise is None:
            continue
        parts = []
        if noise.training is not None:
            parts.append(f"±{error_text(noise.training, unit)} by training (s.d. of {seeds(noise.num_seeds)})")
        if noise.test is not None:
            parts.append(
                f"±{error_text(noise.test, unit)} by the test set (s.e. of {learner.curve.num_test:,} examples)"
            )
        lines.append(f"{learner.curve.learner}: {', '.join(parts)}")
    return lines


def forecasts(answer: StudySummary) -> list[str]:
    """What more data would buy, a sentence for each learner."""
    return [_forecast(learner, answer.level) for learner in answer.learners]


def needs(answer: StudySummary) -> list[str]:
    """How many examples each target takes, a sentence for each learner and target."""
    return [_need(learner, need) for learner in answer.learners for need in learner.required_sizes]


def crossovers(answer: StudySummary) -> list[str]:
    """Where one learner overtakes another, a sentence a pair; of many pairs those of the best learner."""
    items = answer.crossovers
    if len(items) > MOST_PAIRS:
        ends = [
            (seed_spread(one.curve.errors[-1]).median, one.curve.learner)
            for one in answer.learners
            if one.curve.train_sizes
        ]
        best = min(ends)[1]
        items = tuple(item for item in items if best in (item.incumbent, item.challenger))[:MOST_TOLD]
    left = len(answer.crossovers) - len(items)
    more = [f"{left} more pairs are on the page and in forecast.json."] if left else []
    return [*map(overtakes_sentence, items), *more]


def notes(answer: StudySummary) -> list[str]:
    """What a reader must know before trusting the numbers: missing cells, refused or wide extrapolations."""
    lines = []
    for learner in answer.learners:
        curve = learner.curve
        if curve.num_failed:
            cells = (
                "1 cell failed or diverged and is"
                if curve.num_failed == 1
                else (f"{curve.num_failed:,} cells failed or diverged and are")
            )
            lines.append(f"{curve.learner}: {cells} left out of every number.")
        if learner.note:
            lines.append(f"{curve.learner}: {_closed(learner.note)}")
    return lines


def _forecast(learner: LearnerSummary, level: float) -> str:
    curve = learner.curve
    if not curve.train_sizes:
        return f"{curve.learner} has no finished cell."
    cell = seed_spread(curve.errors[-1])
    now = (
        f"{curve.learner} is at {error_text(cell.median, curve.unit)} with n={curve.train_sizes[-1]:,} "
        f"({'mean' if curve.stderr else f'median of {seeds(cell.num_seeds)}'})"
    )
    if not learner.predictions:
        return f"{now}; no forecast beyond that size is given."
    ahead = [
        f"with {times_text(item, curve)} (n={item.train_size:,}) {forecast_phrase(item, curve.unit)}"
        for item in learner.predictions
    ]
    return f"{now}; forecast {_listed(ahead)} ({percent(level)} interval{'s' if len(ahead) > 1 else ''})."


def _need(learner: LearnerSummary, need: RequiredSize) -> str:
    name, phrase = learner.curve.learner, need_phrase(need)
    target = target_text(need.target, learner.curve.unit)
    if phrase == "undetermined":
        return f"How many examples {name} needs for {target} cannot be told from these measurements."
    if need.kind == "reached":
        count = phrase.removeprefix("reached at ")
        return f"{name} needs {count} examples for {target}: reached within the measured sizes."
    if need.kind == "not reachable":
        remark = f" (chance {chance(need.p_reachable)})" if need.p_reachable > 0 else ""
        return f"{target} is not reachable for {name} by more data alone{remark}."
    doubt = ""
    if need.kind == "interval" and need.p_reachable < SURE:
        doubt = f"; the chance that it gets there at all is {chance(need.p_reachable)}"
    return f"{name} needs {phrase} examples for {target}{doubt}."


def overtakes_sentence(item: Crossover) -> str:
    """Where one learner overtakes another, or that it does not, and how likely it is ahead."""
    challenger, incumbent = item.challenger, item.incumbent
    where = "" if item.median is None else f" at about {about(item.median)} examples"
    where += size_interval(item.low, item.high)
    likely = _likely(item)
    if item.kind == "measured":
        return f"{challenger} overtakes {incumbent}{where}{likely}."
    if item.kind == "forecast":
        return f"{challenger} is forecast to overtake {incumbent}{where}, beyond the measured sizes{likely}."
    if item.kind == "never":
        return f"{challenger} stays behind {incumbent} as far as the forecast reaches{likely}."
    if item.kind == "already":
        return f"{challenger} is ahead of {incumbent} at every measured size{likely}."
    # "undetermined", and what a later version may add.
    return f"Whether {challenger} overtakes {incumbent} cannot be told: noise and forecast leave it open{likely}."


def _likely(item: Crossover) -> str:
    """The chance that the challenger is better at the largest measured size, and at the farthest that is carried."""
    measured = [one for one in item.probabilities if one.measured][-1:]
    ahead = [one for one in item.probabilities if not one.measured][-1:]
    told = [f"{chance(one.probability)} at {one.train_size:,}" for one in (*measured, *ahead)]
    return f"; the chance that {item.challenger} is better is {_listed(told)}" if told else ""


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _closed(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
