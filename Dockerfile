# The dashboard as a container: docs/operations.md says how to run it.
#
#     docker build -t splicedvae .
#     docker run --rm --read-only --tmpfs /tmp -v splicedvae:/data -p 127.0.0.1:8501:8501 splicedvae
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /srv/splicedvae
COPY requirements.txt ./
# PyTorch without CUDA: an eighth of the size. Leave the index out for a GPU.
RUN pip install --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt
COPY pyproject.toml README.md LICENSE app.py ./
COPY .streamlit .streamlit
COPY pages pages
COPY splicedvae splicedvae
RUN pip install --no-deps . && python -m compileall -q splicedvae pages app.py

# Runs, uploads, models and compiled code live in the volume; nothing else is written.
RUN useradd --uid 10001 --create-home --home-dir /data splicedvae
ENV HOME=/data \
    SPLICEDVAE_RUNS=/data/runs \
    SPLICEDVAE_MODELS=/data/models \
    SPLICEDVAE_CACHE=/data/cache \
    NUMBA_CACHE_DIR=/data/cache/numba \
    MPLCONFIGDIR=/tmp/matplotlib
VOLUME /data
USER 10001
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8501/_stcore/health', timeout=8)"]
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", "8501"]
