"use strict";
/* Only tooltips: without this script the page says the same. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tip = document.getElementById("tip");

  const cellWords = (row, column) => {
    const [chunks, fresh, first] = row.cells[column];
    const name = row.name + (row.tensors > 1 ? " (" + row.tensors + " tensors)" : "");
    if (chunks > 0) {
      const share = (100 * fresh / chunks).toFixed(fresh > 0 && fresh < chunks ? 1 : 0);
      return name + "\n" + fresh + " of " + chunks + " chunks new (" + share + " %)";
    }
    return name + "\n" + (first > 0 ? "first tag of its prefix" : "not in the tag");
  };

  const words = (plot, event) => {
    const box = plot.getBoundingClientRect();
    const slots = Number(plot.dataset.columns);
    const column = Math.floor((event.clientX - box.left) / box.width * slots);
    const about = data.columns[column];
    if (!about) return "";
    if (plot.dataset.rows === undefined) return about.title + "\n" + about[plot.dataset.about];
    const rows = Number(plot.dataset.rows);
    const offset = Math.floor((event.clientY - box.top) / box.height * rows);
    const row = data.rows[Number(plot.dataset.row) + Math.min(Math.max(offset, 0), rows - 1)];
    return about.title + "\n" + cellWords(row, column);
  };

  const show = (event) => {
    const plot = event.target.closest ? event.target.closest("svg[data-columns]") : null;
    const text = plot ? words(plot, event) : "";
    tip.hidden = text === "";
    if (tip.hidden) return;
    tip.textContent = text;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = Math.max(8, Math.min(event.clientX - tip.offsetWidth / 2, room)) + "px";
    tip.style.top = (above > 8 ? above : event.clientY + 18) + "px";
  };

  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, {passive: true});
  document.documentElement.addEventListener("pointerleave", () => { tip.hidden = true; });
})();
