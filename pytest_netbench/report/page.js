"use strict";
// Draws each chart when it comes into view: a page with hundreds of tests opens at once.
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const templates = read("templates");
  const charts = read("charts");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  const fill = (value, words) => {
    if (Array.isArray(value)) return value.map((one) => fill(one, words));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one, words)]));
    }
    return Object.hasOwn(words, value) ? words[value] : value;
  };

  const spec = (chart) => {
    const made = fill(templates[chart.kind], { __TITLE__: chart.title, __UNIT__: chart.unit });
    const values = chart.rows.map((row) => Object.fromEntries(chart.columns.map((name, i) => [name, row[i]])));
    made.datasets = { values };
    return made;
  };

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const [ink, dim, line] = ["--ink", "--dim", "--line"].map((name) => style.getPropertyValue(name).trim());
    const words = { labelColor: dim, titleColor: dim, labelFont: "system-ui, sans-serif", titleFont: "system-ui, sans-serif" };
    return {
      background: "transparent",
      title: { color: ink, font: "system-ui, sans-serif", anchor: "start", fontSize: 13 },
      axis: { ...words, domainColor: line, tickColor: line, gridColor: line, titleFontWeight: "normal" },
      legend: words,
      header: { ...words, labelColor: ink, labelFontSize: 12 },
      rule: { color: ink },
    };
  };

  const draw = (figure) => {
    const chart = charts[Number(figure.dataset.chart)];
    window
      .netbenchEmbed(figure, spec(chart), { actions: false, renderer: "svg", config: colours() })
      .then(() => figure.classList.add("drawn"))
      .catch((error) => { figure.textContent = `this chart can't be drawn: ${error.message}`; });
  };

  const figures = [...document.querySelectorAll("figure[data-chart]")];
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen.filter((entry) => entry.isIntersecting)) {
      watcher.unobserve(one.target);
      draw(one.target);
    }
  }, { rootMargin: "300px" });
  // `report.html#all` draws everything at once, for programs that take a picture of the page.
  figures.forEach((figure) => (location.hash === "#all" ? draw(figure) : watcher.observe(figure)));
  dark.addEventListener("change", () => figures.filter((one) => one.classList.contains("drawn")).forEach(draw));
  window.addEventListener("beforeprint", () => figures.filter((one) => !one.classList.contains("drawn")).forEach(draw));
})();
