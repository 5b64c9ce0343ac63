"""Streams a conversation through a running node with OpenAI's own client, as an existing chat client would.

    OPENAI_BASE_URL=http://127.0.0.1:PORT/v1 OPENAI_API_KEY=TOKEN python chat.py

The node has a model on its machine and a constitution in force.
"""

import openai

STEPS = ["analyse", "draft", "evaluate", "refine"]


def main():
    client = openai.OpenAI()

    models = {model.id for model in client.models.list()}
    assert {"chorus", "chorus-base"} <= models, models

    question = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why do people sing together?"},
    ]
    content, events, finish, usage = "", [], None, None
    stream = client.chat.completions.create(
        model="chorus", messages=question, max_tokens=12, stream=True, stream_options={"include_usage": True}
    )
    for chunk in stream:
        usage = chunk.usage or usage
        if chunk.choices:
            content += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        if extension := (chunk.model_extra or {}).get("chorus"):
            events.append(extension)

    assert [event["step"] for event in events if event["event"] == "step"] == STEPS, events
    about, done = events[0], events[-1]
    assert about["event"] == "about" and about["provider"] == "local" and about["host"] is None, about
    assert about["constitution"]["principles"] == 1, about
    assert done["event"] == "done" and [step["step"] for step in done["steps"]] == STEPS, done
    (verdict,) = done["steps"][2]["verdicts"]
    assert verdict["text"] == "Be kind" and 0 <= verdict["score"] <= 1, verdict
    assert done["steps"][-1]["text"].startswith(content) and finish in ("stop", "length")
    assert usage.completion_tokens > 0 and usage.prompt_tokens > 1000, usage

    whole = client.chat.completions.create(model="chorus", messages=question, max_tokens=12)
    assert whole.choices[0].message.content == done["steps"][-1]["text"], "the likeliest words, twice"
    assert [step["step"] for step in whole.model_extra["chorus"]["steps"]] == STEPS

    plain = client.chat.completions.create(model="chorus-base", messages=question, max_tokens=12)
    assert [step["step"] for step in plain.model_extra["chorus"]["steps"]] == ["answer"]
    assert plain.model_extra["chorus"]["constitution"] is None

    for refused, code, ask in [
        (openai.NotFoundError, "model_not_found", {"model": "nobody"}),
        (openai.BadRequestError, "unsupported_parameter", {"stop": ["."]}),
        (openai.BadRequestError, "context_length_exceeded", {"messages": [{"role": "user", "content": "x" * 20000}]}),
    ]:
        try:
            client.chat.completions.create(**{"model": "chorus", "messages": question, **ask})
        except refused as error:
            assert error.code == code, error
        else:
            raise AssertionError(f"{code} was expected")
    try:
        openai.OpenAI(api_key="guess").models.list()
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error
    else:
        raise AssertionError("anybody is let in")
    print("ok", openai.__version__)


main()
