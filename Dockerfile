# A Beam SDK worker that can also run the trainer. Build from the top of the repository:
#   docker build --tag beamcap .
# As a worker of Flink, Spark or Dataflow: --sdk_container_image=<tag>, and with Flink or Spark
# also --environment_type=DOCKER. As a trainer:
#   docker run --entrypoint python <tag> -m trainer.task --dataset=… --output=…
FROM apache/beam_python3.11_sdk:2.77.0 AS beam

FROM python:3.11-slim-bookworm

# Beam's launcher and its licences. Its Python packages are not taken over: ours come below.
COPY --from=beam /opt/apache/beam /opt/apache/beam

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 TF_CPP_MIN_LOG_LEVEL=2
WORKDIR /opt/beamcap

# Dependencies first: this layer lasts until the versions change.
COPY constraints.txt setup.py pyproject.toml ./
RUN pip install --constraint constraints.txt '.[openvino]' && pip check

# The code is found here rather than installed, so that its data files need no list.
ENV PYTHONPATH=/opt/beamcap
COPY pipeline pipeline
COPY trainer trainer
COPY transforms transforms
RUN python -c "import pipeline, trainer, transforms"

ENTRYPOINT ["/opt/apache/beam/boot"]
