// Live numbers: what the node says about open rounds, written where the page shows them.

const write = (selector, value) => {
  for (const place of document.querySelectorAll(selector)) place.textContent = value;
};

/** Nobody loses what they are typing. */
const isTyping = () => document.activeElement?.closest("input, textarea, select");

/** Fetches the page again, and puts one part of it in the place of what is shown. */
async function renew(selector) {
  const answer = await fetch(location.pathname + location.search);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(selector);
  if (answer.ok && fresh) document.querySelector(selector)?.replaceWith(document.importNode(fresh, true));
}

/** The model's work on cited prompts has begun or ended: the conversation above stays as it is. */
function showCases(isRunning) {
  const cases = document.querySelector("[data-cases]");
  if (cases && (cases.dataset.cases === "running") !== isRunning) {
    cases.dataset.cases = isRunning ? "running" : "idle";
    renew("[data-cases]").catch(() => {});
  }
}

/** Listens for as long as the page is seen; a round that goes on to its next state, and what begins anew, load
 *  the page again. */
export function listen() {
  let source;
  const rounds = new Map();
  for (const place of document.querySelectorAll("[data-round]")) {
    rounds.set(place.dataset.round, place.dataset.state);
  }
  const watching = rounds.size || document.querySelector("[data-height], [data-members], [data-peers], [data-polls], [data-cases]");
  if (!watching) return;
  // What the list had when this page began to listen: polls, and rounds of voting.
  const isList = document.querySelector("[data-polls]");
  let begun;
  const open = () => {
    source = new EventSource("/events");
    source.addEventListener("numbers", (event) => {
      const numbers = JSON.parse(event.data);
      write("[data-height]", numbers.height);
      write("[data-members]", numbers.members);
      write("[data-peers]", numbers.peers);
      showCases(numbers.comparing);
      const now = numbers.polls + numbers.rounds.length;
      begun ??= now;
      if (isList && now !== begun && !isTyping()) location.reload();
      for (const round of numbers.rounds) {
        if (!rounds.has(round.id)) continue;
        const here = `[data-round="${CSS.escape(round.id)}"]`;
        write(`${here} [data-ballots]`, round.ballots);
        for (const bar of document.querySelectorAll(`${here} [data-turnout]`)) bar.value = round.ballots;
        if (rounds.get(round.id) !== round.state && !isTyping()) location.reload();
      }
    });
  };
  const turn = () => {
    source?.close();
    source = undefined;
    if (!document.hidden) open();
  };
  document.addEventListener("visibilitychange", turn);
  addEventListener("pagehide", () => source?.close());
  turn();
}
