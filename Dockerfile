# syntax=docker/dockerfile:1
# One Dockerfile for every service:
#   docker build --build-arg SERVICE=poller -t routerfleet/poller .
# SERVICE is a folder under services/. Dependencies come from requirements.lock with
# their hashes; only those that the service's own pyproject.toml asks for are installed.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ARG SERVICE
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock tools/service_requirements.py ./
COPY proto ./proto
COPY services/common ./services/common
COPY services/${SERVICE} ./services/${SERVICE}
RUN test -n "${SERVICE}" || { echo "give --build-arg SERVICE=<folder under services/>" >&2; exit 1; } \
 && python -m venv /build-tools /opt/routerfleet \
 && python service_requirements.py requirements.lock --packages hatchling > build.lock \
 && python service_requirements.py requirements.lock proto services/common services/${SERVICE} > service.lock \
 && /build-tools/bin/pip install --quiet --no-deps --require-hashes -r build.lock \
 && /opt/routerfleet/bin/pip install --quiet --no-deps --require-hashes --no-compile -r service.lock \
 && PATH=/build-tools/bin:$PATH /build-tools/bin/pip wheel --quiet --no-deps --no-build-isolation -w /wheels ./proto ./services/common ./services/${SERVICE} \
 && /opt/routerfleet/bin/pip install --quiet --no-deps --no-compile /wheels/*.whl \
 && /opt/routerfleet/bin/pip uninstall --quiet -y pip

FROM ${PYTHON_IMAGE}
ARG SERVICE
LABEL org.opencontainers.image.title="routerfleet-${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0"
# A passwd entry: libraries that ask for the user's name fail without one.
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin routerfleet
COPY --from=build /opt/routerfleet /opt/routerfleet
ENV PATH=/opt/routerfleet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    FLEET_ADMIN__HOST=0.0.0.0 SERVICE=${SERVICE}
USER 10001
EXPOSE 9100
ENTRYPOINT ["sh", "-c", "exec python -m fleet_${SERVICE} \"$@\"", "routerfleet"]
