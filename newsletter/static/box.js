// The sign-up box on other sites' pages: puts a form where its script tag stands and posts it to the service.
// No cookies, no third parties, nothing outside of its own shadow.
(() => {
  "use strict";
  const box = __BOX__;
  const tag = document.currentScript;
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; color-scheme: light dark; }
    section { box-sizing: border-box; padding: 1.5em clamp(1.2em, 5%, 2.2em); border-top: 4px solid ${box.accent};
      background: light-dark(#f6f4ee, #202021); color: light-dark(#1c1a17, #eceae6);
      font: 16px/1.5 -apple-system, "Segoe UI", Roboto, "Liberation Sans", system-ui, sans-serif; text-align: start; }
    h2 { margin: 0 0 .3em; font: bold 1.6em/1.2 Georgia, "Liberation Serif", serif; }
    p { margin: 0 0 .8em; }
    label { display: block; font-weight: 600; margin-bottom: .3em; }
    .row { display: flex; flex-wrap: wrap; gap: .6em; }
    input, button { box-sizing: border-box; min-height: 2.9em; padding: .5em .8em; border-radius: 3px; font: inherit; }
    input { flex: 1 1 14em; min-width: 0; border: 1px solid light-dark(#8a8275, #827e78);
      background: light-dark(#fff, #0e0e0f); color: inherit; }
    button { flex: 0 1 auto; padding: .5em 1.3em; border: 0; background: ${box.accent};
      background: oklch(from ${box.accent} min(l, .5) c h); color: #fff; font-weight: 600;
      cursor: pointer; }
    :focus-visible { outline: 3px solid light-dark(#1c1a17, #eceae6); outline-offset: 2px; }
    small { display: block; margin-top: .8em; font-size: .85em; color: light-dark(#5c564d, #aba8a2); }
    .wrong { color: light-dark(#a11d1d, #ff9f94); font-weight: 600; }
    .address { font: bold 1.2em/1.3 Georgia, serif; overflow-wrap: anywhere; }
    input.trap { position: absolute; width: 1px; min-height: 0; height: 1px; padding: 0; border: 0;
      clip-path: inset(50%); }`);
  root.adoptedStyleSheets = [sheet];

  const make = (name, words, attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = words || "";
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const section = make("section", "", { "aria-label": box.heading, lang: box.lang, dir: box.dir });
  const form = make("form", "", { method: "post", action: box.action, target: "_top" });
  const label = make("label", box.label, { for: "email" });
  const wrong = make("p", "", { class: "wrong", role: "alert", hidden: "" });
  const email = make("input", "", { id: "email", name: "email", type: "email", required: "", maxlength: "254",
    autocomplete: "email", autocapitalize: "none", spellcheck: "false", dir: "ltr" });
  const button = make("button", box.button);
  const row = make("div", "", { class: "row" });
  row.append(email, button);
  const trap = make("input", "", { name: "website", class: "trap", tabindex: "-1", autocomplete: "off",
    "aria-hidden": "true" });
  form.append(label, wrong, row, trap, make("small", box.text, box.own));
  const hide = (name, value) => form.append(make("input", "", { type: "hidden", name, value }));
  hide("newsletter", box.newsletter);
  if (box.language) hide("language", box.language);
  hide("page_url", location.href.split("#")[0]);
  hide("zone", Intl.DateTimeFormat().resolvedOptions().timeZone || "");
  section.append(make("h2", box.heading));
  if (box.promise) section.append(make("p", box.promise, box.own));
  section.append(form);
  root.append(section);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const answer = await fetch(box.embed, { method: "POST", body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" }, credentials: "omit" });
      const said = await answer.json();
      if (said.state === "asked") {
        const done = make("div", "", { tabindex: "-1", role: "status" });
        done.append(make("p", said.lead), make("p", said.address, { class: "address" }), make("p", said.next));
        form.replaceWith(done);
        done.focus();
      } else if (said.state === "invalid") {
        wrong.textContent = said.message;
        wrong.hidden = false;
        email.focus();
      } else {
        form.submit();
      }
    } catch {
      form.submit(); // this site is not among those that may ask by script, so the form goes the plain way
    }
    button.disabled = false;
  });
  tag.replaceWith(host);
})();
