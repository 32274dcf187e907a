// Shows times in the zone and the language of the reader, and a box that filters the names. The page
// works without it.
"use strict";
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
for (const time of document.querySelectorAll("time")) {
  const date = new Date(time.dateTime);
  time.textContent = day.format(date);
  time.title = exact.format(date);
}
const zone = document.getElementById("zone");
if (zone) zone.hidden = true;

// The parent directory stays.
const rows = [...document.querySelectorAll("tbody tr")].filter(row => row.querySelector('a[href^="./"]'));
const names = rows.map(row => row.cells[0].textContent.toLowerCase());
const box = document.querySelector("input");
const filter = () => {
  const wanted = box.value.trim().toLowerCase().split(/\s+/);
  rows.forEach((row, at) => { row.hidden = !wanted.every(word => names[at].includes(word)); });
};
box.hidden = rows.length < 2;
box.addEventListener("input", filter);
// A browser that comes back to the page puts the old text into the box again.
addEventListener("pageshow", filter);
