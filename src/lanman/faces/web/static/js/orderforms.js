// Forms that lead to a plan: a new share, a share's remark and limit, a drain.
import { askPlan, openDialog } from "./dialog.js";
import { field, h } from "./parts.js";
import { visible } from "./text.js";

const MAX_REMARK = 48;
const MINUTE = 60;
/* 2^32-1 is no limit in a row, and 0 in an order. */
const NO_LIMIT = 0xffffffff;

/** A form in a dialog; answers what `read()` gives when it is sent, null when it is left. */
async function askForm(title, fields, read, words) {
  const leave = h("button", { type: "button" }, "Leave it");
  const form = h("form", { class: "order-form" }, fields, h("div", { class: "buttons" }, leave, h("button", { type: "submit", class: "first" }, words)));
  const { element, closed } = openDialog(title, form, [], { form: false });
  let given = null;
  leave.addEventListener("click", () => element.close());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    given = read();
    element.close();
  });
  form.querySelector("input, select")?.focus();
  await closed;
  return given;
}

function limitInput(value) {
  return h("input", { type: "number", min: 0, max: 4294967294, step: 1, required: true, value: value ?? 0 });
}

/** Share a folder of a server: a form, and its plan. Answers the outcomes, null where nothing was ordered. */
export async function askNewShare(server) {
  const name = h("input", { required: true, maxlength: 80, autocomplete: "off", spellcheck: "false" });
  const path = h("input", { required: true, autocomplete: "off", spellcheck: "false", placeholder: "/srv/data or C:\\srv\\data" });
  const remark = h("input", { maxlength: MAX_REMARK, autocomplete: "off" });
  const users = limitInput(0);
  const wanted = await askForm(
    `Share a folder of ${visible(server)}`,
    [field("Name", name, "as people write it: \\\\server\\name"), field("Folder on the server", path), field("Remark", remark, `what it is for, at most ${MAX_REMARK} characters`), field("At most so many users", users, "0 is no limit")],
    () => ({ action: "add", name: name.value.trim(), path: path.value.trim(), remark: remark.value, max_users: users.valueAsNumber }),
    "Share it …",
  );
  return wanted && askPlan(server, "share", [], { ...wanted, title: `Share a folder of ${visible(server)}` });
}

/** Change the remark and the limit of a share, as its row (`{key, name, remark, max_uses}`) shows it. */
export async function askChangedShare(server, row) {
  const before = { remark: row.remark ?? "", max_users: row.max_uses === NO_LIMIT ? 0 : (row.max_uses ?? 0) };
  const remark = h("input", { maxlength: MAX_REMARK, autocomplete: "off", value: before.remark });
  const users = limitInput(before.max_users);
  const title = `Change ${visible(row.name)} of ${visible(server)}`;
  const wanted = await askForm(
    title,
    [field("Remark", remark, `what it is for, at most ${MAX_REMARK} characters`), field("At most so many users", users, "0 is no limit")],
    () => ({ remark: remark.value, max_users: users.valueAsNumber }),
    "Change it …",
  );
  const changed = Object.entries(wanted ?? {}).filter(([name, value]) => value !== before[name]);
  if (!changed.length) return null;
  return askPlan(server, "share", [row.key], { action: "change", ...Object.fromEntries(changed), title });
}

/** Drain a server: how long people are told and waited for, and who is ended then; and its plan. */
export async function askDrain(server) {
  const minutes = (value) => h("input", { type: "number", min: 0, max: 1440, step: "any", required: true, value });
  const [warn, grace, timeout] = [minutes(5), minutes(5), minutes(30)];
  const message = h("input", { maxlength: 2000, autocomplete: "off" });
  const end = h("select", {}, h("option", { value: "all" }, "everybody"), h("option", { value: "readers" }, "only who has nothing open for writing"), h("option", { value: "idle" }, "only who loses nothing"));
  const keep = h("input", { type: "checkbox" });
  const title = `Drain ${visible(server)}`;
  const seconds = (input) => Math.round(input.valueAsNumber * MINUTE);
  const wanted = await askForm(
    title,
    [
      field("Tell people, minutes before", warn, "0: nobody is told"),
      field("What they are told", message, "empty: a sentence with the time"),
      field("Then wait for open files, minutes", grace),
      field("Give up after, minutes", timeout),
      field("Then end", end),
      h("label", {}, keep, "Leave the server paused afterwards"),
    ],
    () => ({ warn: seconds(warn), grace: seconds(grace), timeout: seconds(timeout), end: end.value, keep_paused: keep.checked, ...(message.value.trim() && warn.valueAsNumber ? { message: message.value.trim() } : {}) }),
    "Look who is there …",
  );
  return wanted && askPlan(server, "drain", [], { ...wanted, title });
}
