// A model that speaks OpenAI's chat completions and says what it is told to, word by word.
import { createServer } from "node:http";

const SAID = {
  plain: "Flat bread usually means dead yeast. Buy a new starter and follow the recipe exactly.",
  analyse: "Principle 1 matters here: the answer should first ask what the person has tried, and say what it is not sure of.",
  draft: "What have you tried so far? Without knowing, I would guess that the starter was not active enough.",
  refine:
    "That can have several reasons, and I am not sure which it is. What have you tried so far: how old is the starter, and how warm was the dough? If it floats in water, it is ready.",
};

/** Which step a request is of, by what the node asks for. */
function stepOf({ messages }) {
  const asked = messages.at(-1).content;
  if (!messages.some(({ role }) => role === "system")) return "plain";
  if (asked.includes("Do not answer this yet")) return "analyse";
  if (asked.includes("This answer is to be checked")) return "evaluate";
  if (asked.includes("This is a draft of your answer")) return "refine";
  return "draft";
}

function answerTo(request) {
  const step = stepOf(request);
  if (step !== "evaluate") return SAID[step];
  const count = Number(/each of the (\d+) principles/u.exec(request.messages.at(-1).content)?.[1] ?? 1);
  const line = (number) =>
    number % 4 === 0 ? `${number}. UNRELATED: nothing here is about it`
    : number === 2 ? `${number}. VIOLATES: it guesses before it asks`
    : `${number}. FOLLOWS: it asks back`;
  return Array.from({ length: count }, (_, at) => line(at + 1)).join("\n");
}

const read = async (request) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  return JSON.parse(body);
};

/** Starts the model; `asked` has the step of each request. */
export async function startModel(pause = 12) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const body = await read(request);
    asked.push(stepOf(body));
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    for (const word of answerTo(body).split(/(?<=\s)/u)) {
      send({ choices: [{ index: 0, delta: { content: word }, finish_reason: null }] });
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    response.end("data: [DONE]\n\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A test that fails before it stops the model still ends.
  server.unref();
  return { asked, url: `http://127.0.0.1:${server.address().port}/v1`, said: SAID, stop: () => server.close() };
}
