# What stages run in where a site has no Python 3.11, or no way to install one: for Charliecloud, Apptainer, podman and
# Docker. docs/hpc.md tells how it is built, converted and run; docker/build_train.sh builds it.
# The project is mounted, not copied: its sources are what DVC keeps digests of, one image serves every commit that has
# the same locks, and no data, key or history can get into a layer.
# BASE takes a digest, python:3.11-slim@sha256:..., and docker/build_train.sh gives one.
ARG BASE=python:3.11-slim

FROM ${BASE}
# cpu: the CPU build by its hash. index: the build of the package index, whose CUDA libraries no lock of ours holds.
ARG TORCH=cpu
# Both secrets may be absent. They and the locks are mounted for this one command and lie in no layer.
# One package comes as source only: what builds it is setuptools of the lock, not one that is fetched for the while.
# The imports compile what stages use: an image that is read-only would do it at every start.
RUN --mount=type=secret,id=ca_bundle,target=/run/secrets/ca_bundle,required=false \
    --mount=type=secret,id=pip_conf,target=/run/secrets/pip_conf,required=false \
    --mount=type=bind,source=requirements,target=/run/requirements \
    if [ -s /run/secrets/ca_bundle ]; then export PIP_CERT=/run/secrets/ca_bundle; fi \
    && if [ -s /run/secrets/pip_conf ]; then export PIP_CONFIG_FILE=/run/secrets/pip_conf; fi \
    && export HOME=/tmp/build PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    && pip() { python3 -m pip --python /opt/wattline/bin/python "$@" ; } \
    && locked() { pip install --quiet --use-pep517 --no-build-isolation --require-hashes --no-deps --requirement "$@" ; } \
    && mkdir /tmp/build && python3 -m venv --without-pip /opt/wattline \
    && sed -n '/^setuptools==/,/^ *# via/p' /run/requirements/core.lock > /tmp/build/setuptools.lock \
    && locked /tmp/build/setuptools.lock --only-binary=:all: \
    && locked /run/requirements/core.lock \
    && if [ "${TORCH}" = cpu ]; then locked /run/requirements/torch-cpu.lock; \
       else locked /run/requirements/torch.lock \
       && sed -n 's/^\(torch==[^ ]*\).*/\1/p' /run/requirements/torch.lock > /tmp/build/torch.txt \
       && pip install --quiet -r /tmp/build/torch.txt; fi \
    && /opt/wattline/bin/python -c "import \
       cyclonedx.schema, dvc.cli, evidently, fastapi, great_expectations, matplotlib.pyplot, mlflow, onnxruntime, \
       onnxscript, pyarrow.parquet, safetensors.torch, scipy.stats, skl2onnx, sklearn.ensemble, sqlalchemy, \
       torch._dynamo, torch.onnx, torch.utils.data, typer, uvloop" \
    && rm -r /tmp/build \
    && install -d /ch /project \
    && printf 'PATH=/opt/wattline/bin:/usr/local/bin:/usr/bin:/bin\nPYTHONDONTWRITEBYTECODE=1\n' > /ch/environment
COPY --chmod=755 docker/project.sh /opt/wattline/bin/wattline
ENV PATH=/opt/wattline/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
# Whoever runs it is a user of the site. Docker and podman take the user who owns the project: --user "$(id -u):$(id -g)"
USER 10001:10001
WORKDIR /project
CMD ["wattline", "--help"]
# Last: it is all that differs between two images of equal packages.
ARG BASE
ARG LOCKS
ARG SOURCE=""
LABEL org.opencontainers.image.title="Wattline training environment" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}" \
      io.wattline.locks="${LOCKS}" \
      io.wattline.torch="${TORCH}"
