"""The subcommands of wnodes-policy, one module each: `add_arguments(parser)`, `run(args)` to an exit status."""
