"""Presets of keras-hub: small backbones with random weights."""

from pathlib import Path
from typing import Any

MEAN = (0.5, 0.4, 0.3)


def write(folder: Path) -> None:
    """Write presets for images of 32x32: `clip`, `dino`, `siglip` and `resnet`."""
    import keras_hub

    models = keras_hub.models
    small: dict[str, Any] = {
        "patch_size": 8,
        "hidden_dim": 12,
        "num_layers": 1,
        "num_heads": 2,
        "intermediate_dim": 16,
        "image_shape": (32, 32, 3),
    }
    text = {"num_layers": 1, "num_heads": 2, "hidden_dim": 12, "intermediate_dim": 16}
    clip = models.CLIPBackbone(
        models.CLIPVisionEncoder(**small),
        models.CLIPTextEncoder(vocabulary_size=20, embedding_dim=12, max_sequence_length=8, **text),
        projection_dim=8,
    )
    siglip = models.SigLIPBackbone(
        models.SigLIPVisionEncoder(**small),
        models.SigLIPTextEncoder(
            vocabulary_size=20, embedding_dim=12, max_sequence_length=8, projection_dim=12, **text
        ),
    )
    dino = models.DINOV2Backbone(
        **small, num_register_tokens=4, position_embedding_shape=(32, 32, 3)
    )
    resnet = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 8],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )
    for name, backbone in (("clip", clip), ("siglip", siglip), ("dino", dino), ("resnet", resnet)):
        backbone.save_to_preset(str(folder / name))
        converter = keras_hub.layers.ImageConverter(
            image_size=(32, 32), scale=1 / 255, offset=[-value for value in MEAN]
        )
        converter.save_to_preset(str(folder / name))
