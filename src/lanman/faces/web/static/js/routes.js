// Addresses of pages: `#/server/fs1/sessions?filter=bob`, `#/history?at=…`. Pure.
/** Pages of a server, and their titles. */
export const OF_SERVER = [
  ["sessions", "Sessions"],
  ["files", "Open files"],
  ["shares", "Shares"],
  ["settings", "Settings"],
  ["statistics", "Statistics"],
  ["doctor", "Doctor"],
];
/** Pages of all servers. */
export const ACROSS = [
  ["servers", "Servers"],
  ["explain", "Explain"],
  ["history", "History"],
  ["policies", "Policies"],
  ["events", "Events"],
];
const UNLISTED = ["licences", "help"];

/** The route that an address means; null for one that means none. */
export function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const params = new URLSearchParams(query);
  const parts = path.split("/").map(decoded);
  if (!parts[0]) return { page: "servers", server: null, params, hash };
  if (parts[0] === "server" && parts[1]) {
    const page = parts[2] || "sessions";
    return OF_SERVER.some(([name]) => name === page) ? { page, server: parts[1], params, hash } : null;
  }
  const known = [...ACROSS.map(([name]) => name), ...UNLISTED].includes(parts[0]) && parts.length === 1;
  return known ? { page: parts[0], server: null, params, hash } : null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page of a server. */
export function addressOf(server, page, params = {}) {
  const query = new URLSearchParams(params).toString();
  return `#/server/${encodeURIComponent(server)}/${page}${query ? `?${query}` : ""}`;
}
