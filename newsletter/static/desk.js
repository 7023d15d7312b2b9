// The desk of an edition: saves while somebody types, shows what others do, keeps the preview up to date, and can be
// worked by keys and by dragging. Everything that it does, the page's forms do without it.
(() => {
  "use strict";
  const desk = document.getElementById("desk");
  const frame = document.getElementById("preview-frame");
  if (!desk || !frame) return;

  // The preview

  const look = { width: frame.dataset.width, scheme: frame.dataset.scheme, form: frame.dataset.form };
  let wanted = 0;
  let shownPlace = 0;
  const showPreview = (place = shownPlace) => {
    shownPlace = place;
    const turn = ++wanted;
    const fresh = frame.querySelector("iframe").cloneNode();
    fresh.classList.add("mail-frame-next");
    fresh.src = `${frame.dataset[look.form]}?scheme=${look.scheme}&at=${desk.dataset.revision}${place ? `#story-${place}` : ""}`;
    fresh.addEventListener("load", () => {
      if (turn !== wanted) return fresh.remove();
      for (const old of frame.querySelectorAll("iframe")) if (old !== fresh) old.remove();
      fresh.classList.remove("mail-frame-next");
      frame.dataset.shows = desk.dataset.revision;
    });
    frame.append(fresh);
  };
  const KINDS = { desktop: "width", phone: "width", light: "scheme", dark: "scheme", html: "form", text: "form" };
  const showLook = () => {
    Object.assign(frame.dataset, look);
    for (const link of document.querySelectorAll("[data-look]")) {
      const on = look[KINDS[link.dataset.look]] === link.dataset.look;
      if (on) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  const KEPT = "desk-look";
  const changeLook = (word) => {
    const kind = KINDS[word];
    look[kind] = word;
    remember(KEPT, JSON.stringify(look));
    showLook();
    if (kind !== "width") showPreview();
  };
  const remember = (name, value) => {
    try {
      localStorage.setItem(name, value);
    } catch {
      // a browser that keeps nothing: it is so until the page is left
    }
  };
  const remembered = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-look]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    changeLook(link.dataset.look);
  });
  if (!new URLSearchParams(location.search).has("look")) {
    const kept = JSON.parse(remembered(KEPT) || "{}");
    for (const [kind, word] of Object.entries(kept)) if (KINDS[word] === kind) look[kind] = word;
    if (look.form !== frame.dataset.form || look.scheme !== frame.dataset.scheme) showPreview();
    showLook();
  }

  const list = document.getElementById("items");
  const note = document.getElementById("desk-note");
  if (!list || !note) return;
  document.documentElement.classList.add("scripted");

  // What is on the page, as the server last sent it

  const server = new Map();
  const plain = (piece) => piece.outerHTML.replace(/name="(csrf_token|seen)" value="[^"]*"/g, "");
  const keep = (root) => {
    for (const piece of root.querySelectorAll("[data-piece]")) server.set(piece.id, plain(piece));
  };
  keep(document);

  const words = (root) => [...root.querySelectorAll("[data-word]")];
  const was = (field) => field.form.elements[`was-${field.name}`];
  const same = (one, other) => one.replace(/\r\n/g, "\n").trim() === other.replace(/\r\n/g, "\n").trim();
  const dirty = (field) => !same(field.value, was(field).value);
  const grow = (field) => {
    if (field.tagName !== "TEXTAREA") return;
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight + 2}px`;
  };
  const growAll = (root) => words(root).forEach(grow);
  growAll(document);
  addEventListener("resize", () => growAll(document));

  const say = (sentence, failed) => {
    note.textContent = sentence;
    note.classList.toggle("desk-note-problem", Boolean(failed));
    note.dataset.failed = failed ? "yes" : "";
  };

  // Taking over what has changed

  const active = () => document.activeElement;
  const busy = (piece) => piece.contains(active()) || words(piece).some(dirty);
  const merge = (piece, fresh) => {
    for (const field of words(fresh)) {
      const here = document.getElementById(field.id);
      if (!here) continue;
      const stored = was(field).value;
      const untouched = !dirty(here) && here !== active();
      if (untouched) here.value = field.value;
      if (untouched || same(here.value, stored) || sent.get(here.id) !== undefined) was(here).value = stored;
      if (!same(field.value, stored) && !dirty(here)) here.value = field.value;
      grow(here);
    }
    const names = new Set([...piece.querySelectorAll("[data-part]"), ...fresh.querySelectorAll("[data-part]")].map((part) => part.dataset.part));
    for (const name of names) {
      const old = piece.querySelector(`[data-part="${name}"]`);
      const next = fresh.querySelector(`[data-part="${name}"]`);
      if (old && next) {
        if (!old.contains(active())) old.replaceWith(next);
      } else if (old) {
        old.remove();
      } else if (next && next.parentElement.classList.contains("field")) {
        const beside = document.getElementById(next.parentElement.querySelector("[data-word]").id);
        beside.closest(".field").insertBefore(next, was(beside));
      }
    }
    for (const name of ["label[for]", "summary .away", ".desk-save .away"]) {
      const labels = fresh.querySelectorAll(name);
      piece.querySelectorAll(name).forEach((label, n) => labels[n] && (label.textContent = labels[n].textContent));
    }
    if (fresh.hasAttribute("aria-label")) piece.setAttribute("aria-label", fresh.getAttribute("aria-label"));
  };
  const take = (piece, fresh) => {
    const before = server.get(piece.id);
    server.set(fresh.id, plain(fresh));
    if (before === plain(fresh)) return false;
    const open = [...piece.querySelectorAll("details")].map((one) => one.open);
    if (busy(piece)) {
      merge(piece, fresh);
      return true;
    }
    piece.replaceWith(fresh);
    [...fresh.querySelectorAll("details")].forEach((one, n) => (one.open = one.open || Boolean(open[n])));
    growAll(fresh);
    return true;
  };
  const apply = (page, mine) => {
    const fresh = new DOMParser().parseFromString(page, "text/html");
    const next = fresh.getElementById("desk");
    if (!next || !fresh.getElementById("items")) return location.reload(); // it is no draft any more, or we are signed out
    const focused = active().id;
    const at = [...list.children].findIndex((one) => one.contains(active()));
    const changed = [];
    const older = Number(next.dataset.revision) > Number(desk.dataset.revision);
    desk.dataset.revision = next.dataset.revision;
    const order = [...fresh.getElementById("items").children].map((one) => one.id);
    for (const piece of [...fresh.querySelectorAll("[data-piece]")]) {
      const here = document.getElementById(piece.id);
      if (here) {
        if (take(here, piece)) changed.push(piece.id);
      } else if (piece.parentElement.id === "items") {
        server.set(piece.id, plain(piece));
        list.append(piece);
        growAll(piece);
        changed.push(piece.id);
      }
    }
    for (const item of [...list.children]) {
      if (!order.includes(item.id)) {
        if (!mine && words(item).some(dirty)) item.classList.add("desk-gone");
        else item.remove();
      }
    }
    arrange(order);
    for (const name of ["order", "order_was"]) {
      document.getElementById("desk-order").elements[name].value = fresh.getElementById("desk-order").elements[name].value;
    }
    for (const field of document.querySelectorAll("input[name=seen]")) field.value = desk.dataset.revision;
    document.title = fresh.title;
    if (active() === document.body) {
      const back = document.getElementById(focused) || list.children[Math.min(at, list.children.length - 1)];
      if (back) back.focus({ preventScroll: true });
    }
    showOthers(fresh.getElementById("others"));
    if (older || frame.dataset.shows !== desk.dataset.revision) showPreview(placeOf(mine || changed[0]));
    return changed.filter((id) => id.startsWith("story-") || id === "the-mail");
  };
  // What has the focus stays where it is in the page, because to move it would take the focus away.
  const arrange = (order) => {
    const kept = [...list.children].find((one) => one.contains(active()));
    const sorted = order.map((id) => document.getElementById(id));
    const middle = sorted.indexOf(kept);
    sorted.forEach((item, n) => {
      if (item === kept) return;
      if (middle >= 0 && n < middle) list.insertBefore(item, kept);
      else list.append(item);
    });
  };
  const placeOf = (id) => {
    const n = [...list.children].findIndex((one) => one.id === id);
    return n < 0 ? 0 : n + 1;
  };

  // Saving: one at a time, each on what the one before has made

  const sent = new Map();
  let queue = Promise.resolve();
  let waiting = 0;
  const send = (form, more = {}) => {
    waiting += 1;
    queue = queue.then(() => post(form, more)).finally(() => (waiting -= 1));
    return queue;
  };
  const post = async (form, more) => {
    if (!form.isConnected) return;
    const typed = new FormData(form);
    if (more.still && !words(form).some(dirty)) return;
    for (const [name, value] of Object.entries(more)) typed.set(name, value);
    if (!("act" in more) && !["lead", "picture", "add", "back", "order"].some((name) => name in more)) typed.set("act", "save");
    sent.clear();
    for (const field of words(form)) sent.set(field.id, field.value);
    const before = new Map(words(form).map((field) => [field.id, was(field).value]));
    const piece = form.closest("[data-piece]");
    say("Saving…");
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: typed, headers: { "X-Desk": "yes" }, redirect: "error", credentials: "same-origin" });
    } catch {
      say("Not saved: the newsroom cannot be reached. What you typed stays here, and is tried again.", true);
      setTimeout(() => send(form, more), 5000);
      return;
    }
    const page = await answer.text();
    if (![200, 409, 422].includes(answer.status)) {
      say("Not saved. Copy what you typed, reload the page, and try again.", true);
      return;
    }
    const fresh = new DOMParser().parseFromString(page, "text/html");
    const told = fresh.getElementById("desk-note");
    const saved = answer.status === 200;
    if (!saved) for (const [id] of before) sent.delete(id); // what stands there now is shown beside, not taken over
    const theirs = saved ? [] : [...fresh.querySelectorAll(".theirs")];
    const changed = apply(page, piece && piece.id) || [];
    for (const beside of theirs) {
      const field = document.getElementById(beside.id.replace(/-error$/, ""));
      if (field) was(field).value = fresh.getElementById(field.id) ? was(fresh.getElementById(field.id)).value : was(field).value;
    }
    sent.clear();
    if (told) say(more.still && saved ? "Saved." : told.textContent, told.dataset.failed);
    if (typed.get("act") === "save") show(changed.filter((id) => id.startsWith("story-") && id !== piece.id));
  };

  const timers = new WeakMap();
  const PAUSE = 900;
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-word]");
    if (!field) return;
    if ("line" in field.dataset && field.value.includes("\n")) field.value = field.value.replace(/\s*\n\s*/g, " ");
    grow(field);
    showInInbox(field);
    clearTimeout(timers.get(field));
    timers.set(field, setTimeout(() => send(field.form, { still: "yes" }), PAUSE));
  });
  document.addEventListener("change", (event) => {
    const field = event.target.closest("[data-word]");
    if (!field) return;
    clearTimeout(timers.get(field));
    send(field.form);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-desk]");
    if (!form) return;
    event.preventDefault();
    for (const field of words(form)) clearTimeout(timers.get(field));
    const pressed = event.submitter;
    send(form, pressed && pressed.name ? { [pressed.name]: pressed.value } : {});
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-theirs]");
    if (!link) return;
    event.preventDefault();
    const field = link.closest(".field").querySelector("[data-word]");
    field.value = was(field).value;
    link.closest(".theirs").remove();
    grow(field);
    showInInbox(field);
    field.focus();
    say("Theirs stands there now.");
  });
  addEventListener("beforeunload", (event) => {
    if (waiting || words(document).some((field) => dirty(field) && !field.closest(".desk-gone"))) event.preventDefault();
  });

  const showInInbox = (field) => {
    const shown = document.querySelector(`[data-shows="${field.id}"]`);
    if (shown) shown.textContent = field.value;
    if (!field.dataset.phone) return;
    const most = Number(field.dataset.phone);
    const text = field.value.trim();
    const hint = document.getElementById(`${field.id}-hint`);
    if (!text) hint.textContent = "Empty: it gets the usual one.";
    else if (text.length <= most) hint.textContent = `${text.length} letters: a phone shows all of it.`;
    else hint.textContent = `${text.length} letters. A phone shows about the first ${most}: “${text.slice(0, most).trim()}…”`;
  };

  // Who else is there

  const EVERY = 10000;
  const showOthers = (fresh) => {
    const shown = document.getElementById("others");
    if (fresh && shown.textContent !== fresh.textContent) shown.replaceChildren(...fresh.childNodes);
  };
  const here = () => {
    const piece = active().closest("[data-place]");
    const said = new FormData(document.getElementById("desk-order"));
    said.set("place", piece ? piece.dataset.place : "");
    return said;
  };
  const ask = async () => {
    if (!document.hidden && !waiting) {
      try {
        const answer = await fetch(desk.dataset.here, { method: "POST", body: here(), redirect: "error", credentials: "same-origin" });
        if (answer.ok) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("others");
          showOthers(fresh);
          const moved = fresh.dataset.state !== "drafted" || Number(fresh.dataset.revision) > Number(desk.dataset.revision);
          if (moved && !waiting) await look_again(fresh.dataset.state);
        }
      } catch {
        // The next look may find it there again.
      }
    }
    setTimeout(ask, EVERY);
  };
  const look_again = async (state) => {
    if (state !== "drafted") {
      if (words(document).some(dirty)) return say(`The edition is ${state} now, so what you typed cannot be saved. Copy it, and reload the page.`, true);
      return location.reload();
    }
    const answer = await fetch(desk.dataset.page, { redirect: "error", credentials: "same-origin" });
    if (!answer.ok || waiting) return;
    show(apply(await answer.text()) || []);
  };
  const show = (changed) => {
    if (!changed.length) return;
    for (const id of changed) {
      const piece = document.getElementById(id);
      if (piece) piece.classList.add("desk-changed");
    }
    const named = changed.map((id) => (id === "the-mail" ? "the mail’s own words" : `story ${placeOf(id) || "that is gone"}`));
    say(`Somebody else changed ${named.slice(0, 3).join(", ")}${named.length > 3 ? " and more" : ""}. You see it here.`);
  };
  setTimeout(ask, 500);

  // Dragging

  if (window.Sortable) {
    window.Sortable.create(list, {
      handle: ".grip",
      animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150,
      ghostClass: "desk-ghost",
      onEnd: (event) => {
        if (event.oldIndex === event.newIndex) return;
        const keys = [...list.children].map((one) => one.dataset.place).join(",");
        send(document.getElementById("desk-order"), { order: keys });
      },
    });
  }

  // Keys

  const dialog = document.getElementById("desk-keys");
  const SINGLE = "desk-single-keys";
  const single = dialog.querySelector("[data-single]");
  single.checked = remembered(SINGLE) !== "no";
  single.addEventListener("change", () => remember(SINGLE, single.checked ? "yes" : "no"));
  for (const button of document.querySelectorAll("[data-keys]")) {
    button.hidden = false;
    button.addEventListener("click", () => dialog.showModal());
  }
  const items = () => [...list.children];
  const current = () => items().findIndex((one) => one.contains(active()));
  const go = (by) => {
    const all = items();
    const now = current();
    const to = now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(0, now + by), all.length - 1);
    all[to].focus({ preventScroll: true });
    all[to].scrollIntoView({ block: "nearest" });
  };
  const press = (name) => {
    const item = items()[current()];
    if (item) item.querySelector(`button[name=act][value=${name}]`).click();
  };
  const focus = (selector) => {
    const found = document.querySelector(selector);
    if (found) found.focus();
  };
  const KEYS = {
    j: () => go(1),
    k: () => go(-1),
    J: () => press("down"),
    K: () => press("up"),
    x: () => press("drop"),
    e: () => {
      const item = items()[current()];
      if (item) item.querySelector("[data-word]").focus();
    },
    s: () => focus("#subject"),
    z: () => {
      const back = document.querySelector("#left-out button[name=back]");
      if (back) back.click();
    },
    a: () => focus("#address"),
    p: () => {
      const pane = document.getElementById("preview-pane");
      pane.focus({ preventScroll: true });
      pane.scrollIntoView({ block: "start" });
    },
    w: () => changeLook(look.width === "phone" ? "desktop" : "phone"),
    d: () => changeLook(look.scheme === "dark" ? "light" : "dark"),
    t: () => changeLook(look.form === "text" ? "html" : "text"),
    "?": () => dialog.showModal(),
  };
  const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing(event.target)) {
      if (event.key === "Escape" && event.target.closest(".desk-item")) event.target.closest(".desk-item").focus();
      if (event.key === "Enter" && "line" in event.target.dataset) {
        event.preventDefault();
        send(event.target.form);
      }
      return;
    }
    if (dialog.open || !single.checked || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
})();
