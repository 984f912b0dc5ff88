# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``model.yaml``: what is known about a model beside its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.files.reading import check_name, read_yaml
from hier_seg_ros.hierarchy import Hierarchy, check_classifier_names
from hier_seg_ros.segmenter.network import NetworkOptions, check_options, classifier_sizes

# Format 1 has each classifier's number of logits, format 2 the names of its classes in their order.
FORMAT = 2
FORMATS = (1, 2)
# Pixels. No camera of a robot has more on its longer side.
MOST_LONG_SIDE = 16384
# Of what logits are divided by: beyond these a confidence says nothing any more.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.01, 100
_REQUIRED = ('name', 'network', 'input', 'classifiers', 'supervised', 'weights_sha256')


@dataclass(frozen=True)
class InputOptions:
    """How an image becomes the network's input.

    Attributes
    ----------
    long_side
        Images with a longer side than this many pixels are scaled down to it; 32-16384.
    mean
        Of red, green and blue in 0-1: what is taken off the input to normalise it.
    standard_deviation
        Of red, green and blue in 0-1: what it is divided by then.
    minimum_long_side
        Images whose longer side has fewer pixels are scaled up to it; 0: none.

    """

    long_side: int
    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]
    minimum_long_side: int = 0


@dataclass(frozen=True)
class ModelDescription:
    """What ``model.yaml`` says about a model, beside its weights.

    Attributes
    ----------
    name
        The model's name.
    network
        The shape of its network.
    input
        How an image becomes the network's input.
    supervised
        Names of the nodes that training supervised.
    training
        What it was trained on and how: for people, and for training that goes on from this model,
        to read.
    scores
        What it reached, likewise.
    temperatures
        What the logits of a classifier are divided by, by its name, so that the softmax values are
        as sure as they are right (Guo et al., ICML 2017); above 0, 1 for a classifier without one.
        The weights of the folder do not contain them.

    """

    name: str
    network: NetworkOptions
    input: InputOptions
    supervised: tuple[str, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)


def description_as_dict(description: ModelDescription, hierarchy: Hierarchy) -> dict[str, Any]:
    """Return the content of ``model.yaml``, all but the SHA-256 of the weights."""
    network = asdict(description.network)
    network['backbone_options'] = dict(description.network.backbone_options)
    network['fused_strides'] = list(description.network.fused_strides)
    image = asdict(description.input)
    content = {
        'format': FORMAT,
        'name': description.name,
        'network': network,
        'input': {
            key: list(value) if isinstance(value, tuple) else value for key, value in image.items()
        },
        'hierarchy': hierarchy.name,
        'classifiers': hierarchy.classifier_names(),
        'supervised': list(description.supervised),
        'training': dict(description.training),
        'scores': dict(description.scores),
    }
    # Without one the file is as it was before there were any.
    if description.temperatures:
        content['temperatures'] = dict(description.temperatures)
    return content


def read_content(path: Path) -> dict[str, Any]:
    """Return what ``model.yaml`` holds, checked for its format, and for its keys and their types.

    Raises
    ------
    HierSegError
        It cannot be read, is of another format, or a value is missing or of another type.

    """
    content = read_yaml(path, 'export the model anew')
    if not isinstance(content, dict):
        raise HierSegError(f'{path}: is not a mapping; export the model anew')
    version = content.get('format')
    if type(version) is not int or version not in FORMATS:
        raise HierSegError(
            f'{path}: format is {shown(version)}; this version reads formats 1 and 2: '
            f'export the model anew or install the version that wrote it'
        )
    for key in _REQUIRED:
        if key not in content:
            raise HierSegError(f'{path}: has no {key!r}; export the model anew')
    for key in ('name', 'hierarchy'):
        if key in content:
            check_name(content[key], f'{path}: {key}')
    supervised = content['supervised']
    if not isinstance(supervised, list) or not all(isinstance(name, str) for name in supervised):
        raise HierSegError(
            f'{path}: supervised is {shown(supervised)}; it must be a list of class names'
        )
    if len(set(supervised)) != len(supervised):
        raise HierSegError(f'{path}: supervised lists a class twice; remove one')
    for key in ('classifiers', 'training', 'scores', 'temperatures'):
        if not isinstance(content.get(key), dict if key in _REQUIRED else dict | None):
            raise HierSegError(f'{path}: {key} is {shown(content[key])}; it must be a mapping')
    sha256 = content['weights_sha256']
    if not isinstance(sha256, str) or not re.fullmatch('[0-9a-f]{64}', sha256):
        raise HierSegError(
            f'{path}: weights_sha256 is {shown(sha256)}, no SHA-256; export the model anew'
        )
    return content


