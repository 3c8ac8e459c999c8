"""Serving: a checkpoint behind an OpenAI-compatible API, and the clients that speak to it (notebook 04_serving).

`server` runs vLLM as a child process, `tool_parser` is the plugin by which it returns tool calls, `client` is the
xLAM client, `compare` holds served answers against offline ones. Importing this package imports no vLLM.
"""
