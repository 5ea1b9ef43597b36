"""One HTML file that needs nothing else: what a study asked, its answer in words, and pictures to work with."""

from dlm.report.html.page import page_html

__all__ = ["page_html"]