def parse_description(content: Mapping[str, Any], path: Path) -> ModelDescription:
    """Return the description in the content of ``model.yaml``; `path` names it in errors.

    Raises
    ------
    HierSegError
        An option of the network or of its input is unknown, missing, of another type or outside
        its range.

    """
    try:
        network, image = _network(content['network']), _input(content['input'])
    except (TypeError, ValueError) as error:
        known = ', '.join(f.name for f in (*fields(NetworkOptions), *fields(InputOptions)))
        raise HierSegError(
            f'{path}: network or input cannot be used ({str(error)[:200]}); their keys are {known}'
        ) from error
    try:
        check_options(network)
    except HierSegError as error:
        raise HierSegError(f'{path}: {error}') from error
    _check_input(image, path)
    temperatures = content.get('temperatures') or {}
    for name, value in temperatures.items():
        if type(value) not in (int, float) or not LEAST_TEMPERATURE <= value <= MOST_TEMPERATURE:
            raise HierSegError(
                f'{path}: the temperature of {shown(name)} is {shown(value)}; it must be a number '
                f'in {LEAST_TEMPERATURE}-{MOST_TEMPERATURE}'
            )
    return ModelDescription(
        name=content['name'],
        network=network,
        input=image,
        supervised=tuple(content['supervised']),
        training=content.get('training') or {},
        scores=content.get('scores') or {},
        temperatures=temperatures,
    )


def check_hierarchy(content: Mapping[str, Any], hierarchy: Hierarchy, folder: Path) -> None:
    """Check that a model's tree is the one that its weights were trained with.

    `content` is that of ``model.yaml``, `folder` names both files in errors. A folder of format 1
    tells each classifier's number of logits only: two classes that changed places in its tree
    cannot be noticed.

    Raises
    ------
    HierSegError
        The tree has other classifiers or classes, has them in another order, or lacks a class that
        training supervised.

    """
    tree = folder / 'hierarchy.yaml'
    if content['format'] != 1:
        check_classifier_names(content['classifiers'], hierarchy, str(tree))
    elif content['classifiers'] != classifier_sizes(hierarchy):
        raise HierSegError(
            f'{tree}: its classifiers {shown(classifier_sizes(hierarchy))} are not those of the '
            f'weights, {shown(content["classifiers"])}; restore the tree that the model was '
            f'trained with'
        )
    known = hierarchy.classifier_names()
    for name in content.get('temperatures') or ():
        if name not in known:
            raise HierSegError(
                f'{folder / "model.yaml"}: temperatures: {tree.name} has no classifier '
                f'{shown(name)}; correct the name'
            )
    names = {node.name for node in hierarchy.nodes}
    for name in content['supervised']:
        if name not in names:
            raise HierSegError(
                f'{folder / "model.yaml"}: the supervised class {shown(name)} is not in '
                f'{tree.name}; restore the tree that the model was trained with'
            )


def _network(options: Any) -> NetworkOptions:
    options = _mapping(options, 'network')
    if 'fused_strides' in options:
        options['fused_strides'] = tuple(_list(options['fused_strides'], 'fused_strides'))
    if 'dropout' in options:
        options['dropout'] = _number(options['dropout'], 'dropout')
    return NetworkOptions(**options)


def _input(options: Any) -> InputOptions:
    options = _mapping(options, 'input')
    for key in ('mean', 'standard_deviation'):
        values = tuple(_number(value, key) for value in _list(options.get(key), key))
        if len(values) != 3:
            raise ValueError(f'{key} has {len(values)} values, not 3')
        options[key] = values
    return InputOptions(**options)


def _mapping(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f'{key} is {shown(value)}, not a mapping')
    return dict(value)


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f'{key} is {shown(value)}, not a list')
    return value


def _number(value: Any, key: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f'{key} is {shown(value)}, not a number')
    return float(value)


def _check_input(image: InputOptions, path: Path) -> None:
    long_side, minimum = image.long_side, image.minimum_long_side
    # type(): true and false are whole numbers in Python.
    if type(long_side) is not int or long_side < 32:
        raise HierSegError(
            f'{path}: input long_side is {shown(long_side)}; it must be a whole number of at least '
            f'32 pixels'
        )
    if long_side > MOST_LONG_SIDE:
        raise HierSegError(
            f'{path}: input long_side is {shown(long_side)}; it must be at most {MOST_LONG_SIDE} '
            f'pixels'
        )
    if type(minimum) is not int or not 0 <= minimum <= long_side:
        raise HierSegError(
            f'{path}: input minimum_long_side is {shown(minimum)}; it must be a whole number from '
            f'0 to long_side, {long_side}'
        )
    # What is beyond these is nothing but infinity in 32 bits, or becomes it.
    if not all(abs(value) <= 1e6 for value in (*image.mean, *image.standard_deviation)):
        raise HierSegError(
            f'{path}: a mean or standard_deviation is no number up to a million; correct it'
        )
    if not all(value >= 1e-6 for value in image.standard_deviation):
        raise HierSegError(
            f'{path}: a standard_deviation is not positive, or below a millionth; correct it'
        )
