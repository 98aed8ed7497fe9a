"""One at a time: who is changing what a model runs in an environment, and how to get past one who is gone.

The lock is one object in the artifacts bucket, written create-only, that says who holds it, where, since when and for
what. It is renewed every minute while it is held, each time by compare-and-set, so that a holder notices when it was
taken away. No decision depends on two clocks agreeing.

A process that was killed leaves its lock behind. The same command, run again, takes it over where ``holder`` says that
it may. Everybody else is refused until ``mlops-kit unlock`` is told the lock's id, or takes it on purpose, which is a
rollback's right (``force``).

``promote --no-wait`` parks its lock: the process ends, the lock stays. Nobody else gets in between, and the same
command, run by anybody on any host, takes it over and finishes what was begun.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from botocore.exceptions import BotoCoreError, ClientError

from mlops_kit.errors import ConflictError, DeploymentError, IntegrityError, MlopsKitError
from mlops_kit.naming import ModelNames
from mlops_kit.objects import Store
from mlops_kit.promotion.holder import Holder, is_left_behind, refused, unlock_hint, written
from mlops_kit.promotion.place import Place

RENEW_SECONDS = 60.0
_ROUNDS = 20
"""How often somebody else may change the lock between our reading and our writing before we give up."""
_TROUBLE = (ClientError, BotoCoreError, MlopsKitError)


@dataclass(slots=True)
class Held:
    """The lock while it is held. ``took_over``: whose it was before, if it was taken over."""

    store: Store
    names: ModelNames
    holder: Holder
    took_over: Holder | None = None
    _lost: ConflictError | None = field(default=None, repr=False)
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def check(self) -> None:
        """Still ours? Ask before every step that cannot be taken back.

        Raises:
            ConflictError: somebody took it away.
        """
        if self._lost is None and self._seen() is None:
            self._lost = self._gone()
        if self._lost is not None:
            raise self._lost

    def renew(self, now: datetime, *, parked: str = "", plan: str = "", ran: str = "") -> None:
        """Write the lock once more, with the time, and with what is new.

        Raises:
            ConflictError: somebody took it away.
        """
        with self._writing:  # the thread that renews it, and whoever changes it
            etag = self._seen()
            if etag is None:
                self._lost = self._gone()
                raise self._lost
            held = self.holder
            renewed = replace(
                held,
                renewed=written(now),
                parked=parked or held.parked,
                plan=plan or held.plan,
                ran=ran or held.ran,
            )
            try:
                self.store.replace(self.names.lock_key, renewed.to_json(), etag)
            except ConflictError as exc:
                self._lost = self._gone()
                raise self._lost from exc
            self.holder = renewed

    def park(self, config: str, plan: str, now: datetime) -> None:
        """Leave the lock in place when the block ends, for whoever runs the same command next, wherever that is.

        ``config``: of the endpoint, that is on its way; ``plan``: SHA-256 of the plan that was begun.

        Raises:
            ConflictError: somebody took it away.
        """
        self.renew(now, parked=config, plan=plan)

    def _seen(self) -> str | None:
        found = self.store.get_with_etag(self.names.lock_key)
        holder = Holder.parse(found[0]) if found else None
        return found[1] if found and holder and holder.id == self.holder.id else None

    def _gone(self) -> ConflictError:
        return ConflictError(
            f"The lock of {self.names.model} in {self.names.environment.environment} was taken away from {self.holder}",
            hint="Somebody unlocked it, or is rolling back. See `mlops-kit history` and `mlops-kit status`.",
        )


@contextmanager
def hold(
    store: Store,
    names: ModelNames,
    *,
    what: str,
    holder: str,
    now: Callable[[], datetime],
    tell: Callable[[str], None],
    force: bool = False,
    place: Place | None = None,
    renew_seconds: float = RENEW_SECONDS,
) -> Iterator[Held]:
    """Hold the model's lock for as long as the block runs. ``force`` takes it over from whoever has it.

    It stays if the block ends with an error while only the lock says what ran before, or that this was begun without
    waiting, as it does if the process is killed: the same command goes on from there. A failed deployment is no such
    error, but an end.

    Raises:
        ConflictError: somebody else holds it.
    """
    held = acquire(store, names, what=what, holder=holder, now=now(), force=force, place=place)
    if held.took_over is not None:
        tell(f"took the lock over from {held.took_over}")
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(held, now, stop, renew_seconds), name="lock", daemon=True)
    thread.start()
    over = False
    try:
        yield held
        over = True
    except DeploymentError:
        over = True
        raise
    finally:
        stop.set()
        thread.join()
        if not over and held._lost is None and (held.holder.ran or held.holder.plan):
            _stay(held, now(), tell)
        elif not held.holder.parked:
            _end(held, tell)


def _stay(held: Held, now: datetime, tell: Callable[[str], None]) -> None:
    """What was parked is parked again: whoever finishes it next may sit elsewhere."""
    if held.took_over is not None and held.took_over.parked and held.holder.plan:
        with suppress(*_TROUBLE):
            held.park(held.took_over.parked, held.holder.plan, now)
    tell(f"the lock of {held.names.model} stays: the same command goes on from here")


def _end(held: Held, tell: Callable[[str], None]) -> None:
    store, names = held.store, held.names
    try:
        release(store, names, held.holder.id)
    except _TROUBLE as exc:
        tell(f"the lock of {names.model} could not be released: {exc}. {unlock_hint(names, held.holder.id)}")


def _renew(held: Held, now: Callable[[], datetime], stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        try:
            held.renew(now())
        except ConflictError:
            return
        except _TROUBLE:
            continue  # the network comes and goes; who looks at the lock meanwhile sees when it was renewed


def acquire(
    store: Store,
    names: ModelNames,
    *,
    what: str,
    holder: str,
    now: datetime,
    force: bool = False,
    place: Place | None = None,
) -> Held:
    """Take the lock, or take it over; it stays until :func:`release`.

    Raises:
        ConflictError: somebody else holds it.
    """
    started = written(now)
    mine = Holder(secrets.token_hex(8), holder, place or Place.here(), started, started, what)
    try:
        return _acquire(store, names, mine, force)
    except (ClientError, BotoCoreError):
        with suppress(*_TROUBLE):  # the answer may have been lost, and not the write
            release(store, names, mine.id)
        raise


def _acquire(store: Store, names: ModelNames, mine: Holder, force: bool) -> Held:
    key, before = names.lock_key, None
    for _ in range(_ROUNDS):
        if store.put_new(key, mine.to_json(), "application/json"):
            return Held(store, names, mine)
        found = _read(store, key)
        if found is None:
            continue  # it was released just now
        other = Holder.parse(found.body)
        if other is None:
            raise _damaged(store, key)
        if other.id == mine.id:  # a write of ours did more than we were told
            return Held(store, names, other, before)
        if not (force or is_left_behind(other, mine, found.age)):
            raise refused(names, other)
        before, taken = other, mine.after(other)
        with suppress(ConflictError):
            store.replace(key, taken.to_json(), found.etag)
            return Held(store, names, taken, before)
    raise ConflictError(f"Too many others want the lock of {names.model} at the same time.", hint="Try again.")


@dataclass(frozen=True, slots=True)
class _Found:
    body: bytes
    etag: str
    age: timedelta
    """Since it was written, by S3's clock alone."""


