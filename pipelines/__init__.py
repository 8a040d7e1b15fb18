"""What can be run: one module a command, each only wiring."""
