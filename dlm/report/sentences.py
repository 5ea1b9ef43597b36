"""States the summary of a study in sentences."""

from __future__ import annotations

import itertools

from dlm.curves.diagnostics import NOISE, PLATEAU, RISE, ZERO
from dlm.curves.seed_spread import seed_spread
from dlm.curves.types import Crossover, LearnerSummary, RequiredSize, StudySummary
from dlm.report.formatting import (
    CERTAIN,
    about,
    error_text,
    forecast_text,
    listed,
    multiple_text,
    of_hold_outs,
    percent,
    probability_text,
    required_size_text,
    seeds,
    size_interval,
    target_text,
)

MAJORITY = "the majority class"  # the constant prediction of classification, see `ChanceLevel`
IMBALANCED = 0.1  # error of the majority class from which on classes are reported as imbalanced
_WARNINGS = {  # forecast diagnostics; RISE is in the headline, FEW and FAR follow from the sizes
    PLATEAU: "the error hardly falls any more; 8 times the data probably reduce it by less than 5 %",
    NOISE: "noise hides how the error falls; add seeds or test examples",
    ZERO: "some errors are exactly zero; a larger test set would show how small they are",
}
MAX_RANKED = 6  # of more learners the ranking names the best and the last
MAX_PAIRS = 6  # of more pairs only those with the best learner are listed, at most MAX_LISTED_PAIRS
MAX_LISTED_PAIRS = 10
MAX_BRIEF_FORECASTS = 4  # forecasts of more learners are left out of the brief summary


def sentences(summary: StudySummary) -> list[str]:
    """The whole summary: headline, laws, noise, forecasts, required sizes, crossovers and caveats."""
    parts = (headline, laws, noise_levels, forecasts, required_sizes, crossovers, caveats)
    return [line for part in parts for line in part(summary)]


def brief(summary: StudySummary) -> list[str]:
    """Headline, forecasts and required sizes of a few learners, and crossovers."""
    few = len(summary.learners) <= MAX_BRIEF_FORECASTS
    return [
        *headline(summary),
        *(forecasts(summary) + required_sizes(summary) if few else ()),
        *crossovers(summary),
    ]


def headline(summary: StudySummary) -> list[str]:
    """The sentences that lead every report: ranking, errors that rise with size, and the chance level if it matters."""
    return [*ranking(summary), *rising(summary), *no_better_than_chance(summary), *imbalance(summary)]


def ranking(summary: StudySummary) -> list[str]:
    """The errors at the largest size that every learner was measured at, best first; without one, at its own."""
    curves = [learner.curve for learner in summary.learners if learner.curve.train_sizes]
    if not curves:
        return ["No trial has finished yet."]
    shared = set.intersection(*(set(curve.train_sizes) for curve in curves))
    if not shared or len({curve.unit for curve in curves}) > 1:
        ends = [(curve, error_text(seed_spread(curve.errors[-1]).mean, curve.unit)) for curve in curves[:MAX_RANKED]]
        largest = [f"{curve.learner} {error} (n={curve.train_sizes[-1]:,})" for curve, error in ends]
        reason = "have no measured size in common" if not shared else "have errors of different units"
        return [f"The learners {reason}; at their largest sizes the mean errors are {listed(largest)}."]
    size = max(shared)
    ranked = [(curve, seed_spread(curve.errors[curve.train_sizes.index(size)])) for curve in curves]
    ranked.sort(key=lambda pair: pair[1].mean)  # stable: ties keep the order of the study
    counts = {errors.num_seeds for _, errors in ranked}
    means = all(curve.stderr for curve in curves)
    same = f" of {seeds(min(counts))}" if len(counts) == 1 and not means else ""
    if len(ranked) == 1:
        [(curve, errors)] = ranked
        return [f"At {size:,} examples the mean error{same} is {error_text(errors.mean, curve.unit)}."]
    texts = []
    for curve, errors in ranked:
        count = "" if same or means else f" ({seeds(errors.num_seeds)})"
        texts.append(f"{curve.learner} {error_text(errors.mean, curve.unit)}{count}")
    if len(texts) > MAX_RANKED:
        texts = [*texts[: MAX_RANKED - 2], f"{len(texts) - MAX_RANKED + 1} more", texts[-1]]
    return [f"At {size:,} examples the mean errors{same} are, best first: {listed(texts)}."]


