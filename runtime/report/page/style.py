"""The style sheet: light and dark, wide and narrow, on screen and on paper.

`LIGHT` and `DARK` are the colours by their names in the sheet; text and what it stands on keep a
contrast of 4.5 to 1 at least (WCAG 2.2, level AA), which a test computes.
"""

LIGHT = {
    "paper": "#f4f6f8",
    "card": "#ffffff",
    "ink": "#14181f",
    "soft": "#525c6b",
    "line": "#d9dfe7",
    "edge": "#7a8595",
    "accent": "#0b5cad",
    "track": "#e3e8ef",
    "band": "#b9c4d2",
    "ok": "#0b6b45",
    "okbg": "#e2f4ea",
    "warn": "#7a4b00",
    "warnbg": "#fdf0d5",
    "bad": "#a3121f",
    "badbg": "#fde6e6",
}
DARK = {
    "paper": "#0e1217",
    "card": "#171d25",
    "ink": "#e9edf3",
    "soft": "#a6b1c0",
    "line": "#2b3441",
    "edge": "#77849a",
    "accent": "#7ab8ff",
    "track": "#2a3340",
    "band": "#4a5a70",
    "ok": "#7bdcae",
    "okbg": "#123626",
    "warn": "#f4c56a",
    "warnbg": "#3a2c0c",
    "bad": "#ff9d9d",
    "badbg": "#431a1d",
}
PAPER = LIGHT | {"paper": "#ffffff", "ink": "#000000", "soft": "#404040", "line": "#b8b8b8"}
"""Printed, whatever the screen's scheme."""


def _root(scheme: str, colours: dict[str, str]) -> str:
    named = ";".join(f"--{name}:{colour}" for name, colour in colours.items())
    return f":root{{color-scheme:{scheme};{named}}}"


