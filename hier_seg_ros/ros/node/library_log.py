# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the rooms that know no ROS log, in the node's log."""

from __future__ import annotations

import logging
from typing import Any

_PACKAGE = logging.getLogger('hier_seg_ros')


class LibraryLog(logging.Handler):
    """Hands lines of Python's logging on to a node's logger, until it is closed."""

    def __init__(self, logger: Any) -> None:
        """Take the node's logger."""
        super().__init__()
        self._logger = logger
        self._level_before = _PACKAGE.level
        _PACKAGE.setLevel(logging.INFO)
        _PACKAGE.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a line."""
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())

    def close(self) -> None:
        """Hand nothing on any more; calling it again does nothing."""
        if self in _PACKAGE.handlers:
            _PACKAGE.removeHandler(self)
            _PACKAGE.setLevel(self._level_before)
        super().close()
