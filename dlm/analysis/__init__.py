"""What is computed from a finished study, as dataclasses; `dlm.report.sections` words it."""
