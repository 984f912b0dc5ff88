# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network: a backbone, features shared by all classifiers, one branch a classifier.

The same class is trained and run. Its published shapes differ only in their options:

- the paper's (Meletis & Dubbelman, IV 2018): ResNet-50 at output stride 8, a 1x1 convolution to 256
  shared channels, a bottleneck block and a learned x2 upsampling a classifier;
- the light one: EfficientNet-Lite0, whose features at strides 4 to 32 are fused top-down;
- the light one with details: features at stride 2 correct the logits of each of its branches, so
  that what is two pixels wide can keep its outline;
- DeepLabV3 (Chen et al., arXiv 1706.05587) as torchvision has it: ResNet-50 or ResNet-101 at output
  stride 8, atrous spatial pyramid pooling to 256 channels, a 1x1 convolution a classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from hier_seg_ros.errors import HierSegError
from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.normalization import replace_batch_norm

ARCHITECTURES = ('pyramid', 'deeplabv3')


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of a network; ``model.yaml`` stores it under ``network``.

    Attributes
    ----------
    backbone : name of a timm model that can return features
    backbone_options : further keyword arguments of ``timm.create_model``, such as ``output_stride``
    fused_strides : strides of the backbone features that are fused, finest first; the shared
        features have the first one's. A single stride means no fusion, only a projection.
    shared_channels : channels of the shared features
    branch_channels : inner channels of a branch's bottleneck block; 0 for no block
    image_pooling : add the average over the whole image to the coarsest features ('deeplabv3'
        always does)
    learned_upsampling : a learned x2 transposed convolution after each classifier
    detail_channels : channels of the details, 0 for none. Details are the backbone's features at
        half the finest fused stride, which is that of the logits after learned upsampling; with
        them each branch computes what it adds to those logits.
    architecture : how the backbone's features become the shared ones: 'pyramid' fuses them,
        'deeplabv3' applies atrous spatial pyramid pooling to those of one stride
    normalization : 'batch', 'instance', 'group' or 'evo', in all parts; see ``normalization.py``
    dropout : share of the channels that training drops before each classifier, in [0, 1). Whole
        channels, because neighbouring positions tell each other what one of them lacks (Tompson
        et al., CVPR 2015).
    """

    backbone: str
    backbone_options: Mapping[str, Any]
    fused_strides: tuple[int, ...]
    shared_channels: int
    branch_channels: int
    image_pooling: bool
    learned_upsampling: bool
    architecture: str = 'pyramid'
    normalization: str = 'batch'
    dropout: float = 0.0
    detail_channels: int = 0

    @property
    def detail_stride(self) -> int:
        """Pixels of the input for each position of the details, in either direction."""
        return self.fused_strides[0] // 2


PAPER = NetworkOptions(
    backbone='resnet50',
    backbone_options={'output_stride': 8},
    fused_strides=(8,),
    shared_channels=256,
    branch_channels=64,
    image_pooling=False,
    learned_upsampling=True,
)

LIGHT = NetworkOptions(
    backbone='tf_efficientnet_lite0',
    backbone_options={},
    fused_strides=(4, 8, 16, 32),
    shared_channels=128,
    branch_channels=32,
    image_pooling=True,
    learned_upsampling=True,
)

LIGHT_DETAILED = replace(LIGHT, detail_channels=32)

DEEPLABV3_RESNET50 = NetworkOptions(
    backbone='resnet50',
    # Residual blocks of torchvision's ResNet do not start as identities, timm's would.
    backbone_options={'output_stride': 8, 'zero_init_last': False},
    fused_strides=(8,),
    shared_channels=256,
    branch_channels=0,
    image_pooling=True,
    learned_upsampling=False,
    architecture='deeplabv3',
)

NETWORKS = {
    'light': LIGHT,
    'light_detailed': LIGHT_DETAILED,
    'paper': PAPER,
    'deeplabv3_resnet50': DEEPLABV3_RESNET50,
    'deeplabv3_resnet101': replace(DEEPLABV3_RESNET50, backbone='resnet101'),
}


class Features(NamedTuple):
    """What all branches share: ``shared`` (N, C, h, w), ``details`` (N, D, 2h, 2w) if any."""

    shared: Tensor
    details: Tensor | None


class HierarchicalNetwork(nn.Module):
    """Logits of every classifier of a tree.

    Attributes
    ----------
    options : the network's shape
    classifiers : names of the classifiers, in the order of their branches
    """

    def __init__(self, options: NetworkOptions, classifiers: Mapping[str, int]) -> None:
        """Build the network with random weights.

        `classifiers` gives each classifier's number of logits, "unlabelled" included. Raises
        HierSegError if an option is wrong or timm lacks the backbone.
        """
        super().__init__()
        _check_options(options)
        self.options = options
        self.classifiers = tuple(classifiers)
        self.backbone, channels = build_backbone(options)
        self.details = (
            _convolution(channels.pop(0), options.detail_channels, 1)
            if options.detail_channels
            else None
        )
        self.pyramid = (
            AtrousPyramid(channels[0], options.shared_channels)
            if options.architecture == 'deeplabv3'
            else FeaturePyramid(channels, options.shared_channels, options.image_pooling)
        )
        # A module's name may hold no dot, and a class name may: branches go by position.
        self._position = {name: str(index) for index, name in enumerate(classifiers)}
        self.branches = nn.ModuleDict(
            {self._position[name]: Branch(options, logits) for name, logits in classifiers.items()}
        )
        replace_batch_norm(self, options.normalization, self.example_input())

    @property
    def stride(self) -> int:
        """Pixels of the input for each position of the logits, in either direction."""
        upsampling = 2 if self.options.learned_upsampling else 1
        return self.options.fused_strides[0] // upsampling

    @property
    def size_multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 32

    def example_input(self) -> Tensor:
        """Return a black image (1, 3, H, W), just so large that all its features have an area.

        Only pooled ones have a single position.
        """
        edge = 2 * self.size_multiple
        return torch.zeros(1, 3, edge, edge)

    def features(self, images: Tensor) -> Features:
        """Return what the branches need of normalised ``images`` (N, 3, H, W)."""
        height, width = images.shape[-2:]
        if height % self.size_multiple or width % self.size_multiple:
            multiple = self.size_multiple
            raise ValueError(
                f'the input is {width}x{height}; both must be multiples of {multiple}, for example '
                f'{-(-width // multiple) * multiple}x{-(-height // multiple) * multiple}'
            )
        levels = self.backbone(images)
        if self.details is None:
            return Features(self.pyramid(levels), None)
        finest, *levels = levels
        return Features(self.pyramid(levels), self.details(finest))

    def logits(self, features: Features, classifier: str) -> Tensor:
        """Return one classifier's logits (N, classes + 1, H / stride, W / stride)."""
        return self.branches[self._position[classifier]](*features)

    @torch.no_grad()
    def add_to_logit(self, classifier: str, index: int, value: float) -> None:
        """Add `value` to one of a classifier's logits, at every position and for good."""
        branch = self.branches[self._position[classifier]]
        assert isinstance(branch, Branch)
        last = branch.classifier if branch.upsampling is None else branch.upsampling
        assert last.bias is not None
        last.bias[index] += value

    def forward(
        self, images: Tensor, classifiers: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """Return the logits of `classifiers` (all by default) by classifier name."""
        features = self.features(images)
        names = self._position if classifiers is None else classifiers
        return {name: self.logits(features, name) for name in names}


class FeaturePyramid(nn.Module):
    """Features of several strides, projected to one width and summed from coarse to fine."""

    def __init__(self, channels: list[int], width: int, image_pooling: bool) -> None:
        """Take the channels of each stride, finest first."""
        super().__init__()
        self.projections = nn.ModuleList(_convolution(count, width, 1) for count in channels)
        self.image_pooling = _convolution(channels[-1], width, 1) if image_pooling else None
        self.refinements = nn.ModuleList(_separable(width) for _ in channels[1:])

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return (N, width, h, w) at the finest stride of `features` (finest first)."""
        fused = self.projections[-1](features[-1])
        if self.image_pooling is not None:
            # Fixed-size crops train it and whole images run it: only the average is comparable.
            fused = fused + self.image_pooling(features[-1].mean((2, 3), keepdim=True))
        finer = zip(
            reversed(features[:-1]),
            reversed(self.projections[:-1]),
            self.refinements,
            strict=True,
        )
        for feature, project, refine in finer:
            fused = refine(_upsampled(fused, feature) + project(feature))
        return fused


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling and a 3x3 convolution: DeepLabV3's head but its classifier."""

    def __init__(self, channels: int, width: int) -> None:
        """Build the head from `channels` features to `width` shared ones."""
        # Who runs another architecture need not wait for torchvision's models.
        from torchvision.models.segmentation.deeplabv3 import ASPP

        super().__init__()
        # torchvision's rates for output stride 8.
        self.pooling = ASPP(channels, (12, 24, 36), width)
        self.fusion = _convolution(width, width, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return (N, width, h, w) for features of one stride."""
        (feature,) = features
        return self.fusion(self.pooling(feature))


class Branch(nn.Module):
    """One classifier: a 1x1 convolution, with a block before it and a x2 after it if wanted."""

    def __init__(self, options: NetworkOptions, logits: int) -> None:
        """Build a branch from the shared features to `logits` logits."""
        super().__init__()
        width, inner = options.shared_channels, options.branch_channels
        self.bottleneck = (
            nn.Sequential(
                _convolution(width, inner, 1),
                _convolution(inner, inner, 3),
                nn.Conv2d(inner, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )
            if inner
            else None
        )
        self.dropout = nn.Dropout2d(options.dropout)
        self.classifier = nn.Conv2d(width, logits, 1)
        self.upsampling = (
            _bilinear_transposed_convolution(logits) if options.learned_upsampling else None
        )
        channels = options.detail_channels
        self.correction = Correction(width, channels, logits) if channels else None

    def forward(self, features: Tensor, details: Tensor | None = None) -> Tensor:
        """Return the logits of shared features (N, width, h, w) and, if used, of details."""
        if self.bottleneck is not None:
            features = functional.relu(features + self.bottleneck(features))
        logits = self.classifier(self.dropout(features))
        if self.upsampling is not None:
            logits = self.upsampling(logits)
        if self.correction is not None:
            assert details is not None
            logits = logits + self.correction(features, details)
        return logits


class Correction(nn.Module):
    """What details add to the logits of one classifier: nothing, before any training.

    So a network with details goes on where one without them has come to.
    """

    def __init__(self, width: int, channels: int, logits: int) -> None:
        """Take the channels of the shared features and of the details."""
        super().__init__()
        self.reduction = _convolution(width, channels, 1)
        self.refinement = _separable(channels)
        self.classifier = nn.Conv2d(channels, logits, 1, bias=False)
        nn.init.zeros_(self.classifier.weight)

    def forward(self, features: Tensor, details: Tensor) -> Tensor:
        """Return (N, logits, 2h, 2w) for features (N, C, h, w) and details (N, D, 2h, 2w)."""
        coarse = _upsampled(self.reduction(features), details)
        return self.classifier(self.refinement(coarse + details))


def build_network(options: NetworkOptions, hierarchy: Hierarchy) -> HierarchicalNetwork:
    """Return an untrained network with one branch for each classifier of `hierarchy`."""
    return HierarchicalNetwork(options, classifier_sizes(hierarchy))


def build_backbone(options: NetworkOptions) -> tuple[nn.Module, list[int]]:
    """Return timm's backbone, batch normalised, and its channels at each of ``fused_strides``.

    With details, theirs come first. Raises HierSegError if timm has no such model, the model not
    those options, or none of those strides.
    """
    arguments = dict(options.backbone_options)
    details = (options.detail_stride,) if options.detail_channels else ()
    if not timm.is_model(options.backbone):
        raise HierSegError(
            f'backbone {options.backbone!r}: timm {timm.__version__} has no such model; '
            f'see timm.list_models()'
        )
    try:
        probe = timm.create_model(
            options.backbone, features_only=True, pretrained=False, **arguments
        )
    except (RuntimeError, TypeError) as error:
        raise HierSegError(
            f'backbone {options.backbone!r}: cannot be built with the options {arguments} '
            f'({error}); choose another backbone or correct backbone_options'
        ) from error
    reductions = probe.feature_info.reduction()
    indices = []
    for stride in (*details, *options.fused_strides):
        if stride not in reductions:
            raise HierSegError(
                f'backbone {options.backbone!r}: has features of strides {reductions}, '
                f'none of stride {stride}; correct fused_strides'
            )
        # Dilation gives several stages the same stride: the deepest one is meant.
        indices.append(len(reductions) - 1 - reductions[::-1].index(stride))
    backbone = timm.create_model(
        options.backbone, features_only=True, pretrained=False, out_indices=indices, **arguments
    )
    return backbone, backbone.feature_info.channels()


def classifier_sizes(hierarchy: Hierarchy) -> dict[str, int]:
    """Return each classifier's number of logits: its classes and "unlabelled"."""
    return {classifier.name: len(classifier.nodes) + 1 for classifier in hierarchy.classifiers}


def parameter_count(network: nn.Module) -> int:
    """Return the number of learned values."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def fold_batch_norm(module: nn.Module) -> None:
    """Merge every batch normalisation into the convolution before it, in place, for inference.

    Relies on children being registered in the order in which they run, which holds for the blocks
    here and for timm's; a test compares the outputs for each backbone.
    """
    previous: nn.Module | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            if isinstance(previous, nn.Conv2d) and previous.out_channels == child.num_features:
                _fold_into(previous, child)
                # timm's normalisation carries the activation that follows it.
                setattr(module, name, getattr(child, 'act', nn.Identity()))
        else:
            fold_batch_norm(child)
        previous = child


def _fold_into(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    bias = torch.zeros_like(mean) if convolution.bias is None else convolution.bias
    convolution.weight.mul_(scale.reshape(-1, 1, 1, 1))
    convolution.bias = nn.Parameter((bias - mean) * scale + norm.bias)


def _check_options(options: NetworkOptions) -> None:
    if options.architecture not in ARCHITECTURES:
        raise HierSegError(
            f'architecture {options.architecture!r}: is not known; choose among '
            f'{", ".join(ARCHITECTURES)}'
        )
    if options.architecture == 'deeplabv3' and len(options.fused_strides) != 1:
        raise HierSegError(
            f'fused_strides {list(options.fused_strides)}: deeplabv3 uses features of one stride; '
            f'give one'
        )
    for name, least in (('shared_channels', 1), ('branch_channels', 0), ('detail_channels', 0)):
        channels = getattr(options, name)
        if type(channels) is not int or channels < least:
            raise HierSegError(f'{name} {channels!r}: must be a whole number of at least {least}')
    if options.detail_channels and not (
        options.learned_upsampling and options.architecture == 'pyramid'
    ):
        raise HierSegError(
            f'detail_channels {options.detail_channels}: details need architecture pyramid and '
            f'learned_upsampling'
        )
    if not 0 <= options.dropout < 1:
        raise HierSegError(f'dropout {options.dropout}: must be at least 0 and less than 1')


def _upsampled(coarse: Tensor, fine: Tensor) -> Tensor:
    """Return `coarse` (N, C, h, w) at the height and width of `fine`."""
    size = fine.shape[-2:]
    return functional.interpolate(coarse, size, mode='bilinear', align_corners=False)


def _convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _bilinear_transposed_convolution(channels: int) -> nn.ConvTranspose2d:
    """Return a x2 upsampling (kernel 4, stride 2) that starts out as the bilinear one."""
    upsampling = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1)
    kernel = torch.tensor([0.25, 0.75, 0.75, 0.25])
    with torch.no_grad():
        upsampling.weight.zero_()
        upsampling.weight[range(channels), range(channels)] = kernel[:, None] * kernel[None, :]
        assert upsampling.bias is not None
        upsampling.bias.zero_()
    return upsampling
