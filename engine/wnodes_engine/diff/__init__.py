"""Two policies, and what differs in what they mean: statements, and requests that they answer otherwise."""
