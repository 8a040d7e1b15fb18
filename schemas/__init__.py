"""What goes in and what comes out: events, tables, configuration and rule data."""
