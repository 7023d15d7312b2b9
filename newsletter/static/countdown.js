// Counts the seconds down until a Send takes effect, and then looks again; not while somebody is typing.
(() => {
  "use strict";
  const shown = document.querySelector("[data-seconds]");
  if (!shown) return;
  const ends = performance.now() + Number(shown.dataset.seconds) * 1000;
  const typing = () => document.querySelector("input:focus, textarea:focus, select:focus") !== null;
  let looksAt = ends + 5000; // the scheduler looks every five seconds
  setInterval(() => {
    const left = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
    shown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (performance.now() < looksAt) return;
    looksAt += 5000;
    if (!typing()) location.reload();
  }, 250);
})();
