# What stages run in where a site has no Python 3.11, or no way to install one: for Charliecloud, Apptainer, podman and
# Docker. docs/hpc.md tells how it is built, converted and run; docker/build_train.sh builds it.
# The project is mounted, not copied: its sources are what DVC keeps digests of, one image serves every commit that has
# the same locks, and no data, key or history can get into a layer.
# BASE takes a digest, python:3.11-slim@sha256:..., and docker/build_train.sh gives one.
ARG BASE=python:3.11-slim

FROM ${BASE} AS packages
# cpu: the CPU build by its hash. index: the build of the package index, whose CUDA libraries no lock of ours holds.
ARG TORCH=cpu
COPY requirements/core.lock requirements/torch-cpu.lock requirements/torch.lock /build/
# Both secrets may be absent. They are mounted for this one command and lie in no layer.
# One package comes as source only: what builds it is setuptools of the lock, not one that is fetched for the while.
RUN --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle,required=false \
    --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf,required=false \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi \
    && export PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    && pip() { python3 -m pip --python /opt/wattline/bin/python "$@" ; } \
    && locked() { pip install --quiet --require-hashes --no-deps "$@" ; } \
    && python3 -m venv --without-pip /opt/wattline \
    && sed -n '/^setuptools==/,/^ *# via/p' /build/core.lock > /build/setuptools.lock \
    && locked --only-binary=:all: -r /build/setuptools.lock \
    && locked --no-build-isolation -r /build/core.lock \
    && if [ "${TORCH}" = cpu ]; then locked -r /build/torch-cpu.lock; \
       else locked -r /build/torch.lock && pip install --quiet torch; fi
COPY --chmod=755 docker/project.sh /opt/wattline/bin/wattline
# Compiles what stages import: an image that is read-only would do it at every start.
RUN HOME=/build /opt/wattline/bin/python -c "import \
    cyclonedx.schema, dvc.cli, evidently, fastapi, great_expectations, matplotlib.pyplot, mlflow, onnxruntime, \
    onnxscript, pyarrow.parquet, safetensors.torch, scipy.stats, skl2onnx, sklearn.ensemble, sqlalchemy, \
    torch._dynamo, torch.onnx, torch.utils.data, typer, uvloop" \
    && printf 'PATH=/opt/wattline/bin:/usr/local/bin:/usr/bin:/bin\nPYTHONDONTWRITEBYTECODE=1\n' > /build/environment

FROM ${BASE}
ENV PATH=/opt/wattline/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
COPY --from=packages /opt/wattline /opt/wattline
# Charliecloud takes an image's files only; this one tells it the variables above.
COPY --from=packages /build/environment /ch/environment
# Whoever runs it is a user of the site. Docker and podman take the user who owns the project: --user "$(id -u):$(id -g)"
USER 10001:10001
WORKDIR /project
CMD ["wattline", "--help"]
# Last: it is all that differs between two images of equal packages.
ARG BASE
ARG LOCKS
ARG SOURCE=""
ARG TORCH=cpu
LABEL org.opencontainers.image.title="Wattline training environment" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}" \
      io.wattline.locks="${LOCKS}" \
      io.wattline.torch="${TORCH}"
