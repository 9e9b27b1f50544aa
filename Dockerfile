# The image of hublaunch with the extras server, postgresql and otel. `make image-test` checks these claims:
#
# Small: it adds 143 MB to its base. It installs wheels only, into a venv without pip, and adds no compiler, cache or
# Debian package. Half of the size is compiled code: cryptography, uvloop, SQLAlchemy, pydantic, libpq.
# Reproducible: every package, including the build backend, is pinned by hash, and compiled files contain no timestamp (-f:
# pip has already imported, and so compiled, some of them).

ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/hublaunch \
    && pip --python /opt/hublaunch/bin/python install --no-cache-dir --no-compile --no-deps --only-binary :all: \
        --require-hashes -r requirements.lock \
    && pip install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel . \
    && pip --python /opt/hublaunch/bin/python install --no-cache-dir --no-compile --no-deps /wheel/*.whl \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/hublaunch/lib

FROM python:${PYTHON_VERSION}-slim
ARG PYTHON_VERSION
LABEL org.opencontainers.image.title="hublaunch" \
      org.opencontainers.image.description="Launch-as-a-service for JupyterHub" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.base.name="docker.io/library/python:${PYTHON_VERSION}-slim"
ENV PATH=/opt/hublaunch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LAUNCHER_DATABASE_URL=sqlite:////data/hublaunch.sqlite
# useradd stores the day of the account's last change.
ARG SOURCE_DATE_EPOCH
RUN useradd --uid 1000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hublaunch \
    && install -d -o hublaunch -g hublaunch /data
COPY --from=build /opt/hublaunch /opt/hublaunch
USER 1000
WORKDIR /data
VOLUME /data
EXPOSE 8083
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8083/healthz', timeout=5)"]
ENTRYPOINT ["hublaunch"]
CMD ["serve", "--host", "0.0.0.0"]
