# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The model folder: ``model.yaml``, ``hierarchy.yaml``, ``weights.safetensors`` (and a README.md).

Reading checks everything before the network runs; writing leaves a whole folder or none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import (
    HierarchicalNetwork,
    NetworkOptions,
    build_network,
    classifier_sizes,
)

FORMAT = 1
MODEL_FILE = 'model.yaml'
HIERARCHY_FILE = 'hierarchy.yaml'
WEIGHTS_FILE = 'weights.safetensors'


@dataclass(frozen=True)
class InputOptions:
    """How an image becomes the network's input.

    ``long_side``: images with a longer side than this many pixels are scaled down to it.
    ``mean`` and ``standard_deviation``: of RGB in 0-1, by which the input is normalised.
    ``minimum_long_side``: images whose longer side has fewer pixels are scaled up to it, 0: none.
    """

    long_side: int
    mean: tuple[float, float, float]
    standard_deviation: tuple[float, float, float]
    minimum_long_side: int = 0


@dataclass(frozen=True)
class ModelDescription:
    """What ``model.yaml`` says about a model, beside its weights.

    ``supervised`` are the names of the nodes that training supervised; ``training`` says what it
    was trained on and how, ``scores`` what it reached: for people, and for training that goes on
    from this model, to read.
    """

    name: str
    network: NetworkOptions
    input: InputOptions
    supervised: tuple[str, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)


def read_model_folder(
    folder: str | Path,
) -> tuple[ModelDescription, Hierarchy, HierarchicalNetwork]:
    """Return what a model folder holds; the network is on the CPU, in evaluation mode.

    Raises HierSegError, naming the file and the fault: a file that is missing or unreadable, an
    unknown format, weights with another SHA-256, tensors that are missing, unknown, of a wrong
    shape or not finite, a tree that does not fit the weights.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise HierSegError(f'model folder {folder}: does not exist; give the path of one')
    for name in (MODEL_FILE, HIERARCHY_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise HierSegError(
                f'{folder / name}: is missing; a model folder holds {MODEL_FILE}, '
                f'{HIERARCHY_FILE} and {WEIGHTS_FILE}: copy it again or export it anew'
            )
    hierarchy = Hierarchy.load(folder / HIERARCHY_FILE)
    content = _read_yaml(folder / MODEL_FILE)
    description = _parse_description(content, folder / MODEL_FILE)
    _check_tree(content, description, hierarchy, folder)
    tensors = _read_weights(folder / WEIGHTS_FILE, content['weights_sha256'])
    try:
        network = build_network(description.network, hierarchy)
    except HierSegError as error:
        raise HierSegError(f'{folder / MODEL_FILE}: {error}') from error
    _check_tensors(tensors, network.state_dict(), folder / WEIGHTS_FILE)
    network.load_state_dict(tensors)
    return description, hierarchy, network.eval()


def write_model_folder(
    folder: str | Path,
    description: ModelDescription,
    hierarchy: Hierarchy,
    network: HierarchicalNetwork,
    readme: str,
) -> None:
    """Write a model folder, in place of one that may be there.

    `readme` is the text of the model card. Raises HierSegError if `folder` cannot be written, or
    exists and is no model folder: nothing else is ever replaced.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / MODEL_FILE).is_file():
        raise HierSegError(f'{folder}: exists and is no model folder; choose another path')
    weights = save_tensors({k: v.detach().cpu().contiguous() for k, v in _state(network).items()})
    content = _description_as_dict(description, hierarchy)
    content['weights_sha256'] = hashlib.sha256(weights).hexdigest()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
        try:
            # mkdtemp makes a private folder; a model folder is to be read by everyone.
            partial.chmod(0o755)
            (partial / WEIGHTS_FILE).write_bytes(weights)
            hierarchy.save(partial / HIERARCHY_FILE)
            text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
            (partial / MODEL_FILE).write_text(text, encoding='utf-8')
            (partial / 'README.md').write_text(readme, encoding='utf-8')
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise HierSegError(
            f'{folder}: cannot be written ({error.strerror or error}); make room or choose another '
            f'path'
        ) from error


def _state(network: HierarchicalNetwork) -> dict[str, Tensor]:
    # The batch counters of batch normalisation are of no use once training is over.
    state = network.state_dict()
    return {name: value for name, value in state.items() if not _is_counter(name)}


def _is_counter(name: str) -> bool:
    return name.endswith('.num_batches_tracked')


