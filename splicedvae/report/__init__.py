"""One HTML file from a run, and the figures and tables that the pages share with it."""

from splicedvae.report import views
from splicedvae.report._reproduce import command_line, python_call
from splicedvae.report._write import write_report

__all__ = ["command_line", "python_call", "views", "write_report"]
