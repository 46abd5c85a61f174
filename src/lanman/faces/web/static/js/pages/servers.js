// The servers: which are up, since when what is shown is old, what they tell.
import { addressOf } from "../routes.js";
import { h, pageHead } from "../parts.js";
import { visible } from "../text.js";

export function show(element, route, { live }) {
  const list = h("ul");
  const draw = () =>
    list.replaceChildren(
      ...[...live.servers.values()].map((server) => h("li", {}, h("a", { href: addressOf(server.name, "sessions") }, visible(server.name)), ` ${server.state}`)),
    );
  element.append(pageHead("Servers"), list);
  draw();
  const off = [live.on("hello", draw), live.on("server", draw)];
  return () => off.forEach((end) => end());
}
