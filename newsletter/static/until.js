// Counts on how far a moment is, in the words that the page came with.
(() => {
  "use strict";
  const shown = [...document.querySelectorAll("[data-left]")];
  if (!shown.length) return;
  const began = performance.now();
  const words = (seconds) => {
    const minutes = Math.floor(Math.abs(seconds) / 60);
    if (minutes >= 48 * 60) return `${Math.floor(minutes / 1440)} days`;
    if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
    return minutes ? `${minutes} min` : "less than a minute";
  };
  const tell = () => {
    for (const one of shown) {
      const left = Number(one.dataset.left) - (performance.now() - began) / 1000;
      const said = left > 0 ? `in ${words(left)}` : `${words(left)} ago`;
      if (one.textContent !== said) one.textContent = said;
    }
  };
  setInterval(tell, 5000);
})();
