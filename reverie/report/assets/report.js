"use strict";
(function () {
  const specifications = JSON.parse(document.getElementById("specifications").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();

  function config() {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim();
    const soft = style.getPropertyValue("--soft").trim();
    const line = style.getPropertyValue("--line").trim();
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: line },
      axis: { labelColor: soft, titleColor: text, gridColor: line, domainColor: line, tickColor: line, labelLimit: 160, labelSeparation: 6, titleFontWeight: 500 },
      legend: { labelColor: soft, titleColor: text, titleFontWeight: 500 },
      title: { color: text },
      // More stands out more: darker on white, brighter on black.
      range: { heatmap: dark.matches ? ["#22324d", "#a9cbff"] : { scheme: "blues" } },
    };
  }

  // Panels beside each other have widths of their own: on a narrow page they stand below each other.
  function fitted(specification, width) {
    const copy = structuredClone(specification);
    const panels = copy.concat || copy.hconcat;
    if (panels) {
      const least = Math.max(...panels.map((panel) => 0.75 * panel.width));
      const beside = copy.usermeta.beside;
      const columns = Math.max(1, Math.min(copy.columns || panels.length, Math.floor(width / (least + beside))));
      const room = Math.floor(width / columns) - beside;
      copy.concat = panels;
      copy.columns = columns;
      delete copy.hconcat;
      for (const panel of panels) panel.width = Math.max(110, room);
    }
    return copy;
  }

  async function draw(name) {
    const chart = document.getElementById("chart-" + name);
    const place = chart.firstElementChild;
    const width = chart.clientWidth;
    const specification = fitted(specifications[name], width);
    const label = chart.closest("figure").querySelector("figcaption").textContent;
    specification.description = label;
    if (!specification.concat) specification.autosize = { type: "fit-x", contains: "padding" };
    try {
      const result = await vegaEmbed(place, specification, { config: config(), renderer: "svg", actions: false, mode: "vega-lite", logLevel: 1, tooltip: { theme: dark.matches ? "dark" : "light" } });
      if (views.has(name)) views.get(name).finalize();
      views.set(name, result);
      chart.dataset.drawn = String(width);
    } catch (error) {
      place.innerHTML = '<p class="failed"></p>';
      place.firstChild.textContent = "This figure could not be drawn: " + error.message;
      throw error;
    }
  }

  // Figures are drawn as they come into sight: a long page is there at once.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target.id.slice("chart-".length));
    }
  }, { rootMargin: "600px" });
  for (const name of Object.keys(specifications)) seen.observe(document.getElementById("chart-" + name));

  function drawAgain() {
    for (const name of views.keys()) draw(name);
  }
  dark.addEventListener("change", drawAgain);
  window.addEventListener("beforeprint", () => Object.keys(specifications).forEach(draw));
  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const name of views.keys()) {
        const place = document.getElementById("chart-" + name);
        if (Math.abs(Number(place.dataset.drawn) - place.clientWidth) > 20) draw(name);
      }
    }, 200);
  });
})();
