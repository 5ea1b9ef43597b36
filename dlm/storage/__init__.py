"""dlm.storage."""
