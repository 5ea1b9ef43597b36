"""Whether to stop or to collect more examples, by expected cost."""

from __future__ import annotations

import dataclasses

from rich.console import Console

from dlm.analysis.decision import Decision, decide
from dlm.analysis.measures import resources
from dlm.report.formatting import about, error_number, error_text, percent, probability_text, unit_text
from dlm.report.html.elements import Sentences
from dlm.report.sections.base import ReportContext, SectionContent, evenly_spaced, section_content
from dlm.report.tables import Table
from dlm.report.terminal import print_list, print_table
from dlm.study import overrides
from dlm.study.study import Costs
from dlm.utils.errors import UsageError

_MOST_ROWS = 7


def decision_section(context: ReportContext) -> SectionContent:
    """The decision of a study with prices; empty without prices or without a forecast."""
    costs = recorded_costs(context)
    if not costs or not any(learner.predictions for learner in context.summary.learners):
        return SectionContent()
    result = decide_for(context, costs)
    lines, tables = decision_sentences(result), (purchase_table(result), value_table(result))
    heading = "Collect more data or stop"
    return section_content("decision", heading, [Sentences(lines), *tables], sentences={heading: lines}, tables=tables)


def recorded_costs(context: ReportContext) -> Costs:
    """The prices in the workdir's study."""
    declared = context.workdir.description.study.get("costs", {}) if context.workdir else {}
    return Costs(**{field.name: declared.get(field.name, 0.0) for field in dataclasses.fields(Costs)})


def decide_for(context: ReportContext, costs: Costs) -> Decision:
    """The decision for a report's learners. UsageError if none of them has a forecast."""
    seconds = next((item.medians for item in resources(context.trials, ("seconds",))), {})
    curves = [learner.curve for learner in context.summary.learners if not learner.curve.noise]
    return decide(curves, costs, seconds, level=context.summary.level)


def print_decision(context: ReportContext, console: Console, costs: Costs | str) -> Decision:
    """Prints the decision. `costs`: prices, or changes of the recorded ones such as "per_example=2,per_error=50000".

    UsageError without prices, or without a forecast.
    """
    prices = costs if isinstance(costs, Costs) else recorded_costs(context)
    if isinstance(costs, str) and costs:
        prices = overrides.apply(prices, costs.split(","), "--costs")
    if not prices:
        raise UsageError("the study has no prices; give --costs=per_example=PRICE,per_error=PRICE, see dlm.Costs")
    decision = decide_for(context, prices)
    print_list(console, "Collect more data or stop", decision_sentences(decision))
    for table in filter(None, (purchase_table(decision), value_table(decision))):
        print_table(console, table)
    return decision


def decision_sentences(decision: Decision) -> list[str]:
    """The recommendation, its expected saving, and the probability that it pays off."""
    stop, best, unit = decision.stop, decision.best, decision.unit
    now = f"Stopping at {decision.train_size:,} examples costs {_money(stop.cost)} ({stop.learner}, expected error "
    now += f"{error_text(stop.error, unit)})."
    if not best.more:
        tried = decision.purchases[-1]
        return [
            now,
            f"Stop: no larger number of examples, up to {about(tried.more)} more, has a lower expected cost.",
        ]
    beyond = best is decision.purchases[-1]
    end = " This is the end of the supported range; more may be better still." if beyond else ""
    return [
        now,
        f"Collect about {about(best.more)} more: the expected cost falls to {_money(best.cost)} ({best.learner}, "
        f"expected error {error_text(best.error, unit)}). The probability that this pays off is "
        f"{probability_text(best.pays_off)}.{end}",
    ]


def purchase_table(decision: Decision) -> Table:
    """Expected error and cost by the number of more examples."""
    chosen = evenly_spaced(range(len(decision.purchases)), _MOST_ROWS)
    rows = sorted({*(decision.purchases[k] for k in chosen), decision.stop, decision.best}, key=lambda row: row.more)
    cells = tuple(
        (
            f"{row.more:,}",
            row.learner,
            error_number(row.error, decision.unit),
            f"{_money(row.cost)} [{_money(row.cost_low)}, {_money(row.cost_high)}]",
            probability_text(row.pays_off) if row.more else "–",
        )
        for row in rows
    )
    columns = ("more examples", "learner", "expected error", "expected cost", "pays off")
    title = f"Expected cost of collecting more examples, with {percent(decision.level)} intervals"
    best = next(k for k, row in enumerate(rows) if row == decision.best)
    units = ("", "", unit_text(decision.unit), "", "")
    return Table(title, columns, cells, units, text_columns=2, bold=frozenset({(best, 3)}), name="decision")


def value_table(decision: Decision) -> Table | None:
    """The fall of the error by 100, 1,000 and 10,000 more labels, and what it saves."""
    rows = tuple(
        (
            f"{value.more:,}",
            f"{error_number(value.fall, decision.unit)} "
            f"[{error_number(value.low, decision.unit)}, {error_number(value.high, decision.unit)}]",
            _money(value.saved),
            _money(value.more * decision.costs.per_example),
        )
        for value in decision.values
    )
    unit = "points" if unit_text(decision.unit) == "%" else unit_text(decision.unit)
    columns, units = ("more labels", "fall of the error", "saves", "labels cost"), ("", unit, "", "")
    return Table("Value of more labels", columns, rows, units, name="label-value") if rows else None


def _money(amount: float) -> str:
    """An amount with three significant digits."""
    return f"{float(f'{amount:.3g}'):,.10g}"
