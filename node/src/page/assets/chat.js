// A conversation as it comes: the steps while they are made, the answer when it is there. Without this script the form
// is posted, and the page comes back with the whole.

const element = (name, classes, text) => {
  const made = document.createElement(name);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
};

/** Yields the JSON of each event of a stream. */
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) yield JSON.parse(data.join("\n"));
    }
  }
}

/** Shows one answer while it is made, and returns its text. */
async function answer(form, fields, place, title, signal) {
  const words = form.dataset;
  const box = element("div", "said assistant");
  box.setAttribute("aria-busy", "true");
  const who = element("p", "who", title);
  const said = element("p", "words");
  const details = element("details");
  // The steps are seen while they are made, and folded once the answer is there.
  details.open = true;
  details.append(element("summary", "", words.steps));
  box.append(who, said, details);
  place.append(box);
  const steps = new Map();
  const part = (name) => {
    if (!steps.has(name)) {
      const text = element("p", "words");
      const verdicts = element("ul", "verdicts");
      details.append(element("h3", "", words[`step${name[0].toUpperCase()}${name.slice(1)}`]), text, verdicts);
      steps.set(name, { text, verdicts });
    }
    return steps.get(name);
  };
  const response = await fetch("/chat/stream", { method: "POST", body: new URLSearchParams(fields), signal });
  if (!response.ok) throw new Error(words.failed);
  let whole;
  for await (const event of events(response)) {
    if (event.event === "step") {
      part(event.step);
      who.textContent = `${title} · ${words[`step${event.step[0].toUpperCase()}${event.step.slice(1)}`]}`;
    } else if (event.event === "text") {
      part(event.step).text.textContent += event.text;
      if (event.step === "refine" || event.step === "answer") said.textContent += event.text;
    } else if (event.event === "verdict") {
      const line = element("li");
      const kind = { follows: "agree", violates: "disagree" }[event.label] ?? "pass";
      line.append(element("span", `pill ${kind}`, words[`label${event.label[0].toUpperCase()}${event.label.slice(1)}`]));
      line.append(" ", element("bdi", "", event.text));
      if (event.reason) line.append(" ", element("bdi", "aside", event.reason));
      // What the model wrote stands in the list now, beside the principles.
      part("evaluate").text.hidden = true;
      part("evaluate").verdicts.append(line);
    } else if (event.event === "done") {
      whole = event.steps.at(-1)?.text ?? "";
      said.textContent = whole;
    } else if (event.event === "failed") {
      throw new Error(event.message);
    }
  }
  who.textContent = title;
  details.open = false;
  box.removeAttribute("aria-busy");
  if (steps.size < 2) details.remove();
  if (whole === undefined) throw new Error(words.failed);
  return whole;
}

const form = document.querySelector("form[data-chat]");
const talk = document.querySelector(".talk");
if (form && talk) {
  let stop;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (stop) {
      stop.abort();
      return;
    }
    const button = form.querySelector("button");
    const label = button.textContent;
    const fields = Object.fromEntries(new FormData(form));
    stop = new AbortController();
    button.textContent = form.dataset.stop;
    const mine = element("div", "said user");
    mine.append(element("p", "who", form.dataset.you), element("p", "words", fields.text));
    talk.append(mine);
    form.elements.text.value = "";
    form.elements.text.required = false;
    try {
      const governed = fields.constitution ? form.dataset.with : form.dataset.without;
      const place = fields.beside ? element("div", "beside") : talk;
      if (fields.beside) talk.append(place);
      const said = await answer(form, fields, place, governed, stop.signal);
      if (fields.beside) {
        const bare = { ...fields };
        delete bare.constitution;
        delete bare.adapter;
        await answer(form, bare, place, form.dataset.without, stop.signal);
      }
      const history = JSON.parse(form.elements.history.value || "[]");
      history.push({ role: "user", content: fields.text }, { role: "assistant", content: said });
      form.elements.history.value = JSON.stringify(history);
    } catch (error) {
      if (error.name !== "AbortError") {
        const notice = element("div", "notice warn");
        notice.setAttribute("role", "alert");
        notice.append(element("p", "", error.message));
        talk.append(notice);
      }
      talk.querySelectorAll("[aria-busy]").forEach((box) => box.removeAttribute("aria-busy"));
      form.elements.text.value ||= fields.text;
    } finally {
      stop = undefined;
      button.textContent = label;
      form.elements.text.required = true;
      form.elements.text.focus();
    }
  });
}
