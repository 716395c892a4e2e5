// Niceties only: without scripts the page loses nothing but these buttons.
(function () {
  "use strict";
  var root = document.documentElement;
  var themes = ["auto", "light", "dark"];
  var button = document.getElementById("theme");
  function show(theme) {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    button.querySelector("span").textContent = theme;
  }
  var theme = "auto";
  // Storage is refused for files in some browsers; the choice then lasts until the page is closed.
  try { theme = localStorage.getItem("oculist-theme") || "auto"; } catch (e) {}
  if (themes.indexOf(theme) < 0) theme = "auto";
  show(theme);
  button.hidden = false;
  button.addEventListener("click", function () {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    show(theme);
    try { localStorage.setItem("oculist-theme", theme); } catch (e) {}
  });

  Array.prototype.forEach.call(document.querySelectorAll("button.copy"), function (copy) {
    var source = document.getElementById(copy.getAttribute("data-copy"));
    copy.hidden = false;
    copy.addEventListener("click", function () {
      function done() {
        copy.textContent = "Copied";
        setTimeout(function () { copy.textContent = "Copy"; }, 1500);
      }
      function select() {
        var range = document.createRange();
        range.selectNodeContents(source);
        var selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
      }
      if (navigator.clipboard) navigator.clipboard.writeText(source.textContent).then(done, select);
      else select();
    });
  });

  // Paper cannot be unfolded.
  addEventListener("beforeprint", function () {
    Array.prototype.forEach.call(document.querySelectorAll("details"), function (d) { d.open = true; });
  });
})();
