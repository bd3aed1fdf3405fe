"""What drivers of real batch systems share: running commands, host lists, whom to submit as."""
