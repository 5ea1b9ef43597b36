"""A person's own files and data sets as columns."""
