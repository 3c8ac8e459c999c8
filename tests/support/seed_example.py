"""The example conversation of the original's documentation, as it is printed there."""

MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What's the weather like in New York?"},
    {
        "role": "assistant",
        "content": "To get the weather information for New York, I'll need to use the get_weather function.",
        "tool_calls": {"name": "get_weather", "arguments": '{"location": "New York", "unit": "fahrenheit"}'},
    },
    {"role": "tool", "name": "get_weather", "content": '{"temperature": 72, "description": "Partly cloudy"}'},
    {"role": "user", "content": "Now, search for the weather in San Francisco."},
]

TOOLS = [
    {
        "name": "get_weather",
        "description": "Get the current weather for a location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string", "description": "The city and state, e.g. San Francisco, New York"},
                "unit": {
                    "type": "string",
                    "enum": ["celsius", "fahrenheit"],
                    "description": "The unit of temperature to return",
                },
            },
            "required": ["location"],
        },
    },
    {
        "name": "search",
        "description": "Search for information on the internet",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "The search query, e.g. 'latest news on AI'"}},
            "required": ["query"],
        },
    },
    {
        "name": "respond",
        "description": "When you are ready to respond, use this function. This function allows the assistant to "
        "formulate and deliver appropriate replies based on the input message and the context of the conversation. "
        "Generate a concise response for simple questions, and a more detailed response for complex questions.",
        "parameters": {
            "type": "object",
            "properties": {"message": {"type": "string", "description": "The content of the message to respond to."}},
            "required": ["message"],
        },
    },
]
