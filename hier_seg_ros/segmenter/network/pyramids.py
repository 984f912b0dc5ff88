# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the backbone's features of several strides to the shared ones of a single stride."""

from __future__ import annotations

from torch import Tensor, nn

from hier_seg_ros.segmenter.network.layers import convolution, separable, upsampled


class FeaturePyramid(nn.Module):
    """Features of several strides, projected to one width and summed from coarse to fine."""

    def __init__(self, channels: list[int], width: int, image_pooling: bool) -> None:
        """Take the channels of each stride, finest first."""
        super().__init__()
        self.projections = nn.ModuleList(convolution(count, width, 1) for count in channels)
        self.image_pooling = convolution(channels[-1], width, 1) if image_pooling else None
        self.refinements = nn.ModuleList(separable(width) for _ in channels[1:])

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
            fused = refine(upsampled(fused, feature) + project(feature))
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
        self.fusion = convolution(width, width, 3)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return (N, width, h, w) for features of one stride."""
        (feature,) = features
        return self.fusion(self.pooling(feature))
