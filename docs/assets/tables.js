// Long tables: a click on a heading sorts by that column, a field above filters rows by text.
(() => {
  const UNITS = { ns: 1e-9, "µs": 1e-6, ms: 1e-3, s: 1 };
  const value = (text) => {
    const found = text.match(/^([-+\d.,]+)\s*(ns|µs|ms|s|%|×)?/);
    return found ? parseFloat(found[1].replace(",", "")) * (UNITS[found[2]] ?? 1) : NaN;
  };
  const prepare = (table) => {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 12) return;
    const filter = Object.assign(document.createElement("input"), { type: "search", className: "filter" });
    filter.placeholder = "Filter rows";
    filter.setAttribute("aria-label", "Filter rows");
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    (table.closest(".md-typeset__scrollwrap") ?? table).before(filter);
    for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
      heading.classList.add("sortable");
      heading.tabIndex = 0;
      let descending = false;
      const sort = () => {
        const key = (row) => row.cells[column].textContent.trim();
        const numeric = [...body.rows].some((row) => !Number.isNaN(value(key(row))));
        const compare = (a, b) => {
          if (!numeric) return key(a).localeCompare(key(b));
          const [x, y] = [value(key(a)), value(key(b))];
          return Number.isNaN(x) - Number.isNaN(y) || (descending ? y - x : x - y);
        };
        body.append(...[...body.rows].sort(compare));
        descending = !descending;
      };
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", (event) => event.key === "Enter" && sort());
    }
  };
  document.querySelectorAll(".md-content table").forEach(prepare);
})();
