"""Sources of episodes: agents that act in environments and see what comes of it."""
