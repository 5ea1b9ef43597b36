"""dlm.report.progress."""
