// What the page can do without, and is nicer with: keys for voting, buttons that are pressed once, copying, live numbers.
import { listen } from "/assets/live.js";

// Letters and arrows act on a voting card unless somebody is typing.
const keyed = document.querySelector("[data-keys]");
if (keyed) {
  const hint = keyed.querySelector("[data-hint]");
  if (hint && matchMedia("(hover: hover)").matches) hint.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, textarea, select")) return;
    const target = keyed.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (target) {
      event.preventDefault();
      target.click();
    }
  });
}

// What takes a while says so, and is not sent twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
  const button = event.submitter ?? form.querySelector("button");
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  button.setAttribute("aria-busy", "true");
  button.textContent = form.dataset.once;
});
addEventListener("pageshow", (event) => {
  // Back from the next page by the browser's cache: the form can be sent again.
  if (event.persisted) location.reload();
});

for (const area of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  button.textContent = area.dataset.copy;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(area.value);
    button.textContent = `${area.dataset.copy} ✓`;
  });
  area.after(button);
}

// Moments in the reader's own time.
for (const time of document.querySelectorAll("time[data-moment]")) {
  const moment = new Date(Number(time.dataset.moment));
  time.dateTime = moment.toISOString();
  time.title = moment.toLocaleString(document.documentElement.lang);
}

listen();
