"""The model card: what a captioner is, for the people who use it (Mitchell et al., 2019).

https://arxiv.org/abs/1810.03993. The card is Markdown with the front matter that model hubs read.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from trainer import command_line
from trainer.configuration import Configuration
from transforms import stored

# How the card's program begins and loads, in general and for what needs us to be put together.
_ALONE = """\
From Python, with TensorFlow alone:

```python
import tensorflow as tf
"""
_TOGETHER = """\
From Python:

```python
import tensorflow as tf

from transforms.captioner import load_saved_model
"""
_LOADS = re.compile(r'^captioner = tf\.saved_model\.load\("(.*)/saved_model"\)$', re.MULTILINE)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#~|&$!])")
_ENCODER_LICENCES = (
    (
        "efficientnet-lite",
        "EfficientNet-Lite, weights by Google trained on ImageNet (Apache-2.0)",
    ),
)
_USE = """\
It writes one short sentence about what a photograph shows, in the language and manner of the
captions that it was trained on. It is meant for indexing and sorting collections of pictures, and
as a first draft of a description that a person corrects.

It is not meant for

- **decisions about people.** It guesses sex, age, occupation and what people are doing from looks,
  as the captions' authors did, and repeats their stereotypes.
- **safety or evidence.** It names what is common in the training captions before what is there, and
  says so with the same fluency whether right or wrong. A score compares captions of one
  picture; it is not a probability of being right.
- **alternative text without review.** A wrong description misleads those who cannot check it. Say
  that a machine wrote it, let people correct it, and write text in pictures and charts by hand.
- **pictures of another kind** than those it was trained on (drawings, documents, medical images),
  unless its data set has them.

It knows no names, reads no text and counts badly. Words that the vocabulary lacks are never used.
"""


def write(
    captioner: Mapping[str, Any],
    dataset: Mapping[str, Any],
    *,
    name: str,
    license: str = "",
    data_note: str = "",
) -> str:
    """Write a card.

    Args:
        captioner: content of `captioner.json`; its `files` are not needed.
        dataset: content of `dataset.json`.
        name: of the captioner's folder.
        license: of the captioner, as its maker states it.
        data_note: Markdown of its maker's about the data.

    Returns:
        Markdown. Text from the data is escaped; no path has more than its last part.
    """
    sections = (
        _front_matter(license),
        f"# {escape(name)}\n\n{_summary(captioner)}",
        f"## What it is for, and what not\n\n{_USE}",
        f"## Scores\n\n{_scores(captioner['metrics'])}",
        f"## Data\n\n{_data(captioner, dataset, data_note)}",
        f"## Model\n\n{_model(captioner)}",
        f"## Training\n\n{_training(captioner, name)}",
        f"## Using it\n\n{_usage(captioner, name)}",
        f"## Licence\n\n{_licence(captioner, license)}",
    )
    return "\n".join(section.rstrip("\n") + "\n" for section in sections)


def compacted(card: str) -> str:
    """Return the card of a captioner for its compact form, which TensorFlow alone cannot read."""
    return _LOADS.sub(r'captioner = load_saved_model("\1")', card.replace(_ALONE, _TOGETHER))


def escape(text: str) -> str:
    """Return text such that Markdown, in a table too, shows it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def base_name(path: str) -> str:
    """Return the last part of a path or glob, without what it tells of a machine."""
    parts = [part for part in re.split(r"[/\\]", path) if part not in ("", ".", "..")]
    return parts[-1] if parts else "captioner"


def command(captioner: Mapping[str, Any], name: str) -> str:
    """Return the command line that trains this captioner, every setting that counts spelt out."""
    provenance = captioner["provenance"]
    flags = {"dataset": provenance["dataset"]["name"], "output": name}
    configuration = Configuration.from_dict(captioner["configuration"])
    idle = configuration.idle("rest" in captioner["encoder"])
    settings = {k: value for k, value in captioner["configuration"].items() if k not in idle}
    settings = {**flags, **settings, **provenance["flags"]}
    # An empty list is told too: a preset may have another.
    given = [command_line.flag(*item) for item in settings.items() if item[1] is not None]
    return " \\\n    ".join(["python -m trainer.task", *map(shlex.quote, given)])


