// Dialogs: modal, semantic, closed by Escape; and `askPlan`, the one way to give an order.
//
// Rules of the question:
//   - A plan is made first and does nothing. What is shown is what the plan says: each target with what it costs and
//     why, who would go along, what is left out. The default is No: it has the focus, Enter presses it, Escape is No.
//   - Bystanders are left alone unless a box is ticked. A grave plan wants the server's name typed.
//   - A plan lasts a minute. When it is over, nothing can be run by it: one looks again, and a new plan is shown.
//   - Closing the dialog while the order runs does not stop it: what became of it is said in passing.
import { get, part, post } from "./api.js";
import { live } from "./live.js";
import { h, loading, toast } from "./parts.js";
import { Outcomes, drawPlan } from "./planview.js";
import { visible } from "./text.js";
import { verbOf } from "./words.js";

const LOOK_EVERY = 2000;
const OVER = new Set(["done", "stopped", "failed", "expired"]);

/**
 * A modal dialog with a title. `body` are elements, `buttons` too; `form: false` where the body has a form of its own.
 * Focus goes to `[autofocus]` in it, stays inside, and returns to where it was. Returns `{element, body, buttons,
 * closed}`: `closed` is a promise of `element.returnValue`, "" after Escape.
 */
export function openDialog(title, body, buttons, { wide = false, form = true } = {}) {
  const before = document.activeElement;
  const id = `d${(openDialog.last = (openDialog.last ?? 0) + 1)}`;
  const content = h("div", { class: "dialog-body" }, body);
  const below = h("div", { class: "buttons" }, buttons);
  const element = h(
    "dialog",
    { class: wide ? "wide" : "", "aria-labelledby": id },
    h(form ? "form" : "div", form ? { method: "dialog" } : {}, h("h2", { id, tabindex: "-1" }, title), content, below),
  );
  document.body.append(element);
  const closed = new Promise((resolve) => {
    element.addEventListener("close", () => {
      element.remove();
      giveBack(before);
      resolve(element.returnValue);
    });
  });
  element.showModal();
  return { element, body: content, buttons: below, closed };
}

/** Put the focus where it was before a dialog, unless it is somewhere by now: the event `close` comes after a dialog has
 * closed, and somebody may have gone on. */
export function giveBack(before) {
  const isNowhere = document.activeElement === null || document.activeElement === document.body;
  if (isNowhere && before instanceof HTMLElement && before.isConnected) before.focus();
}

/**
 * Give an order: make a plan for `keys` on `server`, show it, ask, run it and show what becomes of it. `verb` is end,
 * close, share, set, drain, pause or continue; `options` are the plan's further fields, and `title`, which is the
 * dialog's. Answers the rows with their outcomes when the order is over, or null where it was not given.
 */
export function askPlan(server, verb, keys, options = {}) {
  return new PlanDialog(server, verb, keys, options).ask();
}

class PlanDialog {
  constructor(server, verb, keys, { title = null, ...options }) {
    // Of a share no more than its key is known: it is taken away.
    if (verb === "share") options.action ??= "delete";
    Object.assign(this, { server, verb, keys, options });
    this.words = verbOf(verb === "share" && options.action === "delete" ? "unshare" : verb);
    this.title = title ?? `${this.words.title} on ${visible(server)}`;
    this.plan = null;
    this.running = false;
    this.stopClock = () => {};
  }

  async ask() {
    const no = h("button", { type: "button", autofocus: true, onclick: () => this.close() }, "No");
    this.dialog = openDialog(this.title, loading("Making the plan: what it would do, and what it costs"), [no], { wide: true });
    this.dialog.element.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    this.answer = new Promise((resolve) => {
      this.resolve = resolve;
    });
    this.dialog.closed.then(() => {
      this.stopClock();
      if (!this.running) this.resolve(null);
    });
    await this.look();
    return this.answer;
  }

  get isOpen() {
    return this.dialog.element.open;
  }

  close() {
    this.dialog.element.close();
  }

  show(body, buttons) {
    this.dialog.body.replaceChildren(...[body].flat(Infinity).filter(Boolean));
    this.dialog.buttons.replaceChildren(...buttons);
  }

  /** Make a plan, and show it. */
  async look() {
    this.stopClock();
    const no = this.noButton("No");
    this.show(loading("Making the plan: what it would do, and what it costs"), [no]);
    no.focus();
    try {
      this.plan = await post(`servers/${part(this.server)}/plans`, { verb: this.verb, targets: this.keys, ...this.options });
    } catch (error) {
      if (error.name !== "ApiError") throw error;
      this.fail(error);
      return;
    }
    if (this.isOpen) this.draw();
  }

