// Small experiments with sliders: see docs/sliders.md. Results come from a script element in the page.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const stored = (name) => JSON.parse(document.getElementById(`results-${name}`).textContent);

  const drawing = (parent, width, height, label) => {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    parent.append(svg);
    return svg;
  };

  const draw = (svg, kind, attributes, text) => {
    const shape = document.createElementNS(SVG, kind);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    if (text !== undefined) shape.textContent = text;
    svg.append(shape);
  };

  const slider = (parent, name, max, start, text, changed) => {
    const label = parent.appendChild(document.createElement("label"));
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max, step: 1, value: start });
    const shown = document.createElement("output");
    label.append(`${name} `, input, " ", shown);
    const update = () => {
      shown.textContent = text(Number(input.value));
      changed();
    };
    input.addEventListener("input", update);
    shown.textContent = text(start);
    return () => Number(input.value);
  };

  // Distances from the minimum along a path of gradient descent with momentum, and the path.
  const descend = (kappa, eta, beta, steps) => {
    const curvature = [1, 1 / kappa];
    let w = [1, 1], v = [0, 0];
    const path = [w];
    for (let t = 0; t < steps; t++) {
      v = v.map((value, i) => beta * value + curvature[i] * w[i]);
      w = w.map((value, i) => value - eta * v[i]);
      path.push(w);
    }
    return path;
  };

  const quadratic = (parent) => {
    const { kappas, rates } = stored("quadratics_saddles");
    const controls = parent.appendChild(document.createElement("div"));
    const plot = drawing(parent, 640, 260, "Distance from the minimum against steps, and the path");
    const note = parent.appendChild(document.createElement("p"));
    const redraw = () => {
      const k = kappas[kappa()], beta = momentum() / 100, eta = (rate() / 100) * (2 / (1 + 1 / k));
      const path = descend(k, eta, beta, 200);
      plot.replaceChildren();
      const level = (w) => Math.max(-12, Math.min(4, Math.log10(Math.hypot(...w) + 1e-300)));
      const points = path.map((w, t) => `${40 + t * 1.6},${70 - level(w) * 12}`).join(" ");
      for (const power of [0, -4, -8, -12]) {
        draw(plot, "line", { x1: 40, x2: 360, y1: 70 - power * 12, y2: 70 - power * 12, class: "rule" });
        draw(plot, "text", { x: 34, y: 74 - power * 12, class: "end" }, power ? `1e${power}` : "1");
      }
      draw(plot, "polyline", { points, class: "curve" });
      draw(plot, "text", { x: 40, y: 14 }, "distance from the minimum");
      draw(plot, "text", { x: 360, y: 250, class: "end" }, "200 steps");
      const place = ([x, y]) => `${Math.max(390, Math.min(630, 510 + x * 100))},${Math.max(20, Math.min(240, 130 - y * 100))}`;
      draw(plot, "polyline", { points: path.slice(0, 60).map(place).join(" "), class: "path" });
      draw(plot, "circle", { cx: 510, cy: 130, r: 3, class: "goal" });
      draw(plot, "text", { x: 400, y: 14 }, "path, steep direction across");
      const late = [path[100], path[200]].map((w) => Math.hypot(...w));
      const factor = Math.pow(late[1] / late[0], 1 / 100);
      const best = (name) => Math.exp(-rates[name].measured[kappa()]).toFixed(4);
      const found = late[1] < 1e-300 ? "0" : Number.isFinite(factor) ? factor.toFixed(4) : "∞";
      note.textContent =
        `Factor a step, over steps 100 to 200: ${found}. Stored for κ = ${k}: gradient descent at its best rate ` +
        `${best("gradient descent")}, heavy ball at its best ${best("heavy ball")}.`;
    };
    const kappa = slider(controls, "κ", kappas.length - 1, 1, (i) => String(kappas[i]), redraw);
    const rate = slider(controls, "η over 2/(1 + 1/κ)", 200, 90, (i) => (i / 100).toFixed(2), redraw);
    const momentum = slider(controls, "β", 99, 0, (i) => (i / 100).toFixed(2), redraw);
    redraw();
  };

  const superposition = (parent) => {
    const { sparsities, plane } = stored("superposition");
    const controls = parent.appendChild(document.createElement("div"));
    const plot = drawing(parent, 300, 300, "Five vectors in a plane");
    const note = parent.appendChild(document.createElement("p"));
    const redraw = () => {
      const W = plane.W[sparsity()];
      plot.replaceChildren();
      draw(plot, "circle", { cx: 150, cy: 150, r: 100, class: "rule" });
      W[0].forEach((x, i) => {
        const y = W[1][i];
        draw(plot, "line", { x1: 150, y1: 150, x2: 150 + 100 * x, y2: 150 - 100 * y, class: `feature f${i}` });
        if (Math.hypot(x, y) > 0.5) draw(plot, "text", { x: 146 + 118 * x, y: 155 - 118 * y }, String(i + 1));
      });
      const kept = W[0].filter((x, i) => Math.hypot(x, W[1][i]) > 0.5).length;
      note.textContent = `${kept} of 5 features have a vector longer than ½.`;
    };
    const sparsity = slider(controls, "sparsity", sparsities.length - 1, 0, (i) => String(sparsities[i]), redraw);
    redraw();
  };

  const widgets = { quadratic, superposition };
  for (const place of document.querySelectorAll("[data-widget]")) widgets[place.dataset.widget](place);
})();
