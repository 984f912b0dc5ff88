# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is found of the model or of a camera, on its way into a message and into the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes
    ----------
    level
        WARN or ERROR.
    text
        What is wrong, and where possible what to do; its numbers change from second to second.
    kind
        What it is, in words that do not change; '' for what is none of the log's business, because
        who has noticed it says all there is to say.
    logged
        Whether who has noticed it says that it begins, so that only its end is to be said.

    """

    level: bytes
    text: str
    kind: str = ''
    logged: bool = False


@dataclass(frozen=True)
class Judgement:
    """How the model or a camera is.

    Attributes
    ----------
    name
        The last part of the status's name, such as 'camera front'.
    label
        How a line of the log names it.
    at_work
        Whether it is looked at at all: the node is active and the camera enabled.
    findings
        What is wrong, the worst first.
    summary
        One line that says how it is where nothing is wrong.
    device
        Where the network runs; '' while no model is loaded.
    values
        The numbers of the status, by their names.
    undecided
        Kinds of findings of which nothing can be said now: too few frames have come to tell.

    """

    name: str
    label: str
    at_work: bool
    findings: tuple[Finding, ...]
    summary: str
    device: str
    values: Mapping[str, str]
    undecided: frozenset[str] = frozenset()

    def status(self, node_name: str) -> DiagnosticStatus:
        """Return the status of a message; its name begins with that of the node."""
        return DiagnosticStatus(
            level=self.findings[0].level if self.findings else OK,
            name=f'{node_name}: {self.name}',
            message='; '.join(finding.text for finding in self.findings) or self.summary,
            hardware_id=self.device or 'none',
            values=key_values(self.values),
        )


def key_values(values: Mapping[str, str]) -> list[KeyValue]:
    """Return values by their names as a status has them."""
    return [KeyValue(key=key, value=value) for key, value in values.items()]
