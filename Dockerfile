ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/hublaunch \
    && /opt/hublaunch/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN /opt/hublaunch/bin/pip install --no-cache-dir --no-deps .

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="hublaunch" \
      org.opencontainers.image.description="Launch-as-a-service for JupyterHub" \
      org.opencontainers.image.licenses="BSD-3-Clause"
ENV PATH=/opt/hublaunch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LAUNCHER_DATABASE_URL=sqlite:////data/hublaunch.sqlite
COPY --from=build /opt/hublaunch /opt/hublaunch
RUN useradd --uid 1000 --no-create-home --shell /usr/sbin/nologin hublaunch \
    && install -d -o hublaunch -g hublaunch /data
USER 1000
WORKDIR /data
VOLUME /data
EXPOSE 8083
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8083/healthz', timeout=2)"]
ENTRYPOINT ["hublaunch"]
CMD ["serve", "--host", "0.0.0.0"]