  draw() {
    const { plan } = this;
    const view = drawPlan(plan, { verb: this.verb, server: this.server, onchange: () => this.judge() });
    this.view = view;
    const no = this.noButton(view.canRun ? "No" : "Close");
    this.run = h("button", { type: "button", class: "grave", onclick: () => this.go() }, view.runWords());
    this.again = h("button", { type: "button", onclick: () => this.look() }, "Look again");
    this.clock = h("span", { class: "clock muted", role: "timer" });
    this.show([view.element], view.canRun ? [this.clock, this.again, no, this.run] : [this.again, no]);
    no.focus();
    this.over = false;
    this.judge();
    if (view.canRun) this.countDown(Number(plan.expires_in ?? plan.expires ?? 60));
  }

  noButton(words) {
    return h("button", { type: "button", onclick: () => this.close() }, words);
  }

  /** Whether it may be run as things are: the plan lasts, and what has to be typed is. */
  judge() {
    if (!this.run) return;
    this.run.textContent = this.view.runWords();
    this.run.disabled = this.over || !this.view.isConfirmed();
  }

  countDown(seconds) {
    const until = performance.now() + seconds * 1000;
    const tell = () => {
      const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
      this.clock.textContent = left ? `This look is good for ${left} s` : "This look is too old: look again.";
      if (left) return;
      this.stopClock();
      this.over = true;
      this.judge();
      this.view.say("This look is too old to be run: what is there may be something else by now. Look again.");
      if (this.dialog.element.contains(document.activeElement)) this.again.focus();
    };
    const timer = setInterval(tell, 500);
    this.stopClock = () => clearInterval(timer);
    tell();
  }

  /** Something did not work before anything was done. */
  fail(error) {
    this.stopClock();
    if (!this.isOpen) {
      toast(`${this.title}: ${visible(error.message)}`, "bad");
      return;
    }
    const words = h(
      "div",
      { class: "problem", role: "alert" },
      h("p", {}, h("strong", {}, visible(error.message))),
      error.hint ? h("p", {}, visible(error.hint)) : null,
      h("p", {}, "Nothing was done."),
    );
    const close = this.noButton("Close");
    const again = h("button", { type: "button", onclick: () => this.look() }, "Look again");
    this.show(words, error.status === 403 || error.status === 501 ? [close] : [again, close]);
    close.focus();
  }

  /** Run the plan, and show what becomes of it. */
  async go() {
    this.stopClock();
    const { plan } = this;
    this.run.disabled = true;
    this.run.textContent = "Giving the order …";
    const order = { confirm: this.view.typed(), with_others: this.view.withOthers() };
    this.outcomes = new Outcomes(plan.rows ?? [], this.words, this.verb);
    this.running = true;
    const off = live.on("plan", (event) => event.plan === plan.plan && this.take(event));
    this.endOfRun = () => off();
    try {
      await post(`plans/${part(plan.plan)}/run`, order);
    } catch (error) {
      off();
      this.running = false;
      if (error.name !== "ApiError") throw error;
      if (!this.isOpen) this.resolve(null);
      this.fail(error);
      return;
    }
    if (this.isOpen) this.drawRun();
    this.lookOn();
  }

  drawRun() {
    const close = h("button", { type: "button", onclick: () => this.close() }, "Close: it goes on");
    const buttons = [close];
    if (this.plan.can_stop) {
      buttons.unshift(h("button", { type: "button", class: "grave", onclick: (event) => this.stop(event.currentTarget) }, "Stop draining"));
    }
    this.show([this.outcomes.element], buttons);
    close.focus();
  }

  async stop(button) {
    button.disabled = true;
    try {
      await post(`plans/${part(this.plan.plan)}/stop`);
      button.textContent = "Being stopped …";
    } catch (error) {
      button.disabled = false;
      toast(`It could not be stopped: ${visible(error.message)}`, "bad");
    }
  }

  /** Ask now and then, in case the stream says nothing. */
  async lookOn() {
    const { plan } = this;
    for (let failures = 0; this.running && failures < 30; ) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
      if (!this.running) return;
      try {
        this.take(await get(`plans/${part(plan.plan)}`, { unattended: true }));
        failures = 0;
      } catch (error) {
        failures += 1;
        if (error.status === 404 || error.status === 410) break;
      }
    }
    if (this.running) this.finish({ note: "What became of the rest is not known: the console does not tell any more. Look at the list." });
  }

  take(event) {
    if (!this.running) return;
    this.outcomes.take(event);
    if (OVER.has(event.state)) this.finish(event);
  }

  finish(how) {
    this.running = false;
    this.endOfRun();
    this.outcomes.finish(how);
    if (this.isOpen) {
      const close = this.noButton("Close");
      this.show([this.outcomes.element], [close]);
      close.focus();
    } else {
      toast(`${this.title}: ${this.outcomes.summary()}`, this.outcomes.count.failed ? "bad" : "");
    }
    this.resolve(this.outcomes.rows());
  }
}

/** A yes or no about something that is no order to a server. The default is No. */
export async function askYesNo(title, words, yes) {
  const buttons = [h("button", { value: "no", autofocus: true }, "No"), h("button", { value: "yes", class: "first" }, yes)];
  return (await openDialog(title, h("p", {}, words), buttons).closed) === "yes";
}
