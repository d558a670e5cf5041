"""One HTML file from a run, and the figures and tables that the pages share with it."""

from splicedvae import views
from splicedvae.report._export import export_h5ad
from splicedvae.report._figures import FIGURES, FigureCall, figure_caution, run_name
from splicedvae.report._write import write_report
from splicedvae.views._settings import Setting, run_settings
from splicedvae.views.cautions import reading_cautions, run_cautions, stream_cautions
from splicedvae.views.reproduce import command_line, python_call

__all__ = [
    "FIGURES",
    "FigureCall",
    "Setting",
    "command_line",
    "export_h5ad",
    "figure_caution",
    "python_call",
    "reading_cautions",
    "run_cautions",
    "run_name",
    "run_settings",
    "stream_cautions",
    "views",
    "write_report",
]
