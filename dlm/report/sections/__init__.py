"""The sections of a study's report, in their order on the terminal and the page."""

from dlm.report.sections.base import ReportContext, Section, SectionContent
from dlm.report.sections.calibration import calibration_section
from dlm.report.sections.caveats import caveats_section
from dlm.report.sections.data_equivalence import data_equivalence_section
from dlm.report.sections.decision import decision_section
from dlm.report.sections.ensembles import ensembles_section
from dlm.report.sections.examples import examples_section
from dlm.report.sections.fairness import fairness_section
from dlm.report.sections.interpretability import interpretability_section
from dlm.report.sections.learner_comparison import learner_comparison_section
from dlm.report.sections.learning_curve import learning_curve_section
from dlm.report.sections.measures import measures_section, training_section
from dlm.report.sections.run import cost_section, reproducibility_section
from dlm.report.sections.tuning import tuning_section

__all__ = ["SECTIONS", "ReportContext", "Section", "SectionContent", "caveats_section"]

SECTIONS: tuple[Section, ...] = (
    learning_curve_section,
    caveats_section,
    decision_section,
    learner_comparison_section,
    data_equivalence_section,
    measures_section,
    tuning_section,
    training_section,
    fairness_section,
    interpretability_section,
    calibration_section,
    examples_section,
    ensembles_section,
    cost_section,
    reproducibility_section,
)
