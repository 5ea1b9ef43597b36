"""dlm.analysis."""
