"""What leaves a run: one HTML file, one AnnData, figures for papers."""

from splicedvae.report._export import export_h5ad
from splicedvae.report._figures import FIGURES, FigureCall, figure_caution, run_name
from splicedvae.report._write import write_report

__all__ = [
    "FIGURES",
    "FigureCall",
    "export_h5ad",
    "figure_caution",
    "run_name",
    "write_report",
]