CSS = (
    _root("light dark", LIGHT)
    + f"@media(prefers-color-scheme:dark){{{_root('dark', DARK)}}}"
    + f"@media print{{{_root('light', PAPER)}}}"
    + """
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.notice{margin:0;padding:9px 20px;background:var(--warnbg);color:var(--warn);text-align:center;
font-weight:620;font-size:.95rem}
main{max-width:1120px;margin:0 auto;padding:30px 20px 48px}
header{margin-bottom:22px}
header p{margin:0;color:var(--soft)}
h1{font-size:1.6rem;line-height:1.25;margin:2px 0 10px;overflow-wrap:anywhere;font-weight:680}
h2{font-size:1.12rem;margin:0 0 4px;font-weight:660}
h3{font-size:1rem;margin:0 0 8px;font-weight:640}
a{color:var(--accent)}
section{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:22px 24px;
margin:0 0 18px}
.lead{margin:0 0 16px;color:var(--soft);max-width:76ch}
.chips{display:flex;flex-wrap:wrap;gap:8px;margin:0;padding:0;list-style:none}
.chip,.badge{display:inline-block;border-radius:999px;padding:1px 11px;font-size:.88rem;
font-weight:620;white-space:nowrap}
.chip{background:var(--track);color:var(--ink)}
.ok{background:var(--okbg);color:var(--ok)}
.warn{background:var(--warnbg);color:var(--warn)}
.refuse,.bad{background:var(--badbg);color:var(--bad)}
.results,.pair{display:grid;gap:18px;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));
margin-bottom:18px}
.results section{margin:0}
.pair{gap:28px;margin:0;grid-template-columns:repeat(auto-fit,minmax(400px,1fr))}
.task{color:var(--soft);font-size:1rem;font-weight:620;margin:0}
.value{margin:2px 0;font-size:3.4rem;line-height:1.12;font-weight:690;letter-spacing:-.02em;
font-variant-numeric:tabular-nums}
.value small{font-size:1.15rem;font-weight:500;letter-spacing:0;color:var(--soft)}
.margin{margin:0 0 10px;font-size:1.12rem;font-weight:620;font-variant-numeric:tabular-nums}
.margin span{font-weight:400;color:var(--soft);font-size:.95rem}
.scale{display:block;width:100%;height:auto;margin:4px 0 0}
.scale text{font-size:12.5px;fill:var(--soft);font-family:inherit}
.scale .track{fill:var(--track)}.scale .band{fill:var(--band)}.scale .bar{fill:var(--accent)}
.scale .mark{fill:var(--ink)}.scale .halo{fill:var(--card)}.scale .tick{stroke:var(--edge)}
.scale .error{fill:none;stroke:var(--accent);stroke-width:2;stroke-dasharray:5 4}
.key{display:flex;flex-wrap:wrap;gap:2px 16px;list-style:none;margin:4px 0 12px;padding:0;
color:var(--soft);font-size:.88rem}
.key i{display:inline-block;width:16px;height:9px;border-radius:2px;margin-right:6px}
.key .band{background:var(--band)}.key .bar{background:var(--accent)}
.key .mark{width:4px;height:15px;background:var(--ink);vertical-align:-3px}
.key .error{border:2px dashed var(--accent)}
.note{margin:0 0 8px;font-size:.95rem}
.soft{color:var(--soft)}
.say{border-left:4px solid var(--warn);padding:9px 13px;border-radius:0 8px 8px 0;margin:0 0 8px;
font-size:.95rem}
.say.ok{border-color:var(--ok)}.say.bad{border-color:var(--bad)}
.banner{margin-bottom:18px}
.banner ul{margin:4px 0 0;padding-left:20px}
figure{margin:0 0 22px;min-width:0}
figure:last-child{margin-bottom:0}
.planes{display:flex;gap:8px;background:#000;border-radius:10px;padding:8px;align-items:center}
.planes img{display:block;min-width:0;height:auto}
figcaption{color:var(--soft);font-size:.92rem;margin-top:8px}
figcaption b{color:var(--ink)}
.swatch{display:inline-block;width:22px;height:4px;border-radius:2px;vertical-align:4px;
margin-right:7px;outline:1px solid var(--edge)}
.ramp{margin:10px 0 8px;font-size:.88rem;color:var(--soft);font-variant-numeric:tabular-nums}
.ramp div{height:12px;border-radius:3px;border:1px solid var(--edge);
background:linear-gradient(90deg,#4da3ff,#5f6b7a 50%,#ff8c1a)}
.ramp p{display:flex;justify-content:space-between;margin:3px 0 0}
.viewer fieldset{border:0;margin:0 0 12px;padding:0;display:flex;flex-wrap:wrap;gap:8px}
.viewer legend{float:left;margin:3px 4px 0 0;color:var(--soft)}
.viewer fieldset label{border:1px solid var(--edge);border-radius:999px;padding:3px 13px 3px 9px;
cursor:pointer}
.viewer fieldset label:has(:checked){background:var(--accent);border-color:var(--accent);
color:var(--card)}
.viewer input{accent-color:var(--accent);vertical-align:-2px}
.viewer .planes{align-items:end;gap:10px 14px;padding:12px}
.viewer .planes>div{flex:1;min-width:0}
.view{position:relative;width:100%;overflow:hidden;cursor:crosshair;border-radius:4px;
touch-action:manipulation}
.view i{position:absolute;inset:0;background-repeat:no-repeat}
.view b{position:absolute;top:50%;transform:translateY(-50%);color:#fff;text-shadow:0 0 3px #000}
.view b:last-of-type{right:5px}.view b:first-of-type{left:5px}
.view u{position:absolute;background:rgba(255,255,255,.55);pointer-events:none}
.view u.v{top:0;bottom:0;width:1px}.view u.h{left:0;right:0;height:1px}
.control{display:block;color:#dfe5ec;font-size:.9rem;font-variant-numeric:tabular-nums}
.control input{display:block;width:100%;margin:4px 0 0;accent-color:#7ab8ff}
.control output{float:right}
.checks{list-style:none;margin:12px 0 0;padding:0}
.checks li{display:grid;grid-template-columns:104px minmax(0,1fr) 220px;gap:4px 16px;
padding:13px 0;border-top:1px solid var(--line);align-items:start}
.checks p{margin:0}
.checks b{font-weight:620}
.measure{font-variant-numeric:tabular-nums;font-size:.92rem}
.gauge{height:8px;border-radius:4px;background:var(--track);position:relative;margin:6px 0 5px}
.gauge u{position:absolute;top:0;bottom:0;left:25%;right:25%;background:var(--band);
border-radius:4px}
.gauge i{position:absolute;top:-4px;width:4px;height:16px;border-radius:2px;background:var(--ink);
transform:translateX(-50%)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
.times{width:100%;margin-top:8px}
.times th{text-align:left;font-weight:400;padding:4px 14px 4px 0}
.times td{padding:4px 0}
.times td:last-child{text-align:right;white-space:nowrap;padding-left:14px}
.times .bar{width:60%}
.times .bar div{height:12px;border-radius:3px;background:var(--accent);min-width:2px}
.times .total{font-weight:650}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:5px 20px;margin:10px 0 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
code{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{color:var(--soft);font-size:.92rem;padding:4px 2px}
footer strong{color:var(--ink)}
.tools{display:flex;flex-wrap:wrap;gap:12px 18px;align-items:end;margin-bottom:16px}
.tools label{display:block;color:var(--soft);font-size:.9rem}
.tools input,.tools select{display:block;font:inherit;color:var(--ink);background:var(--card);
border:1px solid var(--edge);border-radius:8px;padding:0 10px;margin-top:2px;max-width:100%;
height:38px}
.tools p{margin:0 0 6px}
.list{width:100%}
.list th{text-align:left;padding:0;border-bottom:2px solid var(--line);vertical-align:bottom}
.list th button{font:inherit;font-weight:640;color:var(--ink);background:none;border:0;
padding:8px 10px;width:100%;text-align:left;cursor:pointer}
.list th[aria-sort=ascending] button::after{content:" \\25B2"}
.list th[aria-sort=descending] button::after{content:" \\25BC"}
.list td{padding:9px 10px;border-bottom:1px solid var(--line);vertical-align:top}
.list td small{display:block;color:var(--soft);font-size:.86rem}
.list td:first-child{overflow-wrap:anywhere;font-weight:600;min-width:11rem}
.list td:first-child small{font-weight:400}
@media(max-width:700px){main{padding:20px 12px 36px}section{padding:17px 14px}
.value{font-size:2.9rem}.checks li{grid-template-columns:minmax(0,1fr)}
.pair,.results{grid-template-columns:minmax(0,1fr)}
.planes{flex-wrap:wrap;justify-content:center}.planes>*{flex-basis:40%!important}
.planes>:last-child{flex:0 0 74%!important}
.scale text{font-size:17px}
dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:9px}
.list thead{display:none}.list,.list tbody,.list tr{display:block}
.list tr{padding:10px 0;border-bottom:1px solid var(--line)}
.list td{display:flex;gap:14px;justify-content:space-between;border:0;padding:3px 0;
text-align:right}
.list td>*{min-width:0;overflow-wrap:anywhere}
.list td::before{flex:none;content:attr(data-label);color:var(--soft);text-align:left}
.list td:first-child{display:block;text-align:left}.list td:first-child::before{content:""}}
@media print{body{font-size:10pt}main{max-width:none;padding:12px 0 0}
.viewer,.tools{display:none!important}
section,figure,.checks li,.say,tr{break-inside:avoid}
section.long{break-inside:auto}h2,h3{break-after:avoid}
.results,.pair{grid-template-columns:repeat(2,minmax(0,1fr))}
section{padding:12px 14px;margin-bottom:10px}.value{font-size:2.4rem}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
@page{margin:14mm}}
"""
)
