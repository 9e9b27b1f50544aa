// The style of <hub-launch>. Pages change it with custom properties and ::part.
//
// Colors follow the page's `color-scheme`: on a page without a dark one, the element stays light.

export const STYLE = `
:host {
  --accent: var(--hub-launch-accent, light-dark(#1f5bd8, #8ab4ff));
  --accent-text: var(--hub-launch-accent-text, light-dark(#ffffff, #0b1733));
  --text: var(--hub-launch-text, light-dark(#1a2130, #e8ecf4));
  --muted: var(--hub-launch-muted, light-dark(#566073, #a6b0c3));
  --surface: var(--hub-launch-surface, light-dark(#ffffff, #171b24));
  --border: var(--hub-launch-border, light-dark(#dde2ec, #2d3442));
  --track: var(--hub-launch-track, light-dark(#e8ecf4, #2a3140));
  --success: var(--hub-launch-success, light-dark(#15784a, #6fdba6));
  --danger: var(--hub-launch-danger, light-dark(#b3261e, #ffa198));
  --radius: var(--hub-launch-radius, 14px);
  --height: var(--hub-launch-height, 20rem);
  display: block;
  max-inline-size: var(--hub-launch-width, 40rem);
  color: var(--text);
  font: var(--hub-launch-font, inherit);
  line-height: 1.5;
}
:host([theme="light"]) { color-scheme: light; }
:host([theme="dark"]) { color-scheme: dark; }
:host([theme="auto"]) { color-scheme: light dark; }
:host([hidden]), [hidden] { display: none !important; }
*, ::before, ::after { box-sizing: border-box; }

.said {
  position: absolute; inline-size: 1px; block-size: 1px; margin: -1px;
  overflow: hidden; clip-path: inset(50%); white-space: nowrap;
}

[part~="button"] {
  display: inline-flex; align-items: center; justify-content: center;
  min-block-size: 2.75rem; padding: 0.5rem 1.15rem;
  border: 1px solid var(--border); border-radius: calc(var(--radius) * 0.7);
  background: var(--surface); color: var(--text);
  font: inherit; font-weight: 600; text-decoration: none; cursor: pointer;
  transition: background-color 0.15s, border-color 0.15s, filter 0.15s;
}
[part~="button"]:hover { border-color: var(--muted); }
.primary { border-color: transparent; background: var(--accent); color: var(--accent-text); }
.primary:hover { border-color: transparent; filter: brightness(1.08); }
[part~="button"]:active { filter: brightness(0.96); }
button[aria-disabled="true"] { color: var(--muted); cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
[part="title"]:focus-visible { outline: none; }

/* From the click on, as high as a ready server needs, so that nothing below the panel moves. */
[part="panel"] {
  display: flex; flex-direction: column; gap: 1.1rem; min-block-size: var(--height);
  padding: clamp(1.1rem, 4vw, 1.6rem);
  border: 1px solid var(--border); border-radius: var(--radius);
  background: var(--surface);
  animation: appear 0.25s ease-out;
}
[part="head"] { display: flex; align-items: flex-start; gap: 0.7rem; }
p { margin: 0; overflow-wrap: anywhere; }
[part="title"] { flex: 1; min-inline-size: 0; font-size: 1.1em; font-weight: 650; line-height: 1.35; letter-spacing: -0.005em; }
[part="elapsed"] { flex: none; min-inline-size: 6em; text-align: end; padding-block-start: 0.1em; color: var(--muted); font-size: 0.9em; font-variant-numeric: tabular-nums; }

[part="icon"] {
  flex: none; display: grid; place-items: center; inline-size: 1.5em; block-size: 1.5em;
  border-radius: 50%; color: var(--surface); background: var(--muted);
}
[part="icon"] svg {
  inline-size: 1em; block-size: 1em; fill: none; stroke: currentColor;
  stroke-width: 2.6; stroke-linecap: round; stroke-linejoin: round;
}
[data-phase="ready"] [part="icon"] { background: var(--success); animation: arrive 0.35s ease-out; }
[data-phase="failed"] [part="icon"] { background: var(--danger); }
:is([data-phase="asking"], [data-phase="resuming"], [data-phase="waiting"], [data-phase="launching"]) [part="icon"] {
  background: none; border: 0.2em solid var(--track); border-block-start-color: var(--accent);
  inline-size: 1.3em; block-size: 1.3em; margin: 0.1em;
  animation: turn 1s linear infinite;
}

[part="bar"] { position: relative; block-size: 0.5rem; border-radius: 1rem; background: var(--track); overflow: hidden; }
[part="fill"] {
  block-size: 100%; border-radius: inherit; background: var(--accent);
  inline-size: max(0.5rem, calc(var(--progress, 0) * 100%));
  transition: inline-size 0.9s cubic-bezier(0.22, 0.8, 0.3, 1), background-color 0.3s;
}
[data-phase="launching"] [part="fill"] {
  background-image: linear-gradient(90deg, transparent, color-mix(in srgb, var(--surface) 45%, transparent), transparent);
  background-size: 12rem 100%; background-repeat: no-repeat;
  animation: sheen 2.2s ease-in-out infinite;
}
.unknown [part="fill"] {
  position: absolute; inline-size: 30%; background-image: none; opacity: 0.75;
  animation: wander 2.4s ease-in-out infinite alternate;
}
[data-phase="ready"] [part="fill"] { background: var(--success); }

[part="words"] { display: grid; gap: 0.45rem; }
[part="words"]:not(:has(> :not([hidden]))) { display: none; }
[part="position"] { font-variant-numeric: tabular-nums; }
[part="ends"] { font-variant-numeric: tabular-nums; }
[part="ends"].soon { color: var(--danger); font-weight: 600; }
[part="message"], [part="temporary"] { color: var(--muted); }
[part="stalled"] {
  padding: 0.7rem 0.9rem; border-inline-start: 0.25rem solid var(--accent); border-radius: calc(var(--radius) * 0.4);
  background: color-mix(in srgb, var(--accent) 8%, transparent); font-size: 0.95em;
}
[part="problem"] {
  padding: 0.7rem 0.9rem; border-radius: calc(var(--radius) * 0.6);
  background: color-mix(in srgb, var(--danger) 9%, transparent);
  font-size: 0.95em; white-space: pre-line;
}
[part="problem"] + [part="advice"] { margin-block-start: 0.35rem; }
[part="note"] { color: var(--muted); font-size: 0.92em; }

.foot { display: grid; gap: 1.1rem; margin-block-start: auto; }
[part="actions"] { display: flex; flex-wrap: wrap; gap: 0.6rem; }
[part="actions"]:not(:has(> :not([hidden]))) { display: none; }

[part="confirmation"] {
  display: grid; gap: 0.35rem; padding: 0.9rem 1rem;
  border: 1px solid var(--border); border-radius: calc(var(--radius) * 0.6);
  background: color-mix(in srgb, var(--track) 35%, transparent);
}
[part="confirmation"] [part="actions"] { margin-block-start: 0.5rem; }
[part="question"] { font-weight: 650; }
[part~="confirm"] { border-color: var(--danger); color: var(--danger); }

details { border-block-start: 1px solid var(--border); padding-block-start: 0.7rem; color: var(--muted); font-size: 0.9em; }
summary { inline-size: fit-content; padding: 0.3rem 0.2rem; border-radius: 6px; cursor: pointer; }
summary:hover { color: var(--text); }
details[inert] { visibility: hidden; }
ol {
  display: grid; gap: 0.3rem; max-block-size: 15rem; overflow: auto;
  margin: 0.5rem 0; padding: 0.75rem 0.9rem; list-style: none;
  border-radius: calc(var(--radius) * 0.6); background: color-mix(in srgb, var(--track) 45%, transparent);
  color: var(--text); overflow-wrap: anywhere;
}
ol:empty { display: none; }
li { display: grid; grid-template-columns: 2.8em minmax(0, 1fr); gap: 0.6rem; }
[part="log-time"] { color: var(--muted); font-variant-numeric: tabular-nums; }
[part="id"] { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.92em; }

@keyframes appear { from { opacity: 0; transform: translateY(4px); } }
@keyframes arrive { from { transform: scale(0.6); } }
@keyframes turn { to { transform: rotate(1turn); } }
@keyframes sheen { from { background-position: -12rem 0; } to { background-position: calc(100% + 12rem) 0; } }
@keyframes wander { from { transform: none; } to { transform: translateX(233%); } }

@media (max-width: 30rem) {
  :host { --height: var(--hub-launch-height, 25rem); }
  [part="head"] { min-block-size: 3rem; } /* two lines of the title */
}
@media (prefers-reduced-motion: reduce) {
  *, ::before, ::after { animation: none !important; transition: none !important; }
  .unknown [part="fill"] {
    inline-size: 100%; opacity: 0.5;
    background: repeating-linear-gradient(-45deg, var(--accent) 0 0.4rem, transparent 0 0.9rem);
  }
}
@media (forced-colors: active) {
  [part="bar"] { border: 1px solid; }
  [part="fill"] { background: Highlight !important; forced-color-adjust: none; }
  [part="icon"] { border: 1px solid; }
}
`;
