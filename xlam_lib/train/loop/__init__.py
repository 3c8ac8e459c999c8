"""Around every training: settings, processes, logs, telemetry, resuming, and the record of what a run was."""
