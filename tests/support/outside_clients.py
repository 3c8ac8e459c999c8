"""One dialogue held by clients that others wrote: a tool call, its result, an answer. Each returns (calls, last words).

    CLIENTS["langchain"]("http://127.0.0.1:8000/v1", "by-heart", "key") -> (["Oslo"], "It is 4 degrees in Oslo.")

They are imported when they are used, so that a test can be skipped where one isn't installed (`PACKAGES`).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

from xlam_lib.endpoint import async_openai_client, openai_client
from xlam_lib.serve.choices import collect_stream

QUESTION = "What is the weather in Oslo?"
RESULT = '{"celsius": 4}'
WORDS = "It is 4 degrees in Oslo."
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
Held = tuple[list[str], str]


class Weather:
    """The tool, and the cities that were asked for."""

    def __init__(self) -> None:
        self.cities: list[str] = []

    def function(self) -> Callable[[str], str]:
        """A plain function, as the libraries want it."""

        def get_weather(city: str) -> str:
            """Weather of a city.

            Args:
                city: name of the city
            """
            self.cities.append(city)
            return RESULT

        return get_weather

    def answer(self, messages: list, message) -> str | None:
        """Appends the message and the results of its calls; without calls, its words."""
        message = message if isinstance(message, dict) else message.model_dump(exclude_none=True)
        messages.append(message)
        for call in message.get("tool_calls") or []:
            result = self.function()(**json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        return None if message.get("tool_calls") else message["content"]


def opening() -> list[dict]:
    return [{"role": "user", "content": QUESTION}]


def request(model: str, messages: list) -> dict:
    return {"model": model, "messages": messages, "tools": [TOOL], "temperature": 0}


def with_openai(url: str, model: str, key: str) -> Held:
    weather, messages, words = Weather(), opening(), None
    while words is None:
        whole = openai_client(url, key).chat.completions.create(**request(model, messages))
        words = weather.answer(messages, whole.choices[0].message)
    return weather.cities, words


def with_openai_stream(url: str, model: str, key: str) -> Held:
    weather, messages, words = Weather(), opening(), None
    while words is None:
        chunks = openai_client(url, key).chat.completions.create(**request(model, messages), stream=True)
        words = weather.answer(messages, collect_stream(chunks)["message"])
    return weather.cities, words


def with_openai_async(url: str, model: str, key: str) -> Held:
    async def held() -> Held:
        weather, messages, words = Weather(), opening(), None
        async with async_openai_client(url, key) as client:
            while words is None:
                whole = await client.chat.completions.create(**request(model, messages))
                words = weather.answer(messages, whole.choices[0].message)
        return weather.cities, words

    return asyncio.run(held())


def with_langchain(url: str, model: str, key: str) -> Held:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI

    weather = Weather()
    get_weather = weather.function()
    llm = ChatOpenAI(base_url=url, model=model, api_key=key, temperature=0).bind_tools([get_weather])
    messages = [HumanMessage(QUESTION)]
    while True:
        answer = llm.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return weather.cities, answer.content
        messages += [ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]


def with_litellm(url: str, model: str, key: str) -> Held:
    import litellm

    weather, messages, words = Weather(), opening(), None
    while words is None:
        whole = litellm.completion(**request(f"openai/{model}", messages), api_base=url, api_key=key)
        words = weather.answer(messages, whole.choices[0].message)
    return weather.cities, words


def with_openai_agents(url: str, model: str, key: str, responses: bool = False) -> Held:
    from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool

    weather = Weather()

    async def held() -> str:
        async with async_openai_client(url, key) as client:
            kind = OpenAIResponsesModel if responses else OpenAIChatCompletionsModel
            agent = Agent("weather", tools=[function_tool(weather.function())], model=kind(model, client))
            return (await Runner.run(agent, QUESTION)).final_output

    return weather.cities, asyncio.run(held())


def with_pydantic_ai(url: str, model: str, key: str) -> Held:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    weather = Weather()
    chat = OpenAIChatModel(model, provider=OpenAIProvider(base_url=url, api_key=key))
    return weather.cities, Agent(chat, tools=[weather.function()]).run_sync(QUESTION).output


def with_smolagents(url: str, model: str, key: str) -> Held:
    from smolagents import LogLevel, OpenAIModel, Tool, ToolCallingAgent

    weather = Weather()

    class GetWeather(Tool):
        name, description, output_type = "get_weather", "Weather of a city.", "string"
        inputs = {"city": {"type": "string", "description": "name of the city"}}

        def forward(self, city: str) -> str:
            return weather.function()(city)

    llm = OpenAIModel(model, api_base=url, api_key=key, temperature=0)
    agent = ToolCallingAgent(tools=[GetWeather()], model=llm, max_steps=3, verbosity_level=LogLevel.OFF)
    return weather.cities, agent.run(QUESTION)


CLIENTS: dict[str, Callable[[str, str, str], Held]] = {
    "openai": with_openai,
    "openai, streamed": with_openai_stream,
    "openai, asynchronous": with_openai_async,
    "langchain-openai": with_langchain,
    "litellm": with_litellm,
    "openai-agents": with_openai_agents,
    "pydantic-ai": with_pydantic_ai,
    "smolagents": with_smolagents,
}
PACKAGES = {  # what must be there to import
    "langchain-openai": "langchain_openai",
    "litellm": "litellm",
    "openai-agents": "agents",
    "pydantic-ai": "pydantic_ai",
    "smolagents": "smolagents",
}


def keep_them_offline() -> None:
    """None of them is to call home: price lists and traces stay where they are."""
    os.environ.update(OFFLINE)
