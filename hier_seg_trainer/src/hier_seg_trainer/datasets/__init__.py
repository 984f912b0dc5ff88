# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Street data sets, read in their published layouts and in those of labelling tools.

``opening`` gives a data set by the name of its format, ``samples`` says what each of them gives.
The rooms below are for this one: every other room of the trainer imports the modules here, and of
those below only the classes that it must tell from others (``Gtsrb``, ``LabelledImages``).
"""
