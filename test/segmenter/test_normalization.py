# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Other normalisations than batch normalisation: what is exchanged, and that it is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d, EvoNorm2dS0
from torch import Tensor, nn

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.network import (
    DEEPLABV3_RESNET50,
    LIGHT,
    PAPER,
    HierarchicalNetwork,
    NetworkOptions,
    build_network,
)
from hier_seg_ros.segmenter.network.normalization import (
    NORMALIZATIONS,
    group_count,
    replace_batch_norm,
    synchronise_batch_norm,
)

OTHERS = {'instance': nn.InstanceNorm2d, 'group': nn.GroupNorm, 'evo': EvoNorm2dS0}
# ResNet-26 has the blocks of ResNet-50, but half of them.
NETWORKS = {
    'light': LIGHT,
    'paper': replace(PAPER, backbone='resnet26'),
    'deeplabv3': replace(DEEPLABV3_RESNET50, backbone='resnet26'),
}
RECTIFIERS = (nn.ReLU, nn.ReLU6)


def count(network: nn.Module, kinds: type | tuple[type, ...]) -> int:
    return sum(isinstance(module, kinds) for module in network.modules())


def randomise(network: nn.Module) -> None:
    """Give every batch normalisation statistics and weights of its own, as training does."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)


@pytest.mark.parametrize('normalization', OTHERS)
@pytest.mark.parametrize('name', NETWORKS)
def test_every_batch_normalisation_is_exchanged(
    name: str, normalization: str, street_tree: Hierarchy
) -> None:
    torch.manual_seed(0)
    before = build_network(NETWORKS[name], street_tree)
    network = build_network(replace(NETWORKS[name], normalization=normalization), street_tree)
    assert count(network, nn.BatchNorm2d) == 0
    # All but the one of image pooling, which the paper's network lacks.
    pooled = 0 if name == 'paper' else 1
    assert count(network, OTHERS[normalization]) == count(before, nn.BatchNorm2d) - pooled
    if normalization != 'evo':
        assert count(network, RECTIFIERS) == count(before, RECTIFIERS)

    for module in network.modules():
        if isinstance(module, EvoNorm2dS0) and module.v is None:
            # Residual blocks that begin as identities keep back the gradient of what they hold.
            nn.init.ones_(module.weight)
        elif isinstance(module, nn.InstanceNorm2d | nn.GroupNorm):
            nn.init.ones_(module.weight)
    logits = network(torch.randn(1, 3, 64, 64))
    torch.stack([values.square().mean() for values in logits.values()]).sum().backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.abs().max() > 0, key


def evo_norms(network: nn.Module) -> Iterator[tuple[str, EvoNorm2dS0]]:
    for name, module in network.named_modules():
        if isinstance(module, EvoNorm2dS0):
            yield name, module


def test_evonorm_takes_the_place_of_the_activations_of_the_light_backbone(
    street_tree: Hierarchy,
) -> None:
    before = build_network(LIGHT, street_tree)
    network = build_network(replace(LIGHT, normalization='evo'), street_tree)
    activates = {
        name: isinstance(module.act, nn.ReLU6)
        for name, module in before.named_modules()
        if isinstance(module, BatchNormAct2d)
    }
    assert 0 < sum(activates.values()) < len(activates) == 48
    found = {name: norm.v is not None for name, norm in evo_norms(network.backbone)}
    assert {f'backbone.{name}': has for name, has in found.items()} == activates
    # Image pooling keeps its own: there is no EvoNorm before it.
    assert count(network, RECTIFIERS) == 1
    assert isinstance(network.pyramid.image_pooling[2], nn.ReLU)


def test_evonorm_leaves_the_activations_after_residual_sums(street_tree: Hierarchy) -> None:
    network = build_network(replace(PAPER, normalization='evo'), street_tree)
    for name, norm in evo_norms(network.backbone):
        last = name.split('.')[-1]
        # bn3 ends a block's inner path and downsample.1 its shortcut; the sum is activated.
        assert (norm.v is not None) == (last in ('bn1', 'bn2')), name
    kept = {
        name.split('.')[-1]
        for name, module in network.backbone.named_modules()
        if isinstance(module, RECTIFIERS)
    }
    assert kept == {'act3'}
    assert count(network.backbone, RECTIFIERS) == 16, 'one a block'
    for branch in network.branches.values():
        assert [norm.v is not None for _, norm in evo_norms(branch)] == [True, True, False]
        assert count(branch, RECTIFIERS) == 0


def test_evonorm_in_atrous_pyramid_pooling(street_tree: Hierarchy) -> None:
    network = build_network(replace(NETWORKS['deeplabv3'], normalization='evo'), street_tree)
    pooling = network.pyramid.pooling
    for place in range(4):
        assert isinstance(pooling.convs[place][1], EvoNorm2dS0)
        assert isinstance(pooling.convs[place][2], nn.Identity)
    assert isinstance(pooling.convs[4][2], nn.Identity), 'one value a channel: no normalisation'
    assert isinstance(pooling.convs[4][3], nn.ReLU)
    assert isinstance(pooling.project[1], EvoNorm2dS0)
    assert isinstance(pooling.project[2], nn.Identity)


@pytest.mark.parametrize('normalization', NORMALIZATIONS)
def test_only_batch_normalisation_lets_images_change_each_other(
    normalization: str, street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    torch.manual_seed(0)
    options = replace(tiny_network_options, normalization=normalization)
    network = build_network(options, street_tree).train()
    images = torch.randn(3, 3, 64, 64)
    together = network(images)['root'][:1]
    other = network(torch.cat([images[:1], images[1:] * 3 + 1]))['root'][:1]
    same = torch.allclose(together, other, atol=1e-5)
    assert same == (normalization != 'batch')


@pytest.mark.parametrize('normalization', OTHERS)
@pytest.mark.parametrize('training', [True, False])
def test_an_image_of_one_position_at_the_coarsest_stride_is_fine(
    training: bool, normalization: str, street_tree: Hierarchy
) -> None:
    torch.manual_seed(0)
    network = build_network(replace(LIGHT, normalization=normalization), street_tree)
    with torch.no_grad():
        logits = network.train(training)(torch.randn(1, 3, 32, 32))
    assert all(torch.isfinite(values).all() for values in logits.values())


@pytest.mark.parametrize('normalization', OTHERS)
def test_mixed_precision_stays_finite(
    normalization: str, street_tree: Hierarchy, tiny_network_options: NetworkOptions
) -> None:
    torch.manual_seed(0)
    options = replace(tiny_network_options, normalization=normalization)
    network = build_network(options, street_tree)
    images = torch.randn(2, 3, 64, 64)
    exact = network(images)['root']
    with torch.autocast('cpu', torch.bfloat16):
        logits = network(images)['root']
    # bfloat16 has 8 bits: a layer's rounding errors are about 1/256 of its values.
    assert (logits.float() - exact).abs().max() < 0.2 * exact.abs().max()
    logits.float().square().mean().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


class Residual(nn.Module):
    """Adds in place, as timm's blocks do, and rectifies the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.norm1 = nn.BatchNorm2d(4)
        self.pass_on = nn.Identity()
        self.act1 = nn.ReLU(inplace=True)
        self.norm2 = nn.BatchNorm2d(4)
        self.act2 = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        inner = self.act1(self.pass_on(self.norm1(self.conv(images))))
        inner = self.norm2(inner)
        inner += images
        return self.act2(inner)


