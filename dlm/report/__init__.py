"""Reports of a study: terminal tables, sentences, figures, the HTML page, progress and exports."""
