"""Everything that decides what a training run learns."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.schedule import SCHEDULES
from transforms import commandline, files
from transforms.errors import UsageError

# The fields that the weights of a decoder depend on, beside vocabulary and encoder.
DECODER = (
    *("decoder", "layers", "units", "embedding", "hidden", "tie", "inject", "residual"),
    *("normalization", "attention", "attention_units", "heads", "feed_forward"),
)
# The fields that are about other captioners.
CAPTIONERS = ("start_from", "teachers", "distillation", "mixup")
# The fields that decide which of the others have an effect; see `Configuration.idle`.
DECISIVE = (
    *("decoder", "attention", "convolutions", "normalization", "scst_epochs", "scst_finetune"),
    *("cnn_learning_rate", "finetune_from_epoch"),
    *("dropout", "feature_dropout", "recurrent_dropout"),
)


def _option(default: Any, text: str, **facts: Any) -> Any:
    return dataclasses.field(default=default, metadata={"help": text, **facts})


def _widths(text: str) -> tuple[int, ...]:
    return tuple(commandline.positive(each) for each in text.split(",") if each)


def _part(text: str) -> float:
    commandline.positive_amount(text)
    return commandline.fraction(text)


def _folders(text: str) -> tuple[str, ...]:
    return tuple(files.expanded(each) for each in text.split(",") if each)


def _share(text: str) -> float:
    value = commandline.fraction(text)
    if value == 1:
        raise argparse.ArgumentTypeError(f"{text} is not below 1")
    return value


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A training run. Each field is a flag; docs of the fields are the flags' help.

    The defaults are the recipe `attention-lstm`.
    """

    decoder: str = _option(
        "lstm",
        "recurrent layers of one kind, two LSTMs with attention between, or a transformer",
        choices=("lstm", "gru", "topdown", "transformer"),
    )
    layers: int = _option(1, "layers of the decoder", parse=commandline.positive)
    units: int = _option(512, "units of each layer", parse=commandline.positive)
    embedding: int = _option(256, "numbers per word", parse=commandline.positive)
    hidden: int = _option(
        512, "units between the layers and the words; 0 for none", parse=commandline.count
    )
    attention: str = _option(
        "soft",
        "attention over the feature grid; adaptive may also look away from it",
        choices=("none", "soft", "adaptive"),
    )
    attention_units: int = _option(
        128, "units of a recurrent decoder's attention", parse=commandline.positive
    )
    heads: int = _option(8, "heads of a transformer's attention", parse=commandline.positive)
    feed_forward: int = _option(
        1024, "units of a transformer's feed-forward layers", parse=commandline.positive
    )
    inject: str = _option(
        "init",
        "where the image enters: first state, every input, or after the layers",
        choices=("init", "par", "merge"),
    )
    residual: bool = _option(False, "add each upper layer's input to its output")
    normalization: str = _option(
        "none",
        "of recurrent layers' inputs and outputs (layer), or of the projected image (batch)",
        choices=("none", "layer", "batch"),
    )
    tie: bool = _option(False, "one matrix for the words' embeddings and their output weights")
    word_vectors: str = _option(
        "",
        "file of trained word vectors (GloVe, word2vec's text) to begin with",
        parse=files.expanded,
    )
    start_from: str = _option(
        "",
        "folder of a captioner to begin with, in the place of drawn weights, with its decoder's"
        " settings; its encoder must be the same",
        parse=files.expanded,
    )
    convolutions: tuple[int, ...] = _option(
        (), "channels of a CNN trained from the pixels, such as 32,64,128", parse=_widths
    )
    pixels: int = _option(
        96, "side in pixels to which that CNN scales an image", parse=commandline.positive
    )
    cnn_learning_rate: float = _option(
        0.1,
        "learning rate of the CNN's upper blocks, where the data set stores the map below them, as"
        " a multiple of --learning_rate; 0 keeps them as they are",
        parse=commandline.amount,
    )
    finetune_from_epoch: int = _option(
        2, "epochs before those blocks learn too", parse=commandline.count
    )
    dropout: float = _option(0.4, "share of words' and outputs' elements dropped", parse=_share)
    variational_dropout: bool = _option(
        False, "drop the same elements of words and outputs throughout a caption"
    )
    recurrent_dropout: float = _option(
        0.0, "share of a recurrent state's elements dropped throughout a caption", parse=_share
    )
    feature_dropout: float = _option(0.2, "share of the image's elements dropped", parse=_share)
    label_smoothing: float = _option(
        0.1, "probability spread over all words in the loss", parse=_share
    )
    word_dropout: float = _option(
        0.0, "share of the words read that are made unknown in training", parse=_share
    )
    teachers: tuple[str, ...] = _option(
        (),
        "folders of captioners, with commas between, whose opinion of each next word is learned"
        " beside the captions (knowledge distillation); their encoder and words must be the same",
        parse=_folders,
    )
    distillation: float = _option(0.5, "share of their opinion in what is learned", parse=_part)
    mixup: float = _option(
        0.0,
        "largest share of another image that is mixed into one, for the teachers to judge too",
        parse=commandline.fraction,
    )
    scheduled_sampling: float = _option(
        0.0,
        "share of the words read that the captioner draws itself, from 0 at first to this in the"
        " last epoch, or in the only one",
        parse=commandline.fraction,
    )
    precision: str = _option(
        "float32",
        "of the computations in training; weights and losses are always float32",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
    )
    xla: bool = _option(
        False, "compile the steps of training with XLA, for GPUs; batches are padded for it"
    )
    epochs: int = _option(
        8,
        "passes over the training images; 0 only with --start_from, to go on with"
        " self-critical training",
        parse=commandline.count,
    )
    batch_images: int = _option(
        32, "images in a batch, with all their captions", parse=commandline.positive
    )
    learning_rate: float = _option(2e-3, "highest learning rate", parse=commandline.amount)
    schedule: str = _option(
        "cosine",
        "how the learning rate falls: with a cosine to 0, by 0.8 an epoch, or not",
        choices=SCHEDULES,
    )
    warmup_steps: int = _option(
        100,
        "steps in which the learning rate rises, a fifth of all at most",
        parse=commandline.count,
    )
    weight_decay: float = _option(0.0, "decay of the weights (AdamW)", parse=commandline.amount)
    clip_norm: float = _option(
        1.0, "largest norm of a gradient; 0 for any", parse=commandline.amount
    )
    averaging: float = _option(
        0.995, "decay of the average of the weights that is kept; 0 for none", parse=_share
    )
    scst_epochs: int = _option(
        0, "passes of self-critical training on CIDEr-D after that", parse=commandline.count
    )
    scst_learning_rate: float = _option(1e-4, "its highest learning rate", parse=commandline.amount)
    scst_schedule: str = _option(
        "constant",
        "how its learning rate falls",
        choices=SCHEDULES,
    )
    scst_samples: int = _option(5, "its sampled captions of an image", parse=commandline.positive)
    scst_baseline: str = _option(
        "mean",
        "what a sample's reward is compared with: the mean of the others, or the greedy caption's",
        choices=("mean", "greedy"),
    )
    scst_temperature: float = _option(
        1.0, "its samples' temperature", parse=commandline.positive_amount
    )
    scst_dropout: float = _option(
        0.0, "its dropout: none at 0, that of the first phase at 1", parse=commandline.fraction
    )
    scst_cross_entropy: float = _option(
        0.0, "weight of the cross-entropy that is added to its loss", parse=commandline.amount
    )
    scst_finetune: bool = _option(
        False, "whether a pretrained CNN's upper blocks go on learning in it"
    )
    patience: int = _option(
        5, "epochs without a better dev CIDEr that end a phase", parse=commandline.positive
    )
    search: str = _option(
        "beam",
        "how captions are searched in the end: the likeliest of a beam, or the one that agrees most"
        " with captions drawn at random; epochs are compared by beam search",
        choices=("beam", "consensus"),
    )
    beam_width: int = _option(3, "hypotheses of the search", parse=commandline.positive)
    length_penalty: float = _option(
        0.7, "scores are log-probabilities / length to this power", parse=commandline.amount
    )
    seed: int = _option(0, "what decides everything random", parse=commandline.seed)

    def finetunes(self, epoch: int, self_critical: bool = False) -> bool:
        """Return whether a pretrained CNN's upper blocks learn in an epoch, counted from 0."""
        if self_critical and not self.scst_finetune:
            return False
        return self.cnn_learning_rate > 0 and epoch >= self.finetune_from_epoch

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Configuration":
        """Undo `to_dict`.

        Raises:
            UsageError: a name that is no field.
        """
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UsageError(f"unknown setting {min(unknown)}: made by another version of beamcap")
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fields)

    @classmethod
    def completed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `to_dict` gave, with what an older version did not know: the defaults."""
        return cls().to_dict() | dict(values)

    def idle(self, cut: bool) -> dict[str, str]:
        """Return the fields that change nothing, each with what it is for.

        Args:
            cut: whether the data set stores the map below a pretrained CNN's upper blocks.
        """
        transformer = self.decoder == "transformer"
        additive = self.attention != "none" and not transformer
        names = [field.name for field in dataclasses.fields(self)]
        self_critical = [name for name in names if name.startswith("scst_")]
        self_critical.remove("scst_epochs")
        tuning = ("finetune_from_epoch", "scst_finetune")
        # A rate of 0 keeps the CNN as it is, whenever it may learn.
        learns = self.finetunes(self.epochs - 1) or self.finetunes(
            self.epochs + self.scst_epochs - 1, self_critical=True
        )
        dropout = max(self.dropout, self.feature_dropout, self.recurrent_dropout) > 0
        # With dropout, a batch is normalised by itself.
        batch = self.normalization == "batch" or bool(self.convolutions)
        table: tuple[tuple[bool, str, Sequence[str]], ...] = (
            (self.scst_epochs > 0, "--scst_epochs above 0", self_critical),
            (
                cut,
                "data sets of a CNN that is cut, such as by preprocess --features=block10",
                ("cnn_learning_rate", *tuning),
            ),
            (self.cnn_learning_rate > 0, "a --cnn_learning_rate above 0", tuning),
            (
                self.finetune_from_epoch < self.epochs + self.scst_epochs,
                "a --finetune_from_epoch below --epochs and --scst_epochs together",
                ("scst_finetune",),
            ),
            (
                learns or self.cnn_learning_rate == 0,
                "a --finetune_from_epoch below --epochs",
                ("cnn_learning_rate",),
            ),
            (self.dropout > 0, "a --dropout above 0", ("variational_dropout",)),
            (bool(self.teachers), "--teachers", ("distillation", "mixup")),
            (self.batch_images > 1, "--batch_images above 1", ("mixup",)),
            (
                dropout or batch,
                "a --dropout, --feature_dropout or --recurrent_dropout above 0",
                ("scst_dropout",),
            ),
            (bool(self.convolutions), "--convolutions", ("pixels",)),
            (transformer, "--decoder=transformer", ("heads", "feed_forward")),
            (additive, "recurrent decoders with --attention", ("attention_units",)),
            (
                self.epochs > 0,
                "--epochs above 0",
                (
                    *("learning_rate", "schedule", "warmup_steps", "word_dropout"),
                    *("scheduled_sampling", "teachers", "distillation", "mixup"),
                ),
            ),
            (
                self.epochs > 0 or self.scst_cross_entropy > 0,
                "--epochs or --scst_cross_entropy above 0",
                ("label_smoothing",),
            ),
            (
                not self.teachers or self.distillation < 1 or self.scst_cross_entropy > 0,
                "--distillation below 1 or --scst_cross_entropy above 0",
                ("label_smoothing",),
            ),
            (
                self.epochs > 0 or self.scst_dropout > 0,
                "--epochs or --scst_dropout above 0",
                ("dropout", "feature_dropout", "recurrent_dropout", "variational_dropout"),
            ),
        )
        return {
            name: purpose
            for useful, purpose, fields in reversed(table)
            if not useful
            for name in fields
        }

    def check(self, feature_shape: Sequence[int] | None) -> None:
        """Refuse what cannot work.

        Args:
            feature_shape: of what the decoder sees of one image; None where the data set stores
                images.

        Raises:
            UsageError: flags that do not go together, or not with the data set.
        """
        if not self.epochs and not (self.start_from and self.scst_epochs):
            raise UsageError(
                "--epochs=0 leaves nothing to do: it is for --start_from with --scst_epochs"
            )
        if self.start_from and self.word_vectors:
            raise UsageError(
                "--start_from brings the words' vectors with it: leave out --word_vectors"
            )
        if feature_shape is None and not self.convolutions:
            raise UsageError(
                "the data set stores images, not features: add --convolutions=32,64,128 (or"
                " --preset=seed-lstm), or preprocess with another --encoder than none"
            )
        if feature_shape is not None and self.convolutions:
            raise UsageError(
                "--convolutions is for pixels, and the data set stores features: preprocess with"
                " --encoder=none, or leave it out"
            )
        if self.convolutions and self.pixels < 2 ** len(self.convolutions):
            raise UsageError(
                f"--pixels={self.pixels} is too small for {len(self.convolutions)} convolutions"
                " that halve it: raise --pixels"
            )
        if self.attention != "none" and feature_shape is not None and len(feature_shape) != 3:
            raise UsageError(
                f"--attention={self.attention} needs a grid of features, and the data set has"
                " pooled ones: preprocess with --features=grid, or add --attention=none"
            )
        self._check_decoder()

    def _check_decoder(self) -> None:
        """Refuse what does not go together in a decoder."""
        if self.attention != "none" and self.inject == "merge":
            raise UsageError(
                "--inject=merge keeps the image out of the recurrent layers, which is what"
                f" --attention={self.attention} brings in: use --inject=init or par, or"
                " --attention=none"
            )
        if self.decoder == "topdown":
            self._check_topdown()
        if self.decoder == "transformer":
            self._check_transformer()
        if self.residual and self.layers == 1:
            raise UsageError("--residual needs an upper layer: add --layers=2")
        if self.scst_epochs and self.scst_baseline == "mean" and self.scst_samples == 1:
            raise UsageError(
                "--scst_baseline=mean compares samples with one another: give --scst_samples=2 or"
                " more, or --scst_baseline=greedy"
            )
        if self.tie and (self.hidden or self._exit_depth) != self.embedding:
            raise UsageError(
                f"--tie needs as many hidden units as numbers per word: --hidden={self.embedding}"
            )

    @property
    def _exit_depth(self) -> int:
        """How many numbers a decoder ends in, before hidden units and words."""
        recurrent = self.decoder in ("lstm", "gru")
        beside = recurrent and (self.attention != "none" or self.inject == "merge")
        return self.units * (2 if beside else 1)

    def _check_topdown(self) -> None:
        if self.attention == "none":
            raise UsageError(
                "--decoder=topdown is built around its attention: use --attention=soft or"
                " adaptive, or --decoder=lstm"
            )
        if self.layers != 1:
            raise UsageError("--decoder=topdown has its two layers already: leave out --layers")

    def _check_transformer(self) -> None:
        if self.attention == "adaptive":
            raise UsageError(
                "--attention=adaptive is for recurrent decoders: use --attention=soft with"
                " --decoder=transformer"
            )
        if self.units % self.heads:
            raise UsageError(
                f"--heads={self.heads} does not divide --units={self.units}: change one"
            )
        if self.residual or self.normalization == "layer":
            raise UsageError(
                "a transformer has residual connections and layer normalisation in any case:"
                " leave out --residual and --normalization=layer"
            )
        if self.inject != "init":
            raise UsageError(
                "a transformer looks at the image from every layer: leave out --inject with"
                " --decoder=transformer"
            )
        if self.recurrent_dropout:
            raise UsageError(
                "--recurrent_dropout is for recurrent decoders: use --dropout with"
                " --decoder=transformer"
            )
