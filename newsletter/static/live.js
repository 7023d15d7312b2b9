// Asks for the figures of an edition anew while it goes out, and for the whole page when it is over. Not while somebody
// is in the middle of something.
(() => {
  "use strict";
  const shown = document.querySelector("[data-live]");
  if (!shown) return;
  const busy = () => document.hidden || document.querySelector("input:focus, select:focus, details[open] form") !== null;
  const look = async () => {
    if (!busy()) {
      try {
        const answer = await fetch(shown.dataset.live, { redirect: "error", credentials: "same-origin" });
        if (answer.ok && !busy()) {
          shown.innerHTML = await answer.text();
          if (shown.querySelector("[data-state='over']")) return location.reload();
        }
      } catch {
        // The next look may find it there again.
      }
    }
    setTimeout(look, 5000);
  };
  setTimeout(look, 5000);
})();
