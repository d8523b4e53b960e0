"""A sleep-monitor arena that does not exist: where its parts lie, how its flies move, what it looks like."""
