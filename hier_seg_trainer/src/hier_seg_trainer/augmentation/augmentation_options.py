# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The choices of the augmentation: what an experiment file may say."""

from __future__ import annotations

from dataclasses import dataclass

from hier_seg_ros.errors import HierSegError
from hier_seg_trainer.options.intervals import FROM_0, SHARE, Interval, check_choice, check_numbers

AUTO_AUGMENT = ('auto', 'rand', '')
LARGEST_MAGNITUDE = 30


@dataclass(frozen=True)
class CropOptions:
    """How a crop is cut.

    Attributes
    ----------
    size : (height, width) of the crop, in pixels
    scale : the image is resized by a factor from this range, evenly in its logarithm
    flip : mirror half of the crops; one that shows something with no mirrored node stays as it is
    focus_on_boxes : share of the crops that are cut around one of the image's boxes
    scale_to_crop : ``scale`` is relative to the factor at which the image just covers the crop, as
        suits images of several sizes
    """

    size: tuple[int, int]
    scale: tuple[float, float]
    flip: bool = False
    focus_on_boxes: float = 0.0
    scale_to_crop: bool = False


@dataclass(frozen=True)
class AugmentationOptions:
    """What else is changed; all but the first five is off by default.

    A value outside its range raises HierSegError.

    Attributes
    ----------
    brightness, contrast, saturation : factors lie in 1 ± the value (0–1)
    hue : the largest turn, as a share of the hue circle (0–0.5)
    blur : the largest standard deviation of a Gaussian, in pixels; three crops in ten are blurred
    rotation : the largest angle either way, in degrees (0–45)
    pca_color : standard deviation of the shift along the principal components of colour
    auto_augment : 'auto' (AutoAugment), 'rand' (RandAugment) or '' for neither
    rand_augment_count, rand_augment_magnitude : of RandAugment: operations a crop; their strength
        (0–30)
    cutout : probability that a square is erased
    cutout_size : its edge as a share of the crop's shorter edge (0–1)
    random_erasing : probability that a rectangle becomes noise
    cutmix : probability that a rectangle shows another image
    ricap : probability that four images share the crop
    mixup : α of the Beta distribution of the mixing weight; 0: never
    copy_blob : objects of rare classes that are copied from another image, a crop
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.05
    blur: float = 1.0
    rotation: float = 0.0
    pca_color: float = 0.0
    auto_augment: str = ''
    rand_augment_count: int = 2
    rand_augment_magnitude: int = 9
    cutout: float = 0.0
    cutout_size: float = 0.25
    random_erasing: float = 0.0
    cutmix: float = 0.0
    ricap: float = 0.0
    mixup: float = 0.0
    copy_blob: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice('augmentation.auto_augment', self.auto_augment, AUTO_AUGMENT)
        check_numbers(
            'augmentation',
            self,
            {
                'brightness': SHARE,
                'contrast': SHARE,
                'saturation': SHARE,
                'hue': Interval(least=0, most=0.5),
                'blur': FROM_0,
                'rotation': Interval(least=0, most=45),
                'pca_color': FROM_0,
                'rand_augment_count': FROM_0,
                'rand_augment_magnitude': Interval(least=0, most=LARGEST_MAGNITUDE),
                'cutout': SHARE,
                'cutout_size': SHARE,
                'random_erasing': SHARE,
                'cutmix': SHARE,
                'ricap': SHARE,
                'mixup': FROM_0,
                'copy_blob': FROM_0,
            },
        )


@dataclass(frozen=True)
class PasteOptions:
    """How signs are pasted from crops of single signs.

    A value outside its range raises HierSegError.

    Attributes
    ----------
    count : at most so many are pasted where no box is (images labelled by boxes only)
    size : range of their long edge, in pixels
    replace : share of the signs of an image that get another sign pasted over them (0–1)
    """

    count: int = 0
    size: tuple[int, int] = (14, 80)
    replace: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_numbers('paste', self, {'count': FROM_0, 'replace': SHARE})
        if not 0 < self.size[0] <= self.size[1]:
            raise HierSegError(
                f'paste.size: is {list(self.size)}; give the smallest and the largest long edge'
            )
