"""The decision core: ledger, share tree, quotas, order, placement. Pure: no clock, no I/O, no chance."""

from wnodes_engine.core.decide import decide, decide_all
from wnodes_engine.core.ledger import Allocation
from wnodes_engine.core.state import Start, State

__all__ = ["Allocation", "Start", "State", "decide", "decide_all"]
