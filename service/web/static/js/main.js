// Which view, and what keeps it alive.

import * as api from "./api.js";
import { AlertView } from "./alerts.js";
import { DeviceView } from "./device.js";
import { h } from "./dom.js";
import { listen } from "./live.js";
import { login } from "./login.js";
import { Overview } from "./overview.js";
import { RolloutView } from "./rollouts.js";

const VIEWS = { alerts: AlertView, rollouts: RolloutView };

const root = document.getElementById("main");
let view = null;
let opened = 0;

function route() {
  const [site, device] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  view?.close();
  view = site && device ? new DeviceView(root, site, device) : site in VIEWS ? new VIEWS[site](root) : new Overview(root);
  for (const link of document.querySelectorAll(".top nav a"))
    if (link.hash === `#/${site in VIEWS ? site : ""}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  window.scrollTo(0, 0);
  load();
}

async function load() {
  const mine = view;
  try {
    await mine.load();
  } catch (error) {
    if (mine !== view) return;
    if (error.status === 401) login(root, () => { route(); follow(); });
    else
      root.replaceChildren(h("p", { class: "loading" }, `${error.message} `, h("a", { href: "#/" }, "Back to the fleet")));
  }
}

function tell(state, words) {
  document.getElementById("live").className = `live ${state}`;
  document.getElementById("live-text").textContent = words;
}

async function countAlerts() {
  const { items } = await api.fleetAlerts(["open"], 100);
  document.getElementById("alert-count").textContent = items.length ? (items.length < 100 ? items.length : "99+") : "";
}

let counting = null;

function follow() {
  listen({
    onEvent: (event) => {
      view?.onEvent(event);
      if (event.kind === "alert") counting ??= setTimeout(() => { counting = null; countAlerts().catch(() => {}); }, 500);
    },
    onOpen: () => {
      tell("on", "live");
      opened += 1;
      countAlerts().catch(() => {});
      // What was missed while the supervisor was away is asked for.
      if (opened > 1) load();
    },
    onLost: () => tell("off", "supervisor not reachable, trying again"),
  });
}

window.addEventListener("hashchange", route);
follow();
route();
