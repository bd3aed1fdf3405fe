"""From changes to rows, and from rows to what they say.

What is written together is folded first: of everything that happened to one thing only the last counts, so
that a commit is a few statements, however much it holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec.structs import asdict
from sqlalchemy.dialects import postgresql, sqlite
from wnodes_engine.backend import JobRef
from wnodes_engine.payload import Payload
from wnodes_engine.values import Decision, Placement, Request

from wnodes_daemon import tables
from wnodes_daemon.baits.records import Bait
from wnodes_daemon.records import (
    LIVE,
    Answer,
    BaitChange,
    Change,
    CursorChange,
    Dispatch,
    DispatchChange,
    Entry,
    EntryChange,
    ForgetAnswers,
    KnownPolicy,
    Leave,
    NewAnswer,
    NewDispatch,
    NewEntry,
    NewOrder,
    NewPayload,
    NewPolicy,
    NewPromise,
    Order,
    OrderChange,
    PastUse,
    Promise,
    PromiseOver,
    RoomUsed,
    State,
    Step,
    UseChange,
)

_encode: Final = msgspec.json.encode
_read_request: Final = msgspec.json.Decoder(Request).decode
_read_decision: Final = msgspec.json.Decoder(Decision).decode
_read_payload: Final = msgspec.json.Decoder(Payload).decode
_read_bait: Final = msgspec.json.Decoder(Bait).decode
_read_entries: Final = msgspec.json.Decoder(tuple[Entry, ...]).decode
_read_sources: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode
_read_placement: Final = msgspec.json.Decoder(tuple[Placement, ...]).decode


class _Folded:
    """What a commit comes to."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self.new_entries: dict[int, Entry] = {}
        self.entries: dict[int, Entry] = {}
        self.payloads: dict[int, Payload] = {}
        self.new_dispatches: dict[str, Dispatch] = {}
        self.dispatches: dict[str, Dispatch] = {}
        self.baits: dict[str, Bait] = {}
        self.new_orders: dict[int, Order] = {}
        self.orders: dict[int, Order] = {}
        self.promises: dict[int, Promise | None] = {}
        self.room_used: set[int] = set()
        self.past_use: dict[tuple[str, str], PastUse] = {}
        self.cursors: dict[str, str] = {}
        self.answers: list[Answer] = []
        self.forget_before: int | None = None
        self.policies: list[KnownPolicy] = []
        for change in changes:
            self._fold(change)

    def _fold(self, change: Change) -> None:
        match change:
            case NewEntry(entry):
                _once(self.new_entries, entry.id, entry)
            case EntryChange(entry):
                (self.new_entries if entry.id in self.new_entries else self.entries)[entry.id] = entry
            case NewPayload(request, payload):
                self.payloads[request] = payload
            case NewDispatch(dispatch):
                _once(self.new_dispatches, dispatch.key, dispatch)
            case DispatchChange(dispatch):
                new = dispatch.key in self.new_dispatches
                (self.new_dispatches if new else self.dispatches)[dispatch.key] = dispatch
            case BaitChange(bait):
                self.baits[bait.key] = bait
            case NewOrder(order):
                _once(self.new_orders, order.id, order)
            case OrderChange(order):
                (self.new_orders if order.id in self.new_orders else self.orders)[order.id] = order
            case NewPromise(promise):
                self.promises[promise.request] = promise
            case PromiseOver(request):
                self.promises[request] = None
            case RoomUsed(request):
                self.room_used.add(request)
            case UseChange(use):
                self.past_use[use.kind, use.name] = use
            case CursorChange(backend, cursor):
                self.cursors[backend] = cursor
            case NewAnswer(answer):
                self.answers.append(answer)
            case ForgetAnswers(before):
                self.forget_before = before
            case NewPolicy(policy):
                self.policies.append(policy)


def _once(table: dict[Any, Any], key: object, value: object) -> None:
    if key in table:
        raise sa.exc.IntegrityError("two of one name in one commit", {}, ValueError(str(key)))
    table[key] = value


def write(connection: sa.Connection, changes: Iterable[Change]) -> None:
    """Make all these changes, in the transaction that is open."""
    folded = _Folded(changes)
    _insert(
        connection, tables.requests, [_request_row(e) for e in folded.new_entries.values() if _is_live(e)]
    )
    payloads = [{"request": of, "payload": _encode(payload)} for of, payload in folded.payloads.items()]
    _insert(connection, tables.payloads, payloads)
    over = [e for e in folded.new_entries.values() if not _is_live(e)]
    over += [e for e in folded.entries.values() if not _is_live(e)]
    _insert(connection, tables.archive, [_request_row(entry) for entry in over])
    _update(
        connection, tables.requests, "id", [_state_row(e) for e in folded.entries.values() if _is_live(e)]
    )
    if gone := [{"of": e.id} for e in folded.entries.values() if not _is_live(e)]:
        connection.execute(sa.delete(tables.requests).where(tables.requests.c.id == sa.bindparam("of")), gone)
        done = tables.payloads.c.request == sa.bindparam("of")  # it may hold secrets, and is not needed more
        connection.execute(sa.delete(tables.payloads).where(done), gone)
    _update(connection, tables.dispatches, "key", [_progress_row(d) for d in folded.dispatches.values()])
    _insert(connection, tables.dispatches, [_dispatch_row(d) for d in folded.new_dispatches.values()])
    put(connection, tables.baits, [_bait_row(bait) for bait in folded.baits.values()])
    _insert(connection, tables.orders, [asdict(order) for order in folded.new_orders.values()])
    _update(connection, tables.orders, "id", [_order_row(order) for order in folded.orders.values()])
    if folded.room_used:
        used = [{"of": request} for request in folded.room_used]
        of = tables.orders.c.beneficiary == sa.bindparam("of")
        connection.execute(sa.update(tables.orders).where(of).values(needed=False), used)
    if folded.promises:
        of = tables.promises.c.request == sa.bindparam("of")
        connection.execute(sa.delete(tables.promises).where(of), [{"of": id_} for id_ in folded.promises])
        _insert(connection, tables.promises, [_promise_row(p) for p in folded.promises.values() if p])
    put(connection, tables.past_use, [asdict(use) for use in folded.past_use.values()])
    cursors = [{"backend": backend, "cursor": cursor} for backend, cursor in folded.cursors.items()]
    put(connection, tables.cursors, cursors)
    _insert(connection, tables.answers, [_answer_row(answer) for answer in folded.answers])
    policies = [{**asdict(p), "sources": _encode(p.sources)} for p in folded.policies]
    _insert(connection, tables.policies, policies)
    if folded.forget_before is not None:
        old = tables.answers.c.created < folded.forget_before
        connection.execute(sa.delete(tables.answers).where(old))