def no_better_than_chance(summary: StudySummary) -> list[str]:
    """The learners whose expected error at their largest size is not clearly below the chance level."""
    chance, lines = summary.chance, []
    for learner in summary.learners if chance else ():
        current, curve = learner.current, learner.curve
        if not curve.errors:
            continue
        error = sum(curve.errors[-1]) / len(curve.errors[-1])
        high = current.test_set_high or current.high if current else error
        assert chance is not None
        if max(error, high) >= chance.error:
            lines.append(
                f"{curve.learner} is not {'' if error >= chance.error else 'clearly '}better than chance at "
                f"{curve.train_sizes[-1]:,} examples: {chance.prediction} has {error_text(chance.error, curve.unit)}."
            )
    return lines


def rising(summary: StudySummary) -> list[str]:
    """The learners whose error rises with size by more than its noise, and between which sizes most."""
    lines = []
    for learner in summary.learners:
        if RISE not in learner.warnings:
            continue
        curve = learner.curve
        points = [(size, seed_spread(errors).mean) for size, errors in zip(curve.train_sizes, curve.errors)]
        (small, low), (large, high) = max(
            itertools.combinations(points, 2), key=lambda pair: pair[1][1] / max(pair[0][1], 1e-300)
        )
        after = "" if large == points[-1][0] else "; it falls again after that" if points[-1][1] < high else ""
        lines.append(
            f"The error of {curve.learner} rises with more data, from {error_text(low, curve.unit)} at {small:,} to "
            f"{error_text(high, curve.unit)} at {large:,} examples{after}; check the data, tuning and training budget."
        )
    return lines


def imbalance(summary: StudySummary) -> list[str]:
    """A remark on classes of which one is so frequent that a small error rate does not show success."""
    chance = summary.chance
    if chance is None or chance.prediction != MAJORITY or chance.error > IMBALANCED or not summary.learners:
        return []
    error = error_text(chance.error, summary.learners[0].curve.unit)
    return [
        f"The classes are imbalanced: a constant answer, {MAJORITY}, has an error of only {error}; judge by measures "
        "that weigh the rare classes."
    ]


def laws(summary: StudySummary) -> list[str]:
    """The fitted law of each learner."""
    return [f"{learner.curve.learner}: {learner.law or 'no law was fitted'}" for learner in summary.learners]


def noise_levels(summary: StudySummary) -> list[str]:
    """How much another seed and another test set would change the error at the largest size."""
    lines = []
    for learner in summary.learners:
        noise, curve, unit = learner.noise, learner.curve, learner.curve.unit
        if noise is None:
            continue
        by_source = {
            f"by training (s.d. of {seeds(noise.num_seeds)})": noise.training,
            f"by the test set (s.e. of {curve.num_test:,} examples{of_hold_outs(curve.hold_outs)})": noise.test,
        }
        parts = [f"±{error_text(value, unit)} {name}" for name, value in by_source.items() if value is not None]
        lines.append(f"{curve.learner}: {', '.join(parts)}")
    return lines


def forecasts(summary: StudySummary) -> list[str]:
    """The expected error with more data, one sentence per learner."""
    return [_forecast(learner, summary.level) for learner in summary.learners]


def required_sizes(summary: StudySummary) -> list[str]:
    """The examples that each target needs, one sentence per learner and target."""
    return [_required_size(learner, size) for learner in summary.learners for size in learner.required_sizes]


def crossovers(summary: StudySummary) -> list[str]:
    """Where one learner becomes better than another, one sentence per pair; of many pairs those of the best learner."""
    pairs = summary.crossovers
    if len(pairs) > MAX_PAIRS:
        curves = [learner.curve for learner in summary.learners if learner.curve.train_sizes]
        best = min((seed_spread(curve.errors[-1]).mean, curve.learner) for curve in curves)[1]
        pairs = tuple(pair for pair in pairs if best in (pair.incumbent, pair.challenger))[:MAX_LISTED_PAIRS]
    remaining = len(summary.crossovers) - len(pairs)
    more = [f"{remaining} more pairs are on the page and in forecast.json."] if remaining else []
    return [*map(crossover_sentence, pairs), *more]


