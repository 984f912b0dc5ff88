# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One YAML file an experiment, checked before anything else happens."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.segmenter.model_folder import InputOptions
from hier_seg_ros.segmenter.network import LIGHT, PAPER, NetworkOptions
from hier_seg_trainer.augmentation import ColorOptions, PasteOptions
from hier_seg_trainer.loss import BOX_PIXELS, LossOptions

NETWORKS = {'light': LIGHT, 'paper': PAPER}
T = TypeVar('T')


@dataclass(frozen=True)
class DataOptions:
    """One data set in the mix.

    ``path`` is relative to the data folder of the command line; ``scale`` the range of resize
    factors; ``focus_on_boxes`` the share of crops cut around a box; ``pasted_signs`` the GTSRB
    folder that signs are pasted from ('' for none).
    """

    format: str
    path: str
    images_per_batch: int
    scale: tuple[float, float]
    split: str = 'train'
    flip: bool = False
    focus_on_boxes: float = 0.0
    pasted_signs: str = ''
    paste: PasteOptions = field(default_factory=PasteOptions)


@dataclass(frozen=True)
class OptimizerOptions:
    """The optimiser, 'sgd' or 'adamw'; the backbone learns ``backbone_factor`` times as fast."""

    name: str
    learning_rate: float
    weight_decay: float
    momentum: float = 0.9
    backbone_factor: float = 1.0
    gradient_clip: float = 0.0


@dataclass(frozen=True)
class ScheduleOptions:
    """The learning rate over time.

    'step' halves it at the iterations in ``halve_at`` (the paper's); 'cosine' lets it fall to 0;
    ``warm_up`` iterations raise it from 0 first.
    """

    name: str
    warm_up: int = 0
    halve_at: tuple[int, ...] = ()


@dataclass(frozen=True)
class SelfTrainingOptions:
    """A teacher (the averaged weights) labels the pixels of images that have boxes only.

    From iteration ``start`` on, where its softmax value is at least ``confidence``; 0: never.
    """

    start: int = 0
    confidence: float = 0.9


@dataclass(frozen=True)
class Experiment:
    """All that a training run needs to know besides where the data is.

    ``class_balance`` weighs the root's classes by (median frequency / frequency) to this power;
    ``average_decay`` is the decay of the averaged weights that evaluation and export use;
    ``automatic_mixed_precision`` computes in bfloat16 where that loses nothing.
    """

    name: str
    hierarchy: str
    network: str
    initial_weights: str
    input: InputOptions
    crop: tuple[int, int]
    data: tuple[DataOptions, ...]
    iterations: int
    optimizer: OptimizerOptions
    schedule: ScheduleOptions
    loss: LossOptions = field(default_factory=LossOptions)
    colors: ColorOptions = field(default_factory=ColorOptions)
    self_training: SelfTrainingOptions = field(default_factory=SelfTrainingOptions)
    class_balance: float = 0.0
    average_decay: float = 0.999
    batch_norm_momentum: float = 0.1
    automatic_mixed_precision: bool = False
    seed: int = 0
    evaluate_every: int = 500
    checkpoint_every: int = 100

    @property
    def network_options(self) -> NetworkOptions:
        """The network's shape."""
        return NETWORKS[self.network]


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; HierSegError names the key that is wrong."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'{path}: cannot be read ({reason}); give an experiment file') from error
    experiment = parse(Experiment, content, str(path))
    _choice(path, 'network', experiment.network, NETWORKS)
    _choice(path, 'loss.box_pixels', experiment.loss.box_pixels, BOX_PIXELS)
    _choice(path, 'optimizer.name', experiment.optimizer.name, ('sgd', 'adamw'))
    _choice(path, 'schedule.name', experiment.schedule.name, ('step', 'cosine'))
    _choice(path, 'initial_weights', experiment.initial_weights, ('imagenet', 'random'))
    for edge in experiment.crop:
        if edge < 32 or edge % 32:
            raise HierSegError(f'{path}: crop: {edge} is no multiple of 32; choose one')
    for key in ('iterations', 'evaluate_every', 'checkpoint_every'):
        if getattr(experiment, key) < 1:
            raise HierSegError(f'{path}: {key}: must be at least 1')
    if not experiment.data:
        raise HierSegError(f'{path}: data: lists no data set; add one')
    if not experiment.loss.level_weights:
        raise HierSegError(f'{path}: loss.level_weights: is empty; give a weight for level 1')
    if experiment.seed < 0:
        raise HierSegError(f'{path}: seed: must be at least 0')
    if experiment.input.long_side < 32:
        raise HierSegError(f'{path}: input.long_side: must be at least 32 pixels')
    if min(experiment.input.standard_deviation) <= 0:
        raise HierSegError(f'{path}: input.standard_deviation: must be positive')
    for entry in experiment.data:
        if not 0 < entry.scale[0] <= entry.scale[1]:
            raise HierSegError(f'{path}: data: scale {entry.scale} is no range of factors')
        if entry.images_per_batch < 1:
            raise HierSegError(f'{path}: data: images_per_batch must be at least 1')
        if entry.paste.count < 0 or not 0 < entry.paste.size[0] <= entry.paste.size[1]:
            raise HierSegError(
                f'{path}: data: paste: count must be at least 0 and size a range of pixels'
            )
    # Batch normalisation has nothing to normalise by in the average of a single image.
    if sum(entry.images_per_batch for entry in experiment.data) < 2:
        raise HierSegError(f'{path}: data: a batch needs at least 2 images; raise images_per_batch')
    return experiment


def parse(kind: type[T], content: Any, where: str) -> T:
    """Return `content`, plain YAML values, as the dataclass `kind`.

    Raises HierSegError for an unknown key (with the nearest known one), a missing one, or a value
    of the wrong type.
    """
    if not isinstance(content, Mapping):
        raise HierSegError(f'{where}: is {content!r}; it must hold keys and values')
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f'did you mean {close[0]!r}?' if close else f'known are {", ".join(known)}'
            raise HierSegError(f'{where}: unknown key {key!r}; {hint}')
    values = {}
    for name, entry in known.items():
        if name in content:
            values[name] = _convert(hints[name], content[name], f'{where}: {name}')
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            raise HierSegError(f'{where}: has no {name!r}; add it')
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
            return tuple(_convert(arguments[0], item, where) for item in value)
        if len(value) != len(arguments):
            raise HierSegError(f'{where}: has {len(value)} values; it must have {len(arguments)}')
        return tuple(_convert(a, item, where) for a, item in zip(arguments, value, strict=True))
    assert not isinstance(hint, types.UnionType)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if (hint is int and isinstance(value, bool)) or not isinstance(value, hint):
        raise HierSegError(f'{where}: is {value!r}; it must be of type {hint.__name__}')
    return value


def _choice(path: Path, key: str, value: str, choices: Any) -> None:
    if value not in choices:
        raise HierSegError(f'{path}: {key}: {value!r} is not one of {", ".join(choices)}')
