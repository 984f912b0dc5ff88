# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layers that the parts of the network are made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init


def upsampled(coarse: Tensor, fine: Tensor) -> Tensor:
    """Return `coarse` (N, C, h, w) at the height and width of `fine`."""
    size = fine.shape[-2:]
    return functional.interpolate(coarse, size, mode='bilinear', align_corners=False)


def convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Sequential:
    """Return a convolution that keeps the size, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def separable(channels: int) -> nn.Sequential:
    """Return a depthwise 3x3 and a pointwise convolution, each normalised and followed by ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


class SubPixelUpsampling(nn.Module):
    """A x2 transposed convolution (kernel 4, stride 2, padding 1) as another layer of equal values.

    Each position of the input and its neighbours give four of the output, by a 2x2 convolution to
    four times the channels, which are then put side by side. Engines have faster forms of that than
    of a transposed convolution (OpenVINO in bfloat16: 1 ms in place of 4, 12 logits of 704x512).
    """

    def __init__(self, transposed: nn.ConvTranspose2d) -> None:
        """Take over the weights of a transposed convolution."""
        super().__init__()
        channels_in, channels_out, *_ = transposed.weight.shape
        # No random weights: a conversion shall not move the random numbers of who loads a model.
        self.convolution = skip_init(nn.Conv2d, channels_in, 4 * channels_out, 2, padding=1)
        # Row 2 q + r of what is upsampled is the sum of rows q - t with the kernel's rows 2 t + r.
        split = transposed.weight.detach().reshape(channels_in, channels_out, 2, 2, 2, 2)
        kernel = split.permute(1, 3, 5, 0, 2, 4).flip(-2, -1).reshape(-1, channels_in, 2, 2)
        self.convolution.weight = nn.Parameter(kernel.contiguous(), requires_grad=False)
        assert transposed.bias is not None
        bias = transposed.bias.detach().repeat_interleave(4)
        self.convolution.bias = nn.Parameter(bias, requires_grad=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Return (N, C, 2h, 2w) for (N, D, h, w)."""
        # The padding gives a position more on each side than the transposed convolution keeps.
        return functional.pixel_shuffle(self.convolution(logits), 2)[..., 1:-1, 1:-1]
