# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model folder as a whole: its files belong together, and are checked against each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.files.writing import carry_over, not_written, write_text, written_folder
from hier_seg_ros.hierarchy import Hierarchy, check_classifier_names
from hier_seg_ros.segmenter.model_folder.description import (
    ModelDescription,
    check_hierarchy,
    description_as_dict,
    parse_description,
    read_content,
)
from hier_seg_ros.segmenter.model_folder.weights import (
    check_header,
    read_header,
    read_tensors,
    weights_data,
)
from hier_seg_ros.segmenter.network import HierarchicalNetwork, build_network, network_outline

MODEL_FILE = 'model.yaml'
HIERARCHY_FILE = 'hierarchy.yaml'
WEIGHTS_FILE = 'weights.safetensors'
CARD_FILE = 'README.md'


def read_model_folder(
    folder: str | Path,
) -> tuple[ModelDescription, Hierarchy, HierarchicalNetwork]:
    """Return what a model folder holds; the network is on the CPU, in evaluation mode.

    No memory is taken for a network whose tensors are not those of the file.

    Parameters
    ----------
    folder
        Its path.

    Raises
    ------
    HierSegError
        A file is missing or unreadable, of an unknown format or has values that cannot be; the
        weights have another SHA-256; tensors are missing, unknown, of a wrong shape or type or not
        finite; the tree does not fit the weights. The line names the file and the fault.

    """
    folder = Path(folder)
    _check_files(folder)
    hierarchy = Hierarchy.load(folder / HIERARCHY_FILE)
    content = read_content(folder / MODEL_FILE)
    description = parse_description(content, folder / MODEL_FILE)
    check_hierarchy(content, hierarchy, folder)
    path = folder / WEIGHTS_FILE
    header = read_header(path)
    if header.classifier_names is not None:
        check_classifier_names(header.classifier_names, hierarchy, str(folder / HIERARCHY_FILE))
    try:
        outline = network_outline(description.network, hierarchy, len(header.tensors))
    except HierSegError as error:
        raise HierSegError(f'{folder / MODEL_FILE}: {error}') from error
    size = check_header(header, outline, path)
    tensors = read_tensors(path, header, size, content['weights_sha256'])
    network = build_network(description.network, hierarchy)
    # Not strict: the batch counters are in no file. All others have been compared.
    network.load_state_dict(tensors, strict=False)
    return description, hierarchy, network.eval()


def write_model_folder(
    folder: str | Path,
    description: ModelDescription,
    hierarchy: Hierarchy,
    network: HierarchicalNetwork,
    readme: str,
) -> None:
    """Write a model folder, in place of one that may be there; what else is in that one stays.

    Parameters
    ----------
    folder
        Where it will be.
    description
        What ``model.yaml`` will say.
    hierarchy
        The tree of `network`.
    network
        The weights, on any device.
    readme
        The text of the model card.

    Raises
    ------
    HierSegError
        `folder` cannot be written, or exists and is no model folder: nothing else is ever
        replaced.

    """
    folder = Path(folder)
    advice = 'make room or choose another path'
    try:
        foreign = folder.exists() and not (folder / MODEL_FILE).is_file()
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise not_written(folder, error, advice) from error
    if foreign:
        raise HierSegError(f'{folder}: exists and is no model folder; choose another path')
    weights = weights_data(network, hierarchy)
    content = description_as_dict(description, hierarchy)
    content['weights_sha256'] = hashlib.sha256(weights).hexdigest()
    text = _as_text(content)
    with written_folder(folder, advice) as new:
        (new / WEIGHTS_FILE).write_bytes(weights)
        hierarchy.save(new / HIERARCHY_FILE)
        (new / MODEL_FILE).write_text(text, encoding='utf-8')
        (new / CARD_FILE).write_text(readme, encoding='utf-8')
        if folder.exists():
            carry_over(folder, new, (WEIGHTS_FILE, HIERARCHY_FILE, MODEL_FILE, CARD_FILE))


def write_temperatures(folder: Path, temperatures: Mapping[str, float]) -> None:
    """Store temperatures in a model folder, in place of those that it has.

    Parameters
    ----------
    folder
        Its path.
    temperatures
        By the name of the classifier; see ``ModelDescription``.

    Raises
    ------
    HierSegError
        ``model.yaml`` cannot be read or written.

    """
    content = read_content(folder / MODEL_FILE)
    content['temperatures'] = dict(temperatures)
    write_text(folder / MODEL_FILE, _as_text(content), 'give a model folder that may be written')


def _as_text(content: Mapping[str, Any]) -> str:
    """Return what ``model.yaml`` holds as its text."""
    text: str = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=100)
    return text


def _check_files(folder: Path) -> None:
    try:
        if not folder.is_dir():
            raise HierSegError(f'model folder {folder}: does not exist; give the path of one')
        for name in (MODEL_FILE, HIERARCHY_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise HierSegError(
                    f'{folder / name}: is missing; a model folder holds {MODEL_FILE}, '
                    f'{HIERARCHY_FILE} and {WEIGHTS_FILE}: copy it again or export it anew'
                )
    except (OSError, ValueError) as error:  # a name that is too long, or has a null character
        raise HierSegError(f'model folder {folder}: {error}; give the path of one') from error