def caveats(summary: StudySummary) -> list[str]:
    """What limits the numbers: failed trials, refused or wide extrapolations."""
    lines = []
    for learner in summary.learners:
        curve = learner.curve
        if curve.num_failed:
            subject, verb = ("1 trial", "is") if curve.num_failed == 1 else (f"{curve.num_failed:,} trials", "are")
            lines.append(f"{curve.learner}: {subject} failed or diverged and {verb} excluded.")
        known = _WARNINGS.keys() - ({PLATEAU} if RISE in learner.warnings else ())
        lines += [f"{curve.learner}: {_WARNINGS[name]}." for name in learner.warnings if name in known]
        if learner.note:
            note = learner.note.strip()
            lines.append(f"{curve.learner}: {note if note.endswith(('.', '!', '?')) else f'{note}.'}")
    return lines


def _forecast(learner: LearnerSummary, level: float) -> str:
    curve = learner.curve
    if not curve.train_sizes:
        return f"{curve.learner} has no finished trial."
    errors = seed_spread(curve.errors[-1])
    measured = (
        f"{curve.learner} has {error_text(errors.mean, curve.unit)} at n={curve.train_sizes[-1]:,} "
        f"({'mean' if curve.stderr else f'mean of {seeds(errors.num_seeds)}'})"
    )
    if not learner.predictions:
        return f"{measured}; there is no forecast for larger sizes."
    ahead = [
        f"{forecast_text(item, curve.unit)} with {multiple_text(item, curve)} (n={item.train_size:,})"
        for item in learner.predictions
    ]
    return f"{measured}; forecast: {listed(ahead)} ({percent(level)} interval{'s' if len(ahead) > 1 else ''})."


def _required_size(learner: LearnerSummary, size: RequiredSize) -> str:
    name, text = learner.curve.learner, required_size_text(size)
    target = target_text(size.target, learner.curve.unit)
    if text == "undetermined":
        return f"The examples that {name} needs for {target} cannot be estimated from these measurements."
    if size.kind == "reached":
        return f"{name} reaches {target} {text.removeprefix('reached ')} examples, within the measured sizes."
    if size.kind == "unsupported":
        return f"The examples that {name} needs for {target} are {text}."
    if size.kind == "not reachable":
        remark = f" (probability {probability_text(size.p_reachable)})"
        return f"{target} is not reachable for {name} with more data alone{remark}."
    doubtful = size.kind == "interval" and size.p_reachable < CERTAIN
    doubt = f"; the probability that it is reachable is {probability_text(size.p_reachable)}" if doubtful else ""
    return f"{name} needs {text} examples for {target}{doubt}."


def crossover_sentence(pair: Crossover) -> str:
    """Where the challenger becomes better than the incumbent, if it does, and the probability that it is better."""
    challenger, incumbent = pair.challenger, pair.incumbent
    where = "" if pair.median is None else f" at about {about(pair.median)} examples"
    where += size_interval(pair.low, pair.high)
    sentence = {
        "measured": f"{challenger} becomes better than {incumbent}{where}",
        "forecast": f"{challenger} is forecast to become better than {incumbent}{where}",
        "never": f"{challenger} stays worse than {incumbent} over the range of the forecast",
        "already": f"{challenger} is better than {incumbent} {_everywhere(pair)}",
        "undetermined": f"It is undetermined whether {challenger} becomes better than {incumbent}",
    }[pair.kind]
    return f"{sentence}{_probability(pair)}."


def _everywhere(pair: Crossover) -> str:
    sizes = [point.train_size for point in pair.probabilities if point.measured]
    return f"at {sizes[0]:,} examples" if len(sizes) == 1 else "at every measured size"


def _probability(pair: Crossover) -> str:
    """The probability that the challenger is better at the largest measured size and at the largest forecast size."""
    measured = [point for point in pair.probabilities if point.measured][-1:]
    ahead = [point for point in pair.probabilities if not point.measured][-1:]
    texts = [f"{probability_text(point.probability)} at {point.train_size:,}" for point in (*measured, *ahead)]
    return f"; the probability that {pair.challenger} is better is {listed(texts)}" if texts else ""
