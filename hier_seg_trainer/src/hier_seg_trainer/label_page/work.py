# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The work on a labelling folder as several sessions share it: what is next, answers, frames.

It knows nothing of HTTP. What it returns is ready for JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hier_seg_ros.errors import HierSegError, shown
from hier_seg_ros.hierarchy import UNLABELLED
from hier_seg_trainer.label_page.leases import Leases
from hier_seg_trainer.labelling.folder import LabellingFolder
from hier_seg_trainer.labelling.log import Log
from hier_seg_trainer.labelling.proposals import Proposal
from hier_seg_trainer.labelling.state import ANSWERS, PUT_OFF, ConflictError, Entry, State

T = TypeVar('T')

# What a page may look through: what is open, what was put off.
KINDS = ('open', *PUT_OFF)
# A page shows one and loads the pictures of the others.
MOST_AHEAD = 8


class OvertakenError(ConflictError):
    """Somebody else has answered a proposal meanwhile.

    Attributes
    ----------
    theirs
        The other answer, as `Work` shows it.

    """

    def __init__(self, text: str, theirs: Mapping[str, Any]) -> None:
        """Store the line and the other answer."""
        super().__init__(text)
        self.theirs = theirs


class Work:
    """A labelling folder that is being worked on; any thread may call its methods.

    Attributes
    ----------
    folder
        The folder.

    """

    def __init__(self, folder: LabellingFolder, log: Log, leases: Leases | None = None) -> None:
        """Begin where the log ends; the caller holds the folder's lock."""
        self.folder = folder
        self._log = log
        self._leases = leases or Leases()
        self._mutex = RLock()
        self._position = {
            proposal.id: place for place, proposal in enumerate(folder.proposals, start=1)
        }

    @property
    def state(self) -> State:
        """What the log adds up to now."""
        return self._log.state

    def read(self, look: Callable[[State], T]) -> T:
        """Return what `look` makes of the state, which does not change meanwhile."""
        with self._mutex:
            return look(self.state)

    def counts(self) -> dict[str, int]:
        """Return how many proposals there are, how many are open, and how many have each answer."""
        with self._mutex:
            counts = self.state.counts()
        total = len(self.folder.proposals)
        return {'all': total, 'open': total - sum(counts.values()), **counts}

    def proposal(self, proposal_id: int) -> dict[str, Any]:
        """Return a proposal with its answer.

        Raises
        ------
        HierSegError
            There is none with this number.

        """
        with self._mutex:
            self.folder.check_action({'proposal': proposal_id})
            return self._shown(self.folder.proposal_of_id[proposal_id])

    def queue(self, session: str, kind: str, after: int, count: int) -> list[dict[str, Any]]:
        """Return the proposals that a session should look at next, and lease them to it.

        Parameters
        ----------
        session
            Who asks.
        kind
            One of `KINDS`.
        after
            Only those whose position in the folder's order, from 1, is above this.
        count
            How many at most; at most `MOST_AHEAD`.

        Raises
        ------
        HierSegError
            There is no such kind.

        """
        if kind not in KINDS:
            raise HierSegError(f'kind: is {shown(kind)}; it must be {", ".join(KINDS)}')
        found: list[dict[str, Any]] = []
        with self._mutex:
            for proposal in self.folder.proposals[max(0, after) :]:
                if len(found) >= min(count, MOST_AHEAD):
                    break
                if self._is_of(proposal.id, kind) and self._leases.is_free(proposal.id, session):
                    self._leases.take(proposal.id, session)
                    found.append(self._shown(proposal))
        return found

    def answer(
        self, session: str, author: str, action: Mapping[str, Any], seen: int
    ) -> dict[str, Any]:
        """Write what somebody says about a proposal; again, it changes nothing.

        Parameters
        ----------
        session, author
            Who says it.
        action
            As the log has it: ``action``, ``proposal``, and ``class`` or ``comment``.
        seen
            The number of the answer that was on the screen; 0 for none.

        Returns
        -------
        dict[str, Any]
            The answer as it stands.

        Raises
        ------
        OvertakenError
            Another answer than the one on the screen stands by now.
        HierSegError
            The action is none of a proposal, names what there is not, or cannot be written.

        """
        kind, key = action.get('action'), action.get('proposal')
        if kind not in (*ANSWERS, *PUT_OFF):
            raise HierSegError(f'action: is {shown(kind)}; it must be an answer to a proposal')
        if type(key) is not int:
            raise HierSegError(f'proposal: is {shown(key)}; it must be a number')
        with self._mutex:
            self.folder.check_action(action)
            standing = (self.state.answers if kind in ANSWERS else self.state.put_off).get(key)
            if standing is not None and _is_repeated(standing, session, action):
                return self._entry(standing)
            if kind in ANSWERS and standing is not None and standing.number != seen:
                raise OvertakenError(
                    f'proposal {key}: {standing.author} has answered it meanwhile; look at both '
                    f'answers',
                    self._entry(standing),
                )
            entry = self.folder.append(self._log, author, session, action)
            self._leases.release(key)
            return self._entry(entry)

    def undo(self, session: str, author: str, number: int | None) -> dict[str, Any]:
        """Take back an entry of a session.

        Parameters
        ----------
        session, author
            Who takes it back.
        number
            The entry's; ``None`` for the session's newest that stands and concerns a proposal.

        Returns
        -------
        dict[str, Any]
            The proposal that it was about, with the answer that stands now, leased to the session.

        Raises
        ------
        HierSegError
            There is no such entry, it is another session's, or this cannot be written.

        """
        with self._mutex:
            entry = self._own(session, number)
            if entry.number not in self.state.undone_by:
                self.folder.append(
                    self._log, author, session, {'action': 'undo', 'undoes': entry.number}
                )
            proposal = entry.values['proposal']
            self._leases.take(proposal, session)
            return self.proposal(proposal)

    def images(self) -> list[dict[str, Any]]:
        """Return each picture's name, its proposals, those that are open, and its newest labels."""
        with self._mutex:
            total = Counter(proposal.image for proposal in self.folder.proposals)
            left = Counter(
                proposal.image
                for proposal in self.folder.proposals
                if self.state.is_open(proposal.id)
            )
            frames = self.state.frames
            return [
                {
                    'name': name,
                    'proposals': total[name],
                    'open': left[name],
                    'frame': frames[name].number if name in frames else 0,
                }
                for name in self.folder.images
            ]

    def frame(self, image: str) -> tuple[NDArray[np.uint8] | None, int]:
        """Return the newest labels of a frame, H×W node ids, and the number of their entry.

        The number is 0 for the prediction, which is None where there is none.

        Raises
        ------
        HierSegError
            There is no such picture, or the labels cannot be read.

        """
        with self._mutex:
            entry = self.state.frames.get(image)
        if entry is None:
            return self.folder.prediction(image), 0
        self.folder.image_path(image)
        return self.folder.frame_labels(entry), entry.number

    def save_frame(
        self, session: str, author: str, image: str, labels: NDArray[np.uint8], base: int
    ) -> dict[str, Any]:
        """Write the labels of a frame; again, it changes nothing.

        Parameters
        ----------
        session, author
            Who has painted them.
        image
            The picture's name.
        labels
            H×W node ids, 255 = unlabelled.
        base
            The number of the entry whose labels they were painted on; 0 for the prediction.

        Raises
        ------
        OvertakenError
            The newest labels are others by now.
        HierSegError
            There is no such picture, the labels hold what is no id, or cannot be written.

        """
        with self._mutex:
            newest = self.state.frames.get(image)
            if newest is not None and newest.number != base:
                repeated = newest.session == session and newest.values['base'] == base
                if repeated and np.array_equal(self.folder.frame_labels(newest), labels):
                    return self._entry(newest)
                raise OvertakenError(
                    f'{image}: {newest.author} has saved other labels meanwhile; choose between '
                    f'them',
                    self._entry(newest),
                )
            entry = self.folder.append_frame(self._log, author, session, image, labels, base)
            return self._entry(entry)

    def _is_of(self, proposal: int, kind: str) -> bool:
        if kind == 'open':
            return self.state.is_open(proposal)
        put_off = self.state.put_off.get(proposal)
        return put_off is not None and put_off.action == kind and proposal not in self.state.answers

    def _own(self, session: str, number: int | None) -> Entry:
        entries = self.state.entries
        if number is None:
            mine = (
                entry
                for entry in reversed(entries)
                if entry.session == session
                and 'proposal' in entry.values
                and entry.number not in self.state.undone_by
            )
            entry = next(mine, None)
            if entry is None:
                raise HierSegError('undo: nothing of this window is left to take back')
            return entry
        if not 1 <= number <= len(entries):
            raise HierSegError(f'undo: the log has no entry {number}; reload the page')
        entry = entries[number - 1]
        if entry.session != session or 'proposal' not in entry.values:
            raise HierSegError(f'undo: entry {number} is no answer of this window')
        return entry

    def _shown(self, proposal: Proposal) -> dict[str, Any]:
        answer = self.state.answers.get(proposal.id)
        put_off = self.state.put_off.get(proposal.id)
        return {
            **proposal.as_dict(),
            'position': self._position[proposal.id],
            'answer': self._entry(answer) if answer else None,
            'put_off': self._entry(put_off) if put_off else None,
        }

    def _entry(self, entry: Entry) -> dict[str, Any]:
        return {key: value for key, value in entry.as_dict().items() if key != 'session'}


def _is_repeated(standing: Entry, session: str, action: Mapping[str, Any]) -> bool:
    """Return whether an action is one that was written, but whose answer did not arrive."""
    written = {'action': standing.action, **standing.values}
    return standing.session == session and written == dict(action)


def unlabelled(height: int, width: int) -> NDArray[np.uint8]:
    """Return labels to begin with where there is no prediction: H×W, all unlabelled."""
    return np.full((height, width), UNLABELLED, np.uint8)
