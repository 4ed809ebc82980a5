/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The rest of the page's script: what is said of a span, and what is around the pictures.
let outlined = null;
const detail = document.getElementById("detail");

function hideDetail() {
    detail.hidden = true;
    if (outlined !== null)
        outlined.over.getContext("2d").clearRect(0, 0, outlined.over.width, outlined.over.height);
    outlined = null;
}

function describe(i) {
    const bytes = field(i, PAGES) * data.page, state = stateOf(i);
    let resident = 0;
    eachRun(begin[i], begin[i] + field(i, PAGES), (first, end, is) => {
        resident += is ? end - first : 0;
    });
    const lines = [];
    if (state === "objects") {
        const [each] = data.classes[field(i, CLASS)];
        const free = field(i, OBJECTS) - field(i, HELD) - field(i, CACHED);
        lines.push(`${field(i, OBJECTS)} objects of ${size(each)} (class ${field(i, CLASS)})`,
                   `${field(i, HELD)} held, ${field(i, CACHED)} in caches, ${free} free: ` +
                   `${percent(fillOf(i))} full`);
    } else {
        lines.push({large: "one large object", pages: "pages of nh_pages_alloc",
                    free: "free pages", clean: "free pages, given back or never used",
                    leaving: "free pages, on their way to the system"}[state]);
    }
    if (field(i, AGE) >= 0)
        lines.push(`free for ${(field(i, AGE) / 1000).toFixed(1)} s`);
    lines.push(`${size(bytes)}, of which ${size(resident * data.page)} in memory`);
    lines.push(field(i, USER) === field(i, HOME) ? nodeName(field(i, HOME))
               : `${nodeName(field(i, HOME))}, borrowed by ${nodeName(field(i, USER))}`);
    return lines;
}

function fillDetail(i) {
    detail.replaceChildren(text("b", "0x" + (begin[i] * data.page).toString(16)),
                           ...describe(i).map(line => text("div", line)));
}

function showDetail(i, several, event) {
    fillDetail(i);
    if (several > 1)
        detail.append(text("div", `and ${several - 1} more under the pointer`, "soft"));
    detail.classList.remove("still");
    detail.hidden = false;
    const box = detail.getBoundingClientRect();
    const x = event.clientX + 16 + box.width > innerWidth ? event.clientX - 16 - box.width
                                                           : event.clientX + 16;
    const y = Math.min(event.clientY + 16, innerHeight - box.height - 8);
    detail.style.left = Math.max(x, 4) + "px";
    detail.style.top = Math.max(y, 4) + "px";
}

// An address behind the page's # is shown as if it were pointed at.
function showAddress() {
    const address = parseInt(location.hash.slice(1), 16);
    if (!(address >= 0))
        return;
    const page = Math.floor(address / data.page);
    for (const picture of pictures) {
        const [span] = picture.spanAt(page, page + 1);
        if (span >= 0) {
            picture.outline(span);
            fillDetail(span);
            detail.classList.add("still");
            detail.hidden = false;
            return;
        }
    }
}

// ---- All of it ----

const pictures = data.nodes.filter(node => node.mapped > 0).map(node => new Picture(node));

function mostRows(rowPages) {
    let most = 1;
    for (const picture of pictures) {
        picture.layout(rowPages);
        most = Math.max(most, picture.blocks.length);
    }
    return most;
}

// Of the powers of two: rows that the tallest node needs a screen for, or two.
function firstRow() {
    const longest = Math.max(1, ...pictures.map(p => p.node.mapped / data.page));
    let row = data.row;
    while (longest / row > 4 * ROWS_AT_FIRST) // before a set of all rows is made
        row *= 2;
    while (mostRows(row) > ROWS_AT_FIRST)
        row *= 2;
    return row;
}

function draw() {
    hideDetail();
    readPalette();
    const most = mostRows(view.row);
    const height = Math.max(1, Math.min(14, Math.floor(TALL / most)));
    for (const picture of pictures)
        picture.draw(height);
    drawLegend();
    showAddress();
    document.body.dataset.spans = count; // drawn
}

function drawLegend() {
    const swatch = (colour, what) => {
        const entry = text("span", "");
        const box = text("i", "", "swatch");
        box.style.background = colour;
        entry.append(box, what);
        return entry;
    };
    const scale = (from, colours, to) => {
        const entry = text("span", "");
        const box = text("i", "", "scale");
        box.style.background = `linear-gradient(90deg, ${colours.map(rgb).join(", ")})`;
        entry.append(from, box, to);
        return entry;
    };
    const rgb = colour => `rgb(${colour.map(Math.round).join(" ")})`;
    const steps = [0, 1, 2, 3, 4, 5, 6];
    const entries = view.colour === "fill"
        ? [scale("objects: empty", [palette.hole, palette.held], "full")]
        : [scale("objects: 16 B",
                 steps.map(k => classColour(2 ** (CLASS_LEAST + 2 * k))), "64 KiB"),
           scale("empty", steps.map(k => shade(classColour(512), k / 6)),
                 "full")];
    entries.push(swatch("var(--large)", "large object"), swatch("var(--pages)", "nh_pages_alloc"),
                 swatch("var(--free)", "free, in memory"),
                 swatch("var(--back)", "free, given back or never used"),
                 swatch("repeating-linear-gradient(135deg, var(--mark) 0 2px, transparent 2px 5px)",
                        "borrowed by another node"),
                 text("span", "paler: not in memory", "soft"));
    document.getElementById("legend").replaceChildren(...entries);
}

function listClasses() {
    const rows = data.nodes.flatMap(node => node.classes.map(one => [node, one]))
        .filter(([, one]) => one.free_bytes > 0)
        .sort((a, b) => b[1].free_bytes - a[1].free_bytes).slice(0, 20);
    const body = document.querySelector("#classes tbody");
    for (const [node, one] of rows) {
        const line = document.createElement("tr");
        line.append(text("td", size(one.object_bytes), "number"), text("td", nodeName(node.node)),
                    text("td", one.spans, "number"), text("td", size(one.span_bytes), "number"),
                    text("td", percent(one.fill), "number"),
                    text("td", percent(one.cached / one.objects), "number"),
                    text("td", size(one.free_bytes), "number"));
        line.addEventListener("click", () => {
            const again = line.classList.contains("chosen");
            body.querySelectorAll(".chosen").forEach(other => other.classList.remove("chosen"));
            line.classList.toggle("chosen", !again);
            view.only = again ? null : {number: one.class, node: node.node};
            draw();
        });
        body.append(line);
    }
}

const isoTime = seconds => new Date(seconds * 1000).toISOString().replace(/[TZ]|\.000/g, " ");
document.getElementById("process").textContent = data.process;
document.getElementById("about").textContent =
    `nearheap ${data.library}, ${isoTime(data.time)}UTC, ${count} spans. A row of a picture is ` +
    "memory from left to right, the next one follows below; gaps are addresses that are not the " +
    "heap's. Point at it for details.";
document.getElementById("nodes").append(...pictures.map(picture => picture.card));
const rowChoice = document.getElementById("row");
view.row = firstRow();
for (let row = data.row; row <= view.row * 4 && rowChoice.length < 16; row *= 2)
    if (mostRows(row) <= CANVAS_MOST)
        rowChoice.append(new Option(size(row * data.page), row, false, row === view.row));
rowChoice.addEventListener("change", () => { view.row = Number(rowChoice.value); draw(); });
const colourChoice = document.getElementById("colour");
colourChoice.addEventListener("change", () => { view.colour = colourChoice.value; draw(); });
addEventListener("resize", draw);
addEventListener("hashchange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
listClasses();
draw();
