/* SPDX-License-Identifier: LGPL-2.1-or-later */
// The first part of the page's script: spans, colours, and the picture of a node.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const FIELDS = data.fields.length;
const [GAP, PAGES, STATE, HOME, USER, CLASS, OBJECTS, HELD, CACHED, AGE] = data.fields.keys();
const STATES = data.states;
const IDLE = new Set(["free", "clean", "leaving"]);
const CLASS_LEAST = 4, CLASS_MOST = 16;      // powers of two of the smallest and largest class
const HUE_LEAST = 188, HUE_MOST = 318;       // their colours
const CLASS_SHADE = 0.25;                    // of an empty span's colour
const TALL = 760, ROWS_AT_FIRST = 380, CANVAS_MOST = 16000;
const view = { colour: "fill", row: 0, only: null };

// ---- Spans: columns, and where each begins, in pages ----

const count = data.spans.length / FIELDS;
const begin = new Float64Array(count);
for (let i = 0, at = 0; i < count; i++) {
    at += data.spans[i * FIELDS + GAP];
    begin[i] = at;
    at += data.spans[i * FIELDS + PAGES];
}
const field = (i, name) => data.spans[i * FIELDS + name];
const stateOf = i => STATES[field(i, STATE)];
const fillOf = i => field(i, HELD) / field(i, OBJECTS);
const residentOf = new Map(data.resident);   // hexadecimal digits by row; 1: all of it

function text(tag, content, name) {
    const made = document.createElement(tag);
    made.textContent = content;
    if (name)
        made.className = name;
    return made;
}

function size(bytes) {
    for (const unit of ["B", "KiB", "MiB", "GiB"]) {
        if (bytes < 10240)
            return (bytes < 10 && unit !== "B" ? bytes.toFixed(1) : Math.round(bytes)) + " " + unit;
        bytes /= 1024;
    }
    return Math.round(bytes) + " TiB";
}
const nodeName = number => number < 0 ? "interleaved" : "node " + number;
const percent = part => (part > 0 && part < 0.01 ? "<1" : Math.round(100 * part)) + " %";

// ---- Colours ----

let palette;
function readPalette() {
    const style = getComputedStyle(document.documentElement);
    palette = {};
    for (const name of ["card", "cell", "held", "cached", "hole", "free", "back", "large", "pages",
                        "mark"]) {
        const hex = style.getPropertyValue("--" + name).trim();
        palette[name] = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
    }
    palette.dark = matchMedia("(prefers-color-scheme: dark)").matches;
    palette.classes = new Map();
    for (const [number, [bytes]] of Object.entries(data.classes))
        palette.classes.set(Number(number), classColour(bytes));
}