def portable(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without what its paths tell of a machine: their last parts."""
    result = dict(configuration)
    for name in ("word_vectors", "start_from"):
        if result.get(name):
            result[name] = base_name(result[name])
    if result.get("teachers"):
        result["teachers"] = [base_name(folder) for folder in result["teachers"]]
    return result


def _front_matter(license: str) -> str:
    lines = ["---", "pipeline_tag: image-to-text", "tags:", "- image-captioning", "- tensorflow"]
    if license:
        lines.insert(1, f"license: {json.dumps(' '.join(license.split()))}")
    return "\n".join([*lines, "---"])


def _summary(captioner: Mapping[str, Any]) -> str:
    c = captioner["configuration"]
    encoder = "a CNN trained with it"
    if captioner["encoder"]["name"] != "none":
        name = escape(base_name(captioner["encoder"]["name"]))
        encoder = f"the CNN {name} ({_learned(captioner['encoder'])})"
    attention = "" if c["attention"] == "none" else f" with {escape(c['attention'])} attention"
    return (
        f"An image captioner: {encoder}, and a decoder ({escape(c['decoder'])}{attention}) that"
        " writes the caption word by word. It was made with beamcap."
    )


def _learned(encoder: Mapping[str, Any]) -> str:
    """Return what became of a pretrained CNN."""
    tuned = encoder.get("finetuned")
    return f"fine-tuned above {escape(encoder['features'])}" if tuned else "frozen"


def _scores(metrics: Mapping[str, Any]) -> str:
    floor = metrics.get("floor") or {}
    floors = floor.get("scores", {})
    chosen = metrics.get("epoch", "the best") or "none: it is what the training began with"
    text = (
        f"On the split `{metrics.get('split', 'dev')}`, which also chose the epoch"
        f" ({chosen}), of captions that the model wrote by itself"
        f"{_searched(metrics)}. CIDEr is CIDEr-D on its scale of 0 to 10; the others are between 0"
        " and 1.\n\n"
    )
    heading = ["Metric", "This captioner", "One constant caption"]
    rows = [
        [name, f"{score:.3f}", f"{floors[name]:.3f}" if name in floors else "–"]
        for name, score in metrics.get("scores", {}).items()
    ]
    text += _table(heading, rows)
    if floor.get("caption"):
        text += (
            f"\nThe constant caption, “{escape(floor['caption'])}” for every image, is the floor:"
            " a captioner that does not score well above it has not learnt to look.\n"
        )
    return text


def _searched(metrics: Mapping[str, Any]) -> str:
    """Return how captions were searched, where the metrics tell."""
    if "search" not in metrics:
        return ""
    return f", by {search_name(metrics['search'])}"


def search_name(search: Mapping[str, Any]) -> str:
    """Name a search for people; see `SearchOptions.identity`."""
    if search["method"] == "consensus":
        return (
            f"consensus search (the one of a beam of {search['beam_width']} that agrees most with"
            f" {search['samples']} samples at temperature {search['temperature']:g})"
        )
    return f"{search['method']} search of width {search['beam_width']}"


def _data(captioner: Mapping[str, Any], dataset: Mapping[str, Any], note: str) -> str:
    provenance, text = captioner["provenance"], captioner["text"]
    settings = dataset["configuration"]
    sources = {
        "Images from": ", ".join(map(base_name, settings["images"])),
        "Captions from": ", ".join(map(base_name, settings["captions"])),
        "Caption format": settings.get("captions_format", ""),
        "Data set": provenance["dataset"]["name"],
        "Digest": provenance["dataset"]["digest"],
        "Tokens": f"{text['tokenizer']}, at most {text['max_length']} a caption",
        "Vocabulary": f"{text['size']} tokens, those that occur at least {text['min_count']} times"
        if "min_count" in text
        else f"{text['size']} tokens",
    }
    table = _table(["", ""], [[key, value] for key, value in sources.items() if value])
    counts = _table(
        ["Split", "Images", "Captions"],
        [[split, s["images"], s["captions"]] for split, s in dataset["splits"].items()],
    )
    parts = [table, counts]
    if start := provenance.get("start_from"):
        begun = escape(captioner["configuration"]["start_from"])
        parts.append(
            f"The training began with the weights of another captioner, {begun} (digest"
            f" {start[:12]}): what that one was trained on, and on what terms, holds here too.\n"
        )
    if digests := provenance.get("teachers"):
        names = zip(captioner["configuration"]["teachers"], digests, strict=True)
        taught = ", ".join(f"{escape(name)} (digest {digest[:12]})" for name, digest in names)
        parts.append(
            f"Beside the captions it learned what other captioners think of each word, {taught}:"
            " what they were trained on, and on what terms, holds here too.\n"
        )
    if generated := dataset.get("generated"):
        parts.append(
            f"{generated['captions']:,} of the captions were written by another captioner, for"
            f" {generated['images']:,} images without any, and have the weight"
            f" {generated['weight']:g} where people's have 1.\n"
        )
    if note.strip():
        parts.append(note.strip() + "\n")
    parts.append(
        "Nobody has checked the captions for this captioner: it has the errors, the habits and the"
        " biases of those who wrote them, and of the places that the pictures are from.\n"
    )
    return "\n".join(parts)


def _model(captioner: Mapping[str, Any]) -> str:
    encoder, decoder = captioner["encoder"], captioner["decoder"]
    rows = [["Input, height x width", " x ".join(map(str, encoder["input_size"])) + " pixels, RGB"]]
    if like := stored.of(captioner):
        kind = f"{like.height} x {like.width} pixels, quality {like.quality}, {like.subsampling}"
        rows.append(["Stored before that as a JPEG", f"{kind}, as those of the training were"])
    if encoder["name"] == "none":
        rows.append(["Encoder", "a CNN of its own, trained from the pixels"])
    else:
        rows += [
            ["Encoder", f"{base_name(encoder['name'])}, {_learned(encoder)}"],
            ["Encoder's weights", base_name(encoder["weights"])],
            ["Features", f"{encoder['features']}, {_shape(encoder)} in {encoder['dtype']}"],
            ["Encoder's digest", encoder["digest"]],
        ]
    rows.append(["Parameters, without a frozen encoder's", f"{decoder['parameters']:,}"])
    text = _table(["", ""], rows)
    text += "\n" + _table(["Setting", "Value"], captioner["configuration"].items())
    return text


def _shape(encoder: Mapping[str, Any]) -> str:
    return " x ".join(map(str, encoder["output_shape"]))


def _training(captioner: Mapping[str, Any], name: str) -> str:
    provenance = captioner["provenance"]
    hardware = provenance["hardware"]
    machine = f"{hardware['cores']} cores ({escape(hardware['machine'])})"
    if hardware["gpus"]:
        machine += f" and {len(hardware['gpus'])} x {escape(hardware['gpus'][0])}"
    took = ""
    if provenance["seconds"]:
        took = f"It trained for {provenance['seconds'] / 60:.1f} minutes on {machine}. "
    versions = _table(["Software", "Version"], provenance["software"].items())
    return (
        f"{took}The command, with the data set of the digest above in the present folder:\n\n"
        f"```sh\n{command(captioner, name)}\n```\n\n{versions}"
    )


def _usage(captioner: Mapping[str, Any], name: str) -> str:
    c = captioner["configuration"]
    height, width = captioner["encoder"]["input_size"]
    consensus = ""
    if c.get("search") == "consensus":
        consensus = (
            "`pipeline.caption` searches for the consensus by itself, as for the scores above; the"
            " graph, and `--search=beam`, are quicker and say other things.\n"
        )
    return f"""\
A folder of pictures, in batches:

```sh
python -m pipeline.caption --images=photos --captioner={shlex.quote(name)} --output=captions
```

{_ALONE}
captioner = tf.saved_model.load({json.dumps(name + "/saved_model")})
with open("photo.jpg", "rb") as file:
    found = captioner.signatures["serving_default"](images=tf.constant([file.read()]))
print(found["caption"][0].numpy().decode(), float(found["score"][0]))
```

This searches with a beam of {c["beam_width"]} and a length penalty of {c["length_penalty"]}; the
signature `caption_pixels` takes both as arguments, with uint8 RGB pixels [B, {height}, {width}, 3].
The graph does not turn photographs by their EXIF orientation; `pipeline.caption` does.
{consensus}"""


def _licence(captioner: Mapping[str, Any], license: str) -> str:
    name = captioner["encoder"]["name"]
    lines = []
    if license:
        lines.append(f"Of this captioner, as its maker states it: {escape(license)}.")
    else:
        lines.append("Its maker has stated none for this captioner.")
    for prefix, text in _ENCODER_LICENCES:
        if name.startswith(prefix):
            lines.append(f"The encoder inside: {text}.")
            break
    else:
        if name != "none":
            lines.append(
                f"The encoder inside, {escape(base_name(name))}, has a licence of its own: see"
                " where its weights come from."
            )
    lines.append("What the images and captions of the data set allow is for their owners to say.")
    return "\n".join(lines)


def _table(heading: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heading = list(heading)
    lines = [heading, ["---"] * len(heading), *([_cell(v) for v in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value)) or "none"
    return escape(value)