def _description_as_dict(description: ModelDescription, hierarchy: Hierarchy) -> dict[str, Any]:
    network = asdict(description.network)
    network['backbone_options'] = dict(description.network.backbone_options)
    network['fused_strides'] = list(description.network.fused_strides)
    image = asdict(description.input)
    return {
        'format': FORMAT,
        'name': description.name,
        'network': network,
        'input': {
            key: list(value) if isinstance(value, tuple) else value for key, value in image.items()
        },
        'hierarchy': hierarchy.name,
        'classifiers': classifier_sizes(hierarchy),
        'supervised': list(description.supervised),
        'training': dict(description.training),
        'scores': dict(description.scores),
    }


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise HierSegError(f'{path}: cannot be read ({reason}); export the model anew') from error
    if not isinstance(content, dict):
        raise HierSegError(f'{path}: is not a mapping; export the model anew')
    if content.get('format') != FORMAT:
        raise HierSegError(
            f'{path}: format is {content.get("format")!r}; this version reads format {FORMAT}: '
            f'export the model anew or install the version that wrote it'
        )
    return content


def _parse_description(content: Mapping[str, Any], path: Path) -> ModelDescription:
    required = ('name', 'network', 'input', 'classifiers', 'supervised', 'weights_sha256')
    for key in required:
        if key not in content:
            raise HierSegError(f'{path}: has no {key!r}; export the model anew')
    try:
        network = dict(content['network'])
        network['fused_strides'] = tuple(network['fused_strides'])
        if 'dropout' in network:
            network['dropout'] = float(network['dropout'])
        image = dict(content['input'])
        for key in ('mean', 'standard_deviation'):
            image[key] = tuple(float(value) for value in image[key])
            if len(image[key]) != 3:
                raise ValueError(f'{key} has {len(image[key])} values, not 3')
        description = ModelDescription(
            name=str(content['name']),
            network=NetworkOptions(**network),
            input=InputOptions(**image),
            supervised=tuple(content['supervised']),
            training=content.get('training') or {},
            scores=content.get('scores') or {},
        )
    except (TypeError, KeyError, ValueError) as error:
        known = ', '.join(f.name for f in (*fields(NetworkOptions), *fields(InputOptions)))
        raise HierSegError(
            f'{path}: network or input cannot be used ({error}); their keys are {known}'
        ) from error
    long_side, minimum = description.input.long_side, description.input.minimum_long_side
    if not isinstance(long_side, int) or long_side < 32:
        raise HierSegError(
            f'{path}: input long_side is {long_side!r}; it must be a whole number of at least '
            f'32 pixels'
        )
    if not isinstance(minimum, int) or not 0 <= minimum <= long_side:
        raise HierSegError(
            f'{path}: input minimum_long_side is {minimum!r}; it must be a whole number from 0 '
            f'to long_side, {long_side}'
        )
    if not all(value > 0 for value in description.input.standard_deviation):
        raise HierSegError(f'{path}: a standard_deviation is not positive; correct it')
    return description


def _check_tree(
    content: Mapping[str, Any], description: ModelDescription, hierarchy: Hierarchy, folder: Path
) -> None:
    expected = classifier_sizes(hierarchy)
    if content['classifiers'] != expected:
        raise HierSegError(
            f'{folder / HIERARCHY_FILE}: its classifiers {expected} are not those of the weights, '
            f'{content["classifiers"]}; restore the tree that the model was trained with'
        )
    names = {node.name for node in hierarchy.nodes}
    for name in description.supervised:
        if name not in names:
            raise HierSegError(
                f'{folder / MODEL_FILE}: the supervised class {name!r} is not in '
                f'{HIERARCHY_FILE}; restore the tree that the model was trained with'
            )


def _read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HierSegError(f'{path}: cannot be read ({error.strerror})') from error
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise HierSegError(
            f'{path}: its SHA-256 is {actual}, {MODEL_FILE} says {sha256}; the file is damaged or '
            f'of another model: copy the model folder again'
        )
    try:
        return load_tensors(data)
    except SafetensorError as error:
        raise HierSegError(f'{path}: is no safetensors file ({error}); export it anew') from error


def _check_tensors(tensors: dict[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Check names, shapes and values; add the batch counters that the file leaves out."""
    wanted = {name for name in expected if not _is_counter(name)}
    advice = 'the weights do not fit the network and tree: export the model anew'
    for name in sorted(wanted - tensors.keys()):
        raise HierSegError(f'{path}: the tensor {name!r} is missing; {advice}')
    for name in sorted(tensors.keys() - wanted):
        raise HierSegError(f'{path}: the tensor {name!r} is unknown; {advice}')
    for name in sorted(wanted):
        if tensors[name].shape != expected[name].shape:
            raise HierSegError(
                f'{path}: the tensor {name!r} has shape {list(tensors[name].shape)}, not '
                f'{list(expected[name].shape)}; {advice}'
            )
        if not torch.isfinite(tensors[name]).all():
            raise HierSegError(
                f'{path}: the tensor {name!r} holds NaN or infinity; the training went wrong: '
                f'export an earlier checkpoint'
            )
    tensors.update({name: expected[name] for name in expected if _is_counter(name)})
