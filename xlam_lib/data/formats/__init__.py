"""What sources share: chat messages, conversations, tool schemas, episodes, grammars of actions (notebook 01)."""
