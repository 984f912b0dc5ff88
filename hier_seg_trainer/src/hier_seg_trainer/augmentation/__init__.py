# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From a data set's sample to a training crop, by random numbers that the caller seeds.

Every function takes a crop and gives another; none changes what it is given. The order is that of
``batches``: cut (``geometry``), paste (``pasting``), erase (``erasing``), draw the boxes into maps
(``crops``), mix with other crops (``mixing``), and change the colours last (``color``).

For `batches`, `training` and, its options, `configuration`; imports `datasets` and `options`.
"""
