// Filters of the results, and links that open what they lead to. The page is complete without it.
(() => {
  "use strict";
  const rows = [...document.querySelectorAll(".rows > .r")];
  const form = document.querySelector(".filters");
  const fields = [...form.querySelectorAll("[data-filter]")];
  const tiles = [...document.querySelectorAll(".tile")];
  const shown = document.querySelector(".shown");
  const empty = document.querySelector(".empty");
  const number = new Intl.NumberFormat("en-US");
  const keys = ["s", "v", "r", "a", "g"];
  const data = rows.map((row) => keys.map((key) => row.dataset[key]));
  let texts = null; // made at the first search

  const wanted = () => Object.fromEntries(fields.map((field) => [field.dataset.filter, field.value.trim()]));

  function textOf(i) {
    texts ??= new Array(rows.length);
    return (texts[i] ??= rows[i].textContent.toLowerCase());
  }

  function apply() {
    const want = wanted();
    const exact = keys.map((key) => want[key]);
    const words = want.q.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, i) => {
      const fits = exact.every((value, k) => value === "" || value === data[i][k]) &&
        (words.length === 0 || words.every((word) => textOf(i).includes(word)));
      if (row.hidden === fits) row.hidden = !fits;
      if (fits) count++;
    });
    const all = number.format(rows.length);
    shown.textContent = count === rows.length ? all : number.format(count) + " of " + all;
    empty.hidden = count > 0;
    for (const tile of tiles) tile.classList.toggle("on", want.s !== "" && tile.dataset.status === want.s);
  }

  let timer = 0;
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(apply, event.target.type === "search" ? 150 : 0);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply, 0));
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      const status = form.querySelector('[data-filter="s"]');
      status.value = status.value === tile.dataset.status ? "" : tile.dataset.status;
      apply();
    });
  }

  // A link to a result or a rule opens it; a result that the filters hide is shown again.
  function open() {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!(target instanceof HTMLDetailsElement)) return;
    if (target.hidden) {
      form.reset();
      apply();
    }
    target.open = true;
    target.scrollIntoView({ block: "start" });
  }
  addEventListener("hashchange", open);

  form.hidden = false;
  if (wanted().q !== "" || keys.some((key) => wanted()[key] !== "")) apply(); // a browser may restore the fields
  open();
})();