def _read(store: Store, key: str) -> _Found | None:
    try:
        answer = store.request("GetObject", "GET", key, headers={"x-amz-checksum-mode": "ENABLED"})
    except ClientError as exc:
        if store.is_absent(key, exc):
            return None
        raise
    written, read = answer.headers.get("last-modified"), answer.headers.get("date")
    known = written is not None and read is not None
    age = parsedate_to_datetime(read) - parsedate_to_datetime(written) if known else timedelta()  # type: ignore[arg-type]
    return _Found(answer.body, answer.headers.get("etag", ""), age)


def show(store: Store, names: ModelNames) -> Holder | None:
    """Who holds the lock.

    Raises:
        IntegrityError: the object is no lock.
    """
    body = store.get(names.lock_key)
    if body is None:
        return None
    found = Holder.parse(body)
    if found is None:
        raise _damaged(store, names.lock_key)
    return found


def release(store: Store, names: ModelNames, id_: str) -> None:
    """Delete the lock of this id, if it is the current one: nobody else's.

    Older versions go first, because deleting a version for good makes the one before it the current one again. A delete
    marker instead would hide whatever lock is on top by then.
    """
    key = names.lock_key
    for _ in range(_ROUNDS):
        versions = [version for version in store.versions(key) if version.key == key]
        top = next((version for version in versions if version.latest), None)
        if top is None or top.deleted:
            return
        body = store.get(key, top.version)
        holder = Holder.parse(body) if body is not None else None
        if body is not None and (holder is None or holder.id != id_):
            return
        below = [(version.key, version.version) for version in versions if not version.latest]
        if below:
            store.delete_many(below)
        store.delete(key, top.version)
        if store.head(key) is None:
            return  # and not renewed in between
    raise ConflictError(f"The lock of {names.model} is written faster than it can be released.")


def _damaged(store: Store, key: str) -> IntegrityError:
    return IntegrityError(
        f"{store.uri(key)} is not a lock that mlops-kit wrote.",
        hint="See who wrote it (CloudTrail, the bucket's access log), then delete the object.",
    )
