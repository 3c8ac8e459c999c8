"""Sources that are formats of exchange: how projects hand on trajectories of many origins."""
