# syntax=docker/dockerfile:1
# One Dockerfile for every service:
#   docker build --build-arg SERVICE=poller -t routerfleet-poller .
# SERVICE is poller, writer, firmware, gateway, simulator or operator. Dependencies come from
# requirements.lock with their hashes; only those that the service's own pyproject.toml asks for
# are installed, in a layer that stays as it is while only source changes.
ARG PYTHON_IMAGE=python:3.13-slim
ARG SERVICE=none

# What each service is made of, so that nothing else's change makes an image anew.
FROM scratch AS package-operator
COPY operator /
FROM scratch AS package-poller
COPY services/poller /
FROM scratch AS package-writer
COPY services/writer /
FROM scratch AS package-firmware
COPY services/firmware /
FROM scratch AS package-gateway
COPY services/gateway /
FROM scratch AS package-simulator
COPY services/simulator /

FROM package-${SERVICE} AS package

FROM ${PYTHON_IMAGE} AS build
ARG SERVICE
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock tools/service_requirements.py ./
RUN folder=services/${SERVICE} && if [ "${SERVICE}" = operator ]; then folder=operator; fi \
 && python -m venv /build-tools /opt/routerfleet \
 && python service_requirements.py requirements.lock --packages hatchling > build.lock \
 && python service_requirements.py requirements.lock proto services/common "${folder}" > service.lock \
 && /build-tools/bin/pip install --quiet --no-deps --require-hashes -r build.lock \
 && /opt/routerfleet/bin/pip install --quiet --no-deps --require-hashes --no-compile -r service.lock \
 && /opt/routerfleet/bin/pip uninstall --quiet -y pip
COPY proto ./proto
COPY services/common ./services/common
COPY --from=package / ./package/
# Byte code is made here: a container with a read-only root could never keep it, and every
# start would compile a thousand modules. Unchecked hashes make it the same in every build.
RUN PATH=/build-tools/bin:$PATH pip wheel --quiet --no-deps --no-build-isolation -w /wheels ./proto ./services/common ./package \
 && /build-tools/bin/pip --python /opt/routerfleet/bin/python install --quiet --no-deps --no-compile /wheels/*.whl \
 && /opt/routerfleet/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/routerfleet/lib

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
