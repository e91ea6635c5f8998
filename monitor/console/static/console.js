"use strict";
// Keys for those who work on the queue all day. Nothing here is needed: every page works without it.
(function () {
  var chosen = -1;
  var pending = "";
  var waits = 0;

  function links() {
    return Array.prototype.slice.call(document.querySelectorAll("main a.open"));
  }

  function choose(step) {
    var all = links();
    if (!all.length) return;
    var at = all.indexOf(document.activeElement);
    if (at >= 0) chosen = at;
    chosen = Math.max(0, Math.min(all.length - 1, chosen + step));
    all[chosen].focus();
    all[chosen].scrollIntoView({ block: "nearest" });
  }

  function go(where) {
    window.location.assign(where);
  }

  var places = { q: "/", r: "/rules", l: "/live", d: "/dispositions", v: "/review", i: "/identities" };
  var keys = {
    j: function () { choose(1); },
    k: function () { choose(-1); },
    n: function () { var next = document.querySelector("a[rel=next]"); if (next) next.click(); },
    "/": function () { var field = document.getElementById("q"); if (field) { field.focus(); field.select(); } },
    "?": function () { go("/keys"); },
    a: function () { var first = document.querySelector(".acts button"); if (first) first.focus(); },
    c: function () { var field = document.getElementById("comment"); if (field) field.focus(); },
    i: function () { var first = document.querySelector(".unmask input[type=checkbox], .unmask button"); if (first) first.focus(); },
    p: function () { if (document.querySelector(".timeline")) window.print(); }
  };

  document.addEventListener("keydown", function (event) {
    var target = event.target;
    if (event.key === "Escape" && target.matches("input, textarea, select")) { target.blur(); return; }
    if (document.body.dataset.keys !== "on" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.matches("input, textarea, select")) return;
    if (pending && Date.now() - waits < 1500) {
      pending = "";
      if (Object.prototype.hasOwnProperty.call(places, event.key)) { event.preventDefault(); go(places[event.key]); }
      return;
    }
    pending = "";
    if (event.key === "g") { pending = "g"; waits = Date.now(); return; }
    if (Object.prototype.hasOwnProperty.call(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });

  // htmx puts the address of every page into the browser's storage, and addresses say whom somebody looked at: it is taken out again,
  // and with its history off no other comes in. The address of a filtered list is set here.
  try { window.sessionStorage.removeItem("htmx-current-path-for-history"); } catch (error) { /* there is no storage: so much the better */ }
  document.addEventListener("htmx:afterSwap", function (event) {
    var path = event.detail.pathInfo && event.detail.pathInfo.finalRequestPath;
    if (path && event.detail.target && event.detail.target.id === "list") window.history.replaceState(null, "", path);
  });

  // What is folded away is printed too.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
})();
