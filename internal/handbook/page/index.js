"use strict";
(() => {
  const form = document.querySelector(".filters");
  const rows = [...document.querySelectorAll("tr[data-search]")];
  const groups = [...document.querySelectorAll("section.group")];
  const none = document.querySelector(".none");
  const output = form.querySelector("output");
  const fields = ["q", "level", "group", "framework"];

  const show = () => {
    const words = form.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const d = row.dataset;
      row.hidden = !(words.every((word) => d.search.includes(word)) &&
        (!form.level.value || d.level === form.level.value) &&
        (!form.group.value || d.group === form.group.value) &&
        (!form.framework.value || d.framework.split(" ").includes(form.framework.value)));
      count += row.hidden ? 0 : 1;
    }
    for (const group of groups) group.hidden = !group.querySelector("tr[data-search]:not([hidden])");
    none.hidden = count > 0;
    output.textContent = count === rows.length ? "" : `${count} of ${rows.length} rules`;
    const query = new URLSearchParams(fields.filter((f) => form[f].value).map((f) => [f, form[f].value])).toString();
    history.replaceState(null, "", query ? "#" + query : location.pathname + location.search);
  };

  const restore = new URLSearchParams(location.hash.slice(1));
  for (const f of fields) if (restore.has(f)) form[f].value = restore.get(f);
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement === document.body) { event.preventDefault(); form.q.focus(); }
  });
  if (restore.size) show();
})();
