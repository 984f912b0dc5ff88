# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Model folders: what is written is read again, and what is damaged is refused by name."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter import Segmenter
from hier_seg_ros.segmenter.model_folder import (
    InputOptions,
    ModelDescription,
    read_model_folder,
    write_model_folder,
)
from hier_seg_ros.segmenter.network import ARCHITECTURES, NetworkOptions, build_network
from hier_seg_ros.segmenter.network.normalization import NORMALIZATIONS


@pytest.fixture
def folder(untrained_model: Path, tmp_path: Path) -> Path:
    """Return a copy of a good model folder, to be damaged."""
    return Path(shutil.copytree(untrained_model, tmp_path / 'model'))


def change_yaml(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / 'model.yaml'
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding='utf-8')


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change tensors and make the SHA-256 fit again, so that only the tensors are wrong."""
    path = folder / 'weights.safetensors'
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    change_yaml(folder, lambda content: content.update(weights_sha256=digest))


def refused(folder: Path) -> str:
    with pytest.raises(HierSegError) as caught:
        Segmenter.load(folder, 'cpu')
    message = str(caught.value)
    assert '\n' not in message
    return message


def test_what_is_written_is_read_again(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    write_model_folder(tmp_path / 'copy', description, hierarchy, network, '# card\n')
    again, tree, copied = read_model_folder(tmp_path / 'copy')
    assert again == description
    assert tree == hierarchy
    state = copied.state_dict()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert sorted(path.name for path in (tmp_path / 'copy').iterdir()) == [
        'README.md', 'hierarchy.yaml', 'model.yaml', 'weights.safetensors',
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ['copy'], 'nothing half-written is left'


@pytest.mark.parametrize('normalization', NORMALIZATIONS)
@pytest.mark.parametrize('architecture', ARCHITECTURES)
def test_every_kind_of_network_is_read_again(
    architecture: str,
    normalization: str,
    street_tree: Hierarchy,
    tiny_network_options: NetworkOptions,
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    options = replace(
        tiny_network_options,
        fused_strides=(8, 16) if architecture == 'pyramid' else (16,),
        architecture=architecture,
        normalization=normalization,
        dropout=0.1,
    )
    network = build_network(options, street_tree)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(4, 3, 64, 64))
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    names = tuple(node.name for node in street_tree.nodes)
    image = InputOptions(128, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    description = ModelDescription('kind', options, image, names)
    write_model_folder(tmp_path / 'model', description, street_tree, network, '')
    again, _, copied = read_model_folder(tmp_path / 'model')
    assert again == description
    images = torch.randn(2, 3, 64, 96)
    network.eval()
    with torch.inference_mode():
        for name, values in network(images).items():
            assert torch.equal(copied(images)[name], values), name

    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    direct = Segmenter(description, street_tree, network, device='cpu')
    (expected,) = direct.segment([picture])
    (result,) = Segmenter.load(tmp_path / 'model', 'cpu').segment([picture])
    assert len(np.unique(expected.finest)) > 1
    assert np.array_equal(result.finest, expected.finest)


def test_a_model_folder_from_before_there_were_other_networks_is_read(folder: Path) -> None:
    expected, _, _ = read_model_folder(folder)

    def as_before(content: dict[str, Any]) -> None:
        for key in ('architecture', 'normalization', 'dropout'):
            del content['network'][key]

    change_yaml(folder, as_before)
    description, _, network = read_model_folder(folder)
    assert description == expected
    options = description.network
    assert (options.architecture, options.normalization) == ('pyramid', 'batch')
    assert options.dropout == 0
    assert network.options == options


def test_only_a_model_folder_is_replaced(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    (tmp_path / 'precious').mkdir()
    (tmp_path / 'precious' / 'thesis.tex').touch()
    with pytest.raises(HierSegError, match='exists and is no model folder'):
        write_model_folder(tmp_path / 'precious', description, hierarchy, network, '')
    write_model_folder(tmp_path / 'm', description, hierarchy, network, 'old')
    write_model_folder(tmp_path / 'm', description, hierarchy, network, 'new')
    assert (tmp_path / 'm' / 'README.md').read_text(encoding='utf-8') == 'new'


def test_a_place_that_cannot_be_written_is_named(untrained_model: Path, tmp_path: Path) -> None:
    description, hierarchy, network = read_model_folder(untrained_model)
    file = tmp_path / 'file'
    file.write_text('no folder', encoding='utf-8')
    with pytest.raises(HierSegError, match=r'file/model: cannot be written \('):
        write_model_folder(file / 'model', description, hierarchy, network, '')


def test_a_missing_folder_or_file_is_named(folder: Path) -> None:
    assert 'does not exist' in refused(folder / 'absent')
    for name in ('model.yaml', 'hierarchy.yaml', 'weights.safetensors'):
        hidden = folder / f'{name}.hidden'
        (folder / name).rename(hidden)
        assert f'{folder / name}: is missing' in refused(folder)
        hidden.rename(folder / name)


def test_a_wrong_sha256_is_told_with_both(folder: Path) -> None:
    path = folder / 'weights.safetensors'
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    message = refused(folder)
    assert hashlib.sha256(data).hexdigest() in message
    assert 'model.yaml says' in message


def test_weights_that_are_no_safetensors_are_refused(folder: Path) -> None:
    torch.save({'w': torch.zeros(1)}, folder / 'weights.safetensors')
    digest = hashlib.sha256((folder / 'weights.safetensors').read_bytes()).hexdigest()
    change_yaml(folder, lambda content: content.update(weights_sha256=digest))
    assert 'is no safetensors file' in refused(folder)


def _some(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in tensors if name.endswith('weight'))


def test_tensors_are_checked_by_name_shape_and_value(folder: Path) -> None:
    original = folder.with_name('original')
    shutil.copytree(folder, original)

    def missing(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[_some(tensors)]

    def unknown(tensors: dict[str, torch.Tensor]) -> None:
        tensors['surprise'] = torch.zeros(1)

    def shape(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)] = torch.zeros(1, 2, 3)

    def not_a_number(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)].view(-1)[0] = float('nan')

    def infinite(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_some(tensors)].view(-1)[0] = float('-inf')

    for change, words in (
        (missing, 'is missing'),
        (unknown, "'surprise' is unknown"),
        (shape, 'has shape [1, 2, 3], not'),
        (not_a_number, 'holds NaN or infinity'),
        (infinite, 'holds NaN or infinity'),
    ):
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
        change_weights(folder, change)
        message = refused(folder)
        assert words in message, message
        assert 'weights.safetensors: the tensor' in message


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda c: c.update(format=3), 'format is 3; this version reads formats 1 and 2'),
        (lambda c: c.pop('weights_sha256'), "has no 'weights_sha256'"),
        (lambda c: c.pop('supervised'), "has no 'supervised'"),
        (lambda c: c['network'].update(depth=3), 'network or input cannot be used'),
        (lambda c: c['network'].update(backbone='resnet5'), "model.yaml: backbone 'resnet5'"),
        (lambda c: c['network'].update(architecture='unet'), "model.yaml: architecture 'unet'"),
        (lambda c: c['network'].update(normalization='no'), "model.yaml: normalization 'no'"),
        (lambda c: c['network'].update(dropout=1.5), 'model.yaml: dropout 1.5'),
        (lambda c: c['network'].update(dropout='much'), 'network or input cannot be used'),
        (
            lambda c: c['network'].update(shared_channels='many'),
            "model.yaml: shared_channels 'many'",
        ),
        (lambda c: c['network'].update(branch_channels=-1), 'model.yaml: branch_channels -1'),
        (lambda c: c['network'].update(detail_channels=0.5), 'model.yaml: detail_channels 0.5'),
        (lambda c: c['input'].update(mean=[0.5]), 'mean has 1 values, not 3'),
        (lambda c: c['input'].update(long_side=-5), 'long_side is -5'),
        (lambda c: c['input'].update(minimum_long_side=5000), 'number from 0 to long_side'),
        (lambda c: c['input'].update(minimum_long_side='64'), "minimum_long_side is '64'"),
        (lambda c: c['input'].update(standard_deviation=[1, 0, 1]), 'is not positive'),
        (lambda c: c['supervised'].append('unicorn'), "class 'unicorn' is not in"),
        (lambda c: c['classifiers'].update(root=7), 'are not those of the weights'),
    ],
)
def test_model_yaml_is_checked(
    change: Callable[[dict[str, Any]], None], words: str, folder: Path
) -> None:
    change_yaml(folder, change)
    message = refused(folder)
    assert words in message
    assert str(folder) in message


def test_model_yaml_that_is_none_is_refused(folder: Path) -> None:
    for text in ('[', '- 1', '!!python/name:os.system'):
        (folder / 'model.yaml').write_text(text, encoding='utf-8')
        assert f'{folder / "model.yaml"}: ' in refused(folder)


def test_a_tree_that_does_not_fit_the_weights_is_refused(folder: Path) -> None:
    other = Hierarchy(
        {'format': 1, 'name': 'other', 'nodes': [{'id': 0, 'name': 'a', 'color': [0, 0, 0]}]}
    )
    other.save(folder / 'hierarchy.yaml')
    assert 'restore the tree that the model was trained with' in refused(folder)
