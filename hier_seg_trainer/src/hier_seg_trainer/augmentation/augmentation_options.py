# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of the augmentation: what an experiment file may say."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.fields import check_options, option
from hier_seg_trainer.options.intervals import FROM_0, SHARE, Interval

AUTO_AUGMENT = ('auto', 'rand', '')
LARGEST_MAGNITUDE = 30


@dataclass(frozen=True)
class CropOptions:
    """How a crop is cut.

    Attributes
    ----------
    size
        (height, width) of the crop, in pixels.
    scale
        The image is resized by a factor from this range, evenly in its logarithm.
    flip
        Mirror half of the crops; one that shows something with no mirrored node stays as it is.
    focus_on_boxes
        Share of the crops that are cut around one of the image's boxes.
    scale_to_crop
        ``scale`` is relative to the factor at which the image just covers the crop, as suits
        images of several sizes.

    """

    size: tuple[int, int]
    scale: tuple[float, float]
    flip: bool = False
    focus_on_boxes: float = 0.0
    scale_to_crop: bool = False


@dataclass(frozen=True)
class AugmentationOptions:
    """What else is changed; all but the first five is off by default.

    Raises
    ------
    HierSegError
        A value is not allowed.

    """

    brightness: float = option(0.4, 'the factor lies in 1 ± this', SHARE)
    contrast: float = option(0.4, 'the factor lies in 1 ± this', SHARE)
    saturation: float = option(0.4, 'the factor lies in 1 ± this', SHARE)
    hue: float = option(0.05, 'largest turn, as a share of the circle', Interval(least=0, most=0.5))
    blur: float = option(
        1.0, 'largest standard deviation, in pixels; three crops in ten are blurred', FROM_0
    )
    rotation: float = option(0.0, 'largest angle, in degrees', Interval(least=0, most=45))
    pca_color: float = option(
        0.0, "deviation along the principal colours of ImageNet; AlexNet's was 0.1", FROM_0
    )
    auto_augment: str = option(
        '', 'AutoAugment or RandAugment, photometric operations only', AUTO_AUGMENT
    )
    rand_augment_count: int = option(2, 'of `rand`: operations on each crop', FROM_0)
    rand_augment_magnitude: int = option(
        9, 'of `rand`: their strength', Interval(least=0, most=LARGEST_MAGNITUDE)
    )
    cutout: float = option(0.0, 'probability that a square is erased', SHARE)
    cutout_size: float = option(0.25, "its edge as a share of the crop's shorter one", SHARE)
    random_erasing: float = option(0.0, 'probability that 2–40 % of a crop become noise', SHARE)
    darkness: float = option(0.0, 'probability that a crop is as dark as at night', SHARE)
    glare: float = option(0.0, 'probability that a low sun shines into the camera', SHARE)
    rain_drops: float = option(0.0, 'probability that drops are on the lens', SHARE)
    noise: float = option(0.0, 'probability that every pixel is noisy', SHARE)
    defocus: float = option(
        0.0, 'probability that a crop is out of focus, by up to 0.6 % of its width', SHARE
    )
    jpeg: float = option(0.0, 'probability that a crop was compressed to a quality of 5–33', SHARE)
    fog: float = option(0.0, 'probability that fog covers what is far', SHARE)
    bonnet: float = option(
        0.0,
        "probability that a car's own bonnet covers the lower edge, which teaches nothing",
        SHARE,
    )
    cutmix: float = option(0.0, 'probability that a rectangle shows another image', SHARE)
    ricap: float = option(0.0, 'probability that four images share the crop', SHARE)
    mixup: float = option(
        0.0, 'α of the Beta distribution of the mixing weight (pixel labels only); 0: never', FROM_0
    )
    copy_blob: int = option(
        0, 'objects of rare classes copied from another image to each (pixel labels only)', FROM_0
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_options('augmentation', self)


@dataclass(frozen=True)
class PasteOptions:
    """How signs are pasted from crops of single signs.

    Raises
    ------
    HierSegError
        A value is not allowed.

    """

    count: int = option(
        0, 'at most so many signs per crop, beside the boxes of images labelled by boxes', FROM_0
    )
    size: tuple[int, int] = option((14, 80), 'range of their long edge, in pixels')
    replace: float = option(
        0.0,
        "share of an image's signs that get another sign pasted over them. What is pasted teaches "
        "the signs' classes, whether the data set itself names them or not",
        SHARE,
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_options('paste', self)
        if not 0 < self.size[0] <= self.size[1]:
            raise HierSegError(
                f'paste.size: is {list(self.size)}; give the smallest and the largest long edge'
            )