def test_what_follows_a_normalisation_is_seen_in_the_data() -> None:
    block = Residual().eval()
    replace_batch_norm(block, 'evo', torch.randn(1, 4, 2, 2))
    assert isinstance(block.norm1, EvoNorm2dS0)
    assert block.norm1.v is not None
    assert isinstance(block.act1, nn.Identity)
    assert isinstance(block.norm2, EvoNorm2dS0)
    assert block.norm2.v is None
    assert isinstance(block.act2, nn.ReLU)
    assert not block.training, 'as it was'


def test_an_activation_with_two_duties_is_refused() -> None:
    block = Residual()
    block.act2 = block.act1
    with pytest.raises(HierSegError, match="'evo': the activation 'act1' follows more than"):
        replace_batch_norm(block, 'evo', torch.randn(1, 4, 2, 2))
    replace_batch_norm(block, 'group', torch.randn(1, 4, 2, 2))
    assert count(block, nn.BatchNorm2d) == 0


def test_an_unknown_normalisation_is_told_the_known_ones() -> None:
    with pytest.raises(HierSegError, match=r"normalization 'layer': .*batch, instance, group, evo"):
        replace_batch_norm(Residual(), 'layer', torch.randn(1, 4, 2, 2))


@pytest.mark.parametrize('normalization', ['instance', 'group'])
def test_weights_and_biases_stay(normalization: str) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    randomise(network)
    weight, bias = network[1].weight, network[1].bias
    replace_batch_norm(network, normalization, torch.zeros(1, 3, 8, 8))
    norm = network[1]
    assert isinstance(norm, nn.InstanceNorm2d | nn.GroupNorm)
    assert torch.equal(norm.weight, weight)
    assert torch.equal(norm.bias, bias)
    assert isinstance(network[2], nn.ReLU)

    # By hand: mean and variance over the positions of each group of channels.
    features = torch.randn(2, 8, 5, 7)
    groups = 8 if normalization == 'instance' else 4
    grouped = features.double().reshape(2, groups, -1)
    centred = grouped - grouped.mean(2, keepdim=True)
    normalised = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
    expected = normalised.reshape(2, 8, 5, 7) * weight[:, None, None] + bias[:, None, None]
    torch.testing.assert_close(norm(features).double(), expected, atol=1e-5, rtol=1e-5)


