// One stream of server-sent events for the whole page. It reconnects by itself.

const KINDS = ["state", "telemetry", "drift", "adaptation", "fault", "health", "reply", "alert"];

export function listen({ onEvent, onOpen, onLost }) {
  const source = new EventSource("/api/live");
  for (const kind of KINDS) source.addEventListener(kind, (event) => onEvent(JSON.parse(event.data)));
  source.addEventListener("open", onOpen);
  source.addEventListener("error", onLost);
}
