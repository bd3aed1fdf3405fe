"""LSF: driven by its commands, in JSON where it knows that, else by text."""
