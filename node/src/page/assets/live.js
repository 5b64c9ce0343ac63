// Live numbers: what the node says about open rounds, written where the page shows them.

const write = (selector, value) => {
  for (const place of document.querySelectorAll(selector)) place.textContent = value;
};

/** Listens for as long as the page is seen; a round that goes on to its next state loads the page again. */
export function listen() {
  let source;
  const rounds = new Map();
  for (const place of document.querySelectorAll("[data-round]")) {
    rounds.set(place.dataset.round, place.dataset.state);
  }
  const watching = rounds.size || document.querySelector("[data-height], [data-members], [data-peers]");
  if (!watching) return;
  const open = () => {
    source = new EventSource("/events");
    source.addEventListener("numbers", (event) => {
      const numbers = JSON.parse(event.data);
      write("[data-height]", numbers.height);
      write("[data-members]", numbers.members);
      write("[data-peers]", numbers.peers);
      for (const round of numbers.rounds) {
        if (!rounds.has(round.id)) continue;
        write(`[data-round="${CSS.escape(round.id)}"] [data-ballots]`, round.ballots);
        // Nobody loses what they are typing.
        const typing = document.activeElement?.closest("input, textarea, select");
        if (rounds.get(round.id) !== round.state && !typing) location.reload();
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
