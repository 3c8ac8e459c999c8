"""The embedded tools: what they do, the facts they know, how users ask for them, and their renamed twins."""
