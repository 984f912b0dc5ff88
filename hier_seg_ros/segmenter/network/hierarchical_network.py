# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The network: a backbone, features shared by all classifiers, one branch for each classifier.

The same class is trained and run. Its published shapes differ only in their options:

- the paper's (Meletis & Dubbelman, IV 2018): ResNet-50 at output stride 8, a 1x1 convolution to 256
  shared channels, a bottleneck block and a learned x2 upsampling for each classifier;
- the light one: EfficientNet-Lite0, whose features at strides 4 to 32 are fused top-down;
- the light one with details: features at stride 2 correct the logits of each of its branches, so
  that what is two pixels wide can keep its outline;
- DeepLabV3 (Chen et al., arXiv 1706.05587) as torchvision has it: ResNet-50 or ResNet-101 at output
  stride 8, atrous spatial pyramid pooling to 256 channels, a 1x1 convolution for each classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hier_seg_ros.hierarchy import Hierarchy
from hier_seg_ros.segmenter.interpolation import Part
from hier_seg_ros.segmenter.network.backbone import build_backbone
from hier_seg_ros.segmenter.network.branch import Branch
from hier_seg_ros.segmenter.network.layers import convolution
from hier_seg_ros.segmenter.network.network_options import NetworkOptions, check_options
from hier_seg_ros.segmenter.network.normalization import replace_batch_norm
from hier_seg_ros.segmenter.network.pyramids import AtrousPyramid, FeaturePyramid

# Positions of the features around a part of them that its logits depend on.
_MARGIN = 3
# Lengths of parts are multiples of this: the first time that a convolution sees a size, it takes
# three times as long (3 ms for a branch of the light network, two cores).
_LENGTH_MULTIPLE = 8


class Features(NamedTuple):
    """What all branches share: ``shared`` (N, C, h, w), ``details`` (N, D, 2h, 2w) if any."""

    shared: Tensor
    details: Tensor | None

    def of_image(self, index: int) -> Features:
        """Return those of one image of a batch, as a batch of one."""
        details = None if self.details is None else self.details[index : index + 1]
        return Features(self.shared[index : index + 1], details)

    def float(self) -> Features:
        """Return them in float32, whatever an engine gave them in."""
        return Features(self.shared.float(), None if self.details is None else self.details.float())


class HierarchicalNetwork(nn.Module):
    """Logits of every classifier of a tree.

    Attributes
    ----------
    options
        The network's shape.
    classifiers
        Names of the classifiers, in the order of their branches.

    """

    def __init__(self, options: NetworkOptions, classifiers: Mapping[str, int]) -> None:
        """Build the network with random weights.

        `classifiers` gives each classifier's number of logits, "unlabelled" included. Raises
        HierSegError if an option is wrong or timm lacks the backbone.
        """
        super().__init__()
        check_options(options)
        self.options = options
        self.classifiers = tuple(classifiers)
        self.backbone, channels = build_backbone(options)
        self.details = (
            convolution(channels.pop(0), options.detail_channels, 1)
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

    @property
    def works_in_parts(self) -> bool:
        """Whether a branch gives the same logits for a part of the features as for all of them."""
        # Instance and group normalisation look at the whole of what they are given.
        return self.options.normalization == 'batch'

    def logits_within(self, features: Features, classifier: str, part: Part) -> Tensor:
        """Return one image's logits of a classifier in a part of their grid: (C, rows, columns).

        Parameters
        ----------
        features
            Of one image, (1, C, h, w), in any precision.
        classifier
            Its name.
        part
            Rows and columns of the logits.

        """
        upsampling = 2 if self.options.learned_upsampling else 1
        # Whole positions of the features, and around them what convolutions look at: one for the
        # bottleneck block's 3x3, one for each of the two upsamplings.
        height, width = features.shared.shape[-2:]
        top, bottom = _with_margin(part.top, part.bottom, upsampling, height)
        left, right = _with_margin(part.left, part.right, upsampling, width)
        shared = features.shared[..., top:bottom, left:right]
        details = features.details
        if details is not None:
            details = details[..., 2 * top : 2 * bottom, 2 * left : 2 * right]
        logits = self.logits(Features(shared, details).float(), classifier)[0]
        row, column = part.top - upsampling * top, part.left - upsampling * left
        rows, columns = part.bottom - part.top, part.right - part.left
        return logits[:, row : row + rows, column : column + columns]

    @torch.no_grad()
    def keep_logits(self, classifier: str, indices: Sequence[int]) -> None:
        """Cut all logits of a classifier away but some, for good: the others cost nothing then.

        Parameters
        ----------
        classifier
            Its name.
        indices
            Positions, in their new order, of the logits that stay.

        """
        branch = self.branches[self._position[classifier]]
        assert isinstance(branch, Branch)
        branch.keep_logits(list(indices))

    @torch.no_grad()
    def add_to_logit(self, classifier: str, index: int, value: float) -> None:
        """Add `value` to one logit of a classifier, at every position and for good."""
        branch = self.branches[self._position[classifier]]
        assert isinstance(branch, Branch)
        last = branch.classifier if branch.upsampling is None else branch.upsampling
        assert last.bias is not None
        last.bias[index] += value

    @torch.no_grad()
    def divide_logits(self, temperatures: Mapping[str, float]) -> None:
        """Divide the logits of classifiers by their temperatures, for good.

        What is largest stays so: the decision is the same, its softmax values are others.

        Parameters
        ----------
        temperatures
            Above 0, by the name of the classifier; one that has none keeps its logits.

        """
        for name, temperature in temperatures.items():
            branch = self.branches[self._position[name]]
            assert isinstance(branch, Branch)
            branch.divide_logits(temperature)

    def forward(
        self, images: Tensor, classifiers: Iterable[str] | None = None
    ) -> dict[str, Tensor]:
        """Return the logits of `classifiers` (all by default) by classifier name."""
        features = self.features(images)
        names = self._position if classifiers is None else classifiers
        return {name: self.logits(features, name) for name in names}


def _with_margin(first: int, last: int, upsampling: int, size: int) -> tuple[int, int]:
    """Return which of `size` positions of the features logits `first` to `last` - 1 depend on."""
    first = max(0, first // upsampling - _MARGIN)
    last = min(size, -(-last // upsampling) + _MARGIN)
    length = min(size, -(-(last - first) // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE)
    first = min(first, size - length)
    return first, first + length


def build_network(options: NetworkOptions, hierarchy: Hierarchy) -> HierarchicalNetwork:
    """Return an untrained network with one branch for each classifier of `hierarchy`."""
    return HierarchicalNetwork(options, classifier_sizes(hierarchy))


def classifier_sizes(hierarchy: Hierarchy) -> dict[str, int]:
    """Return each classifier's number of logits: its classes and "unlabelled"."""
    return {classifier.name: len(classifier.nodes) + 1 for classifier in hierarchy.classifiers}


def parameter_count(network: nn.Module) -> int:
    """Return the number of learned values."""
    return sum(parameter.numel() for parameter in network.parameters())
