// Draws the charts and shows definitions. The bundle gives vegaEmbed.
const options = { actions: false, renderer: "svg", ast: true };
const charts = [...document.querySelectorAll("[data-chart]")];

function draw(place) {
  const source = document.getElementById(`chart-${place.dataset.chart}`);
  return vegaEmbed(place, JSON.parse(source.textContent), options).catch((error) => {
    place.textContent = `This chart could not be drawn: ${error.message}`;
    throw error;
  });
}

Promise.allSettled(charts.map(draw)).then((drawn) => {
  const failed = drawn.filter((one) => one.status === "rejected");
  failed.forEach((one) => console.error(one.reason));
  document.documentElement.dataset.charts = failed.length ? "failed" : "drawn";
});

const note = document.getElementById("definition");

function show(term) {
  note.textContent = document.getElementById(`def-${term.dataset.term}`).textContent;
  note.hidden = false;
  const box = term.getBoundingClientRect();
  const room = document.documentElement.clientWidth - note.offsetWidth - 8;
  const below = box.bottom + 6 + note.offsetHeight < window.innerHeight;
  note.style.left = `${Math.max(8, Math.min(box.left, room))}px`;
  note.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - note.offsetHeight - 6)}px`;
}

function hide() {
  note.hidden = true;
}

for (const term of document.querySelectorAll("[data-term]")) {
  term.addEventListener("mouseenter", () => show(term));
  term.addEventListener("focus", () => show(term));
  term.addEventListener("mouseleave", hide);
  term.addEventListener("blur", hide);
}
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
document.addEventListener("scroll", hide, { passive: true });