def test_evonorm_computes_what_its_paper_says() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    replace_batch_norm(network, 'evo', torch.zeros(1, 3, 8, 8))
    norm = network[1]
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    features = torch.randn(2, 8, 5, 7)
    grouped = features.double().reshape(2, 4, -1)
    deviation = (grouped.var(2, unbiased=False) + 1e-5).sqrt().repeat_interleave(2, 1)
    weight, bias, v = (p.detach().double()[:, None, None] for p in (norm.weight, norm.bias, norm.v))
    swish = features / (1 + torch.exp(-v * features))
    expected = swish / deviation[..., None, None] * weight + bias
    torch.testing.assert_close(norm(features).double(), expected, atol=1e-5, rtol=1e-5)


def test_evonorm_without_an_activation_starts_as_what_it_replaces() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).eval()
    randomise(network)
    images = torch.randn(2, 3, 9, 9)
    expected = network(images)
    replace_batch_norm(network, 'evo', images)
    assert isinstance(network[1], EvoNorm2dS0)
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ('channels', 'groups'),
    [
        (2048, 32),
        (320, 32),
        (64, 32),
        (112, 28),
        (40, 20),
        (24, 12),
        (16, 8),
        (7, 1),
        (2, 1),
        (1, 1),
    ],
)
def test_groups_have_two_channels_or_more(channels: int, groups: int) -> None:
    assert group_count(channels) == groups


def test_synchronised_normalisation_keeps_weights_activations_and_names(
    street_tree: Hierarchy,
) -> None:
    torch.manual_seed(0)
    network = build_network(LIGHT, street_tree)
    randomise(network)
    state = network.state_dict(keep_vars=True)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = network.eval()(images)
    activations = count(network, RECTIFIERS)

    synchronised = synchronise_batch_norm(network)
    assert isinstance(synchronised, HierarchicalNetwork)
    assert count(synchronised, nn.BatchNorm2d) == 0
    assert count(synchronised, nn.SyncBatchNorm) == 74
    assert count(synchronised, RECTIFIERS) == activations
    after = synchronised.state_dict(keep_vars=True)
    assert list(after) == list(state)
    assert all(after[name] is value for name, value in state.items())
    with torch.no_grad():
        for name, values in synchronised(images).items():
            torch.testing.assert_close(values, expected[name], msg=name)


def test_several_processes_on_cpus_are_told_what_to_choose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    with pytest.raises(HierSegError, match=r'GPUs only; choose .*instance, group, evo'):
        synchronise_batch_norm(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)))


@pytest.mark.parametrize('backbone', ['resnet18', 'regnetx_002', 'mobilenetv3_small_050'])
def test_other_backbones_of_timm(backbone: str) -> None:
    torch.manual_seed(0)
    network = timm.create_model(backbone, features_only=True, pretrained=False)
    replace_batch_norm(network, 'evo', torch.zeros(1, 3, 64, 64))
    assert count(network, nn.BatchNorm2d) == 0
    norms = dict(evo_norms(network))
    assert any(norm.v is None for norm in norms.values())
    assert any(norm.v is not None for norm in norms.values())
    assert all(torch.isfinite(f).all() for f in network(torch.randn(2, 3, 64, 64)))
