// Which view, and what keeps it alive.

import { DeviceView } from "./device.js";
import { h } from "./dom.js";
import { listen } from "./live.js";
import { Overview } from "./overview.js";

const root = document.getElementById("main");
let view = null;
let opened = 0;

function route() {
  const [site, device] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  view?.close();
  view = site && device ? new DeviceView(root, site, device) : new Overview(root);
  window.scrollTo(0, 0);
  load();
}

async function load() {
  const mine = view;
  try {
    await mine.load();
  } catch (error) {
    if (mine === view)
      root.replaceChildren(h("p", { class: "loading" }, `${error.message} `, h("a", { href: "#/" }, "Back to the fleet")));
  }
}

function tell(state, words) {
  document.getElementById("live").className = `live ${state}`;
  document.getElementById("live-text").textContent = words;
}

window.addEventListener("hashchange", route);
listen({
  onEvent: (event) => view?.onEvent(event),
  onOpen: () => {
    tell("on", "live");
    opened += 1;
    // What was missed while the supervisor was away is asked for.
    if (opened > 1) load();
  },
  onLost: () => tell("off", "supervisor not reachable, trying again"),
});
route();
