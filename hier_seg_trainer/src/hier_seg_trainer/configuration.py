# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One YAML file an experiment, checked before anything else happens."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.model_folder import InputOptions
from hier_seg_ros.segmenter.network import NETWORKS, NetworkOptions
from hier_seg_ros.segmenter.network.normalization import NORMALIZATIONS
from hier_seg_trainer.augmentation import AugmentationOptions, PasteOptions
from hier_seg_trainer.datasets.opening import FORMATS
from hier_seg_trainer.export.logit_offsets import LogitOffset
from hier_seg_trainer.loss import LossOptions
from hier_seg_trainer.options.intervals import (
    ANY,
    BELOW_1,
    FROM_0,
    FROM_1,
    POSITIVE,
    SHARE,
    Interval,
    check_choice,
    check_number,
)
from hier_seg_trainer.training.optimization import OptimizerOptions, ScheduleOptions

SYNCHRONISED = 'sync_batch'
T = TypeVar('T')


@dataclass(frozen=True)
class DataOptions:
    """One data set in the mix.

    Attributes
    ----------
    format : its layout, a key of ``FORMATS``
    path : its folder, relative to the data folder of the command line
    images_per_batch : its share of every batch, over all processes
    scale : range of the factor by which images are resized before the crop
    scale_to_crop : that factor is relative to the one at which the image just covers the crop
    mapping : file that says which class of the tree each label is, relative to the data folder;
        '' for the one that comes with the format
    split : the split to train on
    validation_split : the split that is scored during training and for the model card; '' for none
    flip : mirror half of the crops, as far as their signs may be mirrored
    focus_on_boxes : share of the crops that are cut around a box
    pasted_signs : the GTSRB folder that signs are pasted from, relative to the data folder; ''
        for none
    paste : how many, and how large
    """

    format: str
    path: str
    images_per_batch: int
    scale: tuple[float, float]
    scale_to_crop: bool = False
    mapping: str = ''
    split: str = 'train'
    validation_split: str = 'val'
    flip: bool = False
    focus_on_boxes: float = 0.0
    pasted_signs: str = ''
    paste: PasteOptions = field(default_factory=PasteOptions)


@dataclass(frozen=True)
class SelfTrainingOptions:
    """A teacher (the averaged weights) labels the pixels of images that have boxes only.

    From iteration ``start`` on, where its softmax value is at least ``confidence``; 0: never.
    """

    start: int = 0
    confidence: float = 0.9


@dataclass(frozen=True)
class EarlyStoppingOptions:
    """The run ends when a score has not risen for ``patience`` evaluations in a row; 0: never.

    ``measure`` is the score's name in TensorBoard, for example ``camvid/mean_iou_paper``. The
    weights that reached the highest one are then those that the export takes.
    """

    measure: str = ''
    patience: int = 0


