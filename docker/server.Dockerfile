# The inference server together with the model that was judged: docs/image.md tells how it is built, pinned and run.
# BASE takes a digest, python:3.11-slim@sha256:..., and docker/build.sh gives one.
ARG BASE=python:3.11-slim

FROM ${BASE} AS packages
ENV PYTHONDONTWRITEBYTECODE=1
COPY requirements/serve.lock docker/slim.py /build/
# Both secrets may be absent. They are mounted for this one command and lie in no layer.
RUN --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle,required=false \
    --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf,required=false \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi \
    && python3 -m venv --without-pip /opt/wattline \
    && python3 -m pip --python /opt/wattline/bin/python --disable-pip-version-check \
       install --quiet --no-cache-dir --no-compile --require-hashes --no-deps --only-binary=:all: -r /build/serve.lock \
    && /opt/wattline/bin/python /build/slim.py packages

FROM packages AS release
ARG COMMIT
ARG MODEL=champion
ARG KEY=.wattline/keys/public.pem
ARG MODEL_DIGEST
ARG MODEL_NAME
ARG MODEL_VERSION
COPY src/wattline /opt/wattline/lib/python3.11/site-packages/wattline
COPY docker/release.py docker/serving.yaml params.yaml /build/
COPY docker/healthcheck.py /app/
COPY ${KEY} /app/keys/public.pem
COPY ${MODEL} /app/champion
RUN /opt/wattline/bin/python /build/release.py --commit "${COMMIT}" --model-digest "${MODEL_DIGEST}" \
    --model-name "${MODEL_NAME}" --model-version "${MODEL_VERSION}" \
    && /opt/wattline/bin/python -m compileall -q --invalidation-mode unchecked-hash \
       /opt/wattline/lib/python3.11/site-packages/wattline

FROM ${BASE}
ENV PATH=/opt/wattline/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OPENBLAS_NUM_THREADS=1 \
    HOME=/var/lib/wattline \
    WATTLINE_STATE=/var/lib/wattline
COPY --from=packages /opt/wattline /opt/wattline
RUN --mount=type=bind,from=packages,source=/build,target=/build \
    python /build/slim.py base \
    && install -d -m 0770 -o 10001 -g 10001 /var/lib/wattline
COPY --from=release /opt/wattline/lib/python3.11/site-packages/wattline /opt/wattline/lib/python3.11/site-packages/wattline
COPY --from=release /app /app
WORKDIR /app
USER 10001:10001
# The only place that is written: verified copies of the model, predictions, the newest samples.
VOLUME /var/lib/wattline
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-I", "-S", "/app/healthcheck.py"]
ENTRYPOINT ["python", "-m", "wattline", "serve"]
# Last: a label is all that differs between two commits with the same code and model.
ARG BASE
ARG COMMIT
ARG MODEL_DIGEST
ARG MODEL_NAME
ARG MODEL_VERSION
ARG SOURCE=""
ARG VERSION=""
LABEL org.opencontainers.image.title="Wattline inference server" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.base.name="${BASE}" \
      io.wattline.model.digest="${MODEL_DIGEST}" \
      io.wattline.model.name="${MODEL_NAME}" \
      io.wattline.model.version="${MODEL_VERSION}"
