"""Where tools are executed: embedded ones in a quick child, strangers' functions confined, call by call."""
