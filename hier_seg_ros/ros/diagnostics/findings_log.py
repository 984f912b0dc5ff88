# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What /diagnostics says once a second, in the log: once when it begins and once when it ends."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from hier_seg_ros.ros.diagnostics.judgement import ERROR, Finding, Judgement

# What is found in so many reports in a row has begun: a single one may see the ROS graph half
# discovered, or a camera between two slow frames.
REPORTS_TO_BEGIN = 2
# What is missing in so many reports in a row is over: what comes and goes is said once.
REPORTS_TO_END = 5


class Logger(Protocol):
    """What this needs of a ROS logger."""

    def info(self, message: str) -> object:
        """Log something good."""

    def warning(self, message: str) -> object:
        """Log a warning."""

    def error(self, message: str) -> object:
        """Log an error."""


@dataclass
class _Course:
    """How a kind of finding has gone until now, in reports."""

    found: int = 0
    missing: int = 0
    begun: bool = False


class FindingsLog:
    """Compares findings with those of the reports before, by their kinds."""

    def __init__(self, logger: Logger) -> None:
        """Begin with nothing found."""
        self._logger = logger
        self._courses: dict[str, dict[str, _Course]] = {}

    def enter(self, judgements: Sequence[Judgement]) -> None:
        """Log what has begun and what is over, given all judgements of a report."""
        # What is not looked at is forgotten: whether it is over, nobody knows.
        self._courses = {
            judgement.name: self._courses.get(judgement.name, {})
            for judgement in judgements
            if judgement.at_work
        }
        for judgement in judgements:
            if judgement.at_work:
                found = {finding.kind: finding for finding in judgement.findings if finding.kind}
                self._log_beginnings(judgement.label, self._courses[judgement.name], found)
                lasting = judgement.undecided.union(found)
                self._log_ends(judgement.label, self._courses[judgement.name], lasting)

    def _log_beginnings(
        self, label: str, courses: dict[str, _Course], found: dict[str, Finding]
    ) -> None:
        beginning = []
        for kind, finding in found.items():
            course = courses.setdefault(kind, _Course())
            course.found += 1
            course.missing = 0
            if not course.begun and (finding.logged or course.found >= REPORTS_TO_BEGIN):
                course.begun = True
                if not finding.logged:
                    beginning.append(finding)
        if beginning:
            line = f'{label}: {"; ".join(finding.text for finding in beginning)}'
            if any(finding.level == ERROR for finding in beginning):
                self._logger.error(line)
            else:
                self._logger.warning(line)

    def _log_ends(self, label: str, courses: dict[str, _Course], lasting: Container[str]) -> None:
        for kind in [kind for kind in courses if kind not in lasting]:
            course = courses[kind]
            course.missing += 1
            if not course.begun:
                del courses[kind]
            elif course.missing >= REPORTS_TO_END:
                del courses[kind]
                self._logger.info(f'{label}: {kind} is over')
