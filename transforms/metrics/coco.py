"""The COCO caption metrics of a set of captions, and of the best constant caption beside them.

BLEU and ROUGE-L are computed by pycocoevalcap (Chen et al., "Microsoft COCO Captions: Data
Collection and Evaluation Server", 2015), METEOR and the English tokenizer by the Java programs it
ships, CIDEr-D by `CiderD`, which equals pycocoevalcap's.
"""

import contextlib
import dataclasses
import io
import logging
from collections.abc import Iterable, Mapping, Sequence

from transforms.metrics import java as java_tools
from transforms.metrics.cider import CiderD

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
INSTALL_JAVA = "install a Java runtime, 8 or newer, and put `java` on PATH"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """Scores of one caption an image.

    Attributes:
        scores: by metric, in the order of `METRICS`; CIDEr from 0 to 10, the others from 0 to 1.
            METEOR is missing where `notes` says so.
        cider: CIDEr-D of each image, by key.
        notes: what a reader must know about the numbers, a sentence each.
    """

    scores: dict[str, float]
    cider: dict[str, float]
    notes: tuple[str, ...]


class Scorer:
    """Scores captions against references that are tokenized once.

    Args:
        references: by image key, its reference captions.
        tokenizer: one of `transforms.text.TOKENIZERS`. Only `words`, English, has METEOR, and that
            where Java works.

    Raises:
        ValueError: no images, or an image without references.
    """

    def __init__(
        self, references: Mapping[str, Sequence[str]], *, tokenizer: str = "words"
    ) -> None:
        if not references:
            raise ValueError("no references")
        self._keys = list(references)
        self._references = references
        self._tokenizer = tokenizer
        self._notes: list[str] = []
        self._ptb = self._meteors = tokenizer == "words"
        if tokenizer != "words":
            self._warn(f"METEOR is left out: its word lists are English, not for {tokenizer}.")
        if len(references) == 1:
            self._warn("CIDEr of a single image is always 0: it weighs words by image.")

        flat = [caption for captions in references.values() for caption in captions]
        try:
            tokens = iter(self._tokenize(flat))
        except java_tools.JavaError as error:
            self._without_meteor(error)
            self._ptb = False
            tokens = iter(self._tokenize(flat))
        self._tokens = [[next(tokens) for _ in captions] for captions in references.values()]
        self._cider = CiderD(self._tokens)
        self._gts = {
            key: [" ".join(caption) for caption in captions]
            for key, captions in zip(self._keys, self._tokens, strict=True)
        }

    def score_beside_floor(self, candidates: Mapping[str, str]) -> tuple[Result, str, Result]:
        """Score one caption for each image, and the best constant caption beside them.

        That is the reference that does best, by CIDEr-D, as the caption of every image. It is
        chosen with the references in sight, so that a captioner which looks at its images should
        score higher; of the other metrics, another constant can reach somewhat more.

        Args:
            candidates: by key of the references, its caption.

        Returns:
            The captions' scores, the constant caption as the references have it, and its scores.

        Raises:
            ValueError: other keys than the references'.
            JavaError: the tokenizer failed, after it had tokenized the references.
        """
        if candidates.keys() != self._references.keys():
            raise ValueError("the candidates' keys are not the references'")
        tokens = self._tokenize([candidates[key] for key in self._keys])
        image, position, _ = self._cider.best_constant()
        constant = [self._tokens[image][position]] * len(self._keys)
        ours, floor = self._score(tokens, constant)
        return ours, self._references[self._keys[image]][position], floor

    def _score(self, *systems: list[list[str]]) -> list[Result]:
        """Score each system's captions, given as tokens in the order of the keys."""
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.rouge.rouge import Rouge

        texts = [[" ".join(caption) for caption in tokens] for tokens in systems]
        meteor = self._meteor(texts)
        results = []
        for number, tokens in enumerate(systems):
            res = {key: [text] for key, text in zip(self._keys, texts[number], strict=True)}
            with contextlib.redirect_stdout(io.StringIO()):
                bleu, _ = Bleu(4).compute_score(self._gts, res, verbose=0)
                rouge, _ = Rouge().compute_score(self._gts, res)
            cider, each = self._cider.score(tokens)
            found = dict(zip(METRICS[:4], bleu, strict=True)) | {"ROUGE-L": rouge, "CIDEr": cider}
            if meteor:
                found["METEOR"] = meteor[number]
            results.append(
                Result(
                    {name: float(found[name]) for name in METRICS if name in found},
                    dict(zip(self._keys, each.tolist(), strict=True)),
                    tuple(self._notes),
                )
            )
        return results

    def _meteor(self, systems: list[list[str]]) -> list[float]:
        """Return METEOR of each system, or nothing where there is no METEOR."""
        if not self._meteors:
            return []
        try:
            scores = java_tools.meteor(list(self._gts.values()), systems)
        except java_tools.JavaError as error:
            self._without_meteor(error)
            return []
        return [mean for mean, _ in scores]

    def _tokenize(self, captions: Sequence[str]) -> list[list[str]]:
        if self._ptb:
            return _split(java_tools.ptb_tokens(captions))
        from transforms.text import tokenize

        return _split(tokenize(caption, self._tokenizer) for caption in captions)

    def _without_meteor(self, error: java_tools.JavaError) -> None:
        self._meteors = False
        self._warn(f"METEOR is left out: {error}; {INSTALL_JAVA}.")

    def _warn(self, note: str) -> None:
        self._notes.append(note)
        _log.warning(note)


def _split(captions: Iterable[Sequence[str]]) -> list[list[str]]:
    """Split tokens that contain blanks, such as PTB's `3 1/2`: pycocoevalcap does so, late."""
    return [" ".join(tokens).split() for tokens in captions]
