"""The decision core: ledger, share tree, quotas, order, placement. Pure: no clock, no I/O, no chance."""
