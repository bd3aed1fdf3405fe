"""`wnodes top`: the farm, live in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from wnodes_engine.values import ShareUse

from wnodes_daemon.client import Client
from wnodes_daemon.views import HealthView

_WIDE = 30


def run(client: Client, resource: str, every: float, *, once: bool) -> int:
    """Show the farm every so many seconds until it is interrupted, or once."""
    console = Console()
    if once:
        console.print(frame(client.health(), client.shares(), resource))
        return 0
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(frame(client.health(), client.shares(), resource), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return 0


def frame(health: HealthView, shares: Sequence[ShareUse], resource: str) -> RenderableType:
    """One picture: how the daemon is, and every share with what it holds of what it was promised.

    Raises ValueError for a resource that the farm does not have.
    """
    if resource not in shares[0].nominal:
        raise ValueError(f"no resource {resource!r} here: there is {', '.join(shares[0].nominal)}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("share", resource, "promised", "", "of it", "running", "waiting"):
        table.add_column(head, justify="left" if head in {"share", ""} else "right")
    whole = max(1, shares[0].nominal[resource])
    for share in shares:
        used, promised = share.used[resource], share.nominal[resource]
        depth, name = share.path.count("."), share.path.rpartition(".")[2]
        colour = "yellow" if used > promised and share is not shares[0] else "green"
        table.add_row(
            Text(f"{'  ' * (depth + (share is not shares[0]))}{name}"),
            f"{used:,}",
            f"{promised:,}",
            ProgressBar(whole, used, _WIDE, complete_style=colour, finished_style=colour),
            f"{100 * used // promised} %" if promised else "-",
            f"{share.running:,}",
            Text(f"{share.waiting:,}", style="bold" if share.waiting else ""),
        )
    return Group(_head(health), "", table, *_wrong(health))


def _head(health: HealthView) -> Text:
    at = health.now.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = Text(f"{at}  policy {health.policy} {health.policy_digest[:12]}  ")
    text.append(f"{health.waiting:,} waiting, {health.running:,} running, ")
    text.append(f"{health.nodes_up:,} of {health.nodes:,} nodes up  ")
    text.append(health.status, style="green" if health.status == "ok" else "bold red")
    return text


def _wrong(health: HealthView) -> list[Text]:
    """What is not well, a line each."""
    told = [(each.name, each.error) for each in health.backends if not each.answering]
    told += [("store", health.store_error), ("decision log", health.log_error)]
    return [Text(f"{name}: {error}", style="red") for name, error in told if error]
