"use strict";
(function () {
  var filters = document.querySelector(".filters");
  var outcome = document.getElementById("filter-outcome");
  var pillar = document.getElementById("filter-pillar");
  var fold = document.getElementById("fold");
  var count = document.getElementById("filter-count");
  var checks = Array.prototype.slice.call(document.querySelectorAll("section.check"));
  var marked = Array.prototype.slice.call(document.querySelectorAll("[data-outcome]"));
  filters.hidden = false;
  function fits(node) {
    return (!outcome.value || node.dataset.outcome === outcome.value) && (!pillar.value || node.dataset.pillar === pillar.value);
  }
  function show() {
    marked.forEach(function (node) { node.hidden = !fits(node); });
    var shown = checks.filter(fits).length;
    count.textContent = shown === checks.length ? "" : shown + " of " + checks.length + " checks";
  }
  function toggle(section, folded) { section.classList.toggle("folded", folded); }
  outcome.addEventListener("change", show);
  pillar.addEventListener("change", show);
  fold.addEventListener("click", function () {
    var folded = fold.textContent === "fold all";
    checks.forEach(function (section) { toggle(section, folded); });
    fold.textContent = folded ? "unfold all" : "fold all";
  });
  checks.forEach(function (section) {
    var head = section.querySelector("h2");
    head.tabIndex = 0;
    head.classList.add("folds");
    head.setAttribute("role", "button");
    function flip() { var now = !section.classList.contains("folded"); toggle(section, now); head.setAttribute("aria-expanded", String(!now)); }
    head.addEventListener("click", flip);
    head.addEventListener("keydown", function (event) { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); flip(); } });
  });
})();
