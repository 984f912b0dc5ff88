# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What options are: fields that say their range and meaning; files that give them values.

For every room of the trainer; imports none of them.
"""

from hier_seg_trainer.options.fields import (
    Option,
    check_options,
    default_of,
    option,
    options_of,
    required,
)
from hier_seg_trainer.options.intervals import (
    ANY,
    BELOW_1,
    FROM_0,
    FROM_1,
    POSITIVE,
    SHARE,
    Interval,
)
from hier_seg_trainer.options.parsing import as_plain, check_given, parse

__all__ = [
    'ANY',
    'BELOW_1',
    'FROM_0',
    'FROM_1',
    'POSITIVE',
    'SHARE',
    'Interval',
    'Option',
    'as_plain',
    'check_given',
    'check_options',
    'default_of',
    'option',
    'options_of',
    'parse',
    'required',
]
