"""The two ways of publishing, and the guards that keep the promises: each can be taken away."""

from __future__ import annotations

from enum import Enum, auto


class Publication(Enum):
    """Where objects are."""

    ROWS = auto()
    COPIES = auto()


class Guard(Enum):
    """What keeps the promises. Each can be taken away, to see that it is needed."""

    TOKEN_CHECK = "a decision counts only with the token that the job's row has"  # noqa: S105 - not a password
    WISH = "once the cancel of a running job was accepted, only that can be decided"
    DECISION_FIRST = "nothing becomes visible before the decision is committed"
    PARTS_FIRST = "secondary parts become visible before the primary"
    VISIBLE_FIRST = "the terminal state is committed after everything is visible"
    NAME_RESERVED = "an output name belongs to one unfinished job"
    COPY_CONDITIONAL = "a copy never replaces the bytes of a later job"
    STAGING_LAST = "staging of a decision is deleted only after the terminal state"
    CLAIM_KEPT = "clearing up leaves staging alone whose token has a live claim"
    SAME_DECISION = "the terminal state is that of the decision which was published"
    WITHDRAWN_BY_ALL = "whoever publishes the failure of a result that was given up first withdraws that result"
    SOURCE_FIRST = "what is withdrawn loses its source first, so that no slow copy brings it back"
    PROCESS_GONE = "a session is closed once its processes were seen gone"
    PRESUMED_SAID = "a job whose process was not seen gone keeps saying so, also while it is queued again"
    KEY_TOGETHER = "an idempotency key is committed with its job"
    OUTBOX_TOGETHER = "the outbox row is committed with the terminal state"
