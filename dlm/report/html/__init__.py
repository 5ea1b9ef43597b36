"""One offline HTML file: elements of a page, and their rendering."""