@dataclass(frozen=True)
class Experiment:
    """All that a training run needs to know besides where the data is.

    Attributes
    ----------
    name : the model's name
    hierarchy : a tree of ``config/hierarchies``, or the path of a tree file
    network : a key of ``NETWORKS``
    initial_weights : 'imagenet', 'random', a file with a backbone's weights, the path of a model
        folder, or several model folders, whose mean it is
    input : how an image becomes the network's input
    crop : (height, width) of the training crops, in pixels
    data : the data sets in the mix
    iterations : steps of the optimiser
    flat : train one softmax over all classes that the data sets name, without the tree
    backbone : a timm model in place of the network's own; '' for that
    normalization : one of ``NORMALIZATIONS``, or 'sync_batch': batch normalisation over the images
        of all processes
    dropout : share of the channels that are dropped before each classifier, in [0, 1)
    teacher : model folder that the network also learns from (distillation); '' for none
    logit_offsets : what is added to the logits of classes when the averaged weights are evaluated
        or exported
    class_balance : weighs the classes by (median frequency / frequency) to this power; only
        pixel labels are counted
    average_decay : decay of the averaged weights that evaluation and export use
    batch_norm_momentum : share of a new batch in the running statistics
    accumulate : batches whose gradients make one step
    automatic_mixed_precision : false, true or 'bfloat16', or 'float16' with a scaled loss
    seed : of weights, batches and augmentation
    evaluate_every, checkpoint_every : in iterations
    images_every : in iterations; pictures of predictions go to TensorBoard; 0: never
    """

    name: str
    hierarchy: str
    network: str
    initial_weights: str | tuple[str, ...]
    input: InputOptions
    crop: tuple[int, int]
    data: tuple[DataOptions, ...]
    iterations: int
    optimizer: OptimizerOptions
    schedule: ScheduleOptions
    flat: bool = False
    backbone: str = ''
    normalization: str = 'batch'
    dropout: float = 0.0
    teacher: str = ''
    loss: LossOptions = field(default_factory=LossOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    self_training: SelfTrainingOptions = field(default_factory=SelfTrainingOptions)
    early_stopping: EarlyStoppingOptions = field(default_factory=EarlyStoppingOptions)
    logit_offsets: tuple[LogitOffset, ...] = ()
    class_balance: float = 0.0
    average_decay: float = 0.999
    batch_norm_momentum: float = 0.1
    accumulate: int = 1
    automatic_mixed_precision: bool | str = False
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 100
    images_every: int = 500

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


# What their own classes do not check.
NUMBERS: dict[str, Interval] = {
    'input.long_side': Interval(least=32),
    'input.minimum_long_side': FROM_0,
    'input.mean': SHARE,
    'input.standard_deviation': POSITIVE,
    'crop': Interval(least=32),
    'data.images_per_batch': FROM_1,
    'data.scale': POSITIVE,
    'data.focus_on_boxes': SHARE,
    'iterations': FROM_1,
    'dropout': BELOW_1,
    'self_training.start': FROM_0,
    'self_training.confidence': SHARE,
    'early_stopping.patience': FROM_0,
    'logit_offsets.offset': Interval(least=-20, most=20),
    'class_balance': FROM_0,
    'average_decay': BELOW_1,
    'batch_norm_momentum': SHARE,
    'accumulate': FROM_1,
    'seed': FROM_0,
    'evaluate_every': FROM_1,
    'checkpoint_every': FROM_1,
    'images_every': FROM_0,
}

CHOICES: dict[str, Collection[Any]] = {
    'network': NETWORKS,
    'normalization': (*NORMALIZATIONS, SYNCHRONISED),
    'data.format': FORMATS,
    'automatic_mixed_precision': (False, True, 'bfloat16', 'float16'),
}


def load_experiment(path: str | Path, changes: Sequence[str] = ()) -> Experiment:
    """Read and check an experiment file; HierSegError names the key that is wrong.

    `changes` are values in place of the file's, such as 'optimizer.learning_rate=0.01' or, in a
    list, 'data.0.flip=true'.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'{path}: cannot be read ({reason}); give an experiment file') from error
    try:
        for change in changes:
            _apply(change, content)
        experiment = parse(Experiment, content)
        _check_values(experiment)
        _check_combinations(experiment)
    except HierSegError as error:
        raise HierSegError(f'{path}: {error}') from error
    return experiment


def _apply(change: str, content: Any) -> None:
    """Set the value that `change`, 'a.b.0.c=value', names; YAML says what a value means."""
    key, equals, text = change.partition('=')
    if not key or not equals:
        raise HierSegError(f'--set {change!r}: is no change; write KEY=VALUE')
    try:
        value = yaml.safe_load(text) if text else ''
    except yaml.YAMLError as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'--set {change!r}: the value is no YAML ({reason})') from error
    *steps, last = key.split('.')
    inner = content
    for step in steps:
        if isinstance(inner, list) and step.isdecimal() and int(step) < len(inner):
            inner = inner[int(step)]
        elif isinstance(inner, dict):
            inner = inner.setdefault(step, {})
        else:
            break
    if not isinstance(inner, dict):
        raise HierSegError(f'--set {change!r}: there is no such place in the file; correct the key')
    inner[last] = value


def _check_values(experiment: Experiment) -> None:
    """Check every value by itself, but for those that their own classes check."""
    for key, value in options_of(experiment):
        if key in CHOICES:
            check_choice(key, value, CHOICES[key])
        if isinstance(value, (int, float)):
            check_number(key, value, NUMBERS.get(key, ANY))


def _check_combinations(experiment: Experiment) -> None:
    """Check what must fit together."""
    for edge in experiment.crop:
        if edge % 32:
            raise HierSegError(f'crop: {edge} is no multiple of 32; choose one')
    if not experiment.data:
        raise HierSegError('data: lists no data set; add one')
    for entry in experiment.data:
        if entry.scale[0] > entry.scale[1]:
            raise HierSegError(
                f'data.scale: {list(entry.scale)} is no range; write the lower factor first'
            )
        if entry.pasted_signs and entry.paste.count == entry.paste.replace == 0:
            raise HierSegError(
                'data.pasted_signs: does nothing without a paste.count or paste.replace above 0; '
                'give one, or leave it out'
            )
    # Batch normalisation has nothing to normalise by in the average of a single image.
    batch_norm = experiment.network_options.normalization == 'batch'
    if batch_norm and experiment.images_per_batch < 2:
        raise HierSegError('data: a batch needs at least 2 images; raise images_per_batch')
    stopping = experiment.early_stopping
    if stopping.measure and stopping.patience == 0:
        raise HierSegError(
            'early_stopping.measure: does nothing with a patience of 0; give a patience or leave '
            'both out'
        )
    if stopping.patience > 0 and '/' not in stopping.measure:
        raise HierSegError(
            f'early_stopping.measure: {stopping.measure!r} names no score; write DATA SET/MEASURE, '
            f'for example camvid/mean_iou_paper'
        )
    if experiment.self_training.start > 0 and experiment.loss.self_training_weight == 0:
        raise HierSegError(
            'self_training.start: does nothing without a loss.self_training_weight above 0; give '
            'one, or write start: 0'
        )
    if experiment.input.minimum_long_side > experiment.input.long_side:
        raise HierSegError(
            f'input.minimum_long_side: is {experiment.input.minimum_long_side}; it must be at most '
            f'input.long_side, {experiment.input.long_side}'
        )
    if experiment.loss.lovasz_weight > 0 and experiment.augmentation.mixup > 0:
        raise HierSegError(
            'loss.lovasz_weight: needs pixels of a single class, and augmentation.mixup mixes '
            'them; leave one at 0'
        )
    if bool(experiment.teacher) != (experiment.loss.distillation_weight > 0):
        raise HierSegError(
            'teacher: goes with a loss.distillation_weight above 0; give both or neither'
        )


def options_of(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Yield every value in a dataclass with its key, as 'optimizer.learning_rate'.

    The entries of a list share the list's key.
    """
    if dataclasses.is_dataclass(value):
        for entry in dataclasses.fields(value):
            name = f'{key}.{entry.name}' if key else entry.name
            yield from options_of(getattr(value, entry.name), name)
    elif isinstance(value, tuple):
        for item in value:
            yield from options_of(item, key)
    else:
        yield key, value


def parse(kind: type[T], content: Any, where: str = '') -> T:
    """Return `content`, plain YAML values, as the dataclass `kind`; `where` is its key.

    Raises HierSegError for an unknown key (with the nearest known one), a missing one, or a value
    of the wrong type.
    """
    prefix = f'{where}: ' if where else ''
    if not isinstance(content, Mapping):
        raise HierSegError(f'{prefix}is {content!r}; it must hold keys and values')
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'known are {", ".join(known)}'
            raise HierSegError(f'{prefix}unknown key {key!r}; {hint}')
    values = {}
    for name, entry in known.items():
        if name in content:
            key = f'{where}.{name}' if where else name
            values[name] = _convert(hints[name], content[name], key)
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            raise HierSegError(f'{prefix}has no {name!r}; add it')
    return kind(**values)


def as_plain(value: Any) -> Any:
    """Return a dataclass as plain YAML values, the inverse of ``parse``."""
    if dataclasses.is_dataclass(value):
        return {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [as_plain(item) for item in value]
    return value


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return parse(hint, value, where)  # type: ignore[arg-type]
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        if not isinstance(value, list):
            raise HierSegError(f'{where}: is {value!r}; it must be a list')
        if arguments[-1] is Ellipsis:
            return tuple(
                _convert(arguments[0], item, f'{where}[{place}]')
                for place, item in enumerate(value)
            )
        if len(value) != len(arguments):
            raise HierSegError(f'{where}: has {len(value)} values; it must have {len(arguments)}')
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, list):
        for kind in kinds:
            if typing.get_origin(kind) is tuple:
                return _convert(kind, value, where)
    # Exactly: YAML's true is no number.
    if type(value) in kinds:
        return value
    if float in kinds and type(value) is int:
        return float(value)
    names = ' or '.join('list' if typing.get_origin(kind) else kind.__name__ for kind in kinds)
    if float in kinds and isinstance(value, str) and _is_number(value):
        names += f'; YAML takes it for a text: write {float(value):f}'
    raise HierSegError(f'{where}: is {value!r}; it must be of type {names}')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