def put(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert, or replace what has the same key."""
    if not rows:
        return
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
    keys = [column.name for column in table.primary_key]
    others = {name: insert.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), rows)


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _update(connection: sa.Connection, table: sa.Table, key: str, rows: list[dict[str, Any]]) -> None:
    """Each row says all of what is to be changed, and its key."""
    if rows:
        known = table.c[key] == sa.bindparam("of")
        connection.execute(sa.update(table).where(known), [{**row, "of": row.pop(key)} for row in rows])


def _is_live(entry: Entry) -> bool:
    return entry.state in LIVE


def _request_row(entry: Entry) -> dict[str, Any]:
    request = entry.request
    return {
        "user": request.user,
        "group": request.group,
        "kind": request.kind,
        "origin": request.origin,
        "request": _encode(request),
        **_state_row(entry),
    }


def _state_row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "state": entry.state,
        "share": entry.share,
        "cancelling": entry.cancelling,
        "started": entry.started,
        "ended": entry.ended,
        "exit_status": entry.exit_status,
        "message": entry.message,
        "decision": _encode(entry.decision) if entry.decision is not None else None,
    }


def entry_of(row: Any) -> Entry:
    """A request."""
    return Entry(
        id=row.id,
        request=_read_request(row.request),
        state=State(row.state),
        share=row.share,
        cancelling=row.cancelling,
        started=row.started,
        ended=row.ended,
        exit_status=row.exit_status,
        message=row.message,
        decision=_read_decision(row.decision) if row.decision is not None else None,
    )


def payload_of(blob: bytes) -> Payload:
    """What a request runs."""
    return _read_payload(blob)


def _dispatch_row(dispatch: Dispatch) -> dict[str, Any]:
    return {
        "request": dispatch.request,
        "backend": dispatch.backend,
        "created": dispatch.created,
        "user": dispatch.user,
        **_progress_row(dispatch),
    }


def _progress_row(dispatch: Dispatch) -> dict[str, Any]:
    ref = dispatch.ref
    return {
        "key": dispatch.key,
        "step": dispatch.step,
        "placement": _encode(dispatch.placement),
        "job": ref.id if ref is not None else None,
        "submitted_at": ref.submitted_at if ref is not None else None,
        "started": dispatch.started,
        "paused": dispatch.paused,
    }


def dispatch_of(row: Any) -> Dispatch:
    """A dispatch."""
    return Dispatch(
        key=row.key,
        request=row.request,
        backend=row.backend,
        placement=_read_placement(row.placement),
        created=row.created,
        step=Step(row.step),
        ref=JobRef(row.backend, row.job, row.key, row.submitted_at) if row.job is not None else None,
        started=row.started,
        user=row.user,
        paused=row.paused,
    )


def _bait_row(bait: Bait) -> dict[str, Any]:
    return {"key": bait.key, "request": bait.request, "stage": bait.stage, "bait": _encode(bait)}


def bait_of(row: Any) -> Bait:
    """A bait."""
    return _read_bait(row.bait)


def _order_row(order: Order) -> dict[str, Any]:
    return {"id": order.id, "step": order.step, "ended": order.ended}


def order_of(row: Any) -> Order:
    """What somebody was told."""
    return Order(**{**row._mapping, "step": Leave(row.step)})  # noqa: SLF001 - SQLAlchemy's own interface


def _promise_row(promise: Promise) -> dict[str, Any]:
    return {**asdict(promise), "placement": _encode(promise.placement)}


def promise_of(row: Any) -> Promise:
    """Room that is promised."""
    return Promise(
        row.request, row.number, row.rule, row.policy, row.leave_by, _read_placement(row.placement)
    )


def _answer_row(answer: Answer) -> dict[str, Any]:
    shown = {name: getattr(answer, name) for name in ("owner", "key", "body", "created")}
    return {**shown, "answer": _encode(answer.entries)}


def answer_of(row: Any) -> Answer:
    """What was answered."""
    return Answer(row.owner, row.key, row.body, row.created, _read_entries(row.answer))


def policy_of(row: Any) -> KnownPolicy:
    """A policy that was in force."""
    return KnownPolicy(row.number, row.digest, row.name, row.taken, row.origin, _read_sources(row.sources))


def use_of(row: Any) -> PastUse:
    """What was used."""
    return PastUse(row.kind, row.name, row.value)
