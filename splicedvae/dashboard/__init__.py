"""What the pages share: chosen run and file, kept results, text from data, live view.

The only room besides ``app.py`` and ``pages/`` that imports streamlit. Nothing here computes a
result: runs are started through `splicedvae.runs`, figures come from `splicedvae.views`
and `splicedvae.plotting`, and a page arranges them.
"""
