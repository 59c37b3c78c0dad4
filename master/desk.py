"""What the handlers of requests reach: the master's parts, by name. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..common.config import MasterConfig
from .access import Access
from .events import EventBus
from .fileserver import FileServer
from .grains_cache import GrainsCache
from .identity import Identity
from .joblog import JobLog
from .keydesk import KeyDesk
from .keys import KeyTable
from .pillars import Pillars
from .presence import Presence
from .publish import Publications
from .sessions import SessionTable
from .store import JobStore
from .targets import Resolver
from .tasks import Tasks
from .transfers import Transfers
from .uploads import Uploads
from .workers import WorkerPool


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one master."""

    config: MasterConfig
    identity: Identity
    keys: KeyTable
    keydesk: KeyDesk
    sessions: SessionTable
    presence: Presence
    publications: Publications
    store: JobStore
    joblog: JobLog
    uploads: Uploads
    grains: GrainsCache
    pillars: Pillars
    resolver: Resolver
    files: FileServer
    transfers: Transfers
    workers: WorkerPool
    events: EventBus
    tasks: Tasks
    now_ms: Callable[[], int]
    now: Callable[[], float]
    access: Access

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the master's key."""
        return self.identity.fingerprint
