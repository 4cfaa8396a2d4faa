// The supervisor's REST interface.

async function ask(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(typeof body.detail === "string" ? body.detail : `${response.status} ${response.statusText}`);
  return body;
}

const root = (site, device) => `/api/devices/${encodeURIComponent(site)}/${encodeURIComponent(device)}`;

export const devices = () => ask("/api/devices");
export const device = (site, name) => ask(root(site, name));
export const series = (site, name, kind, limit) => ask(`${root(site, name)}/${kind}?newest=true&limit=${limit}`);
export const alerts = (site, name) => ask(`/api/alerts?site=${encodeURIComponent(site)}&device=${encodeURIComponent(name)}&limit=100`);
export const commands = (site, name) => ask(`${root(site, name)}/commands?limit=5`);
export const command = (site, name, verb) =>
  ask(`${root(site, name)}/commands`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ verb, issued_by: "page" }),
  });
