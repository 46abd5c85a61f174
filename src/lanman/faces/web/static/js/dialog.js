// Dialogs: modal, semantic, closed by Escape; and `askPlan`, the one way to give an order.
import { get, part, post } from "./api.js";
import { h } from "./parts.js";

/**
 * A modal dialog with a title. `body` are elements, `buttons` too; `form: false` where the body has a form of its own. Focus goes to `[autofocus]` in it, stays inside, and
 * returns to where it was. Returns `{element, closed}`: `closed` is a promise of `element.returnValue`, "" after Escape.
 */
export function openDialog(title, body, buttons, { wide = false, form = true } = {}) {
  const before = document.activeElement;
  const id = `d${(openDialog.last = (openDialog.last ?? 0) + 1)}`;
  const element = h(
    "dialog",
    { class: wide ? "wide" : "", "aria-labelledby": id },
    h(
      form ? "form" : "div",
      form ? { method: "dialog" } : {},
      h("h2", { id }, title),
      h("div", { class: "dialog-body" }, body),
      buttons.length ? h("div", { class: "buttons" }, buttons) : null,
    ),
  );
  document.body.append(element);
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      resolve(element.returnValue);
    });
  });
  element.showModal();
  return { element, closed };
}

/**
 * Give an order: make a plan for `keys` on `server`, show it, ask, run it and show what becomes of it. `verb` is end,
 * close, share, set, drain, pause or continue; `options` are the plan's further fields. Answers the outcomes, or null
 * where it was not run.
 */
export async function askPlan(server, verb, keys, options = {}) {
  const plan = await post(`servers/${part(server)}/plans`, { verb, targets: keys, ...options });
  const no = h("button", { value: "no", autofocus: true }, "No");
  const yes = h("button", { value: "yes", class: "grave" }, "Run it");
  const rows = h("ul", {}, plan.rows.map((row) => h("li", {}, `${row.key} ${row.cost} ${row.cost_why}`)));
  const { closed } = openDialog(`${verb} on ${server}`, rows, [no, yes]);
  if ((await closed) !== "yes") return null;
  await post(`plans/${part(plan.plan)}/run`, { confirm: plan.confirm, with_others: false });
  return (await get(`plans/${part(plan.plan)}`)).rows;
}
