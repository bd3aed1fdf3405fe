"""Who calls, and what they may do: peers of the socket, bearers of tokens, and what is vouched for."""
