"""From the syntax tree to a checked policy: names, types, sums, reachability."""
