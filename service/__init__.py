"""The supervisor: collects what a fleet publishes, keeps it, raises alerts, shows it, and passes commands on."""
