// One stream of server-sent events for the whole page. It reconnects by itself.

const KINDS = ["state", "telemetry", "drift", "adaptation", "fault", "health", "reply", "alert"];

let source = null;

// A second call, after a token was handed in, takes the place of the first.
export function listen({ onEvent, onOpen, onLost }) {
  source?.close();
  source = new EventSource("/api/live");
  for (const kind of KINDS) source.addEventListener(kind, (event) => onEvent(JSON.parse(event.data)));
  source.addEventListener("open", onOpen);
  source.addEventListener("error", onLost);
}
