"""How the site looks: one style sheet, light or dark as the reader's device is, readable on a phone."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #52606d; --page: #f6f7f9; --card: #fff; --line: #dde3e9;
  --accent: #0b61a4; --good: #1b6e3c; --bad: #b3261e; --unsure: #8a5300; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #a3b0bd; --page: #12171c; --card: #1b2229;
  --line: #323d48; --accent: #7cbcf5; --good: #6fce93; --bad: #ff9a90; --unsure: #f0bf5f; --on: #12171c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1.5rem; } footer { padding: 1rem 1rem 3rem; color: var(--soft); font-size: .875rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem; } h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
a { color: var(--accent); } a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; } .skip:focus { left: 1rem; top: .5rem; }
.soft { color: var(--soft); } .nowrap { white-space: nowrap; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; padding: 0; margin: .75rem 0; }
.answer { border-left: .5rem solid; border-radius: .5rem; background: var(--card); padding: .9rem 1.1rem;
  margin: 1rem 0; }
.answer p { margin: 0; } .answer .said { font-size: 1.35rem; font-weight: 700; }
.good { color: var(--good); border-color: var(--good); } .bad { color: var(--bad); border-color: var(--bad); }
.unsure { color: var(--unsure); border-color: var(--unsure); } .answer p + p { color: var(--ink); }
.badge { display: inline-block; min-width: 4.6rem; padding: .05rem .5rem; border-radius: 1rem; color: var(--on);
  font-size: .8125rem; font-weight: 700; text-align: center; }
.badge.good { background: var(--good); color: var(--on); } .badge.bad { background: var(--bad); color: var(--on); }
.badge.unsure { background: var(--unsure); color: var(--on); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: .75rem; margin: 0; }
.figures > div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem .9rem; }
.figures dt { color: var(--soft); font-size: .875rem; } .figures dd { margin: 0; }
.figures .value { font-size: 1.35rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.figures .note { font-size: .8125rem; color: var(--soft); }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { text-align: left; padding: .45rem .75rem; vertical-align: top; border-bottom: 1px solid var(--line); }
tbody tr:last-child > * { border-bottom: 0; } thead th { color: var(--soft); font-size: .8125rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tbody th { min-width: 9rem; } .text > h1 { margin-top: 1.25rem; }
.reason { min-width: 18rem; overflow-wrap: anywhere; } .reason div + div { margin-top: .35rem; }
.figure { font-variant-numeric: tabular-nums; min-width: 6rem; } .with { color: var(--soft); font-size: .8125rem; }
.plots { display: grid; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden; }
figure img, .text img { display: block; width: 100%; height: auto; background: #fff; }
figcaption { padding: .6rem .9rem; font-size: .875rem; }
.text { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1.25rem 1.25rem; }
.text table { display: block; overflow-x: auto; margin: 1rem 0; } .text img { max-width: 52rem; margin: 1rem 0; }
code { font: .875em "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; } pre code { overflow-wrap: normal; }
@media (max-width: 40rem) {
  .stack thead { position: absolute; left: -100rem; } .stack tr { display: block; padding: .6rem .75rem;
    border-bottom: 1px solid var(--line); } .stack tr:last-child { border-bottom: 0; }
  .stack th, .stack td { display: block; border: 0; padding: .1rem 0; text-align: left; min-width: 0; }
  .stack td[data-label]::before { content: attr(data-label) ": "; color: var(--soft); }
}
@media print { body { background: #fff; } .wide { overflow: visible; } }
"""
