"""The page of a training: its curves, its scores and some of its captions."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer import command_line, model_card
from trainer.configuration import Configuration
from trainer.self_critical import SELF_CRITICAL
from transforms import pages, text
from transforms.pages import training

SHOWN = 12


def choose(
    written: Mapping[str, str], references: Mapping[str, Sequence[str]]
) -> list[training.Example]:
    """Choose some images of a split, evenly over the order of their keys.

    Args:
        written: the captioner's caption of each, by key.
        references: people's.
    """
    keys = sorted(key for key in written if references[key])
    step = max(1, len(keys) // SHOWN)
    return [training.Example(key, written[key], references[key][0]) for key in keys[::step][:SHOWN]]


def write(
    captioner: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    examples: Sequence[training.Example],
    *,
    name: str,
) -> str:
    """Write the page.

    Args:
        captioner: content of `captioner.json`; its `files` are not needed.
        history: a row for each epoch, as in `history.json`.
        examples: see `choose`.
        name: of the captioner's folder.

    Returns:
        HTML; text from data is escaped.
    """
    metrics, provenance = captioner["metrics"], captioner["provenance"]
    configuration = Configuration.from_dict(captioner["configuration"])
    source = provenance["dataset"]["name"]
    facts = {
        "Data set": source,
        "Decoder": f"{configuration.decoder}, attention {configuration.attention}",
        "Weights": f"{captioner['decoder']['parameters']:,}",
        "Kept": f"epoch {metrics['epoch']} of {len(history)}" if metrics["epoch"] else "the start",
        **({"Search": model_card.search_name(metrics["search"])} if "search" in metrics else {}),
        "Time": f"{provenance['seconds'] / 60:.0f} min",
    }
    content = training.Training(
        title=f"Training of {name}",
        facts=facts,
        epochs=tuple(map(_epoch, history)),
        best=metrics["epoch"],
        scores=metrics.get("scores", {}),
        floor=(metrics.get("floor") or {}).get("scores", {}),
        examples=tuple(examples),
        command=command_line.command(
            configuration, "rest" in captioner["encoder"], {"dataset": source, "output": name}
        ),
        language=text.language(captioner["text"]["tokenizer"]),
    )
    return pages.training_page(content)


def _epoch(row: Mapping[str, Any]) -> training.Epoch:
    return training.Epoch(
        number=row["epoch"],
        phase=row["phase"],
        cider=row["dev_cider"],
        loss=row["loss"],
        reward=row["reward"] if row["phase"] == SELF_CRITICAL else None,
        learning_rate=row["learning_rate"],
        tokens_per_second=row["tokens_per_second"],
        seconds=row["seconds"],
    )
