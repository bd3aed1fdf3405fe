"""The subcommands of wnodes-policy, one module each: `add_arguments(parser)`, and `run(args)`."""
