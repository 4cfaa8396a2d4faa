// The supervisor's REST interface.

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new Error(typeof body.detail === "string" ? body.detail : `${response.status} ${response.statusText}`);
    error.status = response.status;
    throw error;
  }
  return body;
}

const root = (site, device) => `/api/devices/${encodeURIComponent(site)}/${encodeURIComponent(device)}`;

const send = (method, path, body) => ask(path, { method, headers: { "Content-Type": "application/json" }, body: body && JSON.stringify(body) });

export const overview = () => ask("/api/overview");
export const fleetAlerts = (states, limit, before) =>
  ask(`/api/alerts?limit=${limit}${states.map((state) => `&state=${state}`).join("")}${before ? `&before=${before}` : ""}`);
export const changeAlert = (id, what) => send("POST", `/api/alerts/${id}/${what}`);
export const desired = (site, name) => ask(`${root(site, name)}/desired`);
export const setDesired = (site, name, version, settings) =>
  ask(`${root(site, name)}/desired`, { method: "PUT", headers: { "Content-Type": "application/json", "If-Match": `"${version}"` }, body: JSON.stringify(settings) });
export const beginSession = (token) => send("POST", "/api/session", { token });
export const device = (site, name) => ask(root(site, name));
export const series = (site, name, kind, limit) => ask(`${root(site, name)}/${kind}?newest=true&limit=${limit}`);
export const alerts = (site, name) => ask(`/api/alerts?site=${encodeURIComponent(site)}&device=${encodeURIComponent(name)}&limit=100`);
export const plans = () => ask("/api/plans");
export const pushPlan = (site, name, body) => send("POST", `${root(site, name)}/plan`, body);
export const rollouts = () => ask("/api/rollouts");
export const rollout = (id) => ask(`/api/rollouts/${id}`);
export const beginRollout = (body) => send("POST", "/api/rollouts", body);
export const actOnRollout = (id, what) => send("POST", `/api/rollouts/${id}/${what}`, {});
export const commands = (site, name) => ask(`${root(site, name)}/commands?limit=5`);
export const command = (site, name, verb) =>
  ask(`${root(site, name)}/commands`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ verb, issued_by: "page" }),
  });
