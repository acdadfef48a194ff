# One image for every process of Vitrine; docker-compose.yml says which command each service runs.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1


FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
# A layer of its own, so that a change of code installs nothing again. Wheels only: building a package
# would run its code with a compiler that the hashes say nothing of.
COPY requirements.lock /tmp/requirements.lock
RUN pip install --require-hashes --no-deps --only-binary :all: -r /tmp/requirements.lock
WORKDIR /app
COPY . .
# Editable, because presets, templates, prices and migrations are read where they lie beside the code.
# Bytecode is compiled here, since nobody may write to /app later; pip has compiled the packages.
RUN pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q --invalidation-mode unchecked-hash .


FROM base
# Fixed numbers, so that the owner of the blobs volume stays the same through every rebuild.
RUN groupadd --gid 10001 vitrine \
    && useradd --uid 10001 --gid vitrine --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vitrine \
    && install --directory --owner vitrine --group vitrine --mode 0750 /var/lib/vitrine/blobs
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
# No HEALTHCHECK: what healthy means depends on the service, and stands in docker-compose.yml.
CMD ["gunicorn", "wsgi:app"]
