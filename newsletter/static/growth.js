// Draws what the tables of days hold, in the colours of the page, and again when these or its width change.
(() => {
  "use strict";
  if (!window.uPlot) return;
  const DAY = 86400;
  const NARROW = 480;

  const colour = (place, name) => getComputedStyle(place.querySelector(name)).color;
  const faint = (text) => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgba(${r}, ${g}, ${b}, 0.14)`;
  };

  const read = (table) => {
    const rows = [...table.tBodies[0].rows].reverse();
    const numbers = (cell) => rows.map((row) => Number(row.cells[cell].dataset.n));
    const days = rows.map((row) => Date.parse(row.querySelector("time").dateTime) / 1000);
    return { days, active: numbers(1), joined: numbers(2), left: numbers(3) };
  };

  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const months = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });
  const whole = (plot, marks) => marks.map((mark) => (Number.isInteger(mark) ? short.format(mark) : ""));

  const options = (figure, width, height, series, range) => {
    const ink = getComputedStyle(figure).color;
    const line = colour(figure, ".key-grid");
    const font = `12px ${getComputedStyle(figure).fontFamily}`;
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    return {
      width,
      height,
      series: [{}, ...series],
      scales: { x: { time: false, range: (plot, from, to) => [from - DAY / 2, to + DAY / 2] }, y: { range } },
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 20, 0, 0],
      axes: [
        {
          ...axis,
          grid: { show: false },
          splits: (plot, _, from, to) => {
            const steps = width < NARROW ? 2 : 5;
            const days = Math.max(1, Math.floor((to - from) / DAY / steps));
            const marks = [];
            for (let at = to - DAY / 2; at >= from; at -= days * DAY) marks.unshift(at);
            return marks;
          },
          values: (plot, marks) => marks.map((mark) => months.format(mark * 1000)),
        },
        { ...axis, size: 52, space: 32, values: whole },
      ],
    };
  };

  // From somewhat below the fewest to somewhat above the most, so that a small change is seen and none looks large.
  const around = (plot, low, high) => {
    const room = Math.max((high - low) * 0.15, high * 0.02, 1);
    return [Math.max(0, low - room), high + room];
  };

  const draw = (figure) => {
    const chart = figure.querySelector(".chart");
    const found = read(document.getElementById(chart.dataset.chart));
    if (found.days.length < 2) return;
    figure.querySelector(".keys").hidden = false;
    const width = chart.clientWidth;
    const [active, joined, left] = ["active", "joined", "gone"].map((name) => colour(figure, `.key-${name}`));
    chart.replaceChildren();
    const reading = [{ stroke: active, fill: faint(active), width: 2, points: { show: false } }];
    new uPlot(options(figure, width, 200, reading, around), [found.days, found.active], chart);
    const bars = uPlot.paths.bars({ size: [0.8, 24], gap: 1 });
    const turns = [joined, left].map((stroke) => ({ stroke, fill: stroke, width: 0, paths: bars, points: { show: false } }));
    const downward = found.left.map((n) => -n);
    const both = (plot, low, high) => [Math.min(low, -1) * 1.08, Math.max(high, 1) * 1.08];
    const turning = options(figure, width, 130, turns, both);
    turning.axes[1].values = (plot, marks) => whole(plot, marks.map(Math.abs));
    new uPlot(turning, [found.days, found.joined, downward], chart);
  };

  const figures = [...document.querySelectorAll(".growth")];
  const drawAll = () => figures.forEach(draw);
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    drawAll();
  });
})();