function fromHsl(hue, saturation, light) {
    const a = saturation * Math.min(light, 1 - light);
    return [0, 8, 4].map(n => {
        const k = (n + hue / 30) % 12;
        return 255 * (light - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
    });
}

function classColour(bytes) {
    const part = (Math.log2(bytes) - CLASS_LEAST) / (CLASS_MOST - CLASS_LEAST);
    return fromHsl(HUE_LEAST + part * (HUE_MOST - HUE_LEAST), 0.72, palette.dark ? 0.6 : 0.42);
}

const mix = (a, b, part) => a.map((one, k) => one + (b[k] - one) * part);

const shade = (colour, fill) => mix(palette.cell, colour, CLASS_SHADE + (1 - CLASS_SHADE) * fill);

function colourOf(i, resident) {
    const state = stateOf(i);
    let colour;
    if (IDLE.has(state)) {
        colour = resident ? palette.free : palette.back;
    } else {
        if (state === "large" || state === "pages")
            colour = palette[state];
        else if (view.colour === "fill")
            colour = mix(palette.hole, palette.held, fillOf(i));
        else
            colour = shade(palette.classes.get(field(i, CLASS)), fillOf(i));
        if (!resident)
            colour = mix(colour, palette.cell, 0.7);
    }
    const only = view.only;
    if (only !== null && (field(i, CLASS) !== only.number || field(i, HOME) !== only.node))
        colour = mix(colour, palette.cell, 0.85);
    return colour;
}

// ---- A node's picture ----

// Runs of pages [first, end) of which all or none are in memory: call(first, end, resident).
function eachRun(first, end, call) {
    while (first < end) {
        const row = Math.floor(first / data.row);
        const stop = Math.min(end, (row + 1) * data.row);
        const digits = residentOf.get(row);
        if (digits === undefined || digits === 1) {
            call(first, stop, digits === 1);
            first = stop;
            continue;
        }
        const bit = page => {
            const at = page - row * data.row;
            return parseInt(digits[at >> 2], 16) >> (at & 3) & 1;
        };
        while (first < stop) {
            const resident = bit(first);
            let last = first + 1;
            while (last < stop && bit(last) === resident)
                last++;
            call(first, last, resident === 1);
            first = last;
        }
    }
}

class Picture {
    constructor(node) {
        this.node = node;
        this.spans = [];
        for (let i = 0; i < count; i++)
            if (field(i, HOME) === node.node)
                this.spans.push(i);
        this.card = document.createElement("section");
        this.card.className = "node";
        this.card.append(text("h2", nodeName(node.node)), this.summary(), this.bar(), this.facts());
        this.sky = document.createElement("div");
        this.sky.className = "sky";
        this.canvas = document.createElement("canvas");
        this.over = document.createElement("canvas");
        this.over.className = "over";
        this.sky.append(this.canvas, this.over);
        this.card.append(this.sky);
        this.canvas.addEventListener("mousemove", event => this.hover(event));
        this.canvas.addEventListener("mouseleave", () => hideDetail());
    }

    summary() {
        const node = this.node;
        return text("p", `${size(node.resident)} in memory of ${size(node.mapped)}`, "soft");
    }

    parts() {
        const node = this.node;
        return [["held", "the program holds", node.held], ["cached", "in caches", node.cached],
                ["hole", "free in spans", node.in_spans], ["free", "free pages", node.free],
                ["back", "not in memory", node.given_back]];
    }

    bar() {
        const bar = document.createElement("div");
        bar.className = "bar";
        for (const [name, what, bytes] of this.parts()) {
            const part = document.createElement("i");
            part.style.background = `var(--${name})`;
            part.style.width = 100 * bytes / Math.max(this.node.mapped, 1) + "%";
            part.title = `${what}: ${size(bytes)}`;
            bar.append(part);
        }
        return bar;
    }

    facts() {
        const list = document.createElement("dl");
        list.className = "facts";
        const add = (what, value, name) => {
            const term = text("dt", "");
            if (name) {
                const swatch = document.createElement("i");
                swatch.style.background = `var(--${name})`;
                term.append(swatch);
            }
            term.append(what);
            list.append(term, text("dd", value, "number"));
        };
        const node = this.node;
        for (const [name, what, bytes] of this.parts())
            add(what, size(bytes), name);
        add("runs of free pages", node.runs);
        add("the longest of them", size(node.largest_run));
        add("huge pages whole", node.huge_whole);
        add("and broken", node.huge_broken);
        add("lent to others", size(node.lent));
        return list;
    }

    // Which rows there are, and where each is drawn.
    layout(rowPages) {
        this.rowPages = rowPages;
        const blocks = new Set();
        for (const i of this.spans) {
            const last = Math.floor((begin[i] + field(i, PAGES) - 1) / rowPages);
            for (let block = Math.floor(begin[i] / rowPages); block <= last; block++)
                blocks.add(block);
        }
        this.blocks = [...blocks].sort((a, b) => a - b);
        this.lineOf = new Map(this.blocks.map((block, line) => [block, line]));
    }

    draw(rowHeight) {
        const ratio = Math.max(1, Math.round(window.devicePixelRatio || 1));
        const gap = rowHeight > 3 ? 4 : 1;
        this.tops = [];
        let top = 0;
        this.blocks.forEach((block, line) => {
            if (line > 0 && block !== this.blocks[line - 1] + 1)
                top += gap;
            this.tops.push(top);
            top += rowHeight;
        });
        this.height = Math.max(top, 1);
        this.rowHeight = rowHeight;
        const width = this.canvas.width = this.over.width =
            Math.max(64, Math.round(this.sky.clientWidth * ratio));
        this.canvas.height = this.over.height = this.height;
        this.canvas.style.height = this.over.style.height = this.height + "px";
        this.paint(width);
    }

    paint(width) {
        // What lies in each pixel of each row: colour, how much of it, how much is borrowed.
        const sums = new Float32Array(this.blocks.length * width * 5);
        const borrowed = i => field(i, USER) !== field(i, HOME) ? 1 : 0;
        for (const i of this.spans)
            eachRun(begin[i], begin[i] + field(i, PAGES), (first, end, resident) =>
                this.add(sums, width, first, end, colourOf(i, resident), borrowed(i)));
        const context = this.canvas.getContext("2d");
        const image = context.createImageData(width, this.height);
        const inner = this.rowHeight > 5 ? this.rowHeight - 1 : this.rowHeight;
        for (let line = 0; line < this.blocks.length; line++)
            for (let y = 0; y < inner; y++)
                this.paintLine(image, sums, width, line, this.tops[line] + y);
        context.putImageData(image, 0, 0);
    }

    add(sums, width, first, end, colour, borrowed) {
        const scale = width / this.rowPages;
        while (first < end) {
            const block = Math.floor(first / this.rowPages);
            const stop = Math.min(end, (block + 1) * this.rowPages);
            const left = (first - block * this.rowPages) * scale;
            const right = (stop - block * this.rowPages) * scale;
            const line = this.lineOf.get(block) * width;
            for (let x = Math.floor(left); x < right && x < width; x++) {
                const part = Math.min(right, x + 1) - Math.max(left, x);
                const at = (line + x) * 5;
                sums[at] += colour[0] * part;
                sums[at + 1] += colour[1] * part;
                sums[at + 2] += colour[2] * part;
                sums[at + 3] += part;
                sums[at + 4] += borrowed * part;
            }
            first = stop;
        }
    }

    paintLine(image, sums, width, line, y) {
        for (let x = 0; x < width; x++) {
            const at = (line * width + x) * 5, to = (y * width + x) * 4;
            const all = sums[at + 3];
            if (all < 0.02)
                continue;
            const hatch = sums[at + 4] > all / 2 && (x + y) % 6 < 2;
            for (let k = 0; k < 3; k++)
                image.data[to + k] = hatch ? palette.mark[k] : sums[at + k] / all;
            image.data[to + 3] = 255 * Math.min(1, all);
        }
    }

    // ---- What is under the mouse ----

    spanAt(first, end) {
        let best = -1, most = 0;
        let low = 0, high = this.spans.length;
        while (low < high) {
            const middle = low + high >> 1;
            if (begin[this.spans[middle]] < end)
                low = middle + 1;
            else
                high = middle;
        }
        let several = 0;
        for (let at = low - 1; at >= 0; at--) {
            const i = this.spans[at], stop = begin[i] + field(i, PAGES);
            if (stop <= first)
                break;
            several++;
            const share = Math.min(end, stop) - Math.max(first, begin[i]);
            if (share > most)
                [best, most] = [i, share];
        }
        return [best, several];
    }

    hover(event) {
        const box = this.canvas.getBoundingClientRect();
        const y = event.clientY - box.top;
        let line = 0;
        while (line + 1 < this.tops.length && this.tops[line + 1] <= y)
            line++;
        const step = this.rowPages / box.width;
        const first = this.blocks[line] * this.rowPages + (event.clientX - box.left) * step;
        const [span, several] = this.spanAt(first, first + Math.max(step, 1e-6));
        if (span < 0 || y >= this.tops[line] + this.rowHeight)
            return hideDetail();
        this.outline(span);
        showDetail(span, several, event);
    }

    outline(i) {
        if (outlined !== null)
            outlined.over.getContext("2d").clearRect(0, 0, outlined.over.width,
                                                     outlined.over.height);
        outlined = this;
        const context = this.over.getContext("2d");
        const scale = this.over.width / this.rowPages;
        context.strokeStyle = `rgb(${palette.mark.join(" ")})`;
        context.lineWidth = 2;
        let first = begin[i];
        const end = first + field(i, PAGES);
        while (first < end) {
            const block = Math.floor(first / this.rowPages);
            const stop = Math.min(end, (block + 1) * this.rowPages);
            context.strokeRect((first - block * this.rowPages) * scale,
                               this.tops[this.lineOf.get(block)],
                               Math.max((stop - first) * scale, 2), this.rowHeight);
            first = stop;
        }
    }
}
