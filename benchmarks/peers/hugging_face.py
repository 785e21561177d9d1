"""Hugging Face's captioners in PyTorch: random weights of the true architecture, speed only.

They write captions as long as ours, with a beam as wide as ours.
"""

from typing import Any

from benchmarks import child, photos

BATCH = 8


def vit_gpt2(images: str, beam_width: int, words: int) -> dict[str, Any]:
    """Run the architecture of nlpconnect/vit-gpt2-image-captioning."""
    from transformers import (
        GPT2Config,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessor,
    )

    # transformers fills in a decoder's cross-attention.
    settings = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(), GPT2Config())
    settings.decoder_start_token_id = settings.pad_token_id = GPT2Config().bos_token_id
    model = VisionEncoderDecoderModel(config=settings)
    return _run(images, model, ViTImageProcessor(), beam_width, words)


def blip(images: str, beam_width: int, words: int) -> dict[str, Any]:
    """Run the architecture of Salesforce/blip-image-captioning-base."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor

    model = BlipForConditionalGeneration(BlipConfig())
    return _run(images, model, BlipImageProcessor(), beam_width, words)


def _run(images: str, model: Any, processor: Any, beam_width: int, words: int) -> dict[str, Any]:
    import torch
    from PIL import Image

    model.eval()
    paths = photos.paths(images)

    def caption(batch: list[str]) -> int:
        pictures = [Image.open(path).convert("RGB") for path in batch]
        pixels = processor(pictures, return_tensors="pt").pixel_values
        with torch.inference_mode():
            # Random weights never end a caption by themselves.
            written = model.generate(
                pixel_values=pixels,
                num_beams=beam_width,
                min_new_tokens=words,
                max_new_tokens=words,
            )
        return len(written)

    caption(paths[:1])
    with child.timed() as section:
        count = sum(caption(paths[n : n + BATCH]) for n in range(0, len(paths), BATCH))
    weights = sum(parameter.numel() for parameter in model.parameters())
    return section.facts(count, weights=weights)
