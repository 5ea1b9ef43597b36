"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  // Okabe and Ito's colours, lighter on dark paper; after them again, with other marks and dashes.
  const PALETTES = {
    light: ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56B4E9", "#333333"],
    dark: ["#56B4E9", "#FF8C42", "#2BD4A4", "#E8A5CB", "#F0C84B", "#9AD0F5", "#E6E9ED"],
  };
  const MARKS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "star"];
  let printing = false;
  const isDark = () => dark.matches && !printing;
  const place = (learner) => Math.max(0, page.learners.indexOf(learner));
  const colour = (index) => {
    const palette = PALETTES[isDark() ? "dark" : "light"];
    return palette[index % palette.length];
  };
  const faded = (hex, alpha) => {
    const part = (at) => parseInt(hex.slice(at, at + 2), 16);
    return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
  };
  const hiddenLearners = new Set();
  const withMore = new Set();  // charts that show all they have

  // A trace's colours, by whose it is and what it shows.
  function styled(trace, chart) {
    const meta = trace.meta || {};
    const index = meta.colour === undefined ? place(meta.learner) : meta.colour;
    const own = colour(index);
    const other = {...trace, line: {...trace.line}, marker: {...trace.marker}};
    if (meta.role === "band") {
      Object.assign(other, {fillcolor: faded(own, trace.opacity || 0.16), mode: "lines", hoverinfo: "skip", opacity: 1});
      other.line = {width: 0, color: own};
    } else {
      other.line.color = own;
      other.marker.color = meta.role === "seed" || meta.role === "more" ? faded(own, 0.45) : own;
      if (meta.symbol !== false && !other.marker.symbol) other.marker.symbol = MARKS[index % MARKS.length];
    }
    if (other.marker.line) other.marker.line = {...other.marker.line, color: own};
    if (trace.error_x) other.error_x = {...trace.error_x, color: own};
    if (trace.error_y) other.error_y = {...trace.error_y, color: own};
    other.visible = isShown(meta, chart);
    other.showlegend = Boolean(trace.showlegend);
    return other;
  }

  const isShown = (meta, chart) =>
    !(meta.learner && hiddenLearners.has(meta.learner)) && (meta.role !== "more" || withMore.has(chart));

  function layoutOf(layout) {
    const ink = isDark() ? "#e6e9ed" : "#1b1f24", line = isDark() ? "#343b44" : "#e3e7eb";
    const axis = (given) => ({gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, ...given});
    const whole = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: ink, size: 13},
      margin: {l: 56, r: 12, t: 12, b: 48}, hovermode: "closest", dragmode: "pan", height: 420, showlegend: false,
      modebar: {bgcolor: "rgba(0,0,0,0)", color: isDark() ? "#a5adb8" : "#57606a", activecolor: ink},
      legend: {orientation: "h", y: -0.22}, hoverlabel: {align: "left"}, ...layout,
    };
    for (const name of Object.keys(whole)) if (/^[xy]axis\d*$/.test(name)) whole[name] = axis(whole[name]);
    if (!whole.xaxis) whole.xaxis = axis({});
    if (!whole.yaxis) whole.yaxis = axis({});
    for (const shape of whole.shapes || []) shape.line = {width: 1, dash: "dot", ...shape.line, color: isDark() ? "#a5adb8" : "#57606a"};
    return whole;
  }

  const drawn = new Map();
  function draw(element) {
    const chart = page.charts[element.dataset.chart];
    const options = {responsive: true, displaylogo: false, scrollZoom: false, displayModeBar: narrow.matches ? false : "hover",
      modeBarButtonsToRemove: ["lasso2d", "select2d"]};
    element.querySelectorAll(".still").forEach((child) => child.remove());
    const kept = drawn.get(element);
    const layout = layoutOf(structuredClone(kept ? {...chart.layout, ...axesOf(element)} : chart.layout));
    Plotly.react(element, chart.data.map((trace) => styled(trace, element.dataset.chart)), layout, options);
    drawn.set(element, true);
  }
  const axesOf = (element) => {
    const axes = {};
    for (const name of ["xaxis", "yaxis"]) {
      const given = page.charts[element.dataset.chart].layout[name], {type} = element._fullLayout[name];
      axes[name] = {...given, type, range: given && given.type === type ? given.range : undefined};
    }
    return axes;
  };

  // Charts are drawn when they come near the screen, so that a long page opens at once.
  const elements = [...document.querySelectorAll("div.chart")];
  const seen = "IntersectionObserver" in window
    ? new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
    }, {rootMargin: "400px"})
    : {observe: draw};

  function colourSwatches() {
    for (const swatch of document.querySelectorAll(".swatch")) swatch.style.background = colour(place(swatch.dataset.learner));
  }

  function showLearner(learner, wanted) {
    if (wanted) hiddenLearners.delete(learner); else hiddenLearners.add(learner);
    for (const element of drawn.keys()) {
      const name = element.dataset.chart, traces = page.charts[name].data;
      const places = traces.flatMap((trace, k) => (trace.meta || {}).learner === learner ? [k] : []);
      if (places.length) Plotly.restyle(element, {visible: places.map((k) => isShown(traces[k].meta, name))}, places);
    }
  }

  document.documentElement.classList.add("scripted");
  for (const box of document.querySelectorAll("#page-learners input"))
    box.addEventListener("change", () => showLearner(box.dataset.learner, box.checked));
  document.getElementById("page-learners")?.removeAttribute("hidden");
  for (const button of document.querySelectorAll("button[data-axis]")) button.addEventListener("click", () => {
    const log = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(log));
    const element = document.querySelector(`div.chart[data-chart="${button.dataset.chart}"]`);
    if (!drawn.has(element)) return;
    const name = `${button.dataset.axis}axis`, type = log ? "log" : "linear";
    const given = page.charts[button.dataset.chart].layout[name];
    // A range is that of the type it was given for.
    const extent = given.range && given.type === type ? {[`${name}.range`]: [...given.range]} : {[`${name}.autorange`]: true};
    Plotly.relayout(element, {[`${name}.type`]: type, ...extent});
  });
  for (const button of document.querySelectorAll("button[data-more]")) button.addEventListener("click", () => {
    const name = button.dataset.more, more = !withMore.has(name);
    if (more) withMore.add(name); else withMore.delete(name);
    button.setAttribute("aria-pressed", String(more));
    const element = document.querySelector(`div.chart[data-chart="${name}"]`);
    if (drawn.has(element)) draw(element);
  });
  for (const select of document.querySelectorAll("select[data-choice]")) {
    const show = () => {
      for (const option of document.querySelectorAll(`#${CSS.escape(select.dataset.choice)} > .option`))
        option.hidden = option.dataset.option !== select.value;
      for (const element of drawn.keys()) if (element.offsetParent) Plotly.Plots.resize(element);
    };
    select.addEventListener("change", show);
    show();
  }
  colourSwatches();
  // Words first: Plotly takes a moment to start, and may do so when they are on the screen.
  const source = document.getElementById("page-plotly");
  if (source) requestAnimationFrame(() => setTimeout(() => {
    const script = document.createElement("script");
    script.text = source.textContent;
    document.head.append(script);
    elements.forEach((element) => seen.observe(element));
  }));
  const restyle = () => { colourSwatches(); for (const element of drawn.keys()) if (element.offsetParent) draw(element); };
  dark.addEventListener("change", restyle);
  addEventListener("beforeprint", () => { printing = true; elements.forEach((element) => { if (element.offsetParent) draw(element); }); });
  addEventListener("afterprint", () => { printing = false; restyle(); });
})();
