"""dlm.report.sections."""
