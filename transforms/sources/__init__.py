"""Where images come from: listing them as small references, and reading one."""

from transforms.sources.listing import IMAGE_SUFFIXES, ImageRef, check, list_images, stem

__all__ = ["IMAGE_SUFFIXES", "ImageRef", "check", "list_images", "stem"]
